//! What an idle session and an idle channel hold in memory on this side: all processes of the peer.

use std::path::Path;

use super::{Scene, ask, open};
use crate::figure::{Cell, Figure, Unit};
use crate::peer::Running;
use crate::processes::held;
use crate::protocol::Request;

pub(super) fn run(scene: &mut Scene<'_>) {
    let mut sessions = Figure::new("memory", "memory of an idle session", Unit::Kib);
    let mut channels = Figure::new("memory", "memory of an idle channel", Unit::Kib);
    let port = scene.stage.port(0);
    let folder = scene.stage.target().folder;
    let at = (port, folder.as_path());
    for mut peer in scene.commanders() {
        let count = scene.scale.sessions;
        let of_session = grown(&mut peer, at, count, Request::Sessions { port, count });
        sessions.set(&peer.peer, of_session);
        let count = scene.scale.channels;
        let of_channel = grown(&mut peer, at, count, Request::Channels { count });
        channels.set(&peer.peer, of_channel);
    }
    scene.figures.extend([sessions, channels]);
}

/// By how much it grows with each, once the first is there.
fn grown(peer: &mut Running, (port, folder): (u16, &Path), count: usize, request: Request) -> Cell {
    let measured = (|| {
        if let Some(Err(why)) = open(std::slice::from_mut(peer), port).pop() {
            return Err(why);
        }
        ask(peer, Request::Exec { count: 2 })?;
        let before = settled(peer, folder);
        ask(peer, request)?;
        let after = settled(peer, folder);
        // A driver that begins anew has nothing in reserve from what it did before.
        peer.end();
        match (before, after) {
            (Some(before), Some(after)) => Ok((after - before).max(0.0) / count as f64),
            _ => Err("the system does not tell".to_owned()),
        }
    })();
    match measured {
        Ok(each) => Cell::Value(each, count),
        Err(why) => {
            peer.end();
            Cell::None(why)
        }
    }
}

fn settled(peer: &Running, folder: &Path) -> Option<f64> {
    std::thread::sleep(std::time::Duration::from_millis(300));
    held(peer.pid()?, folder)
}
