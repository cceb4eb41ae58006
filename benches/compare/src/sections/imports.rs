//! How long a program waits for the library before it begins: the interpreter's own start is taken off.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::Scene;
use crate::figure::{Cell, Figure, Unit, median};
use crate::peer::Language;

pub(super) fn run(scene: &mut Scene<'_>) {
    let mut figure = Figure::new("import", "import", Unit::Seconds);
    let peers: Vec<_> = scene
        .peers
        .iter()
        .filter_map(|peer| Some((*peer, peer.module()?)))
        .collect();
    let mut taken: Vec<Result<Vec<f64>, String>> = peers.iter().map(|_| Ok(Vec::new())).collect();
    for round in 0..=scene.scale.imports {
        for ((_, (language, module)), taken) in peers.iter().zip(&mut taken) {
            let Ok(samples) = taken else { continue };
            let took = start(scene, *language, None)
                .and_then(|empty| Ok(start(scene, *language, Some(module))? - empty));
            match took {
                // The first reads the files from the disk.
                Ok(_) if round == 0 => {}
                Ok(took) => samples.push(took.max(1e-5)),
                Err(why) => *taken = Err(why),
            }
        }
    }
    for ((peer, _), taken) in peers.iter().zip(&taken) {
        figure.set(peer, super::cell(taken, median));
    }
    // Rust has none: the others are set against Python's rmux.
    if figure
        .cells
        .iter()
        .any(|(_, cell)| matches!(cell, Cell::Value(..)))
    {
        scene.figures.push(figure);
    }
}

fn start(scene: &Scene<'_>, language: Language, module: Option<&str>) -> Result<f64, String> {
    let interpreters = scene.interpreters;
    let mut command = match language {
        Language::Python => {
            let mut command = Command::new(&interpreters.python);
            command.args([
                "-c",
                &module.map_or_else(String::new, |it| format!("import {it}")),
            ]);
            command
        }
        Language::Node => {
            let mut command = Command::new(&interpreters.node);
            command.current_dir(&interpreters.node_drivers);
            command.args([
                "-e",
                &module.map_or_else(String::new, |it| format!("require('{it}')")),
            ]);
            command
        }
        Language::Rust => return Err("it is linked".to_owned()),
    };
    let start = Instant::now();
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let took = start.elapsed().as_secs_f64();
    match ended {
        Ok(status) if status.success() => Ok(took),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
