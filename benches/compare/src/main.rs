//! rmux beside other SSH software, in one run against one sshd: a table of ratios, a line for each
//! promise, and a picture and the figures in docs/. `cargo xtask bench --compare` sets it up.
//!
//! `rmux-compare [--quick] [--into FOLDER] [SECTION…]` compares; `rmux-compare drive PEER` is the driver
//! of a peer, which the comparison starts itself.

mod draw;
mod drive;
mod figure;
mod judge;
mod peer;
mod processes;
mod protocol;
mod scale;
mod sections;
mod stage;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use rmux_benches::verdict::Verdict;
use serde_json::json;

use crate::figure::Figure;
use crate::peer::{Interpreters, PEERS};
use crate::scale::{QUICK, Scale, WHOLE};
use crate::sections::{SECTIONS, Scene};
use crate::stage::Stage;

/// What was asked for.
struct Wanted {
    is_quick: bool,
    into: PathBuf,
    sections: Vec<String>,
    /// Only those peers; rmux is always one.
    peers: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let [word, name] = args.as_slice()
        && word == "drive"
    {
        return match runtime.block_on(drive::serve(name)) {
            // What a peer still has open ends with the process.
            true => std::process::exit(0),
            false => {
                eprintln!("rmux-compare: no peer is called {name:?}");
                ExitCode::FAILURE
            }
        };
    }
    match wanted(&args) {
        Ok(wanted) => compare(&runtime, &wanted),
        Err(what) => {
            eprintln!("rmux-compare: {what}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        is_quick: false,
        into: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs"),
        sections: Vec::new(),
        peers: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => wanted.is_quick = true,
            "--into" => wanted.into = args.next().ok_or("--into needs a folder")?.into(),
            "--peer" => wanted
                .peers
                .push(args.next().ok_or("--peer needs a name")?.clone()),
            name if SECTIONS.iter().any(|(section, _)| *section == name) => {
                wanted.sections.push(name.to_owned());
            }
            other => {
                let names: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                return Err(format!("{other:?} is no section; there are {names}"));
            }
        }
    }
    Ok(wanted)
}

fn compare(runtime: &tokio::runtime::Runtime, wanted: &Wanted) -> ExitCode {
    let scale: &Scale = if wanted.is_quick { &QUICK } else { &WHOLE };
    let stage = Stage::set(runtime);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = |name: &str, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
    let drivers = here.join("node").display().to_string();
    let interpreters = Interpreters {
        python: told("RMUX_COMPARE_PYTHON", "python3"),
        node: told("RMUX_COMPARE_NODE", "node"),
        node_drivers: told("RMUX_COMPARE_NODE_DRIVERS", &drivers),
    };
    let is_wanted = |name: &str| {
        name == PEERS[0].name || wanted.peers.is_empty() || wanted.peers.iter().any(|it| it == name)
    };
    let mut scene = Scene {
        stage: &stage,
        scale,
        interpreters: &interpreters,
        peers: PEERS
            .iter()
            .copied()
            .filter(|it| is_wanted(it.name))
            .collect(),
        figures: Vec::new(),
    };
    println!("the account's shell: {}; {}", stage.shell, weather());
    println!(
        "Times and memory: the peer's / rmux's. Rates: rmux's / the peer's. Above 1 rmux is better."
    );
    for (name, run) in SECTIONS {
        if wanted.sections.is_empty() || wanted.sections.iter().any(|it| it == name) {
            let start = Instant::now();
            let before = scene.figures.len();
            run(&mut scene);
            // At once, since a whole run is long and may be cut short.
            println!();
            for line in table::lines(&scene.figures[before..]) {
                println!("{line}");
            }
            println!(
                "{name}: {:.0} s; {}",
                start.elapsed().as_secs_f64(),
                weather()
            );
        }
    }
    let figures = scene.figures;
    let verdicts = judge::judge(&figures, scale.judged);
    for verdict in &verdicts {
        println!("{verdict}");
    }
    let is_whole = wanted.sections.is_empty() && wanted.peers.is_empty() && !wanted.is_quick;
    if let Err(error) = keep(wanted, is_whole, &stage, &figures, &verdicts) {
        eprintln!(
            "rmux-compare: cannot write to {}: {error}",
            wanted.into.display()
        );
        return ExitCode::FAILURE;
    }
    match verdicts.iter().all(Verdict::kept) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Writes the figures and the picture. Only a whole run takes the place of the one before.
fn keep(
    wanted: &Wanted,
    is_whole: bool,
    stage: &Stage,
    figures: &[Figure],
    verdicts: &[Verdict],
) -> std::io::Result<()> {
    let name = if is_whole { "speed" } else { "speed-part" };
    let folder = match is_whole {
        true => wanted.into.clone(),
        // What is no whole run is kept where it gets into no commit.
        false => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    };
    std::fs::create_dir_all(&folder)?;
    let verdicts: Vec<_> = verdicts
        .iter()
        .map(|verdict| {
            json!({
                "what": verdict.what,
                "value": verdict.value,
                "unit": verdict.unit,
                "kept": verdict.kept(),
            })
        })
        .collect();
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let run = json!({
        "taken": seconds.map_or(0, |it| it.as_secs()),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "shell": stage.shell,
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
        "promises": verdicts,
    });
    let text = serde_json::to_string_pretty(&run)? + "\n";
    std::fs::write(folder.join(name).with_extension("json"), text)?;
    if let Some(svg) = draw::svg(figures) {
        std::fs::write(folder.join(name).with_extension("svg"), svg)?;
    }
    println!("\nkept in {}", folder.join(name).display());
    Ok(())
}

/// What the machine is, and what else it does.
fn weather() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!("{cores} cores, load {}", load.join(" "))
}
