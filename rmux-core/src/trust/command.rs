//! KnownHostsCommand: a program of the user's that prints further lines of `known_hosts`.
//!
//! Runs it without a shell, as ssh does (ssh_config(5)), and judges nothing of what it prints.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmux_proto::public_key::HostKey;
use rmux_proto::ssh_config::{Environment, Template};
use rustix::process::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::fingerprint::fingerprint;
use crate::error::{Error, ErrorKind, Result};
use crate::host::FingerprintHash;
use crate::processes::{Processes, in_own_group};

/// How long it may take, unless the time to connect is over earlier.
const LIMIT: Duration = Duration::from_secs(30);
/// How much it may print: more than any list of hosts that a person keeps.
const MOST_OUTPUT: u64 = 64 << 20;

/// For what ssh runs the program (the token `%I`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invocation {
    /// To learn which types of keys to ask the server for.
    Order,
    /// To look up a host by its name.
    Hostname,
    /// To look up a host by its address.
    Address,
}

impl Invocation {
    fn name(self) -> &'static str {
        match self {
            Self::Order => "ORDER",
            Self::Hostname => "HOSTNAME",
            Self::Address => "ADDRESS",
        }
    }
}

/// What is looked up.
pub(super) struct Lookup<'a> {
    pub(super) invocation: Invocation,
    /// The name or address as `known_hosts` spells it (the token `%H`).
    pub(super) name: &'a str,
    /// The key that the server showed; none yet for [`Invocation::Order`].
    pub(super) key: Option<&'a HostKey>,
    pub(super) fingerprint_hash: FingerprintHash,
}

/// Runs the program and gives what it prints.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`] for a line that is no command, a program that cannot be run, or
/// one that fails: what it would have said of the host is then unknown.
/// [`ErrorKind::TimedOut`] and [`ErrorKind::LimitExceeded`] for one that does not end.
///
/// # Cancel safety
/// Dropping the future kills the program and the processes it started.
pub(super) async fn run(template: &Template, lookup: &Lookup<'_>) -> Result<Vec<u8>> {
    let failed = |kind, what: String| {
        let name = lookup.invocation.name();
        let message = format!("KnownHostsCommand ({name}) {what}");
        Error::new(kind, "read known_hosts", message)
    };
    let invalid = |what: String| failed(ErrorKind::ConfigInvalid, what);
    let words = words(template, lookup).map_err(&invalid)?;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| invalid("is empty".into()))?;
    if program.first() != Some(&b'/') {
        return Err(invalid(format!(
            "must be named by an absolute path, not {}",
            String::from_utf8_lossy(program)
        )));
    }
    let program = OsString::from_vec(program.clone());
    let shown = Path::new(&program).display();
    let own_group = in_own_group();
    let mut command = Command::new(&program);
    command
        .args(arguments.iter().map(|a| std::ffi::OsStr::from_bytes(a)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // As ssh does: what it complains of is for the user.
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    // ssh keeps it in its own group, where it may ask for a password. Nobody there to ask: then a
    // group of its own is the surest way to end it with what it started.
    if own_group {
        command.process_group(0);
    }
    let started = command.spawn();
    let mut child = started.map_err(|e| invalid(format!("cannot be run: {shown}: {e}")))?;
    let mut running = Running::new(&child, own_group);
    let Some(stdout) = child.stdout.take() else {
        unreachable!("it is piped");
    };
    let work = async {
        let mut printed = Vec::new();
        let mut stdout = stdout.take(MOST_OUTPUT + 1);
        stdout.read_to_end(&mut printed).await?;
        if printed.len() as u64 > MOST_OUTPUT {
            return Ok((None, printed));
        }
        let status = child.wait().await?;
        running.0 = None;
        Ok((Some(status), printed))
    };
    let done: Result<std::io::Result<_>, _> = tokio::time::timeout(LIMIT, work).await;
    let done = done.map_err(|_| {
        let what = format!("did not end within {LIMIT:?}: {shown}");
        failed(ErrorKind::TimedOut, what)
    })?;
    match done.map_err(|e| invalid(format!("cannot be read: {shown}: {e}")))? {
        (Some(status), printed) if status.success() => Ok(printed),
        (Some(status), _) => Err(invalid(format!("failed: {shown}: {status}"))),
        (None, _) => Err(failed(
            ErrorKind::LimitExceeded,
            format!("prints more than 64 MiB: {shown}"),
        )),
    }
}

/// Ends a program that has not ended by itself, and all it started, when dropped.
struct Running(Option<Processes>);

impl Running {
    fn new(child: &Child, own_group: bool) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = id.and_then(Pid::from_raw);
        Self(leader.map(|leader| Processes { leader, own_group }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(processes) = self.0 {
            processes.kill();
        }
    }
}

fn words(template: &Template, lookup: &Lookup<'_>) -> Result<Vec<Vec<u8>>, String> {
    let none = || "NONE".to_owned();
    let key_type = lookup.key.map_or("NONE", HostKey::type_name);
    let encoded = lookup
        .key
        .map_or_else(none, |key| STANDARD.encode(key.blob()));
    let print = lookup.key.map_or_else(none, |key| {
        fingerprint(key.plain_blob(), lookup.fingerprint_hash)
    });
    let tokens: [(u8, &[u8]); 5] = [
        (b'H', lookup.name.as_bytes()),
        (b'I', lookup.invocation.name().as_bytes()),
        (b'K', encoded.as_bytes()),
        (b'f', print.as_bytes()),
        (b't', key_type.as_bytes()),
    ];
    let words = template.words(&tokens, &mut Variables);
    let words = words.map_err(|error| format!("cannot be expanded: {error}"))?;
    if words.iter().any(|word| word.contains(&0)) {
        return Err("holds a NUL".to_owned());
    }
    Ok(words)
}

/// The variables of this process, and nothing else.
struct Variables;

impl Environment for Variables {
    fn variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        if name.is_empty() || name.iter().any(|c| matches!(c, b'=' | 0)) {
            return None;
        }
        let value = std::env::var_os(std::ffi::OsStr::from_bytes(name))?;
        Some(value.into_vec())
    }
}
