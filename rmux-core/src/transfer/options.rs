//! What a transfer takes, and what it does where something is there already.

use std::str::FromStr;

use super::patterns::{Rule, Rules};
use crate::error::{Error, ErrorKind, Result};

/// What becomes of symbolic links in a tree. One that is named as the source itself is followed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// They stay links, and point to what they say.
    #[default]
    Keep,
    /// What they point to is taken in their place. One that leads back into a directory that is being
    /// taken is a failure.
    Follow,
    /// They are skipped.
    Skip,
}

/// What happens where the target has a file of that name.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conflict {
    /// It is replaced in one step, if [`Update`] says so.
    #[default]
    Overwrite,
    /// It stays, and is reported as skipped.
    Skip,
    /// It stays, and is reported as a failure.
    Error,
}

/// Which files that are there already are replaced.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Update {
    /// All of them.
    #[default]
    Always,
    /// Those that were written before the source was, by whole seconds.
    Newer,
    /// Those of another length or time of writing. Of use together with
    /// [`TransferOptions::times`].
    Different,
    /// Those of another length, or with other contents by their SHA-256.
    DifferentContents,
}

/// By their words, the same in all languages: `keep`, `follow` and `skip`.
impl FromStr for Links {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "keep" => Ok(Self::Keep),
            "follow" => Ok(Self::Follow),
            "skip" => Ok(Self::Skip),
            _ => Err(unknown("links", "keep, follow or skip", word)),
        }
    }
}

/// By their words, the same in all languages: `overwrite`, `skip` and `error`.
impl FromStr for Conflict {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "overwrite" => Ok(Self::Overwrite),
            "skip" => Ok(Self::Skip),
            "error" => Ok(Self::Error),
            _ => Err(unknown("conflict", "overwrite, skip or error", word)),
        }
    }
}

/// By their words, the same in all languages: `always`, `newer`, `different` and `contents`.
impl FromStr for Update {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "always" => Ok(Self::Always),
            "newer" => Ok(Self::Newer),
            "different" => Ok(Self::Different),
            "contents" => Ok(Self::DifferentContents),
            _ => {
                let words = "always, newer, different or contents";
                Err(unknown("update", words, word))
            }
        }
    }
}

fn unknown(option: &str, words: &str, given: &str) -> Error {
    let what = format!("{option} is {words}, not {given:?}");
    Error::new(ErrorKind::InvalidInput, "transfer", what)
}

/// How files are transferred. Default: one file, with the permissions of the source as far as the
/// umask leaves them where it is new, replacing what is there.
#[derive(Debug, Clone, Default)]
pub struct TransferOptions {
    pub(super) recursive: bool,
    pub(super) times: bool,
    pub(super) modes: bool,
    pub(super) links: Links,
    pub(super) conflict: Conflict,
    pub(super) update: Update,
    pub(super) resume: bool,
    pub(super) checksum: bool,
    pub(super) sync: bool,
    pub(super) fixed_mode: Option<u32>,
    rules: Vec<Rule>,
}

impl TransferOptions {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes directories, with all that is in them.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Keeps the times of reading and writing, in whole seconds: SFTP has no others.
    pub fn times(mut self) -> Self {
        self.times = true;
        self
    }

    /// Keeps the permission bits, whatever the umask. Set-id bits are not taken over: the owner is
    /// not either.
    pub fn modes(mut self) -> Self {
        self.modes = true;
        self
    }

    /// What becomes of symbolic links. Default: [`Links::Keep`].
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// What happens where a file is there already. Default: [`Conflict::Overwrite`].
    pub fn conflict(mut self, conflict: Conflict) -> Self {
        self.conflict = conflict;
        self
    }

    /// Which files are replaced. Default: [`Update::Always`].
    pub fn update(mut self, update: Update) -> Self {
        self.update = update;
        self
    }

    /// Goes on where an earlier transfer of the same file was cut: what is there of it, under a name
    /// `.rmux-….part` beside the target, is used if its SHA-256 is that of the source's beginning, and
    /// is begun anew otherwise. Files that are there under their real name are compared by their
    /// contents and not sent again, unless [`update`](Self::update) says otherwise.
    ///
    /// What is not whole when the transfer ends stays under that name.
    pub fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// Compares the SHA-256 of each file on both sides before it gets its real name. The remote
    /// computes it with what it has (`sha256sum`, `shasum` or `openssl`), or else it is read back.
    pub fn checksum(mut self) -> Self {
        self.checksum = true;
        self
    }

    /// Waits for each file until it is on the disk, before it gets its real name. Without it, a
    /// machine that loses its power may lose what was just transferred.
    pub fn sync(mut self) -> Self {
        self.sync = true;
        self
    }

    /// These permission bits for every file, whatever the source has.
    pub(super) fn fixed_mode(mut self, mode: u32) -> Self {
        self.fixed_mode = Some(mode);
        self
    }

    /// Leaves out what matches this pattern, with all that is in it.
    ///
    /// Of all patterns, the first one that matches decides; what none matches is taken. A pattern
    /// without `/` is one for names, wherever they are; one with `/` is for the path below the
    /// source; one that ends with `/` is for directories only. In a name, `*` is any part of it, a
    /// dot in front included, `?` any byte and `[…]` one of some; a backslash takes their meaning
    /// away. `**` between slashes is any number of directories, and at the end all below.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.rules.push(Rule::new(pattern.into(), false));
        self
    }

    /// Takes what matches this pattern, whatever later patterns say; see [`exclude`](Self::exclude).
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.rules.push(Rule::new(pattern.into(), true));
        self
    }

    pub(super) fn rules(&self) -> Result<Rules> {
        Rules::new(&self.rules)
    }

    /// Which files that are there are replaced, all options considered.
    pub(super) fn replaces(&self) -> Update {
        match (self.update, self.resume) {
            (Update::Always, true) => Update::DifferentContents,
            (update, _) => update,
        }
    }
}
