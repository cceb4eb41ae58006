//! What resolving needs from outside, as requests that the caller answers.
//!
//! The resolver itself opens no file, runs nothing and asks no name server.

use std::net::IpAddr;

use super::error::Origin;

/// Which addresses a name look-up may return (AddressFamily).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AddressFamily {
    /// Both.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// The answer to the request for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileAnswer {
    /// It does not exist.
    Missing,
    /// It exists and cannot be read: why.
    Unreadable(String),
    /// Its content. A directory counts as an empty file, as it does for ssh.
    Content {
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether it belongs to the user or root and nobody else may write to it.
        safe: bool,
    },
}

/// The answer to the request for a host's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NameAnswer {
    /// The canonical name that came with the answer, if any (`AI_CANONNAME` of getaddrinfo).
    pub canonical_name: Option<Vec<u8>>,
}

impl NameAnswer {
    /// The host exists, and this is its canonical name.
    pub fn new(canonical_name: Option<Vec<u8>>) -> Self {
        Self { canonical_name }
    }
}

/// Answers the requests of the resolver. Paths and names are bytes as they stand in the file.
///
/// The default answers are those of a machine where nothing exists.
pub trait Environment {
    /// Reads a configuration file.
    fn read_file(&mut self, path: &[u8]) -> FileAnswer {
        let _ = path;
        FileAnswer::Missing
    }

    /// The names in a directory, without `.` and `..`, in any order; nothing if it is none.
    fn list_directory(&mut self, path: &[u8]) -> Vec<Vec<u8>> {
        let _ = path;
        Vec::new()
    }

    /// Whether something exists at this path.
    fn exists(&mut self, path: &[u8]) -> bool {
        let _ = path;
        false
    }

    /// The value of an environment variable.
    fn variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let _ = name;
        None
    }

    /// The home of another user, for `~name`.
    fn home_of(&mut self, user: &[u8]) -> Option<Vec<u8>> {
        let _ = user;
        None
    }

    /// Runs the command of `Match exec` in the user's shell, with standard input and output from
    /// and to nowhere, and says whether it succeeded. An error ends the resolving: also when the
    /// caller does not allow programs to be run.
    fn match_exec(&mut self, command: &[u8], origin: &Origin) -> Result<bool, String> {
        let _ = (command, origin);
        Err("running programs is not allowed here".to_owned())
    }

    /// Looks a host name up; `None` if it does not exist. Only asked for canonicalization.
    fn look_up(&mut self, name: &[u8], family: AddressFamily) -> Option<NameAnswer> {
        let _ = (name, family);
        None
    }

    /// The TCP port of a service by name (getservbyname).
    fn service_port(&mut self, name: &[u8]) -> Option<u16> {
        let _ = name;
        None
    }

    /// The index of a network interface, for the zone of an IPv6 address.
    fn interface_index(&mut self, name: &[u8]) -> Option<u32> {
        let _ = name;
        None
    }

    /// The addresses of this machine's interfaces, for `Match localnetwork`.
    fn local_addresses(&mut self) -> Vec<IpAddr> {
        Vec::new()
    }
}
