//! How a remote command ended, and the signals it can be sent.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::capture::Captured;
use crate::error::{Error, ErrorKind, RemoteEnd, Result};
use crate::link::Exit;
use crate::printable::printable;

/// A signal, by its name without `SIG` (RFC 4254, section 6.10).
///
/// OpenSSH passes on `ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2` and ignores
/// others. It ignores all of them for commands of a forced command or subsystem, and some versions
/// for those of root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signal(String);

impl Signal {
    /// Interrupt from the keyboard.
    pub const INT: &'static str = "INT";
    /// Ends a process in order.
    pub const TERM: &'static str = "TERM";
    /// Ends a process at once.
    pub const KILL: &'static str = "KILL";
    /// The terminal was hung up.
    pub const HUP: &'static str = "HUP";

    /// The signal named `name`, with or without `SIG`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless the name is made of capital letters and digits.
    pub fn named(name: &str) -> Result<Self> {
        let short = name.strip_prefix("SIG").unwrap_or(name);
        let sound = !short.is_empty()
            && short.len() <= 16
            && short
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !sound {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "signal",
                format!("{name:?} is no signal name"),
            ));
        }
        Ok(Self(short.to_owned()))
    }

    /// The name without `SIG`.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.0)
    }
}

/// How a remote command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitStatus(Ended);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    Code(u32),
    Signal {
        signal: Signal,
        core_dumped: bool,
        message: String,
    },
}

impl ExitStatus {
    pub(super) fn from_exit(exit: Exit) -> Self {
        Self(match exit {
            Exit::Status(code) => Ended::Code(code),
            Exit::Signal {
                name,
                core_dumped,
                message,
            } => Ended::Signal {
                // What a server says may end up on a terminal, or with another host.
                signal: Signal::named(&name).unwrap_or_else(|_| Signal("UNKNOWN".to_owned())),
                core_dumped,
                message: printable(&message),
            },
        })
    }

    /// Whether the command ended with status 0.
    pub fn success(&self) -> bool {
        self.code() == Some(0)
    }

    /// The exit status, unless a signal ended the command.
    pub fn code(&self) -> Option<i32> {
        match &self.0 {
            // Servers on other systems may report more than POSIX's eight bits.
            Ended::Code(code) => Some(*code as i32),
            Ended::Signal { .. } => None,
        }
    }

    /// The signal that ended the command.
    pub fn signal(&self) -> Option<&Signal> {
        match &self.0 {
            Ended::Code(_) => None,
            Ended::Signal { signal, .. } => Some(signal),
        }
    }

    /// Whether a core file was written.
    pub fn core_dumped(&self) -> bool {
        matches!(
            &self.0,
            Ended::Signal {
                core_dumped: true,
                ..
            }
        )
    }

    /// The server's words about the signal, without control characters; often empty.
    pub fn message(&self) -> &str {
        match &self.0 {
            Ended::Code(_) => "",
            Ended::Signal { message, .. } => message,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ended::Code(code) => write!(f, "exit status {code}"),
            Ended::Signal { signal, .. } => write!(f, "ended by {signal}"),
        }
    }
}

/// How a command ended that was [stopped](crate::Child::stop).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// How the command itself ended.
    pub status: ExitStatus,
    /// Whether nothing of its process group is left.
    pub remote_end: RemoteEnd,
}

/// What a command printed and how it ended.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote to standard output, byte for byte; or its beginning, where the
    /// [limit](crate::Command::output_limit) was reached.
    pub stdout: Vec<u8>,
    /// All it wrote to standard error, byte for byte, or its beginning. With a terminal it is part
    /// of `stdout`.
    pub stderr: Vec<u8>,
    /// How many bytes behind those in `stdout` were dropped.
    pub stdout_dropped: u64,
    /// How many bytes behind those in `stderr` were dropped.
    pub stderr_dropped: u64,
    /// The file with all of standard output, where that was too much for memory. It is the
    /// caller's to remove.
    pub stdout_file: Option<PathBuf>,
    /// The file with all of standard error, likewise.
    pub stderr_file: Option<PathBuf>,
    /// Where it ran, for errors.
    pub(super) host: Arc<str>,
}

impl Output {
    pub(super) fn new(status: ExitStatus, (out, err): (Captured, Captured), host: &str) -> Self {
        Self {
            status,
            stdout: out.head,
            stderr: err.head,
            stdout_dropped: out.dropped,
            stderr_dropped: err.dropped,
            stdout_file: out.file,
            stderr_file: err.file,
            host: host.into(),
        }
    }

    /// The output, if the command ended with status 0.
    ///
    /// # Errors
    /// [`ErrorKind::NonZeroExit`] otherwise, with the end of what it wrote to standard error.
    pub fn check(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        let mut message = self.status.to_string();
        if self.status.code() == Some(127) {
            message += " (the shell's way to say: command not found)";
        }
        let said = String::from_utf8_lossy(&self.stderr);
        if let Some(last) = said.lines().rev().find(|line| !line.trim().is_empty()) {
            message += ": ";
            message += &printable(last);
        }
        Err(Error::new(ErrorKind::NonZeroExit, "run", message).with_host(&self.host))
    }
}
