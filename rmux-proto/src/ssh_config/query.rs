//! What is asked of the resolver: a host, what the command line says, and where to look.
//!
//! Knows no settings by name; [`super::command_line`] gives the flags their meaning.

use super::algorithms::Algorithms;

/// Which configuration files to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sources {
    /// `~/.ssh/config`, then `/etc/ssh/ssh_config`; either may be missing.
    #[default]
    Default,
    /// This file alone, which must exist (`-F file`).
    File(Vec<u8>),
    /// None (`-F none`).
    None,
}

/// Whose OpenSSH to be like where distributions changed its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Flavour {
    /// As Debian and its children ship it: more GSSAPI keys, `ForwardX11Trusted yes`,
    /// `IPQoS lowdelay throughput`, and BatchMode sets ServerAliveInterval to 300.
    #[default]
    Debian,
    /// As OpenSSH releases it.
    Portable,
}

/// The user and machine that ask. Comes from the passwd entry, not from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The login name (`%u`).
    pub user: Vec<u8>,
    /// The numeric user id (`%i`).
    pub uid: u32,
    /// The home directory (`%d`, `~`).
    pub home: Vec<u8>,
    /// The machine's host name (`%l`, `%L`).
    pub hostname: Vec<u8>,
}

/// A flag of `ssh`, without or with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    Flag(char),
    With(char, Vec<u8>),
}

/// A host to resolve and all that the command line says about it.
///
/// Flags are those of `ssh` and are given in the order of the command line, which matters: most
/// flags overrule each other, while of several `-o` for one key the first wins.
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) host: Vec<u8>,
    pub(super) user: Option<Vec<u8>>,
    pub(super) port: Option<u16>,
    pub(super) arguments: Vec<Argument>,
    pub(super) command: Vec<u8>,
    pub(super) sources: Sources,
    pub(super) flavour: Flavour,
    pub(super) release: Vec<u8>,
    pub(super) algorithms: Algorithms,
}

impl Query {
    /// Asks for `host` as the user typed it: an alias, a name or an address, without user or port.
    pub fn new(host: impl Into<Vec<u8>>) -> Self {
        Self {
            host: host.into(),
            user: None,
            port: None,
            arguments: Vec::new(),
            command: Vec::new(),
            sources: Sources::Default,
            flavour: Flavour::Debian,
            release: b"OpenSSH_9.2p1".to_vec(),
            algorithms: Algorithms::openssh(),
        }
    }

    /// Asks for `[user@]host` or `ssh://[user@]host[:port]`, as `ssh` reads its destination.
    /// `None` if it is malformed.
    pub fn destination(text: &[u8]) -> Option<Self> {
        let destination = super::jump::parse_destination(text)?;
        let mut query = Self::new(destination.host);
        query.user = destination.user;
        query.port = destination.port;
        Some(query)
    }

    /// The login name, unless a flag or option already gives one. It stands before all files.
    #[must_use]
    pub fn user(mut self, user: impl Into<Vec<u8>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The port, unless a flag or option already gives one. It stands before all files.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// `-o Key=value`.
    #[must_use]
    pub fn option(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        let line = [key.as_bytes(), b"=", value.as_ref()].concat();
        self.flag_with('o', line)
    }

    /// A flag of `ssh` without an argument, such as `'A'`.
    #[must_use]
    pub fn flag(mut self, flag: char) -> Self {
        self.arguments.push(Argument::Flag(flag));
        self
    }

    /// A flag of `ssh` with its argument, such as `'L'` and `8080:web:80`.
    #[must_use]
    pub fn flag_with(mut self, flag: char, argument: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(Argument::With(flag, argument.into()));
        self
    }

    /// The remote command, its words joined by spaces. Empty, as it is at first, means a shell.
    #[must_use]
    pub fn command(mut self, command: impl Into<Vec<u8>>) -> Self {
        self.command = command.into();
        self
    }

    /// Which files to read; [`Sources::Default`] unless set.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// Whether the files to read are one that somebody named ([`Sources::File`]).
    pub fn names_a_file(&self) -> bool {
        matches!(self.sources, Sources::File(_))
    }

    /// Whose defaults to use; [`Flavour::Debian`] unless set.
    #[must_use]
    pub fn flavour(mut self, flavour: Flavour) -> Self {
        self.flavour = flavour;
        self
    }

    /// The release that `Match version` sees; `OpenSSH_9.2p1` unless set.
    #[must_use]
    pub fn release(mut self, release: impl Into<Vec<u8>>) -> Self {
        self.release = release.into();
        self
    }

    /// The algorithms of the SSH engine; those of OpenSSH unless set.
    #[must_use]
    pub fn algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }
}
