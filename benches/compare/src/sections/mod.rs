//! What is measured, a file for each subject. A section asks all its peers in turns, in an order that
//! rotates, so that they meet the same weather.

mod beside;
mod commands;
mod files;
mod imports;
mod memory;
mod streams;

use std::time::Duration;

use crate::figure::{Cell, Figure, median};
use crate::peer::{Interpreters, Peer, Running};
use crate::protocol::{Answer, Request};
use crate::scale::Scale;
use crate::stage::Stage;

/// Longer than anything takes that goes on.
const LIMIT: Duration = Duration::from_secs(60);

/// What a section has at hand.
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) scale: &'a Scale,
    pub(crate) interpreters: &'a Interpreters,
    pub(crate) peers: Vec<Peer>,
    pub(crate) figures: Vec<Figure>,
}

/// A section with the name that picks it.
pub(crate) type Section = (&'static str, fn(&mut Scene<'_>));

pub(crate) const SECTIONS: &[Section] = &[
    ("cold", commands::cold),
    ("exec", commands::exec),
    ("many", commands::many),
    ("streams", streams::run),
    ("beside", beside::run),
    ("memory", memory::run),
    ("import", imports::run),
    ("files", files::large),
    ("trees", files::trees),
    ("read", files::read),
];

impl Scene<'_> {
    fn commanders(&self) -> Vec<Running> {
        self.running(|peer| peer.commands)
    }

    fn movers(&self) -> Vec<Running> {
        self.running(|peer| peer.files)
    }

    fn running(&self, takes_part: impl Fn(&Peer) -> bool) -> Vec<Running> {
        let peers = self.peers.iter().filter(|peer| takes_part(peer));
        let target = self.stage.target();
        peers
            .map(|peer| Running::new(*peer, self.interpreters, &target))
            .collect()
    }
}

/// Samples of one peer, or why there are none.
type Taken = Result<Vec<f64>, String>;

/// Gives each peer its turn so many times. One that fails has no further turn.
fn in_turns(
    running: &mut [Running],
    rounds: usize,
    mut turn: impl FnMut(&mut Running) -> Taken,
) -> Vec<Taken> {
    let mut taken: Vec<Taken> = running.iter().map(|_| Ok(Vec::new())).collect();
    for round in 0..rounds {
        for number in 0..running.len() {
            let at = (round + number) % running.len();
            if let Ok(samples) = &mut taken[at] {
                match turn(&mut running[at]) {
                    Ok(more) => samples.extend(more),
                    Err(why) => taken[at] = Err(why),
                }
            }
        }
    }
    taken
}

/// Asks a driver, within the usual limit.
fn ask(running: &mut Running, request: Request) -> Taken {
    ask_within(running, request, LIMIT)
}

fn ask_within(running: &mut Running, request: Request, limit: Duration) -> Taken {
    match running.ask(&request, limit) {
        Answer::Seconds(seconds) => Ok(seconds),
        Answer::Cannot(why) => Err(why),
        Answer::Failed(why) => {
            let what = serde_json::to_string(&request).unwrap_or_default();
            eprintln!("{}: {what}: {why}", running.peer.name);
            Err(why)
        }
    }
}

/// Opens the session of each; those that fail are left out with their reason.
fn open(running: &mut [Running], port: u16) -> Vec<Taken> {
    in_turns(running, 1, |peer| ask(peer, Request::Open { port }))
}

fn close(running: &mut [Running]) {
    in_turns(running, 1, |peer| match peer.pid() {
        Some(_) => ask(peer, Request::Close),
        None => Ok(Vec::new()),
    });
}

/// The medians, by `value`.
fn figure(
    mut figure: Figure,
    running: &[Running],
    taken: &[Taken],
    value: impl Fn(&[f64]) -> f64,
) -> Figure {
    for (peer, taken) in running.iter().zip(taken) {
        figure.set(&peer.peer, cell(taken, &value));
    }
    figure
}

fn cell(taken: &Taken, value: impl Fn(&[f64]) -> f64) -> Cell {
    match taken {
        Ok(samples) if samples.is_empty() => Cell::None("no sample".to_owned()),
        Ok(samples) => Cell::Value(value(samples), samples.len()),
        Err(why) => Cell::None(why.clone()),
    }
}

/// A rate in MiB/s from the median time for so many bytes.
fn rate(bytes: u64) -> impl Fn(&[f64]) -> f64 {
    move |seconds| bytes as f64 / f64::from(1 << 20) / median(seconds)
}
