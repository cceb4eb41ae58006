//! A forward as a client asks for it: what kind, where to listen, and where to connect.

use super::Violation;
use crate::wire::{Reader, Truncated, put_string, put_u32};

/// The port that says: the host is the path of a unix socket.
const UNIX: u32 = -2_i32 as u32;

/// Which way a forward leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardKind {
    /// `-L`: the master's side listens.
    Local,
    /// `-R`: the server listens.
    Remote,
    /// `-D`: the master's side listens, and each client says where to.
    Dynamic,
    /// None that is known.
    Other(u32),
}

/// One end of a forward.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host, which may be empty, and a port.
    Tcp(Vec<u8>, u16),
    /// The path of a unix socket, on whichever side that end is.
    Unix(Vec<u8>),
}

/// A forward.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forward {
    /// Which way it leads.
    pub kind: ForwardKind,
    /// Where connections are taken.
    pub listen: Endpoint,
    /// Where they are made; without a meaning for a dynamic one.
    pub connect: Endpoint,
}

impl Forward {
    /// Whether a forward like this can be: of a known kind, and with somewhere to connect.
    pub fn is_sound(&self) -> bool {
        let connects = match &self.connect {
            Endpoint::Tcp(host, _) => !host.is_empty(),
            Endpoint::Unix(_) => true,
        };
        match self.kind {
            ForwardKind::Local => connects && !matches!(self.connect, Endpoint::Tcp(_, 0)),
            ForwardKind::Remote => connects,
            ForwardKind::Dynamic => matches!(self.listen, Endpoint::Tcp(..)),
            ForwardKind::Other(_) => false,
        }
    }

    pub(super) fn decode(
        reader: &mut Reader<'_>,
        cut: impl Fn(Truncated) -> Violation,
    ) -> Result<Self, Violation> {
        let kind = match reader.u32().map_err(&cut)? {
            1 => ForwardKind::Local,
            2 => ForwardKind::Remote,
            3 => ForwardKind::Dynamic,
            other => ForwardKind::Other(other),
        };
        Ok(Self {
            kind,
            listen: Endpoint::decode(reader, &cut)?,
            connect: Endpoint::decode(reader, &cut)?,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u32(
            out,
            match self.kind {
                ForwardKind::Local => 1,
                ForwardKind::Remote => 2,
                ForwardKind::Dynamic => 3,
                ForwardKind::Other(other) => other,
            },
        );
        self.listen.put(out);
        self.connect.put(out);
    }
}

impl Endpoint {
    fn decode(
        reader: &mut Reader<'_>,
        cut: impl Fn(Truncated) -> Violation,
    ) -> Result<Self, Violation> {
        let host = reader.string().map_err(&cut)?.to_vec();
        match reader.u32().map_err(&cut)? {
            UNIX => Ok(Self::Unix(host)),
            port => match u16::try_from(port) {
                Ok(port) => Ok(Self::Tcp(host, port)),
                Err(_) => Err(Violation::Port(port)),
            },
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let (host, port) = match self {
            Self::Tcp(host, port) => (host, u32::from(*port)),
            Self::Unix(path) => (path, UNIX),
        };
        put_string(out, host);
        put_u32(out, port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp(host.into(), port)
    }

    fn unix(path: &str) -> Endpoint {
        Endpoint::Unix(path.into())
    }

    #[test]
    fn what_leads_nowhere_is_not_sound() {
        let sound = |kind, listen, connect| {
            let forward = Forward {
                kind,
                listen,
                connect,
            };
            forward.is_sound()
        };
        use ForwardKind::{Dynamic, Local, Other, Remote};
        assert!(sound(Local, tcp("", 4998), tcp("127.0.0.1", 22)));
        assert!(sound(Local, unix("/a"), unix("/b")));
        assert!(!sound(Local, tcp("", 4999), tcp("h", 0)));
        assert!(!sound(Local, tcp("", 4999), tcp("", 5)));
        assert!(sound(Remote, tcp("", 0), tcp("127.0.0.1", 22)));
        // What the client calls a dynamic one at the server.
        assert!(sound(Remote, tcp("", 1080), tcp("socks", 0)));
        assert!(!sound(Remote, tcp("", 0), tcp("", 22)));
        assert!(sound(Dynamic, tcp("", 1080), tcp("", 0)));
        assert!(!sound(Dynamic, unix("/tmp/x"), tcp("", 0)));
        assert!(!sound(Other(9), tcp("", 1), tcp("h", 1)));
    }
}
