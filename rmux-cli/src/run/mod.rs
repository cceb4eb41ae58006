//! `rmux run`: one command on many hosts.
//!
//! Must not know how hosts are reached, nor how what they write is shown.

mod args;
mod hosts;
mod json;
mod report;
mod screen;
mod work;

use std::io::Read as _;

pub(crate) use args::Args;

use crate::{log, message, prompt, signals, terminal};
use work::Outcome;

/// The exit status where a host could not be reached, and where rmux itself fails.
const UNREACHED: u8 = 255;
/// The exit status where a command failed, and no host is out of reach.
const FAILED: u8 = 1;
/// The longest input of `--stdin`: it is held in memory, since every host gets all of it.
const MAX_INPUT: u64 = 64 << 20;

/// Runs `rmux run`; returns the exit status.
pub(crate) fn main(args: &Args) -> u8 {
    log::set_level(args.level());
    log::start();
    let hosts = match hosts::all(&args.hosts, args.hosts_file.as_deref()) {
        Ok(hosts) => hosts,
        Err(refusal) => return refused(refusal),
    };
    let input = match args.stdin.then(read_input).transpose() {
        Ok(input) => input.unwrap_or_default(),
        Err(refusal) => return refused(refusal),
    };
    terminal::restore_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return refused(format!("cannot start: {error}")),
    };
    let outcome = runtime.block_on(work::run(args, hosts, input));
    terminal::restore();
    prompt::end();
    // A prompt may still be waiting in one of its threads.
    runtime.shutdown_background();
    match outcome {
        Outcome::Exit(code) => code,
        Outcome::DieBy(kind) => signals::die_by(kind),
    }
}

fn refused(why: String) -> u8 {
    message::usage(format_args!("{why} (see: rmux run --help)"));
    UNREACHED
}

/// All of standard input.
fn read_input() -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin
        .take(MAX_INPUT + 1)
        .read_to_end(&mut input)
        .map_err(|error| format!("cannot read standard input: {error}"))?;
    if input.len() as u64 > MAX_INPUT {
        return Err("standard input is longer than 64 MiB".into());
    }
    Ok(input)
}
