//! The state of a context, and how it changes by what a shell tells.
//!
//! A shell tells twice what it exports: before the line and behind it. Only what differs is kept, so
//! that what the server gives each command, such as the socket of a forwarded agent, is not.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use rmux_proto::exported::{self, Variables};

use crate::link::Records;

/// The directories are kept otherwise, `_` is the shell's own, and `SHLVL` counts shells.
const NOT_KEPT: [&[u8]; 4] = [b"PWD", b"OLDPWD", b"_", b"SHLVL"];
/// The script's own names.
const OWN: &[u8] = b"_rmux_";

/// What the next command begins with.
#[derive(Clone, Default)]
pub(in crate::session) struct State {
    /// Instead of `sh`.
    pub(super) interpreter: Option<OsString>,
    /// None for the account's home.
    pub(super) directory: Option<Vec<u8>>,
    /// The directory before, for `cd -`.
    pub(super) before: Option<Vec<u8>>,
    /// In octal, as `umask` prints it; none for the account's own.
    pub(super) umask: Option<Vec<u8>>,
    /// The changes: `None` for a variable that is unset.
    pub(super) variables: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// What a shell told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    begun: Snapshot,
    ended: Snapshot,
    before: Option<Vec<u8>>,
}

/// What a shell was like at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Snapshot {
    umask: Vec<u8>,
    /// None where the shell could not tell.
    directory: Option<Vec<u8>>,
    variables: Variables,
}

impl State {
    pub(super) fn interpreter(&self) -> &OsStr {
        self.interpreter.as_deref().unwrap_or(OsStr::new("sh"))
    }

    /// The state behind a line; `moved` if the line began in a directory of its own.
    pub(super) fn after(&self, left: Left, moved: bool) -> Self {
        let mut next = self.clone();
        let Left {
            begun,
            ended,
            before,
        } = left;
        if !moved || begun.directory != ended.directory {
            next.directory = ended.directory.or(next.directory);
            next.before = before;
        }
        if begun.umask != ended.umask {
            next.umask = Some(ended.umask);
        }
        for name in begun.variables.keys() {
            if is_kept(name) && !ended.variables.contains_key(name) {
                next.variables.insert(name.clone(), None);
            }
        }
        for (name, value) in ended.variables {
            if is_kept(&name) && begun.variables.get(&name) != Some(&value) {
                next.variables.insert(name, Some(value));
            }
        }
        next
    }

    /// How many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let variables = self.variables.iter();
        let variables: usize = variables.map(|(n, value)| n.len() + length(value)).sum();
        variables + length(&self.directory) + length(&self.before)
    }

    /// Whether what is no variable holds NUL, which nothing on POSIX may.
    pub(in crate::session) fn has_nul(&self) -> bool {
        let directory = self.directory.as_deref().unwrap_or_default();
        directory.contains(&0) || self.interpreter().as_encoded_bytes().contains(&0)
    }

    /// The first variable that no shell could be given: its name, and whether it is the value's fault.
    pub(in crate::session) fn unfit(&self) -> Option<(&[u8], bool)> {
        let mut variables = self.variables.iter();
        variables.find_map(|(name, value)| {
            let has_nul = value.as_ref().is_some_and(|value| value.contains(&0));
            (has_nul || !exported::is_name(name)).then_some((&name[..], has_nul))
        })
    }
}

fn is_kept(name: &[u8]) -> bool {
    !NOT_KEPT.contains(&name) && !name.starts_with(OWN)
}

impl Left {
    /// Reads what was told; `None` if it is not what the script tells.
    pub(super) fn read(records: &Records, token: &str) -> Option<Self> {
        let of = |kind: u8| records.by_kind.get(&kind);
        let (begun, ended) = match (of(b'h'), of(b'b'), of(b'a')) {
            (Some(head), None, None) => {
                let snapshot = Snapshot::read(head, Variables::new())?;
                (snapshot.clone(), snapshot)
            }
            (None, Some(begun), Some(ended)) => (
                Snapshot::split(begun, token)?,
                Snapshot::split(ended, token)?,
            ),
            _ => return None,
        };
        let before = of(b'o')?;
        let before = match before.first() {
            Some(b'/') if !before.contains(&0) => Some(before.clone()),
            // A line may set `OLDPWD` to whatever it likes.
            _ => None,
        };
        Some(Self {
            begun,
            ended,
            before,
        })
    }
}

impl Snapshot {
    /// Reads `umask`, `pwd`, the token and `export -p`.
    fn split(text: &[u8], token: &str) -> Option<Self> {
        let token = token.as_bytes();
        let at = text
            .windows(token.len())
            .position(|window| window == token)?;
        let (head, rest) = text.split_at(at);
        let variables = match &rest[token.len()..] {
            [] => Variables::new(),
            [b'\n', exported @ ..] => exported::parse(exported).ok()?,
            _ => return None,
        };
        Self::read(head, variables)
    }

    fn read(head: &[u8], variables: Variables) -> Option<Self> {
        let end = head.iter().position(|byte| *byte == b'\n')?;
        let (umask, directory) = (&head[..end], &head[end + 1..]);
        let is_octal = umask.iter().all(|byte| matches!(byte, b'0'..=b'7'));
        if !(1..=4).contains(&umask.len()) || !is_octal {
            return None;
        }
        let directory = match directory {
            [] | [b'\n'] => None,
            [path @ .., b'\n'] if path[0] == b'/' && !path.contains(&0) => Some(path.to_vec()),
            _ => return None,
        };
        Some(Self {
            umask: umask.to_vec(),
            directory,
            variables,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pieces: &[(u8, &[u8])]) -> Records {
        Records {
            by_kind: pieces.iter().map(|(k, text)| (*k, text.to_vec())).collect(),
            flaw: None,
        }
    }

    fn left(begun: &[u8], ended: &[u8]) -> Option<Left> {
        let records = records(&[(b'b', begun), (b'a', ended), (b'o', b"/old"), (b'e', b"")]);
        Left::read(&records, "T0K")
    }

    #[test]
    fn only_what_a_line_changed_is_kept() {
        let state = State::default();
        let begun = b"0022\n/home\nT0K\nexport SAME='1'\nexport GONE='2'\nexport PWD='/home'";
        let ended = b"0077\n/a\nb\nT0K\nexport SAME='1'\nexport NEW='3'\nexport PWD='/a'\nexport _rmux_s='0'";
        let next = state.after(left(begun, ended).unwrap(), false);
        assert_eq!(next.directory.as_deref(), Some(&b"/a\nb"[..]));
        assert_eq!(next.before.as_deref(), Some(&b"/old"[..]));
        assert_eq!(next.umask.as_deref(), Some(&b"0077"[..]));
        let variables: Vec<_> = next.variables.iter().collect();
        assert_eq!(
            variables,
            [
                (&b"GONE".to_vec(), &None),
                (&b"NEW".to_vec(), &Some(b"3".to_vec()))
            ]
        );
        // What was unset and is there again is set.
        let again = left(ended, begun).unwrap();
        let next = next.after(again, false);
        assert_eq!(next.variables[&b"GONE"[..]], Some(b"2".to_vec()));
        assert_eq!(next.variables[&b"NEW"[..]], None);
    }

    #[test]
    fn a_directory_of_one_line_is_not_the_context_s_unless_the_line_moves() {
        let state = State {
            directory: Some(b"/ctx".to_vec()),
            ..State::default()
        };
        let stays = left(b"022\n/own\nT0K", b"022\n/own\nT0K\nexport A='1'").unwrap();
        let next = state.after(stays, true);
        assert_eq!(next.directory, state.directory);
        assert_eq!(next.variables[&b"A"[..]], Some(b"1".to_vec()));
        let moves = left(b"022\n/own\nT0K", b"022\n/other\nT0K").unwrap();
        let next = state.after(moves, true);
        assert_eq!(next.directory.as_deref(), Some(&b"/other"[..]));
    }

    #[test]
    fn where_nothing_changed_the_head_is_enough() {
        let records = records(&[(b'h', b"022\n/tmp\n"), (b'o', b""), (b'e', b"")]);
        let next = State::default().after(Left::read(&records, "T0K").unwrap(), false);
        assert_eq!(next.directory.as_deref(), Some(&b"/tmp"[..]));
        assert_eq!((next.before, next.umask), (None, None));
        assert!(next.variables.is_empty());
    }

    #[test]
    fn what_no_shell_tells_is_refused() {
        let good: &[u8] = b"022\n/\nT0K\nexport A='1'";
        assert!(left(good, good).is_some());
        for bad in [
            &b""[..],
            b"022\n/\n",
            b"022\nrelative\nT0K\n",
            b"099\n/\nT0K\n",
            b"02222\n/\nT0K\n",
            b"022\n/\0\nT0K\n",
            b"022\n/\nT0K\nexport A=$(id)\n",
            b"022\n/\nT0K\nrm -rf /\n",
            b"022\n/\nT0Kexport A=1\n",
        ] {
            let shown = String::from_utf8_lossy(bad);
            assert_eq!(left(good, bad), None, "{shown:?}");
            assert_eq!(left(bad, good), None, "{shown:?}");
        }
        for incomplete in [
            records(&[(b'a', good), (b'o', b""), (b'e', b"")]),
            records(&[(b'b', good), (b'a', good), (b'e', b"")]),
            records(&[(b'h', b"022\n/\n"), (b'a', good), (b'o', b""), (b'e', b"")]),
            records(&[(b'e', b"")]),
        ] {
            assert_eq!(Left::read(&incomplete, "T0K"), None, "{incomplete:?}");
        }
    }
}
