//! What a session tells of its life.

use std::net::SocketAddr;

use crate::error::Error;
use crate::host::Host;

/// A step in a session's life, in the order in which they come.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum SessionEvent {
    /// The connection is being made.
    Connecting {
        /// What the destination resolved to.
        host: Box<Host>,
    },
    /// The server took the connection, which is direct; the SSH handshake begins.
    Connected {
        /// Its address.
        address: SocketAddr,
    },
    /// The server's text to be shown before authentication (RFC 4252, section 5.4). It comes from
    /// the server as it is: take control characters out before showing it on a terminal.
    Banner {
        /// The text.
        text: String,
    },
    /// The server let the account in.
    Authenticated {
        /// The account.
        user: String,
        /// The method that did it, for example `publickey`.
        method: &'static str,
    },
    /// Commands can be run.
    Ready,
    /// The connection is gone, without having been closed from here.
    Lost {
        /// Why.
        reason: Error,
    },
    /// The session was closed from here.
    Closed,
}

impl SessionEvent {
    /// The event's name: `connecting`, `connected`, `banner`, `authenticated`, `ready`, `lost`
    /// or `closed`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connecting { .. } => "connecting",
            Self::Connected { .. } => "connected",
            Self::Banner { .. } => "banner",
            Self::Authenticated { .. } => "authenticated",
            Self::Ready => "ready",
            Self::Lost { .. } => "lost",
            Self::Closed => "closed",
        }
    }
}
