//! Runs the command on the hosts, has what they tell shown, and says how it ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use rmux_core::{
    Error, ErrorKind, ExitStatus, HostEvents, HostOutputs, HostStep, Pool, Result, SessionEvent,
};
use tokio::signal::unix::SignalKind;

use super::report::{self, Lines, Text};
use super::screen::{Screen, Stream};
use super::{Args, FAILED, UNREACHED, json};
use crate::log::{self, Level};
use crate::message;
use crate::prompt::Asking;
use crate::signals::Endings;

/// How long the servers are given to hear that the connections are closed.
const GOODBYE: Duration = Duration::from_secs(3);

/// How rmux shall end.
#[derive(Debug)]
pub(super) enum Outcome {
    Exit(u8),
    /// By this signal, as if rmux had not listened to it.
    DieBy(SignalKind),
}

/// What the hosts have come to.
struct Tally {
    done: usize,
    failures: Vec<String>,
    code: u8,
}

/// Does all that `args` ask for. Every message has been printed when it returns.
pub(super) async fn run(args: &Args, hosts: Vec<String>, input: Vec<u8>) -> Outcome {
    let mut endings = match Endings::listen() {
        Ok(endings) => endings,
        Err(error) => {
            message::error(format_args!("cannot listen to signals: {error}"));
            return Outcome::Exit(UNREACHED);
        }
    };
    let mut config = args.config().on_event(|event| tell(&event));
    if let Some(asking) = Asking::new() {
        config = config.prompter(Arc::new(asking));
    }
    let pool = Pool::new(config);
    let count = hosts.len();
    let several = hosts.iter().collect::<HashSet<_>>().len() > 1;
    let prefix = several && !args.no_prefix;
    let mut fan_out = pool
        .fan_out(hosts)
        .limit(args.limit())
        .fail_fast(args.fail_fast)
        .as_finished(args.as_finished);
    if let Some(timeout) = args.timeout {
        fan_out = fan_out.timeout(timeout);
    }
    if let Some(deadline) = args.deadline {
        fan_out = fan_out.deadline(deadline);
    }
    let command = args.command(input);
    let mut told = match args.group || args.json {
        true => Hosts::Outputs(fan_out.run(command), args.json, prefix),
        false => Hosts::Events(fan_out.events(command), Lines::new(prefix)),
    };
    let screen = Screen::start(count, several && args.level() != Level::Quiet);
    let mut tally = Tally {
        done: 0,
        failures: Vec::new(),
        code: 0,
    };
    let mut ended_by = None;
    loop {
        let step = async {
            let Some((texts, finished)) = told.next().await else {
                return Some(false);
            };
            let mut heard = true;
            let done = finished.is_some();
            if let Some(failure) = finished {
                tally.count(failure);
            }
            for (stream, text) in texts {
                heard &= screen.write(stream, text).await;
            }
            if done {
                screen.progress(tally.done, tally.failures.len()).await;
            }
            heard.then_some(true)
        };
        tokio::select! {
            step = step => match step {
                Some(true) => {}
                Some(false) => break,
                // Nobody reads what is written.
                None => {
                    tally.code = UNREACHED;
                    break;
                }
            },
            kind = endings.next() => {
                if ended_by.replace(kind).is_some() {
                    // Whoever insists does not want to wait for anybody.
                    return Outcome::DieBy(kind);
                }
                told.cancel();
            }
        }
    }
    // What is being killed is seen through.
    let seen_through = async {
        told.close().await;
        if screen.finish().await.is_err() {
            tally.code = UNREACHED;
        }
        let _ = tokio::time::timeout(GOODBYE, pool.close()).await;
    };
    tokio::select! {
        () = seen_through => {}
        kind = endings.next() => return Outcome::DieBy(kind),
    }
    tally.report(count);
    match ended_by {
        Some(kind) => Outcome::DieBy(kind),
        None => Outcome::Exit(tally.code),
    }
}

/// What the hosts tell, in one of the two ways.
enum Hosts {
    Outputs(HostOutputs, bool, bool),
    Events(HostEvents, Lines),
}

/// What is to be shown; and where a host is done, its failure if it is one, and the exit status that
/// this makes.
type Next = (Vec<Text>, Option<Option<(String, u8)>>);

impl Hosts {
    async fn next(&mut self) -> Option<Next> {
        match self {
            Self::Outputs(outputs, json, prefix) => {
                let output = outputs.next().await?;
                let texts = match json {
                    true => vec![(Stream::Out, json::line(&output))],
                    false => report::group(*prefix, &output),
                };
                let status = output.result.as_ref().map(|done| done.status.clone());
                let status = status.map_err(Error::clone);
                Some((texts, Some(failure(&output.host, &status))))
            }
            Self::Events(events, lines) => {
                let event = events.next().await?;
                let (index, host) = (event.index, &event.host);
                Some(match event.step {
                    HostStep::Stdout(piece) => {
                        (vec![lines.piece(index, host, Stream::Out, &piece)], None)
                    }
                    HostStep::Stderr(piece) => {
                        (vec![lines.piece(index, host, Stream::Err, &piece)], None)
                    }
                    HostStep::Finished(status) => {
                        (lines.finish(index, host), Some(failure(host, &status)))
                    }
                    _ => (Vec::new(), None),
                })
            }
        }
    }

    fn cancel(&self) {
        match self {
            Self::Outputs(outputs, ..) => outputs.cancel(),
            Self::Events(events, _) => events.cancel(),
        }
    }

    /// Ends what is left.
    async fn close(self) {
        match self {
            Self::Outputs(outputs, ..) => outputs.close().await,
            Self::Events(events, _) => events.close().await,
        }
    }
}

fn failure(host: &str, status: &Result<ExitStatus>) -> Option<(String, u8)> {
    match status {
        Ok(status) if status.success() => None,
        Ok(status) => Some((format!("{}: {status}", report::name(host)), FAILED)),
        Err(error) => {
            let code = match (error.kind(), error.operation()) {
                (ErrorKind::Cancelled, _) | (ErrorKind::TimedOut, "run") => FAILED,
                _ => UNREACHED,
            };
            // Hosts that are the same share a session, whose errors know one of their names.
            let why = match error.host() == Some(host) {
                true => error.to_string(),
                false => format!("{}: {error}", report::name(host)),
            };
            Some((why, code))
        }
    }
}

impl Tally {
    fn count(&mut self, failure: Option<(String, u8)>) {
        self.done += 1;
        if let Some((why, code)) = failure {
            self.failures.push(why);
            self.code = self.code.max(code);
        }
    }

    /// Tells what failed, of so many hosts.
    fn report(&self, count: usize) {
        if self.failures.is_empty() || !log::shows(Level::Fatal) {
            return;
        }
        if count > 1 {
            message::line(format_args!(
                "rmux: {} of {count} hosts failed:",
                self.failures.len()
            ));
        }
        for why in &self.failures {
            message::line(format_args!("rmux: {why}"));
        }
    }
}

/// Tells a person of an event of a session.
fn tell(event: &SessionEvent) {
    match event {
        SessionEvent::Banner { text } if log::shows(Level::Verbose) => message::text(text),
        SessionEvent::Connecting { host } => {
            message::note(format_args!(
                "connecting to {}: {}@{} port {}",
                host.name, host.user, host.hostname, host.port
            ));
        }
        SessionEvent::Authenticated { user, method } => {
            message::result(format_args!("logged in as {user} by {method}"));
        }
        _ => {}
    }
}
