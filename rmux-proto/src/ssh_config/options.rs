//! The settings while they are being gathered: what is set so far, and by which line.
//!
//! Knows "the first value wins" and which settings gather several; knows no syntax.

use std::collections::{HashMap, HashSet};

use super::error::Origin;
use super::forward::Forward;
use super::jump::JumpHead;
use super::keyword::Field;

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Slot<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// An identity or certificate file, and whether the user named it (not the system's file).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NamedFile {
    pub(super) path: Vec<u8>,
    pub(super) by_user: bool,
}

/// ProxyJump: the last hop apart, the ones before it as they were written.
#[derive(Debug, Clone)]
pub(super) enum JumpSetting {
    /// `none`, which keeps later lines from setting a jump.
    None,
    /// Through these hosts.
    Through(JumpHead),
}

/// Everything that is set so far.
#[derive(Debug, Default)]
pub(super) struct Options {
    integers: HashMap<Field, Slot<i64>>,
    texts: HashMap<Field, Slot<Vec<u8>>>,
    lists: HashMap<Field, Vec<Slot<Vec<u8>>>>,
    identities: Vec<Slot<NamedFile>>,
    certificates: Vec<Slot<NamedFile>>,
    /// Local and dynamic forwards together: OpenSSH tells them apart only when printing.
    pub(super) local_forwards: Vec<Slot<Forward>>,
    pub(super) remote_forwards: Vec<Slot<Forward>>,
    seen_forwards: HashSet<(bool, Forward)>,
    pub(super) jump: Option<Slot<JumpSetting>>,
    /// `-W host:port` was given.
    pub(super) stdio_forward: bool,
    /// HostKeyAlgorithms neither adds to the default nor takes from it.
    pub(super) host_key_order_fixed: bool,
}

/// The most identity files, and the most certificate files.
const MOST_FILES: usize = 100;
/// The most files in UserKnownHostsFile and its like.
pub(super) const MOST_WORDS: usize = 32;
/// The most patterns in SendEnv over all lines: enough for anybody, and little to search.
const MOST_VARIABLES: usize = 4096;

impl Options {
    /// The integer or choice set for `field`.
    pub(super) fn integer(&self, field: Field) -> Option<i64> {
        self.integers.get(&field).map(|slot| slot.value)
    }

    /// The text set for `field`.
    pub(super) fn text(&self, field: Field) -> Option<&[u8]> {
        self.texts.get(&field).map(|slot| &slot.value[..])
    }

    /// The texts gathered for `field`.
    pub(super) fn list(&self, field: Field) -> &[Slot<Vec<u8>>] {
        self.lists.get(&field).map_or(&[], |l| l)
    }

    /// Who set `field`.
    pub(super) fn origin(&self, field: Field) -> Origin {
        let integer = self.integers.get(&field).map(|s| &s.origin);
        let text = || self.texts.get(&field).map(|s| &s.origin);
        let list = || {
            self.lists
                .get(&field)
                .and_then(|l| l.first())
                .map(|s| &s.origin)
        };
        integer
            .or_else(text)
            .or_else(list)
            .cloned()
            .unwrap_or(Origin::Default)
    }

    /// Sets an integer unless one is set. -1 is "not set" and leaves it to later lines.
    pub(super) fn set_integer(&mut self, field: Field, value: i64, origin: &Origin) {
        if value != -1 && !self.integers.contains_key(&field) {
            self.put_integer(field, value, origin.clone());
        }
    }

    /// Sets an integer whatever is set.
    pub(super) fn put_integer(&mut self, field: Field, value: i64, origin: Origin) {
        self.integers.insert(field, Slot { value, origin });
    }

    /// Sets a text unless one is set.
    pub(super) fn set_text(&mut self, field: Field, value: &[u8], origin: &Origin) {
        if !self.texts.contains_key(&field) {
            self.put_text(field, value.to_vec(), origin.clone());
        }
    }

    /// Sets a text whatever is set.
    pub(super) fn put_text(&mut self, field: Field, value: Vec<u8>, origin: Origin) {
        self.texts.insert(field, Slot { value, origin });
    }

    /// Changes a text and keeps where it comes from.
    pub(super) fn replace_text(&mut self, field: Field, value: Vec<u8>) {
        let origin = self.origin(field);
        self.put_text(field, value, origin);
    }

    /// Forgets a text.
    pub(super) fn clear_text(&mut self, field: Field) {
        self.texts.remove(&field);
    }

    /// Adds to a list.
    pub(super) fn push(&mut self, field: Field, value: Vec<u8>, origin: &Origin) {
        let slot = Slot {
            value,
            origin: origin.clone(),
        };
        self.lists.entry(field).or_default().push(slot);
    }

    /// The list for `field`, to be changed.
    pub(super) fn list_mut(&mut self, field: Field) -> &mut Vec<Slot<Vec<u8>>> {
        self.lists.entry(field).or_default()
    }

    /// Adds a variable to SendEnv.
    pub(super) fn add_variable(&mut self, pattern: Vec<u8>, origin: &Origin) -> Result<(), String> {
        if self.list(Field::SendEnv).len() >= MOST_VARIABLES {
            return Err(format!(
                "SendEnv names more than {MOST_VARIABLES} variables"
            ));
        }
        self.push(Field::SendEnv, pattern, origin);
        Ok(())
    }

    /// Takes the variables that match `pattern` out of SendEnv.
    pub(super) fn remove_variables(&mut self, pattern: &[u8]) {
        self.list_mut(Field::SendEnv)
            .retain(|s| !super::pattern::matches(&s.value, pattern));
    }

    /// The identity or certificate files.
    pub(super) fn files(&self, field: Field) -> &[Slot<NamedFile>] {
        match field {
            Field::CertificateFile => &self.certificates,
            _ => &self.identities,
        }
    }

    /// Adds an identity or certificate file unless it is there.
    pub(super) fn add_file(
        &mut self,
        field: Field,
        path: &[u8],
        by_user: bool,
        origin: &Origin,
    ) -> Result<(), String> {
        let files = match field {
            Field::CertificateFile => &mut self.certificates,
            _ => &mut self.identities,
        };
        if files.len() >= MOST_FILES {
            return Err(format!("more than {MOST_FILES} files for {}", field.key()));
        }
        let file = NamedFile {
            path: path.to_vec(),
            by_user,
        };
        if !files.iter().any(|f| f.value == file) {
            files.push(Slot {
                value: file,
                origin: origin.clone(),
            });
        }
        Ok(())
    }

    /// Adds a forward unless the same is there.
    pub(super) fn add_forward(&mut self, remote: bool, forward: Forward, origin: &Origin) {
        if !self.seen_forwards.insert((remote, forward.clone())) {
            return;
        }
        let list = if remote {
            &mut self.remote_forwards
        } else {
            &mut self.local_forwards
        };
        list.push(Slot {
            value: forward,
            origin: origin.clone(),
        });
    }

    /// Whether a text is unset or `none`.
    pub(super) fn is_none(&self, field: Field) -> bool {
        self.text(field)
            .is_none_or(|t| t.eq_ignore_ascii_case(b"none"))
    }
}
