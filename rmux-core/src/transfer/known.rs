//! What is known of a file of either side, as far as a transfer cares.

use std::os::unix::fs::MetadataExt as _;

use rmux_proto::sftp::{Attributes, FileType};

/// The permission bits that are taken over.
const MODE: u32 = 0o777;

/// What is known of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) kind: Option<FileType>,
    pub(super) size: u64,
    /// Permission bits without the set-id ones.
    pub(super) mode: Option<u32>,
    /// When it was read and written, in seconds since 1970.
    pub(super) times: Option<(i64, i64)>,
    /// Of the local side: which file it is.
    pub(super) identity: Option<(u64, u64)>,
    /// As the SFTP server said it.
    pub(super) attributes: Option<Attributes>,
}

impl Known {
    pub(super) fn is_directory(&self) -> bool {
        self.kind == Some(FileType::Directory)
    }

    pub(super) fn modified(&self) -> Option<i64> {
        self.times.map(|(_, modified)| modified)
    }

    /// The times as SFTP has them; `None` where it has no word for them.
    pub(super) fn sftp_times(&self) -> Option<(u32, u32)> {
        let (accessed, modified) = self.times?;
        Some((accessed.try_into().ok()?, modified.try_into().ok()?))
    }
}

impl From<Attributes> for Known {
    fn from(attributes: Attributes) -> Self {
        Self {
            kind: attributes.file_type(),
            size: attributes.size.unwrap_or(0),
            mode: attributes.permissions.map(|mode| mode & MODE),
            times: attributes
                .times
                .map(|(accessed, modified)| (accessed.into(), modified.into())),
            identity: None,
            attributes: Some(attributes),
        }
    }
}

impl From<std::fs::Metadata> for Known {
    fn from(metadata: std::fs::Metadata) -> Self {
        Self {
            kind: file_type(metadata.mode()),
            size: metadata.size(),
            mode: Some(metadata.mode() & MODE),
            times: Some((metadata.atime(), metadata.mtime())),
            identity: Some((metadata.dev(), metadata.ino())),
            attributes: None,
        }
    }
}

/// The type in POSIX's `st_mode`.
pub(super) fn file_type(mode: u32) -> Option<FileType> {
    let permissions = Some(mode);
    Attributes {
        permissions,
        ..Attributes::default()
    }
    .file_type()
}
