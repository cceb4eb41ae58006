//! One line of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): marker, hosts and key.
//!
//! Knows nothing of other lines. Reads bytes: nothing here need be UTF-8.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::public_key::{BadKey, HostKey, KeyType};
use crate::ssh_config::pattern::{self, ListMatch};

/// What the word with an `@` in front of a line says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Marker {
    /// None: the key is the host's.
    Plain,
    /// `@cert-authority`: the key may sign certificates of the host.
    CertAuthority,
    /// `@revoked`: the key must never be accepted.
    Revoked,
}

/// Why a line was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadLine {
    /// An unknown or second marker.
    #[error("unknown marker")]
    Marker,
    /// A hashed name that is not `|1|salt|hash`.
    #[error("damaged hashed host name")]
    Hash,
    /// The line ends before its key does.
    #[error("no key")]
    NoKey,
    /// The key is not the base64 of a key of the type named.
    #[error("{0}")]
    Key(#[from] BadKey),
    /// The key is of another type than the line says.
    #[error("the key is of another type than the line says")]
    TypeMismatch,
}

/// The hosts of a line.
#[derive(Debug, Clone)]
pub(super) enum Hosts {
    /// Patterns separated by commas, as they are in the file.
    Patterns(Range<usize>),
    /// One hashed name.
    Hashed { salt: [u8; 20], hash: [u8; 20] },
}

impl Hosts {
    /// Whether the line is one of the host of this name, which is in lower case. `text` is what the
    /// ranges point into.
    pub(super) fn hold_for(&self, name: &[u8], text: &[u8]) -> bool {
        match self {
            Self::Hashed { salt, hash } => hash_name(salt, name) == *hash,
            Self::Patterns(range) => {
                pattern::matches_list(name, &text[range.clone()], true) == ListMatch::Yes
            }
        }
    }
}

/// A line that parses; ranges point into the line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) marker: Marker,
    pub(super) hosts: Hosts,
    pub(super) key: Range<usize>,
    pub(super) key_type: KeyType,
}

/// Reads one line without its newline. `Ok(None)` is a comment or an empty line.
pub(super) fn parse(line: &[u8]) -> Result<Option<Line>, BadLine> {
    // OpenSSH reads lines as C strings: what follows a NUL is not there.
    let end = line.iter().position(|&c| c == 0).unwrap_or(line.len());
    let line = &line[..end];
    let mut at = skip_blanks(line, 0);
    if at == line.len() || line[at] == b'#' {
        return Ok(None);
    }
    let marker = parse_marker(line, &mut at)?;
    let names = at..word_end(line, at);
    at = names.end;
    let hosts = if line[names.clone()].first() == Some(&b'|') {
        let (salt, hash) = parse_hash(&line[names]).ok_or(BadLine::Hash)?;
        Hosts::Hashed { salt, hash }
    } else {
        Hosts::Patterns(names)
    };
    at = skip_blanks(line, at);
    let type_name = at..word_end(line, at);
    if type_name.is_empty() || line[at] == b'#' {
        return Err(BadLine::NoKey);
    }
    at = skip_blanks(line, type_name.end);
    let key = at..word_end(line, at);
    if key.is_empty() {
        return Err(BadLine::NoKey);
    }
    let named = std::str::from_utf8(&line[type_name])
        .ok()
        .and_then(KeyType::of_algorithm)
        .ok_or(BadLine::Key(BadKey::UnknownType))?;
    let decoded = HostKey::from_base64(&line[key.clone()])?;
    if named != (decoded.key_type(), decoded.certificate().is_some()) {
        return Err(BadLine::TypeMismatch);
    }
    Ok(Some(Line {
        marker,
        hosts,
        key,
        key_type: named.0,
    }))
}

/// The hash of a name under a salt: HMAC-SHA1 with the salt as the key.
fn hash_name(salt: &[u8; 20], name: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes a key of any length");
    mac.update(name);
    mac.finalize().into_bytes().into()
}

/// The field of a hashed name as it is written.
pub(super) fn hashed_field(salt: &[u8; 20], name: &[u8]) -> String {
    let hash = hash_name(salt, name);
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

fn parse_marker(line: &[u8], at: &mut usize) -> Result<Marker, BadLine> {
    if line[*at] != b'@' {
        return Ok(Marker::Plain);
    }
    // OpenSSH looks for a space in the whole rest of the line first and for a tab only if there is
    // none, so `@revoked<TAB>host key` is an unknown marker.
    let rest = &line[*at..];
    let end = rest
        .iter()
        .position(|&c| c == b' ')
        .or_else(|| rest.iter().position(|&c| c == b'\t'))
        .ok_or(BadLine::Marker)?;
    let marker = match &rest[..end] {
        b"@cert-authority" => Marker::CertAuthority,
        b"@revoked" => Marker::Revoked,
        _ => return Err(BadLine::Marker),
    };
    *at = skip_blanks(line, *at + end);
    if line.get(*at) == Some(&b'@') {
        return Err(BadLine::Marker);
    }
    Ok(marker)
}

fn parse_hash(field: &[u8]) -> Option<([u8; 20], [u8; 20])> {
    let rest = field.strip_prefix(b"|1|")?;
    let bar = rest.iter().position(|&c| c == b'|')?;
    let twenty =
        |base64: &[u8]| -> Option<[u8; 20]> { STANDARD.decode(base64).ok()?.try_into().ok() };
    Some((twenty(&rest[..bar])?, twenty(&rest[bar + 1..])?))
}

fn skip_blanks(line: &[u8], from: usize) -> usize {
    from + line[from..].iter().take_while(|c| is_blank(c)).count()
}

fn word_end(line: &[u8], from: usize) -> usize {
    from + line[from..].iter().take_while(|c| !is_blank(c)).count()
}

fn is_blank(c: &u8) -> bool {
    matches!(c, b' ' | b'\t')
}
