//! The name under which a host's keys are looked up.
//!
//! Knows how a port, an alias and letter case enter the name; knows no lines.

/// The default port, which is never part of the name.
const DEFAULT_PORT: u16 = 22;

/// A host as known_hosts names it: `name`, or `[name]:port` for a port other than 22.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName {
    lookup: Vec<u8>,
    /// The name alone, if `lookup` holds a port and ssh would try once more without it.
    without_port: Option<Vec<u8>>,
    principal: Vec<u8>,
}

impl HostName {
    /// The host at `hostname` (what HostName resolved to, lowercased here) and `port`.
    pub fn new(hostname: &str, port: u16) -> Self {
        let hostname = hostname.to_ascii_lowercase();
        let principal = hostname.clone().into_bytes();
        if port == 0 || port == DEFAULT_PORT {
            return Self {
                lookup: principal.clone(),
                without_port: None,
                principal,
            };
        }
        Self {
            lookup: format!("[{hostname}]:{port}").into_bytes(),
            without_port: Some(principal.clone()),
            principal,
        }
    }

    /// The host under its HostKeyAlias, which stands for name and port.
    pub fn alias(alias: &str) -> Self {
        let alias = alias.to_ascii_lowercase().into_bytes();
        Self {
            lookup: alias.clone(),
            without_port: None,
            principal: alias,
        }
    }

    /// What is looked up and written: bytes, lower case.
    pub fn lookup(&self) -> &[u8] {
        &self.lookup
    }

    /// The name that a certificate must list.
    pub fn principal(&self) -> &[u8] {
        &self.principal
    }

    /// The same host without its port, where ssh falls back to that.
    pub(super) fn without_port(&self) -> Option<Self> {
        self.without_port.as_ref().map(|name| Self {
            lookup: name.clone(),
            without_port: None,
            principal: self.principal.clone(),
        })
    }
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.lookup))
    }
}
