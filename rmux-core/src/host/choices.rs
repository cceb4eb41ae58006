//! What settings may say where they offer a choice.

use std::path::PathBuf;
use std::time::Duration;

/// `StrictHostKeyChecking`, as `ssh_config` says it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StrictHostKeyChecking {
    /// Refuse unknown keys.
    Yes,
    /// Add unknown keys.
    AcceptNew,
    /// Ask about unknown keys.
    Ask,
    /// Add unknown keys. (OpenSSH also lets changed keys pass, without passwords and forwards;
    /// rmux refuses those.)
    No,
}

/// `AddressFamily`: which addresses of a name are tried.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AddressFamily {
    /// All.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// `RekeyLimit`: when the session keys are renewed at the latest.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RekeyLimit {
    /// After so many bytes in one direction; `None` leaves it to the cipher.
    pub bytes: Option<u64>,
    /// After this time; `None` for no limit in time.
    pub time: Option<Duration>,
}

/// `AddKeysToAgent`: whether a key that was read from a file and used is given to the agent.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AddKeysToAgent {
    /// No.
    #[default]
    No,
    /// Yes, for this long where a time is given.
    Yes(Option<Duration>),
    /// After asking.
    Ask,
    /// Yes, and each use of it must be confirmed with the agent; for this long where a time is
    /// given.
    Confirm(Option<Duration>),
}

/// `ForwardAgent`: whether the remote may use an agent of this side.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum ForwardAgent {
    /// No.
    #[default]
    No,
    /// The agent that is asked for keys: that of `IdentityAgent`, else the one that
    /// `SSH_AUTH_SOCK` names.
    Yes,
    /// The agent at this socket.
    Socket(PathBuf),
}

/// `UpdateHostKeys`: whether further host keys that the server proves to hold are remembered.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UpdateHostKeys {
    /// No.
    #[default]
    No,
    /// Yes.
    Yes,
    /// After asking.
    Ask,
}

/// `FingerprintHash`: how fingerprints of keys are shown.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FingerprintHash {
    /// `SHA256:` and base64.
    #[default]
    Sha256,
    /// `MD5:` and hexadecimal digits.
    Md5,
}

/// `RequestTTY`: whether a terminal is asked for.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RequestTty {
    /// For a login shell, where standard input is a terminal.
    #[default]
    Auto,
    /// Never.
    No,
    /// Where standard input is a terminal.
    Yes,
    /// Always.
    Force,
}

/// `SessionType`: what is started on the host.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SessionType {
    /// A command or a shell.
    #[default]
    Default,
    /// Nothing.
    None,
    /// The subsystem that the command names.
    Subsystem,
}

/// `LogLevel`: how much is said. In the order from the least to the most.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum LogLevel {
    /// Nothing at all.
    Quiet,
    /// What ends the program.
    Fatal,
    /// Errors.
    Error,
    /// What a user should know.
    #[default]
    Info,
    /// More of it.
    Verbose,
    /// What a developer should know.
    Debug1,
    /// More of it.
    Debug2,
    /// All.
    Debug3,
}

/// `ControlMaster`: what is done with a control path.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ControlSharing {
    /// A connection that is there is used; one that is made is not shared.
    #[default]
    No,
    /// A connection is made, and shared.
    Yes,
    /// A connection that is there is used, else one is made and shared.
    Auto,
    /// As [`Yes`](Self::Yes), where each use is to be confirmed.
    Ask,
    /// As [`Auto`](Self::Auto), where each use is to be confirmed.
    AutoAsk,
}

/// `ControlPersist`: how long a shared connection stays that nobody uses.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ControlPersist {
    /// It ends with its own command, and the last other one.
    #[default]
    No,
    /// Until it is told to end.
    Forever,
    /// This long.
    For(Duration),
}
