//! Setting what is known of a file, and the room of its file system.

use std::time::SystemTime;

use rmux_proto::sftp::{Attributes, Statvfs};

use super::Files;
use super::write::permissions;
use crate::error::{ErrorKind, Result};

/// The room of a file system, in bytes and in files.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it.
    pub total: u64,
    /// What is free.
    pub free: u64,
    /// What is free for this account.
    pub available: u64,
    /// How many files there can be; 0 where that has no limit.
    pub files: u64,
    /// How many more this account can make.
    pub files_available: u64,
    /// The longest name, in bytes.
    pub longest_name: u64,
    /// Whether it can only be read.
    pub read_only: bool,
}

impl From<Statvfs> for DiskSpace {
    fn from(room: Statvfs) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(room.fragment_size);
        Self {
            total: bytes(room.blocks),
            free: bytes(room.free),
            available: bytes(room.available),
            files: room.files,
            files_available: room.files_available,
            longest_name: room.longest_name,
            read_only: room.flags & 1 != 0,
        }
    }
}

impl Files {
    /// Sets the permission bits (`chmod`), behind symbolic links.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    /// Whether they were set is unknown.
    pub async fn set_mode(&self, path: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        self.set("set mode", path.as_ref(), permissions(mode & 0o7777))
            .await
    }

    /// Sets user and group by their numbers (`chown`), behind symbolic links.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    /// Whether they were set is unknown.
    pub async fn set_owner(&self, path: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<()> {
        let owner = Attributes {
            owner: Some((uid, gid)),
            ..Attributes::default()
        };
        self.set("set owner", path.as_ref(), owner).await
    }

    /// Sets user and group of a symbolic link itself (`lchown`).
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`ErrorKind::Unsupported`] where the server cannot.
    ///
    /// # Cancel safety
    /// Whether they were set is unknown.
    pub async fn set_link_owner(&self, path: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<()> {
        let (client, path) = self.locate("set owner", path.as_ref()).await?;
        let owner = Attributes {
            owner: Some((uid, gid)),
            ..Attributes::default()
        };
        let set = client.set_link_attributes(&path, owner).await;
        set.map_err(|failed| self.tried("set owner", &path).failed(failed))
    }

    /// Sets when it was last read and last written (`utime`), in whole seconds, behind symbolic
    /// links.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`ErrorKind::InvalidInput`] for a time before 1970 or
    /// after February 2106, which version 3 of SFTP cannot say.
    ///
    /// # Cancel safety
    /// Whether they were set is unknown.
    pub async fn set_times(
        &self,
        path: impl AsRef<[u8]>,
        accessed: SystemTime,
        modified: SystemTime,
    ) -> Result<()> {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            u32::try_from(since.as_secs()).ok()
        };
        let (Some(accessed), Some(modified)) = (seconds(accessed), seconds(modified)) else {
            let what = "SFTP has no word for a time before 1970 or after February 2106";
            let tried = self.tried("set times", path.as_ref());
            return Err(tried.error(ErrorKind::InvalidInput, what));
        };
        let times = Attributes {
            times: Some((accessed, modified)),
            ..Attributes::default()
        };
        self.set("set times", path.as_ref(), times).await
    }

    /// The room of the file system that a file is on.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`ErrorKind::Unsupported`] where the server cannot tell.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn disk_space(&self, path: impl AsRef<[u8]>) -> Result<DiskSpace> {
        let (client, path) = self.locate("ask for disk space", path.as_ref()).await?;
        let room = client.room(&path).await;
        let tried = self.tried("ask for disk space", &path);
        Ok(room.map_err(|failed| tried.failed(failed))?.into())
    }

    async fn set(
        &self,
        operation: &'static str,
        path: &[u8],
        attributes: Attributes,
    ) -> Result<()> {
        let (client, path) = self.locate(operation, path).await?;
        let set = client.set_attributes(&path, attributes).await;
        set.map_err(|failed| self.tried(operation, &path).failed(failed))
    }
}
