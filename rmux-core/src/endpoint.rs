//! An end of a connection: a port of a host, or a unix socket. Says nothing of how it is reached.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// Where a connection comes in or goes to: a TCP port, or a unix socket.
///
/// As text: `8080`, `host:8080`, `[::1]:8080`, `*:8080`; what holds a `/` is the path of a socket.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// A name or an address. Without one, the loopback addresses are meant. To listen, `*` and
        /// an empty name mean all addresses.
        host: Option<String>,
        /// The port. To listen, 0 lets the system choose.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// A port of a host.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Tcp {
            host: Some(host.into()),
            port,
        }
    }

    /// A port of the loopback addresses.
    pub fn port(port: u16) -> Self {
        Self::Tcp { host: None, port }
    }

    /// A unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix(path.into())
    }

    /// Its port, where it has one.
    pub fn port_number(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } => Some(*port),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: None, port } => write!(f, "localhost:{port}"),
            Self::Tcp {
                host: Some(host),
                port,
            } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp {
                host: Some(host),
                port,
            } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |why: &str| {
            let what = format!("{text:?} is no endpoint: {why}");
            Error::new(ErrorKind::InvalidInput, "forward", what)
        };
        if text.contains('\0') {
            return Err(refused("it holds a NUL byte"));
        }
        if text.contains('/') {
            return Ok(Self::unix(text));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (Some(host), port),
            None => (None, text),
        };
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits);
        let port = port.ok_or_else(|| refused("it ends with no port from 0 to 65535"))?;
        let host = match host {
            Some(host) => match host.strip_prefix('[') {
                Some(rest) => {
                    let inner = rest.strip_suffix(']');
                    Some(inner.ok_or_else(|| refused("a bracket is not closed"))?)
                }
                None if host.contains(':') => {
                    return Err(refused("an address with colons stands in brackets"));
                }
                None => Some(host),
            },
            None => None,
        };
        Ok(Self::Tcp {
            host: host.map(str::to_owned),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_as_text() {
        for (text, expected) in [
            ("80", Endpoint::port(80)),
            ("db:5432", Endpoint::tcp("db", 5432)),
            ("*:0", Endpoint::tcp("*", 0)),
            (":80", Endpoint::tcp("", 80)),
            ("[::1]:80", Endpoint::tcp("::1", 80)),
            ("/run/a:b", Endpoint::unix("/run/a:b")),
            ("./sock", Endpoint::unix("./sock")),
        ] {
            let parsed: Endpoint = text.parse().unwrap();
            assert_eq!(parsed, expected, "{text}");
            if text.starts_with(|c: char| !c.is_ascii_digit()) {
                assert_eq!(parsed.to_string(), text);
            }
        }
        assert_eq!(Endpoint::port(80).to_string(), "localhost:80");
    }

    #[test]
    fn what_is_none() {
        for text in [
            "", "db", "db:", "db:x", "db:65536", "db:-1", "db:+1", "::1:80", "[::1:80", "[::1]80",
            "a\0b:80",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
        }
    }
}
