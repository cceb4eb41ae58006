//! Lines to write to a known_hosts file, as bytes.
//!
//! Knows no files and no random numbers: the caller gives the salts, and appends or replaces
//! under its lock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::line::{self, Marker};
use super::name::HostName;
use crate::public_key::HostKey;

/// Whether a host name may be written at all: one that holds a character with a meaning in
/// known_hosts, white space or a control character would read back as something else.
pub fn may_be_recorded(hostname: &str) -> bool {
    !hostname.is_empty()
        && !hostname.bytes().any(|c| {
            b"@?*#[]|'\"\\,!".contains(&c) || c.is_ascii_whitespace() || c.is_ascii_control()
        })
}

/// A line, newline included, that holds the plain key of `key` for all of `names` (each as
/// [`HostName::lookup`] gives it: `[name]:port`, lower case). A certificate is never written.
pub fn render_plain(names: &[&str], key: &HostKey) -> String {
    render(&names.join(",").to_ascii_lowercase(), key)
}

/// The same with one hashed name, under a `salt` that nobody can guess: 20 random bytes, fresh for
/// each line.
pub fn render_hashed(name: &HostName, salt: &[u8; 20], key: &HostKey) -> String {
    render(&line::hashed_field(salt, name.lookup()), key)
}

/// The file with the plain keys of `name` replaced by `keys`, or `None` if nothing changes.
///
/// Lines of this host with another key go; those with one of `keys` stay as they are; a key that
/// has no line is added at the end, hashed if `salts` are given (one a key). Lines with markers,
/// comments and lines that do not parse stay. A line goes as a whole, other names on it included,
/// as ssh does it.
pub fn replace_keys(
    file: &[u8],
    name: &HostName,
    keys: &[HostKey],
    salts: Option<&[[u8; 20]]>,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(file.len());
    let mut present = vec![false; keys.len()];
    let mut changed = false;
    for text in file.split_inclusive(|&c| c == b'\n') {
        let body = text.strip_suffix(b"\n").unwrap_or(text);
        if let Some(key) = plain_key_for(body, name) {
            match keys.iter().position(|k| *k == key) {
                Some(index) => present[index] = true,
                None => {
                    changed = true;
                    continue;
                }
            }
        }
        out.extend_from_slice(body);
        out.push(b'\n');
    }
    for (index, key) in keys
        .iter()
        .enumerate()
        .filter(|(index, _)| !present[*index])
    {
        let line = match salts.and_then(|s| s.get(index)) {
            Some(salt) => render_hashed(name, salt, key),
            None => render(&String::from_utf8_lossy(name.lookup()), key),
        };
        out.extend_from_slice(line.as_bytes());
        changed = true;
    }
    changed.then_some(out)
}

fn render(names: &str, key: &HostKey) -> String {
    format!(
        "{names} {} {}\n",
        key.key_type(),
        STANDARD.encode(key.plain_blob())
    )
}

/// The key of a line without a marker, if the line is one of this host.
fn plain_key_for(text: &[u8], name: &HostName) -> Option<HostKey> {
    let parsed = line::parse(text).ok()??;
    if parsed.marker != Marker::Plain || !parsed.hosts.hold_for(name.lookup(), text) {
        return None;
    }
    HostKey::from_base64(&text[parsed.key]).ok()
}
