//! Reads the user's `ssh_config` from disk and resolves a host by it.
//!
//! The language itself is in `rmux_proto::ssh_config`, which does no I/O; this room answers its
//! requests: files, programs of `Match exec`, name look-ups, the account. It must not know how to
//! connect.

mod account;
mod machine;
mod programs;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

pub use rmux_proto::ssh_config::{
    AlgorithmList, Algorithms, ConfigError, ExpandedFile, Flavour, Forward, ForwardEnd, Jump, Note,
    Origin, Query, Resolved, Setting, Sources, Template,
};

use crate::config::MatchExec;
use crate::error::{Error, ErrorKind, Result};
use crate::host::ForwardRule;
use machine::Machine;

/// How files are read and programs run for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    match_exec: MatchExec,
    program_limit: Duration,
}

impl Policy {
    /// Runs programs as [`MatchExec::OwnFiles`] says, each for at most 30 seconds.
    pub fn new() -> Self {
        Self {
            match_exec: MatchExec::default(),
            program_limit: Duration::from_secs(30),
        }
    }

    /// Whether the programs of `Match exec` may be run.
    #[must_use]
    pub fn match_exec(mut self, match_exec: MatchExec) -> Self {
        self.match_exec = match_exec;
        self
    }

    /// How long one program of `Match exec`, or one name look-up, may take. It is then ended, and
    /// resolving fails.
    #[must_use]
    pub fn program_limit(mut self, limit: Duration) -> Self {
        self.program_limit = limit;
        self
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

/// Resolves a host by the files on this machine, as the installed `ssh` would.
///
/// Blocks: it reads files and may run programs and ask name servers. From async code, call it
/// where blocking is allowed.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`] for a configuration that `ssh` refuses; the message begins with
/// its file and line.
pub fn resolve(query: &Query, policy: Policy) -> Result<Resolved> {
    let failed = |message: String| Error::new(ErrorKind::ConfigInvalid, "resolve", message);
    let local = account::local().map_err(failed)?;
    let mut machine = Machine::new(policy, query.names_a_file());
    let resolved = rmux_proto::ssh_config::resolve(query, &local, &mut machine);
    resolved.map_err(|error| failed(error.to_string()).with_source(error))
}

/// A forward as the flags of `ssh` take it: `-D` where it is `dynamic`, `-R` where it is `remote`,
/// else `-L`. None for what is no forward.
pub fn parse_forward(text: &OsStr, dynamic: bool, remote: bool) -> Option<ForwardRule> {
    let mut machine = Machine::new(Policy::new(), false);
    let forward = Forward::parse(text.as_bytes(), dynamic, remote, &mut machine)?;
    ForwardRule::new(&forward, |path| Some(path.to_vec()))
}

#[cfg(test)]
mod tests;
