//! What is known of a file.

use std::time::{Duration, SystemTime};

use rmux_proto::sftp::{Attributes, FileType};

/// What is known of a file. Servers may leave anything out; OpenSSH's never do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(Attributes);

impl Metadata {
    pub(crate) fn new(attributes: Attributes) -> Self {
        Self(attributes)
    }

    pub(crate) fn attributes(&self) -> &Attributes {
        &self.0
    }

    /// What it is.
    pub fn file_type(&self) -> Option<FileType> {
        self.0.file_type()
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type() == Some(FileType::Directory)
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type() == Some(FileType::File)
    }

    /// Whether it is a symbolic link. Only what does not look behind links can tell.
    pub fn is_symlink(&self) -> bool {
        self.file_type() == Some(FileType::Symlink)
    }

    /// The length in bytes; 0 where it is unknown. Files of `/proc` have 0 and yet contents.
    #[expect(clippy::len_without_is_empty, reason = "as std::fs::Metadata")]
    pub fn len(&self) -> u64 {
        self.0.size.unwrap_or(0)
    }

    /// The permission bits, set-id bits included.
    pub fn mode(&self) -> Option<u32> {
        self.0.permissions.map(|mode| mode & 0o7777)
    }

    /// The number of the user it belongs to.
    pub fn uid(&self) -> Option<u32> {
        self.0.owner.map(|(user, _)| user)
    }

    /// The number of the group it belongs to.
    pub fn gid(&self) -> Option<u32> {
        self.0.owner.map(|(_, group)| group)
    }

    /// When it was last read, in whole seconds.
    pub fn accessed(&self) -> Option<SystemTime> {
        self.0.times.map(|(accessed, _)| time(accessed))
    }

    /// When it was last written, in whole seconds.
    pub fn modified(&self) -> Option<SystemTime> {
        self.0.times.map(|(_, modified)| time(modified))
    }
}

fn time(seconds: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into())
}
