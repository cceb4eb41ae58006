//! Forwards as they are written: `[host:]port host:port` and unix sockets in either place.
//!
//! Knows their syntax and nothing of how they are carried.

use super::environment::Environment;
use super::expand;
use super::number;

/// One end of a forward.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardEnd {
    /// A port; without a host the default addresses are meant.
    Port {
        /// The host or address, if one was given.
        host: Option<Vec<u8>>,
        /// The port; 0 lets the server choose.
        port: u16,
    },
    /// A unix socket.
    Socket(Vec<u8>),
    /// Whatever the SOCKS client asks for: a dynamic forward.
    Socks,
}

/// A forward: where to listen and where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Forward {
    /// Where connections come in.
    pub listen: ForwardEnd,
    /// Where they go.
    pub connect: ForwardEnd,
}

/// The longest host and the longest path of a socket, as in OpenSSH.
const LONGEST_HOST: usize = 1024;
const LONGEST_SOCKET: usize = 107;

/// Reads a forward in one text, its parts separated by colons. `dynamic` forwards have a listening
/// end only; only a `remote` one may listen on port 0.
pub(super) fn parse(
    text: &[u8],
    dynamic: bool,
    remote: bool,
    environment: &mut dyn Environment,
) -> Option<Forward> {
    let text = expand::variables(text, environment).ok()??;
    let (parts, count) = split(text.trim_ascii_start())?;
    let path = |i: usize| parts[i].is_path;
    let mut port = |i: usize| number::port(&parts[i].text, environment);
    let socket = |i: usize| ForwardEnd::Socket(parts[i].text.clone());
    let at = |host: Option<usize>, port: Option<u16>| {
        let host = host.map(|i: usize| parts[i].text.clone());
        port.map(|port| ForwardEnd::Port { host, port })
    };
    let (listen, connect) = match count {
        1 if path(0) => (socket(0), ForwardEnd::Socks),
        1 => (at(None, port(0))?, ForwardEnd::Socks),
        2 if path(0) && path(1) => (socket(0), socket(1)),
        2 if path(1) => (at(None, port(0))?, socket(1)),
        2 => (at(Some(0), port(1))?, ForwardEnd::Socks),
        3 if path(0) => (socket(0), at(Some(1), port(2))?),
        3 if path(2) => (at(Some(0), port(1))?, socket(2)),
        3 => (at(None, port(0))?, at(Some(1), port(2))?),
        4 => (at(Some(0), port(1))?, at(Some(2), port(3))?),
        _ => return None,
    };
    let shape_fits = if dynamic {
        count <= 2
    } else {
        count >= 3
            || matches!(connect, ForwardEnd::Socket(_))
            || matches!(listen, ForwardEnd::Socket(_))
    };
    let goes_somewhere = match &connect {
        ForwardEnd::Port { port, .. } => *port != 0,
        ForwardEnd::Socket(_) => true,
        ForwardEnd::Socks => dynamic,
    };
    let listens = remote || !matches!(listen, ForwardEnd::Port { port: 0, .. });
    let fits = fits(&listen) && fits(&connect);
    (shape_fits && (dynamic || goes_somewhere) && listens && fits)
        .then_some(Forward { listen, connect })
}

struct Part {
    text: Vec<u8>,
    is_path: bool,
}

/// Splits at colons outside brackets into at most four parts; a backslash takes the next byte
/// literally.
fn split(text: &[u8]) -> Option<(Vec<Part>, usize)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && parts.len() < 4 {
        let (part, after) = if rest[0] == b'[' {
            bracketed(rest)?
        } else {
            plain(rest)?
        };
        parts.push(part);
        rest = after;
    }
    let count = parts.len();
    rest.is_empty().then_some((parts, count))
}

fn bracketed(text: &[u8]) -> Option<(Part, &[u8])> {
    let end = text.iter().position(|&c| c == b']')?;
    let inner = &text[1..end];
    let part = Part {
        text: inner.to_vec(),
        is_path: inner.contains(&b'/'),
    };
    match text.get(end + 1) {
        None => Some((part, &[])),
        Some(b':') => Some((part, &text[end + 2..])),
        Some(_) => None,
    }
}

fn plain(text: &[u8]) -> Option<(Part, &[u8])> {
    let mut part = Part {
        text: Vec::new(),
        is_path: false,
    };
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        match c {
            b'\\' => {
                at += 1;
                part.text.push(*text.get(at)?);
            }
            b':' => return Some((part, &text[at + 1..])),
            _ => {
                part.is_path |= c == b'/';
                part.text.push(c);
            }
        }
        at += 1;
    }
    Some((part, &[]))
}

fn fits(end: &ForwardEnd) -> bool {
    match end {
        ForwardEnd::Port { host, .. } => host.as_ref().is_none_or(|h| h.len() <= LONGEST_HOST),
        ForwardEnd::Socket(path) => path.len() <= LONGEST_SOCKET,
        ForwardEnd::Socks => true,
    }
}

impl Forward {
    /// Reads a forward in one text, as the flags of `ssh` take it. `dynamic` forwards have a listening
    /// end only; only a `remote` one may listen on port 0. None for what is no forward.
    pub fn parse(
        text: &[u8],
        dynamic: bool,
        remote: bool,
        environment: &mut dyn Environment,
    ) -> Option<Self> {
        parse(text, dynamic, remote, environment)
    }

    /// Whether it is printed among the dynamic forwards. OpenSSH prints a local forward to a unix
    /// socket there as well.
    pub(super) fn prints_as_dynamic(&self) -> bool {
        !matches!(&self.connect, ForwardEnd::Port { host: Some(h), .. } if h != b"socks")
    }

    /// Whether it is printed among the local forwards.
    pub(super) fn prints_as_local(&self) -> bool {
        match &self.connect {
            ForwardEnd::Port { host, .. } => host.as_deref() != Some(b"socks"),
            ForwardEnd::Socket(_) => true,
            ForwardEnd::Socks => false,
        }
    }

    /// The listening end as `-G` prints it.
    pub(super) fn listen_text(&self) -> Vec<u8> {
        end_text(&self.listen)
    }

    /// Both ends as `-G` prints them.
    pub(super) fn text(&self) -> Vec<u8> {
        [
            end_text(&self.listen),
            b" ".to_vec(),
            end_text(&self.connect),
        ]
        .concat()
    }
}

fn end_text(end: &ForwardEnd) -> Vec<u8> {
    match end {
        ForwardEnd::Port { host: None, port } => port.to_string().into_bytes(),
        ForwardEnd::Port {
            host: Some(host),
            port,
        } => [b"[", &host[..], b"]:", port.to_string().as_bytes()].concat(),
        ForwardEnd::Socket(path) => path.clone(),
        ForwardEnd::Socks => b"[socks]:0".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;
    impl Environment for Nothing {}

    fn local(text: &str) -> Option<String> {
        let forward = parse(text.as_bytes(), false, false, &mut Nothing)?;
        Some(String::from_utf8(forward.text()).unwrap())
    }

    #[test]
    fn every_form_of_a_local_forward() {
        for (text, printed) in [
            ("80:h:90", Some("80 [h]:90")),
            ("*:80:[::1]:90", Some("[*]:80 [::1]:90")),
            (":80:h:90", Some("[]:80 [h]:90")),
            ("/a:/b", Some("/a /b")),
            ("80:/b", Some("80 /b")),
            ("/a:h:90", Some("/a [h]:90")),
            ("l:80:/b", Some("[l]:80 /b")),
            ("80:h\\:x:90", Some("80 [h:x]:90")),
            ("80", None),
            ("0:h:90", None),
            ("80:h:0", None),
            ("80:h", None),
            ("1:2:3:4:5", None),
            ("[::1:80", None),
            ("/a:80", None),
        ] {
            assert_eq!(local(text).as_deref(), printed, "{text}");
        }
    }
}
