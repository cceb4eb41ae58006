//! Commands beside a channel that is stalled, and beside one that is busy.

use std::time::Duration;

use super::{LIMIT, Scene, Taken, ask, ask_within, close, figure, in_turns, open};
use crate::figure::{Figure, Unit, p99};
use crate::protocol::Request;

/// Where a stalled channel stalls all, nothing comes within this.
const STALLED_LIMIT: Duration = Duration::from_secs(10);
/// In how many blocks the companies take turns.
const BLOCKS: usize = 3;

pub(super) fn run(scene: &mut Scene<'_>) {
    let companies = [
        ("nothing", None),
        ("a stalled channel", Some(Request::Stall)),
        ("a busy channel", Some(Request::Busy)),
    ];
    let mut running = scene.commanders();
    let mut all: Vec<Vec<Taken>> = companies
        .iter()
        .map(|_| running.iter().map(|_| Ok(Vec::new())).collect())
        .collect();
    let count = scene.scale.beside.div_ceil(BLOCKS);
    for _ in 0..BLOCKS {
        for ((_, company), all) in companies.iter().zip(&mut all) {
            // One peer at a time: a busy one takes its share of the machine from all others.
            for (peer, taken) in running.iter_mut().zip(all.iter_mut()) {
                let Ok(samples) = taken else { continue };
                match block(scene, peer, company.as_ref(), count) {
                    Ok(more) => samples.extend(more),
                    Err(why) => *taken = Err(why),
                }
            }
        }
    }
    for ((what, _), taken) in companies.iter().zip(&all) {
        let new = Figure::new("beside", format!("exec p99 beside {what}"), Unit::Seconds);
        scene.figures.push(figure(new, &running, taken, p99));
    }
    close(&mut running);
}

fn block(
    scene: &Scene<'_>,
    peer: &mut crate::peer::Running,
    company: Option<&Request>,
    count: usize,
) -> Taken {
    let one = std::slice::from_mut(peer);
    if let Some(Err(why)) = open(one, scene.stage.port(0)).pop() {
        return Err(why);
    }
    ask(peer, Request::Exec { count: 3 })?;
    if let Some(company) = company {
        ask(peer, company.clone())?;
        // It has begun, and has filled what it fills.
        std::thread::sleep(Duration::from_millis(500));
    }
    let limit = match company {
        Some(Request::Stall) => STALLED_LIMIT,
        _ => LIMIT,
    };
    // A first one by itself: where it hangs, nothing more is to be waited for.
    ask_within(peer, Request::Exec { count: 1 }, limit)?;
    let mut samples = Vec::new();
    let start = std::time::Instant::now();
    // Those that take long get fewer.
    while samples.len() < count && start.elapsed() < Duration::from_secs(2) {
        let count = (count - samples.len()).min(20);
        samples.extend(ask_within(peer, Request::Exec { count }, limit)?);
    }
    in_turns(std::slice::from_mut(peer), 1, |peer| {
        ask(peer, Request::Close)
    });
    Ok(samples)
}
