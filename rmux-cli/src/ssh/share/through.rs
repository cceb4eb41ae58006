//! Using a master that is there: what is to run runs on this process' own streams.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use rmux_core::{ControlChild, ControlClient, ControlEvent, ControlRequest, Host};
use rustix::process::{Pid, Signal, kill_process};

use super::super::FAILED;
use super::super::background::Parent;
use super::super::plan::{Plan, Work};
use super::super::run::Outcome;
use crate::log::{self, Level};
use crate::signals::{Endings, window_changes};
use crate::terminal::{self, Changed};
use crate::{message, signals};

/// Does the work over the master's connection. `None`, after a word, where the master starts nothing:
/// nothing has run then. The parent is let go once it runs.
pub(in crate::ssh) async fn run_through(
    mut client: ControlClient,
    host: &Host,
    plan: &Plan,
    endings: &mut Endings,
    parent: &mut Option<Parent>,
) -> Option<Outcome> {
    message::note(format_args!("a master is there: process {}", client.pid()));
    let Some(request) = request(host, plan) else {
        // It has no word for "run nothing": its end is waited for.
        if let Some(outcome) = leave(parent) {
            return Some(outcome);
        }
        tokio::select! {
            () = client.closed() => {}
            _ = endings.next() => {}
        }
        return Some(Outcome::Exit(FAILED));
    };
    let started = tokio::select! {
        started = start(client, &request, plan) => started,
        kind = endings.next() => return Some(Outcome::DieBy(kind)),
    };
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            message::warning(format_args!("{error}; connecting without it"));
            return None;
        }
    };
    // As the master has read them; undone by whoever ends rmux.
    let raw = plan.terminal.then(raw).flatten();
    if let Some(outcome) = leave(parent) {
        return Some(outcome);
    }
    let outcome = attend(child, plan, raw, endings).await;
    terminal::restore();
    if plan.terminal && log::shows(Level::Info) {
        message::line(format_args!(
            "Shared connection to {} closed.",
            host.hostname
        ));
    }
    Some(outcome)
}

/// What the master is asked for; none where nothing is to run.
fn request(host: &Host, plan: &Plan) -> Option<ControlRequest> {
    use std::os::unix::ffi::OsStrExt as _;

    let mut request = match &plan.work {
        Work::Nothing | Work::Stdio(_) => return None,
        Work::Shell => ControlRequest::shell(""),
        Work::Line(line) => ControlRequest::shell(line.as_bytes()),
        Work::Subsystem(name) => ControlRequest::subsystem(name.as_str()),
    };
    if plan.terminal {
        request = request.terminal(std::env::var("TERM").unwrap_or_default());
        if let Some(character) = plan.escape {
            request = request.escape(character);
        }
    }
    Some(request.settings_of(host))
}

async fn start(
    client: ControlClient,
    request: &ControlRequest,
    plan: &Plan,
) -> Result<ControlChild, rmux_core::Error> {
    let nothing = plan.no_input.then(|| File::open("/dev/null")).transpose();
    let nothing = nothing.unwrap_or_default();
    let stdin = match &nothing {
        Some(nothing) => nothing.as_fd(),
        None => rustix::stdio::stdin(),
    };
    let stdio = [stdin, rustix::stdio::stdout(), rustix::stdio::stderr()];
    client.run(request, stdio).await
}

/// Goes to the background, where somebody waits for that.
fn leave(parent: &mut Option<Parent>) -> Option<Outcome> {
    let error = parent.take()?.let_go().err()?;
    message::error(format_args!("cannot go to the background: {error}"));
    Some(Outcome::Exit(FAILED))
}

fn raw() -> Option<Changed> {
    terminal::raw(rustix::stdio::stdin()).ok()
}

/// Waits for the end, and tells the master of new window sizes.
async fn attend(
    mut child: ControlChild,
    plan: &Plan,
    mut raw: Option<Changed>,
    endings: &mut Endings,
) -> Outcome {
    let mut resized = window_changes().ok();
    let mut code = FAILED;
    loop {
        tokio::select! {
            event = child.next() => match event {
                Ok(Some(ControlEvent::Exit(status))) => code = (status & 0xff) as u8,
                Ok(Some(ControlEvent::NoTerminal)) => raw = None,
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    message::error(error);
                    return Outcome::Exit(FAILED);
                }
            },
            () = next(resized.as_mut()), if plan.terminal => {
                let _ = tell_of_window(child.master());
            }
            kind = endings.next() => {
                terminal::restore();
                message::note(format_args!("ended by signal {}", kind.as_raw_value()));
                return Outcome::Exit(FAILED);
            }
        }
    }
    drop(raw);
    Outcome::Exit(code)
}

async fn next(resized: Option<&mut signals::Received>) {
    match resized {
        Some(resized) => {
            resized.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// The master reads the size of each client's terminal anew.
fn tell_of_window(master: u32) -> io::Result<()> {
    let pid = i32::try_from(master).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, Signal::WINCH)?)
}
