//! Forwards as the user's settings name them. Says nothing of how they are made.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use rmux_proto::ssh_config::{Forward, ForwardEnd};

use crate::endpoint::Endpoint;

/// A forward as the user's settings, or a flag of `ssh`, name it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForwardRule {
    /// Where connections come in.
    pub listen: Endpoint,
    /// Where they go; none for wherever a SOCKS client asks for.
    pub target: Option<Endpoint>,
}

impl ForwardRule {
    /// `expand` does so with the tokens in the paths of sockets. None for what cannot be expanded,
    /// and for names that are not UTF-8.
    pub(crate) fn new(
        forward: &Forward,
        expand: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Self> {
        let end = |end: &ForwardEnd| match end {
            ForwardEnd::Port { host, port } => Some(Some(Endpoint::Tcp {
                host: match host {
                    Some(host) => Some(String::from_utf8(host.clone()).ok()?),
                    None => None,
                },
                port: *port,
            })),
            ForwardEnd::Socket(path) => {
                let path = OsString::from_vec(expand(path)?);
                Some(Some(Endpoint::unix(path)))
            }
            _ => Some(None),
        };
        Some(Self {
            listen: end(&forward.listen)??,
            target: end(&forward.connect)?,
        })
    }
}
