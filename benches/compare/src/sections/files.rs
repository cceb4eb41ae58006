//! Files: a large one, many small ones, and one that is read.

use std::path::Path;
use std::time::Duration;

use super::{Scene, Taken, ask, ask_within, close, figure, in_turns, open, rate};
use crate::figure::{Cell, Figure, Unit, median};
use crate::peer::{Peer, Running};
use crate::processes::{forget_peak, peak, resident};
use crate::protocol::Request;
use crate::stage::same;

/// A large transfer over the long link by who is slow at it.
const SLOW_LIMIT: Duration = Duration::from_secs(90);
/// The length of a small file.
const SMALL: usize = 4 << 10;
/// The round trip over which trees and reads go.
const FAR: u64 = 100;

/// One large file each way, and what the transfer takes of memory.
pub(super) fn large(scene: &mut Scene<'_>) {
    for delay in [0, FAR] {
        let mut running = scene.movers();
        open(&mut running, scene.stage.port(delay));
        warm_up(scene, &mut running);
        let rounds = match delay {
            0 => scene.scale.file_rounds,
            _ => 1,
        };
        let mut heights: Vec<f64> = running.iter().map(|_| 0.0).collect();
        let names: Vec<&str> = running.iter().map(|running| running.peer.name).collect();
        for way in ["put", "get"] {
            let mut measure = |peer: &mut Running| -> Taken {
                let length = length(scene, &peer.peer, delay);
                let from = scene.stage.file(length);
                let to = scene.stage.fresh("moved");
                let before = peer.pid().and_then(|pid| {
                    forget_peak(pid);
                    resident(pid)
                });
                let request = match way {
                    "put" => Request::Put {
                        local: from.clone(),
                        remote: to.clone(),
                    },
                    _ => Request::Get {
                        remote: from.clone(),
                        local: to.clone(),
                    },
                };
                let seconds = ask_within(peer, request, SLOW_LIMIT)?;
                let grown = before
                    .zip(peer.pid().and_then(peak))
                    .map(|(before, peak)| peak - before);
                let at = names.iter().position(|name| *name == peer.peer.name);
                if let (Some(at), Some(grown)) = (at, grown) {
                    heights[at] = heights[at].max(grown);
                }
                let whole = same(&from, &to);
                let _ = std::fs::remove_file(&to);
                if !whole {
                    return Err("what arrived is not what was sent".to_owned());
                }
                let mib = length as f64 / f64::from(1 << 20);
                Ok(seconds.iter().map(|seconds| seconds / mib).collect())
            };
            let taken = in_turns(&mut running, rounds, &mut measure);
            let mib = scene.scale.file >> 20;
            let what = format!("{way} {mib} MiB, {delay} ms");
            let new = Figure::new("files", what, Unit::Rate);
            // The samples are of one MiB.
            scene
                .figures
                .push(figure(new, &running, &taken, rate(1 << 20)));
        }
        let what = format!("memory of a transfer, {delay} ms");
        let mut memory = Figure::new("files", what, Unit::Kib);
        for (peer, height) in running.iter().zip(&heights) {
            let cell = match peer.peer.is_library && *height > 0.0 {
                true => Cell::Value(*height, rounds * 2),
                false => Cell::None("it is in programs that have ended".to_owned()),
            };
            memory.set(&peer.peer, cell);
        }
        scene.figures.push(memory);
        close(&mut running);
    }
}

/// rmux and those that it is judged by move the whole; over the long link the others' rate is taken from
/// a part.
fn length(scene: &Scene<'_>, peer: &Peer, delay: u64) -> u64 {
    match delay == 0 || peer.is_ours() || ["sftp", "scp"].contains(&peer.name) {
        true => scene.scale.file,
        false => scene.scale.far_file,
    }
}

fn warm_up(scene: &Scene<'_>, running: &mut [Running]) {
    let local = scene.stage.file(64 << 10);
    in_turns(running, 1, |peer| {
        let remote = scene.stage.fresh("first");
        let local = local.clone();
        ask(peer, Request::Put { local, remote })
    });
}

/// Many small files, as each peer's users move a directory; and one after the other.
pub(super) fn trees(scene: &mut Scene<'_>) {
    let mut running = scene.movers();
    open(&mut running, scene.stage.port(FAR));
    warm_up(scene, &mut running);
    let count = scene.scale.tree;
    for way in ["put", "get"] {
        let taken = in_turns(&mut running, 1, |peer| {
            // Whoever takes round trips for each file takes as many for each further one.
            let files = match is_slow(&peer.peer) {
                true => scene.scale.slow_tree,
                false => count,
            };
            let seconds = tree(scene, peer, way, files)?;
            let factor = count as f64 / files as f64;
            Ok(seconds.iter().map(|seconds| seconds * factor).collect())
        });
        let what = format!("{way} a tree of {count} files of 4 KiB, {FAR} ms");
        let new = Figure::new("trees", what, Unit::Seconds);
        scene.figures.push(figure(new, &running, &taken, median));
    }
    for way in ["put", "get"] {
        let files = scene.scale.slow_tree;
        let taken = in_turns(&mut running, 1, |peer| {
            let seconds = one_by_one(scene, peer, way, files)?;
            let factor = count as f64 / files as f64;
            Ok(seconds.iter().map(|seconds| seconds * factor).collect())
        });
        let what = format!("{way} {count} files of 4 KiB one by one, {FAR} ms");
        let new = Figure::new("trees", what, Unit::Seconds);
        scene.figures.push(figure(new, &running, &taken, median));
    }
    close(&mut running);
}

/// Those that move a directory file by file.
fn is_slow(peer: &Peer) -> bool {
    ["sftp", "scp", "asyncssh", "paramiko"].contains(&peer.name)
}

fn tree(scene: &Scene<'_>, peer: &mut Running, way: &str, files: usize) -> Taken {
    let from = scene.stage.tree(files, SMALL);
    let to = scene.stage.fresh("tree");
    let request = match way {
        "put" => Request::PutTree {
            local: from.clone(),
            remote: to.clone(),
        },
        _ => Request::GetTree {
            remote: from.clone(),
            local: to.clone(),
        },
    };
    let seconds = ask_within(peer, request, SLOW_LIMIT)?;
    let whole = all_same(&from, &to);
    let _ = std::fs::remove_dir_all(&to);
    match whole {
        true => Ok(seconds),
        false => Err("what arrived is not what was sent".to_owned()),
    }
}

fn one_by_one(scene: &Scene<'_>, peer: &mut Running, way: &str, files: usize) -> Taken {
    let from = scene.stage.tree(files, SMALL);
    let to = scene.stage.fresh("each");
    std::fs::create_dir(&to).map_err(|error| error.to_string())?;
    let request = match way {
        "put" => Request::PutEach {
            local: from.clone(),
            remote: to.clone(),
        },
        _ => {
            // The names of what is to be got.
            for entry in std::fs::read_dir(&from).into_iter().flatten().flatten() {
                let _ = std::fs::File::create(to.join(entry.file_name()));
            }
            Request::GetEach {
                remote: from.clone(),
                local: to.clone(),
            }
        }
    };
    let seconds = ask_within(peer, request, SLOW_LIMIT)?;
    let whole = all_same(&from, &to);
    let _ = std::fs::remove_dir_all(&to);
    match whole {
        true => Ok(seconds),
        false => Err("what arrived is not what was sent".to_owned()),
    }
}

fn all_same(one: &Path, other: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(one) else {
        return false;
    };
    let mut files = entries.flatten();
    files.all(|file| same(&file.path(), &other.join(file.file_name())))
}

/// One small file into memory.
pub(super) fn read(scene: &mut Scene<'_>) {
    for delay in [0, FAR] {
        let mut running = scene.running(|peer| peer.files || peer.name == "ssh");
        open(&mut running, scene.stage.port(delay));
        let remote = scene.stage.file(SMALL as u64);
        // The channel is open after the first.
        let read = |peer: &mut Running, count| {
            let remote = remote.clone();
            ask(peer, Request::Read { remote, count })
        };
        in_turns(&mut running, 1, |peer| read(peer, 1));
        let reads = scene.scale.reads;
        let taken = in_turns(&mut running, reads, |peer| read(peer, 1));
        let what = format!("read one file of 4 KiB, {delay} ms");
        let new = Figure::new("read", what, Unit::Seconds);
        scene.figures.push(figure(new, &running, &taken, median));
        close(&mut running);
    }
}
