//! What to do once connected, from the settings and the command line together, as ssh decides it.
//!
//! Must not connect or print.

use std::ffi::OsString;

use rmux_core::{Endpoint, Host, RequestTty, SessionType};

/// What to run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) work: Work,
    /// Whether the command gets a terminal.
    pub(super) terminal: bool,
    /// Whether it does not run without one.
    pub(super) insists: bool,
    /// A terminal is wanted, but standard input is none.
    pub(super) terminal_missed: bool,
    /// Whether standard input is left alone.
    pub(super) no_input: bool,
    /// Whether rmux goes to the background once it is let in.
    pub(super) background: bool,
    /// The character that begins an escape, where there are escapes.
    pub(super) escape: Option<u8>,
}

/// What is started on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    Nothing,
    Shell,
    Line(OsString),
    Subsystem(String),
    /// Nothing is: standard input and output go to this place that the host reaches.
    Stdio(Endpoint),
}

impl Plan {
    /// For a host that was resolved for this very command: what excludes each other was refused
    /// there. The error is one line.
    pub(super) fn new(
        host: &Host,
        command: Option<&OsString>,
        stdio: Option<Endpoint>,
        stdin_is_terminal: bool,
    ) -> Result<Self, String> {
        let command = command.or(host.remote_command.as_ref());
        let wanted = match host.request_tty {
            RequestTty::No => false,
            RequestTty::Yes | RequestTty::Force => true,
            _ => command.is_none(),
        };
        let work = match (host.session_type, command) {
            _ if stdio.is_some() && command.is_some() => {
                return Err("-W takes no command".into());
            }
            (SessionType::None, _) => stdio.map_or(Work::Nothing, Work::Stdio),
            (SessionType::Subsystem, Some(name)) => Work::Subsystem(
                name.to_str()
                    .ok_or("the name of the subsystem is not UTF-8")?
                    .to_owned(),
            ),
            (SessionType::Subsystem, None) => return Err("which subsystem? Name one".into()),
            (_, Some(line)) => Work::Line(line.clone()),
            (_, None) => Work::Shell,
        };
        let wanted = wanted && !matches!(work, Work::Nothing | Work::Stdio(_));
        let no_input = host.stdin_null || host.fork_after_authentication;
        let possible = host.request_tty == RequestTty::Force || (stdin_is_terminal && !no_input);
        Ok(Self {
            work,
            terminal: wanted && possible,
            insists: matches!(host.request_tty, RequestTty::Yes | RequestTty::Force),
            terminal_missed: wanted && !possible,
            no_input,
            background: host.fork_after_authentication,
            escape: host.escape_char.filter(|_| wanted && possible),
        })
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
