//! UpdateHostKeys: what a server's list of its host keys would change in the user's files.
//!
//! Follows OpenSSH 9.2, which leaves alone whatever a person may have arranged by hand. Knows no
//! files and no proofs: the caller reads, has the server prove its new keys, and writes with
//! [`replace_keys`](super::replace_keys).

use super::line::{self, Hosts, Line, Marker};
use super::name::HostName;
use crate::public_key::HostKey;

/// What there is to change. Neither list is empty unless the other one holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostKeyUpdate {
    /// Keys that the server has and no file holds for it, in the server's order. The server must
    /// prove that they are its own before they are written.
    pub learned: Vec<HostKey>,
    /// Keys that a file holds for the server and it has no more.
    pub outdated: Vec<HostKey>,
}

/// Why nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoUpdate {
    /// The files hold these keys and no others.
    #[error("the files hold the server's keys and no others")]
    UpToDate,
    /// A line for this host has a marker, a wildcard or more than two names.
    #[error("a line for this host has a marker, a wildcard or more than two names")]
    Arranged,
    /// One of the keys is known under another name too, or the address on a line is another one.
    #[error("one of the keys is known under another name or address too")]
    OtherName,
}

/// What changes in the user's files (all of UserKnownHostsFile, in order) for a server that says
/// that `announced` are all its keys. `address` is given where CheckHostIP is on.
///
/// # Errors
/// [`NoUpdate`] says why nothing is to be changed.
pub fn plan_update(
    files: &[&[u8]],
    name: &HostName,
    address: Option<&HostName>,
    announced: &[HostKey],
) -> Result<HostKeyUpdate, NoUpdate> {
    let mut known = vec![false; announced.len()];
    let mut outdated: Vec<HostKey> = Vec::new();
    let (mut arranged, mut other_name) = (false, false);
    for_each_line(files, |text, line, key| {
        let by_name = is_for(text, line, name);
        let by_address = address.is_some_and(|address| is_for(text, line, address));
        if !by_name && !by_address {
            other_name |= announced.contains(&key);
            return;
        }
        if line.marker != Marker::Plain {
            arranged = true;
            return;
        }
        if address.is_some() && names(text, line).contains(&b',') && !(by_name && by_address) {
            other_name = true;
            if !by_name {
                return;
            }
        }
        if is_arranged(names(text, line)) {
            arranged = true;
            return;
        }
        match announced.iter().position(|other| *other == key) {
            Some(index) => known[index] = true,
            None if outdated.contains(&key) => {}
            None => outdated.push(key),
        }
    });
    let unknown = announced.iter().zip(&known).filter(|(_, known)| !**known);
    let learned: Vec<HostKey> = unknown.map(|(key, _)| key.clone()).collect();
    if learned.is_empty() && outdated.is_empty() {
        return Err(NoUpdate::UpToDate);
    }
    if arranged {
        return Err(NoUpdate::Arranged);
    }
    if other_name || is_elsewhere(files, name, address, &outdated) {
        return Err(NoUpdate::OtherName);
    }
    Ok(HostKeyUpdate { learned, outdated })
}

/// Whether one of these keys stands on a line of another host.
fn is_elsewhere(
    files: &[&[u8]],
    name: &HostName,
    address: Option<&HostName>,
    keys: &[HostKey],
) -> bool {
    let mut found = false;
    for_each_line(files, |text, line, key| {
        let ours =
            is_for(text, line, name) || address.is_some_and(|address| is_for(text, line, address));
        found |= !ours && keys.contains(&key);
    });
    found
}

fn for_each_line(files: &[&[u8]], mut visit: impl FnMut(&[u8], &Line, HostKey)) {
    for text in files.iter().flat_map(|file| file.split(|&c| c == b'\n')) {
        let Ok(Some(line)) = line::parse(text) else {
            continue;
        };
        if let Ok(key) = HostKey::from_base64(&text[line.key.clone()]) {
            visit(text, &line, key);
        }
    }
}

fn is_for(text: &[u8], line: &Line, name: &HostName) -> bool {
    line.hosts.hold_for(name.lookup(), text)
}

/// The names of a line as they stand; none for a hashed one, which holds one name.
fn names<'a>(text: &'a [u8], line: &Line) -> &'a [u8] {
    match &line.hosts {
        Hosts::Hashed { .. } => b"",
        Hosts::Patterns(range) => &text[range.clone()],
    }
}

/// ssh itself writes a name, or a name and an address.
fn is_arranged(names: &[u8]) -> bool {
    let commas = names.iter().filter(|&&c| c == b',').count();
    commas > 1 || names.iter().any(|c| matches!(c, b'*' | b'?'))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::wire::put_string;

    fn key(number: u8) -> HostKey {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, &[number; 32]);
        HostKey::from_blob(&blob).unwrap()
    }

    fn line(names: &str, number: u8) -> String {
        let base64 = STANDARD.encode(key(number).plain_blob());
        format!("{names} ssh-ed25519 {base64}\n")
    }

    fn plan(files: &[&str], announced: &[u8]) -> Result<(Vec<u8>, Vec<u8>), NoUpdate> {
        plan_at(files, None, announced)
    }

    fn plan_at(
        files: &[&str],
        address: Option<&str>,
        announced: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), NoUpdate> {
        let files: Vec<&[u8]> = files.iter().map(|file| file.as_bytes()).collect();
        let announced: Vec<HostKey> = announced.iter().map(|number| key(*number)).collect();
        let address = address.map(|address| HostName::new(address, 22));
        let name = HostName::new("web1", 22);
        let update = plan_update(&files, &name, address.as_ref(), &announced)?;
        let last = |keys: Vec<HostKey>| {
            keys.iter()
                .map(|k| *k.plain_blob().last().unwrap())
                .collect()
        };
        Ok((last(update.learned), last(update.outdated)))
    }

    #[test]
    fn keys_come_and_go() {
        let first = line("web1", 1) + &line("web2", 9) + "not a line\n# web1\n";
        let second = line("web1,192.0.2.1", 2);
        assert_eq!(plan(&[&first, &second], &[1, 3]), Ok((vec![3], vec![2])));
        assert_eq!(plan(&[&first, &second], &[2, 1]), Err(NoUpdate::UpToDate));
        assert_eq!(plan(&[&first], &[1, 3, 4]), Ok((vec![3, 4], vec![])));
        // Nothing known at all: whoever calls has seen to it that one key was.
        assert_eq!(plan(&[""], &[1]), Ok((vec![1], vec![])));
    }

    #[test]
    fn lines_that_a_person_arranged_stop_it() {
        for hosts in [
            "web*",
            "web?",
            "web1,web2,web3",
            "@cert-authority web1",
            "@revoked *",
        ] {
            let file = line("web1", 1) + &line(hosts, 7);
            assert_eq!(plan(&[&file], &[1, 2]), Err(NoUpdate::Arranged), "{hosts}");
        }
        // Markers on lines of other hosts do not.
        let file = line("web1", 1) + &line("@cert-authority other", 7);
        assert_eq!(plan(&[&file], &[1, 2]), Ok((vec![2], vec![])));
        // And where there is nothing to do, nothing stops it.
        let file = line("web1", 1) + &line("@cert-authority web1", 7);
        assert_eq!(plan(&[&file], &[1]), Err(NoUpdate::UpToDate));
    }

    #[test]
    fn keys_of_other_names_stop_it() {
        let shared = line("web1", 1) + &line("web2", 1);
        assert_eq!(plan(&[&shared], &[1, 2]), Err(NoUpdate::OtherName));
        let taken = line("web1", 1) + &line("web2", 2);
        assert_eq!(plan(&[&taken], &[1, 2]), Err(NoUpdate::OtherName));
        let outdated_elsewhere = line("web1", 1) + &line("web1", 5) + &line("web2", 5);
        assert_eq!(plan(&[&outdated_elsewhere], &[1]), Err(NoUpdate::OtherName));
        let hashed = line::hashed_field(&[3; 20], b"web2");
        let file = line("web1", 1) + &line(&hashed, 1);
        assert_eq!(plan(&[&file], &[1, 2]), Err(NoUpdate::OtherName));
    }

    #[test]
    fn hashed_lines_are_lines_of_the_host() {
        let hashed = line::hashed_field(&[3; 20], b"web1");
        let file = line(&hashed, 1) + &line(&hashed, 2);
        assert_eq!(plan(&[&file], &[1, 3]), Ok((vec![3], vec![2])));
    }

    #[test]
    fn an_address_that_belongs_to_another_name_stops_it() {
        let address = Some("192.0.2.1");
        let file = line("web1,192.0.2.1", 1);
        assert_eq!(plan_at(&[&file], address, &[1, 2]), Ok((vec![2], vec![])));
        for other in ["web2,192.0.2.1", "web1,192.0.2.9"] {
            let file = line("web1,192.0.2.1", 1) + &line(other, 1);
            assert_eq!(
                plan_at(&[&file], address, &[1, 2]),
                Err(NoUpdate::OtherName),
                "{other}"
            );
        }
    }
}
