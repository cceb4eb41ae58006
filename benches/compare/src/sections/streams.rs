//! Much output, and much input, of one command.

use super::{Scene, ask, close, figure, in_turns, open, rate};
use crate::figure::{Figure, Unit};
use crate::protocol::Request;
use crate::stage::DELAYS;

pub(super) fn run(scene: &mut Scene<'_>) {
    for (at, delay) in DELAYS.into_iter().enumerate() {
        let mut running = scene.commanders();
        open(&mut running, scene.stage.port(delay));
        let (rounds, bytes) = scene.scale.streams[at];
        for (way, request) in [
            ("down", Request::Down { bytes }),
            ("up", Request::Up { bytes }),
        ] {
            // Windows and buffers have grown then.
            let small = match way {
                "down" => Request::Down { bytes: 1 << 20 },
                _ => Request::Up { bytes: 1 << 20 },
            };
            in_turns(&mut running, 1, |peer| ask(peer, small.clone()));
            let taken = in_turns(&mut running, rounds, |peer| ask(peer, request.clone()));
            let what = format!("stream {way}, {delay} ms");
            let new = Figure::new("streams", what, Unit::Rate);
            scene
                .figures
                .push(figure(new, &running, &taken, rate(bytes)));
        }
        close(&mut running);
    }
}
