//! Connecting, and commands: alone, one after the other, and many at once.

use super::{Scene, ask, close, figure, in_turns, open};
use crate::figure::{Figure, Unit, median, p99};
use crate::protocol::Request;
use crate::stage::DELAYS;

/// From nothing to the first output of a command, and the first command of a new session.
pub(super) fn cold(scene: &mut Scene<'_>) {
    for (at, delay) in DELAYS.into_iter().enumerate() {
        let mut running = scene.commanders();
        let port = scene.stage.port(delay);
        let rounds = scene.scale.cold[at];
        // The first loads programs and files.
        in_turns(&mut running, 1, |peer| ask(peer, Request::Cold { port }));
        let taken = in_turns(&mut running, rounds, |peer| {
            ask(peer, Request::Cold { port })
        });
        let what = format!("cold connect to first output, {delay} ms");
        let new = Figure::new("cold", what, Unit::Seconds);
        scene.figures.push(figure(new, &running, &taken, median));
        let taken = in_turns(&mut running, rounds, |peer| {
            ask(peer, Request::Open { port })?;
            let first = ask(peer, Request::Exec { count: 1 })?;
            ask(peer, Request::Close)?;
            Ok(first)
        });
        let what = format!("first exec of a session, {delay} ms");
        let new = Figure::new("cold", what, Unit::Seconds);
        scene.figures.push(figure(new, &running, &taken, median));
    }
}

/// Commands over a ready session, one after the other.
pub(super) fn exec(scene: &mut Scene<'_>) {
    for (at, delay) in DELAYS.into_iter().enumerate() {
        let mut running = scene.commanders();
        open(&mut running, scene.stage.port(delay));
        in_turns(&mut running, 1, |peer| {
            ask(peer, Request::Exec { count: 2 })
        });
        let (rounds, count) = scene.scale.exec[at];
        let taken = in_turns(&mut running, rounds, |peer| {
            ask(peer, Request::Exec { count })
        });
        let new = Figure::new("exec", format!("exec p50, {delay} ms"), Unit::Seconds);
        scene.figures.push(figure(new, &running, &taken, median));
        let new = Figure::new("exec", format!("exec p99, {delay} ms"), Unit::Seconds);
        scene.figures.push(figure(new, &running, &taken, p99));
        close(&mut running);
    }
}

/// Commands at once, to the end of the last.
pub(super) fn many(scene: &mut Scene<'_>) {
    for (at, delay) in DELAYS.into_iter().enumerate() {
        let mut running = scene.commanders();
        open(&mut running, scene.stage.port(delay));
        in_turns(&mut running, 1, |peer| {
            ask(peer, Request::Many { count: 8 })
        });
        for count in [8, 64] {
            let taken = in_turns(&mut running, scene.scale.many[at], |peer| {
                ask(peer, Request::Many { count })
            });
            let what = format!("{count} execs at once, {delay} ms");
            let new = Figure::new("many", what, Unit::Seconds);
            scene.figures.push(figure(new, &running, &taken, median));
        }
        close(&mut running);
    }
}
