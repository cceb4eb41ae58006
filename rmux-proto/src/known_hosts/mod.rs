//! known_hosts: which keys the user's files hold for a host, and what that says of an offered one.
//!
//! Follows OpenSSH to the letter (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), odd corners included.
//! Knows no files, clock or random numbers: the caller hands in bytes, the time and salts, and
//! checks signatures.
//!
//! ```
//! use rmux_proto::known_hosts::{FileKind, HostKey, HostName, KnownHosts, Verdict};
//!
//! let mut hosts = KnownHosts::new();
//! let line = "web1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK8CzXf2N2ATFiVEaAnZ6DSvkrUvWyDk2uIUvpkUZqzX\n";
//! hosts.add_file("known_hosts", FileKind::User, line.as_bytes());
//! let name = HostName::new("web1", 22);
//! let key = hosts.lookup(&name)[0].key();
//! assert!(matches!(hosts.verdict(&name, &key, None), Verdict::Trusted { .. }));
//! assert_eq!(hosts.verdict(&HostName::new("web2", 22), &key, None), Verdict::Unknown);
//! ```

mod line;
mod name;
mod order;
mod update;
mod verdict;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use line::{BadLine, Marker};
pub use name::HostName;
pub use update::{HostKeyUpdate, NoUpdate, plan_update};
pub use verdict::Verdict;
pub use write::{may_be_recorded, render_hashed, render_plain, replace_keys};

use crate::certificate::CertificateChecks;
pub use crate::public_key::{BadKey, HostKey, KeyType};
use line::Hosts;

/// Whose list a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// One of UserKnownHostsFile.
    User,
    /// One of GlobalKnownHostsFile.
    Global,
    /// The output of KnownHostsCommand.
    Command,
}

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Location {
    /// The label under which the file was added: its path, as a rule.
    pub file: Arc<str>,
    /// Whose list the file is.
    pub kind: FileKind,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A line that was skipped since it does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Where it is.
    pub location: Location,
    /// What is wrong with it.
    pub reason: BadLine,
}

/// All known_hosts files of a connection, in the order in which they were added.
///
/// Loading takes time in proportion to the size. A look-up of a name finds plain names through an
/// index; each line with wildcards costs a match and each hashed line one HMAC.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    files: Vec<File>,
    entries: Vec<Entry>,
    /// Entries that are found by a name alone.
    by_name: HashMap<Box<[u8]>, Vec<usize>>,
    /// Entries with wildcards or negation, and hashed ones.
    to_scan: Vec<usize>,
    skipped: Vec<Skipped>,
}

#[derive(Debug, Clone)]
struct File {
    label: Arc<str>,
    kind: FileKind,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Entry {
    file: usize,
    number: usize,
    marker: Marker,
    hosts: Hosts,
    key: Range<usize>,
    key_type: KeyType,
}

impl KnownHosts {
    /// Knows no host.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the lines of a file. Add the user's files first, then the global ones, then the output
    /// of KnownHostsCommand: the first line that fits wins.
    ///
    /// Lines that do not parse are skipped, as ssh does, and kept in [`skipped`](Self::skipped).
    pub fn add_file(
        &mut self,
        label: impl Into<Arc<str>>,
        kind: FileKind,
        bytes: impl Into<Vec<u8>>,
    ) {
        let (label, bytes) = (label.into(), bytes.into());
        let file = self.files.len();
        let mut start = 0;
        for (index, text) in bytes.split(|&c| c == b'\n').enumerate() {
            let number = index + 1;
            match line::parse(text) {
                Ok(None) => {}
                Ok(Some(parsed)) => {
                    let hosts = match parsed.hosts {
                        Hosts::Patterns(range) => Hosts::Patterns(shift(range, start)),
                        hashed => hashed,
                    };
                    let key = shift(parsed.key, start);
                    let marker = parsed.marker;
                    let key_type = parsed.key_type;
                    self.entries.push(Entry {
                        file,
                        number,
                        marker,
                        hosts,
                        key,
                        key_type,
                    });
                    self.index_last(&bytes);
                }
                Err(reason) => {
                    let location = Location {
                        file: label.clone(),
                        kind,
                        line: number,
                    };
                    self.skipped.push(Skipped { location, reason });
                }
            }
            start += text.len() + 1;
        }
        self.files.push(File { label, kind, bytes });
    }

    /// The lines that hold for `name`, in order. A name with a port is looked up with it alone;
    /// [`verdict`](Self::verdict) also tries the bare name where ssh does.
    pub fn lookup(&self, name: &HostName) -> Vec<Found<'_>> {
        self.find(name.lookup())
    }

    /// The lines that were skipped since they do not parse.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many lines hold a key.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no line holds a key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, name: &[u8]) -> Vec<Found<'_>> {
        let name = name.to_ascii_lowercase();
        let mut hits: Vec<usize> = self.by_name.get(&name[..]).cloned().unwrap_or_default();
        hits.extend(
            self.to_scan
                .iter()
                .copied()
                .filter(|&i| self.matches(i, &name)),
        );
        hits.sort_unstable();
        hits.into_iter()
            .map(|index| Found {
                hosts: self,
                entry: &self.entries[index],
            })
            .collect()
    }

    fn matches(&self, index: usize, name: &[u8]) -> bool {
        let entry = &self.entries[index];
        entry.hosts.hold_for(name, &self.files[entry.file].bytes)
    }

    fn index_last(&mut self, bytes: &[u8]) {
        let index = self.entries.len() - 1;
        let Hosts::Patterns(range) = &self.entries[index].hosts else {
            self.to_scan.push(index);
            return;
        };
        let list = &bytes[range.clone()];
        // A list over this length may hold a pattern that makes the whole list void.
        if list.len() > 1000 || list.iter().any(|c| matches!(c, b'*' | b'?' | b'!')) {
            self.to_scan.push(index);
            return;
        }
        for name in list.split(|&c| c == b',') {
            let hits = self
                .by_name
                .entry(name.to_ascii_lowercase().into())
                .or_default();
            if hits.last() != Some(&index) {
                hits.push(index);
            }
        }
    }
}

/// A line that holds for the name that was looked up.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    hosts: &'a KnownHosts,
    entry: &'a Entry,
}

impl Found<'_> {
    /// Where the line is.
    pub fn location(&self) -> Location {
        let file = &self.hosts.files[self.entry.file];
        Location {
            file: file.label.clone(),
            kind: file.kind,
            line: self.entry.number,
        }
    }

    /// What the line's marker says.
    pub fn marker(&self) -> Marker {
        self.entry.marker
    }

    /// The type of its key.
    pub fn key_type(&self) -> KeyType {
        self.entry.key_type
    }

    /// Whether the name is hashed.
    pub fn is_hashed(&self) -> bool {
        matches!(self.entry.hosts, Hosts::Hashed { .. })
    }

    /// Its key.
    pub fn key(&self) -> HostKey {
        let file = &self.hosts.files[self.entry.file];
        HostKey::from_base64(&file.bytes[self.entry.key.clone()])
            .expect("a line enters the list after its key was decoded")
    }
}

/// The entry for fuzzers: loads `data` as a file, looks names up and renders what it found.
/// Must return for any input.
pub fn fuzz_known_hosts(data: &[u8]) {
    let mut hosts = KnownHosts::new();
    hosts.add_file("fuzz", FileKind::User, data);
    let first = data.split(|&c| matches!(c, b' ' | b',' | b'\n')).next();
    let named = String::from_utf8_lossy(first.unwrap_or_default()).into_owned();
    for name in [
        HostName::new("web1", 2222),
        HostName::new(&named, 22),
        HostName::alias(&named),
    ] {
        for found in hosts.lookup(&name) {
            let key = found.key();
            let checks = CertificateChecks::new(1 << 30, "ssh-ed25519");
            hosts.verdict(&name, &key, Some(&checks));
            hosts.certificate_fault(&name, &key, &checks);
            render_plain(&[&named], &key);
            let _ = plan_update(&[data, b""], &name, Some(&name), std::slice::from_ref(&key));
            replace_keys(data, &name, &[key], None);
        }
        hosts.known_key_types(&name);
        hosts.order_algorithms(&name, &["ssh-ed25519", "rsa-sha2-512"]);
    }
}

fn shift(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
