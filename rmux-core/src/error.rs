//! The one error type of rmux and the kinds a caller may act on.
//!
//! Messages name the host and what was tried, and say what to do next where that is known. They
//! never hold secrets.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What went wrong, as far as a caller would act differently.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting, `ssh_config` line or destination could not be understood.
    ConfigInvalid,
    /// The server's host key is not in `known_hosts` and the policy does not accept it.
    HostKeyUnknown,
    /// The server's host key differs from the one in `known_hosts`.
    HostKeyChanged,
    /// The server's host key is marked as revoked.
    HostKeyRevoked,
    /// The server accepted none of the identities, passwords and answers offered.
    AuthFailed,
    /// No connection to the server could be made, or what answered was no SSH server.
    ConnectFailed,
    /// A deadline passed.
    TimedOut,
    /// The connection was lost.
    Disconnected,
    /// The server refused to open a channel or to run the command.
    ChannelRefused,
    /// A file or program does not exist.
    NotFound,
    /// The operating system or the server denied access.
    PermissionDenied,
    /// Something exists already.
    AlreadyExists,
    /// A directory is where a file should be.
    IsADirectory,
    /// Something else is where a directory should be.
    NotADirectory,
    /// A file is not as it was seen before, as the caller wanted it to be.
    Changed,
    /// A limit of memory, size or number was reached.
    LimitExceeded,
    /// The peer broke the protocol.
    ProtocolViolation,
    /// The server or this build cannot do what was asked.
    Unsupported,
    /// The session was closed before.
    Closed,
    /// The work was started and how it ended cannot be known.
    OutcomeUnknown,
    /// The caller, or a person at a prompt, cancelled.
    Cancelled,
    /// A command ended with a status other than 0, where the caller asked for 0.
    NonZeroExit,
    /// An argument of the call cannot be used.
    InvalidInput,
    /// A local input or output operation failed.
    Io,
}

impl ErrorKind {
    /// A stable name of the kind, as Node's `RmuxError.code` gives it.
    pub fn code(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "CONFIG_INVALID",
            Self::HostKeyUnknown => "HOST_KEY_UNKNOWN",
            Self::HostKeyChanged => "HOST_KEY_CHANGED",
            Self::HostKeyRevoked => "HOST_KEY_REVOKED",
            Self::AuthFailed => "AUTH_FAILED",
            Self::ConnectFailed => "CONNECT_FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Disconnected => "DISCONNECTED",
            Self::ChannelRefused => "CHANNEL_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::IsADirectory => "IS_A_DIRECTORY",
            Self::NotADirectory => "NOT_A_DIRECTORY",
            Self::Changed => "CHANGED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::ProtocolViolation => "PROTOCOL_VIOLATION",
            Self::Unsupported => "UNSUPPORTED",
            Self::Closed => "CLOSED",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Cancelled => "CANCELLED",
            Self::NonZeroExit => "NON_ZERO_EXIT",
            Self::InvalidInput => "INVALID_INPUT",
            Self::Io => "IO",
        }
    }
}

/// What is known of a remote command that was ended from here.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteEnd {
    /// Nothing of its process group is left: the remote was asked.
    ///
    /// Processes that left the group (`setsid`, a daemon) are out of reach, and not counted.
    Confirmed,
    /// It was told to end, as far as that was possible, and may still run.
    Unconfirmed,
}

/// An rmux error: a kind, the operation that failed, the host it was for, and the cause.
///
/// Cheap to clone: when a link dies, the same error settles everything that waited for it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    host: Option<String>,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    remote_end: Option<RemoteEnd>,
    partial: Option<Arc<Partial>>,
}

/// What a command had written until it was ended.
struct Partial {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// The result of an rmux operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` in `operation` (a verb such as `"connect"`), explained by `message`.
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            operation: operation.into(),
            host: None,
            message: message.into(),
            source: None,
            remote_end: None,
            partial: None,
        }))
    }

    /// The same error, about `host`. A host named before stays.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.host.get_or_insert_with(|| host.to_owned());
        self
    }

    /// The same error, caused by `source`.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::new(source));
        self
    }

    /// The same error, with what is known of the command that was ended for it.
    #[must_use]
    pub(crate) fn with_remote_end(mut self, end: RemoteEnd) -> Self {
        Arc::make_mut(&mut self.0).remote_end = Some(end);
        self
    }

    /// The same error, with what the command had written before.
    #[must_use]
    pub(crate) fn with_partial(mut self, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Arc::make_mut(&mut self.0).partial = Some(Arc::new(Partial { stdout, stderr }));
        self
    }

    /// A local input or output error, with the kind that fits it.
    pub(crate) fn io(
        operation: impl Into<Cow<'static, str>>,
        what: impl fmt::Display,
        source: std::io::Error,
    ) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            std::io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            std::io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Io,
        };
        Self::new(kind, operation, format!("{what}: {source}")).with_source(source)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The verb of what failed: `"connect"`, `"authenticate"`, `"run"`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The host as the user named it, where the failure was about one.
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// The explanation without host and operation.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where a command was ended because of this failure (a timeout, a limit, a cancelled call):
    /// whether the remote has confirmed its end. `None` where no command had been started.
    pub fn remote_end(&self) -> Option<RemoteEnd> {
        self.0.remote_end
    }

    /// What the command had written to standard output until then, where it was collected.
    pub fn partial_stdout(&self) -> Option<&[u8]> {
        self.0.partial.as_ref().map(|partial| &partial.stdout[..])
    }

    /// What the command had written to standard error until then, where it was collected.
    pub fn partial_stderr(&self) -> Option<&[u8]> {
        self.0.partial.as_ref().map(|partial| &partial.stderr[..])
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.host {
            Some(host) => write!(f, "{}: {host}: {}", self.0.operation, self.0.message),
            None => write!(f, "{}: {}", self.0.operation, self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("host", &self.0.host)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => std::io::ErrorKind::NotFound,
            ErrorKind::PermissionDenied => std::io::ErrorKind::PermissionDenied,
            ErrorKind::AlreadyExists => std::io::ErrorKind::AlreadyExists,
            ErrorKind::IsADirectory => std::io::ErrorKind::IsADirectory,
            ErrorKind::NotADirectory => std::io::ErrorKind::NotADirectory,
            ErrorKind::TimedOut => std::io::ErrorKind::TimedOut,
            ErrorKind::Disconnected => std::io::ErrorKind::ConnectionReset,
            ErrorKind::Closed => std::io::ErrorKind::NotConnected,
            ErrorKind::InvalidInput => std::io::ErrorKind::InvalidInput,
            _ => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
