//! Destinations: `[user@]host[:port]`, `ssh://` addresses, ProxyJump chains, and which host and
//! user names are refused since they could do harm in a shell.
//!
//! Knows their syntax; how a jump is made is for others.

use super::environment::Environment;
use super::number;

/// One hop of ProxyJump, as it is written. Resolve each by its own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Jump {
    /// The login name, if it was given.
    pub user: Option<Vec<u8>>,
    /// The host.
    pub host: Vec<u8>,
    /// The port, if it was given.
    pub port: Option<u16>,
}

/// The last hop, which is printed anew, and the hops before it, which are printed as written.
#[derive(Debug, Clone)]
pub(super) struct JumpHead {
    pub(super) last: Jump,
    pub(super) before: Option<Vec<u8>>,
}

/// The `[user@]host[:port]` of a URI, or of the destination of `ssh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) user: Option<Vec<u8>>,
    pub(super) host: Vec<u8>,
    pub(super) port: Option<u16>,
}

/// Numbers only: a destination is read before anyone can be asked for services.
struct NoServices;
impl Environment for NoServices {}

/// Reads the destination argument of `ssh`: a URI, or `[user@]host`, where the host may hold
/// colons.
pub(super) fn parse_destination(text: &[u8]) -> Option<Destination> {
    if let Some(uri) = text.strip_prefix(b"ssh://") {
        return parse_uri(uri, &mut NoServices);
    }
    match text.iter().rposition(|&c| c == b'@') {
        Some(0) => None,
        Some(at) => Some(Destination {
            user: Some(text[..at].to_vec()),
            host: text[at + 1..].to_vec(),
            port: None,
        }),
        None => Some(Destination {
            user: None,
            host: text.to_vec(),
            port: None,
        }),
    }
}

/// Reads a chain of hops. With `strict`, as on the command line, names that could do harm in a
/// shell are refused.
pub(super) fn parse_chain(
    text: &[u8],
    strict: bool,
    environment: &mut dyn Environment,
) -> Option<JumpHead> {
    let text = trimmed(text);
    let hops: Vec<&[u8]> = text.split(|&c| c == b',').collect();
    let mut last = None;
    for hop in &hops {
        let hop = parse_hop(hop, environment)?;
        let user_fits = hop.user.as_ref().is_none_or(|u| is_safe_user(u));
        if strict && !(is_safe_host(&hop.host) && user_fits) {
            return None;
        }
        last = Some(hop);
    }
    let before = text
        .iter()
        .rposition(|&c| c == b',')
        .map(|at| text[..at].to_vec());
    Some(JumpHead {
        last: last?,
        before,
    })
}

/// The hops of a chain, in the order in which they are passed.
pub(super) fn hops(head: &JumpHead, environment: &mut dyn Environment) -> Vec<Jump> {
    let before = head.before.as_deref().unwrap_or_default();
    let mut hops: Vec<Jump> = before
        .split(|&c| c == b',')
        .filter_map(|hop| parse_hop(hop, environment))
        .collect();
    hops.push(head.last.clone());
    hops
}

/// Without its comment, and only up to the first white space: OpenSSH means to trim the end and
/// cuts there.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&c| c == b'#').unwrap_or(text.len());
    let text = &text[..end];
    let is_space = |c: &u8| matches!(c, b' ' | b'\t'..=b'\r');
    match text.iter().skip(1).position(is_space) {
        Some(at) => &text[..at + 1],
        None => text,
    }
}

fn parse_hop(text: &[u8], environment: &mut dyn Environment) -> Option<Jump> {
    if let Some(uri) = text.strip_prefix(b"ssh://") {
        let Destination { user, host, port } = parse_uri(uri, environment)?;
        return Some(Jump { user, host, port });
    }
    let (user, rest) = match text.iter().rposition(|&c| c == b'@') {
        Some(0) => return None,
        Some(at) => (Some(text[..at].to_vec()), &text[at + 1..]),
        None => (None, text),
    };
    let (host, delimiter, rest) = split_host(rest)?;
    if host.is_empty() || delimiter == Some(b'/') {
        return None;
    }
    let port = match rest {
        b"" => None,
        digits => Some(number::port(digits, environment).filter(|p| *p != 0)?),
    };
    Some(Jump {
        user,
        host: without_brackets(host).to_vec(),
        port,
    })
}

/// What follows `ssh://`: `[user[;parameters]@]host[:port][/]`. A path is refused.
fn parse_uri(text: &[u8], environment: &mut dyn Environment) -> Option<Destination> {
    let (user, rest) = match text.iter().position(|&c| c == b'@') {
        None => (None, text),
        Some(at) => {
            let name = text[..at].split(|&c| c == b';').next().unwrap_or_default();
            if name.is_empty() {
                return None;
            }
            (Some(decode_percent(name)?), &text[at + 1..])
        }
    };
    let (host, delimiter, rest) = split_host(rest)?;
    let host = without_brackets(host);
    let host = valid_domain(host)?;
    let (port, path) = match delimiter {
        Some(b':') if !rest.is_empty() => {
            let slash = rest.iter().position(|&c| c == b'/');
            let digits = &rest[..slash.unwrap_or(rest.len())];
            let port = number::port(digits, environment).filter(|p| *p != 0)?;
            (Some(port), slash.map_or(&b""[..], |at| &rest[at + 1..]))
        }
        _ => (None, rest),
    };
    path.is_empty().then_some(Destination { user, host, port })
}

/// Splits at the `:` or `/` after a host, which may be in brackets: host, delimiter, rest.
fn split_host(text: &[u8]) -> Option<(&[u8], Option<u8>, &[u8])> {
    let end = if text.first() == Some(&b'[') {
        text.iter().position(|&c| c == b']')? + 1
    } else {
        text.iter()
            .position(|c| matches!(c, b':' | b'/'))
            .unwrap_or(text.len())
    };
    match text.get(end) {
        None => Some((text, None, &[])),
        Some(&c @ (b':' | b'/')) => Some((&text[..end], Some(c), &text[end + 1..])),
        Some(_) => None,
    }
}

/// `host:port` split for a check of its form; used by PermitRemoteOpen.
pub(super) fn split_host_port(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    match split_host(text)? {
        (host, None, _) => Some((host, None)),
        (host, Some(b':'), rest) => Some((host, Some(rest))),
        _ => None,
    }
}

fn without_brackets(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[")
        .and_then(|h| h.strip_suffix(b"]"))
        .unwrap_or(host)
}

fn decode_percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        match c {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |i: usize| char::from(*text.get(at + i)?).to_digit(16);
                let byte = u8::try_from(digit(1)? * 16 + digit(2)?).ok()?;
                if byte == 0 {
                    return None;
                }
                out.push(byte);
                at += 2;
            }
            _ => out.push(c),
        }
        at += 1;
    }
    Some(out)
}

/// A domain name without the dot at its end, or `None` if it cannot be one.
pub(super) fn valid_domain(name: &[u8]) -> Option<Vec<u8>> {
    let starts_well = name.first().is_some_and(u8::is_ascii_alphanumeric);
    let allowed = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
    if !starts_well || !name.iter().all(allowed) || name.windows(2).any(|w| w == b"..") {
        return None;
    }
    Some(name.strip_suffix(b".").unwrap_or(name).to_vec())
}

/// Whether a host name from a command line may be used: nothing a shell would act upon, and no
/// dash in front, which would make it an option.
pub(super) fn is_safe_host(host: &[u8]) -> bool {
    !host.starts_with(b"-")
        && !host.iter().any(|c| {
            b"'`\"$\\;&<>|(){}".contains(c)
                || matches!(c, b' ' | b'\t'..=b'\r')
                || c.is_ascii_control()
        })
}

/// The same for a login name, which may hold more.
pub(super) fn is_safe_user(user: &[u8]) -> bool {
    let dash_after_space = || {
        user.windows(2)
            .any(|w| matches!(w[0], b' ' | b'\t'..=b'\r') && w[1] == b'-')
    };
    !user.starts_with(b"-")
        && !user.ends_with(b"\\")
        && !dash_after_space()
        && !user
            .iter()
            .any(|c| b"'`\";&<>|(){}".contains(c) || c.is_ascii_control())
}

/// The chain as `-G` prints it.
pub(super) fn chain_text(head: &JumpHead) -> Vec<u8> {
    let Jump { user, host, port } = &head.last;
    let mut out = Vec::new();
    if let Some(before) = &head.before {
        out.extend_from_slice(before);
        out.push(b',');
    }
    if let Some(user) = user {
        out.extend_from_slice(user);
        out.push(b'@');
    }
    let is_address = host.contains(&b':') || host.iter().all(|c| c.is_ascii_digit() || *c == b'.');
    if is_address {
        out.push(b'[');
    }
    out.extend_from_slice(host);
    if is_address {
        out.push(b']');
    }
    if let Some(port) = port {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    out
}
