//! What is done with names: asking, renaming, linking, removing.

use rmux_proto::sftp::Extension;

use super::temporary::Temporary;
use super::{File, Files, Metadata, RemotePath};
use crate::error::{ErrorKind, Result};

impl Files {
    /// What is known of a file, behind symbolic links.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], and those of the session.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn metadata(&self, path: impl AsRef<[u8]>) -> Result<Metadata> {
        let (client, path) = self.locate("stat", path.as_ref()).await?;
        let found = client.stat(&path).await;
        let found = found.map_err(|failed| self.tried("stat", &path).failed(failed))?;
        Ok(Metadata::new(found))
    }

    /// What is known of a file, or of a symbolic link itself.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn symlink_metadata(&self, path: impl AsRef<[u8]>) -> Result<Metadata> {
        let (client, path) = self.locate("stat", path.as_ref()).await?;
        let found = client.lstat(&path).await;
        let found = found.map_err(|failed| self.tried("stat", &path).failed(failed))?;
        Ok(Metadata::new(found))
    }

    /// Whether there is something, behind symbolic links: a dangling one is nothing.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), but for [`ErrorKind::NotFound`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn exists(&self, path: impl AsRef<[u8]>) -> Result<bool> {
        match self.metadata(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The absolute path, without links, `.` and `..`, of a file that need not exist.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn canonicalize(&self, path: impl AsRef<[u8]>) -> Result<RemotePath> {
        let (client, path) = self.locate("resolve", path.as_ref()).await?;
        let real = client.real_path(&path).await;
        let real = real.map_err(|failed| self.tried("resolve", &path).failed(failed))?;
        Ok(RemotePath::new(real.to_vec()))
    }

    /// Where a symbolic link points to, as it says it.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`ErrorKind::InvalidInput`] or [`ErrorKind::Io`] for what
    /// is no link.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn read_link(&self, path: impl AsRef<[u8]>) -> Result<RemotePath> {
        let (client, path) = self.locate("read link", path.as_ref()).await?;
        let target = client.read_link(&path).await;
        let target = target.map_err(|failed| self.tried("read link", &path).failed(failed))?;
        Ok(RemotePath::new(target.to_vec()))
    }

    /// Makes a symbolic link `link` that points to `target`, which is taken as it is and need not
    /// exist.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], and as [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    /// Whether it was made is unknown.
    pub async fn symlink(&self, target: impl AsRef<[u8]>, link: impl AsRef<[u8]>) -> Result<()> {
        let (client, link) = self.locate("make link", link.as_ref()).await?;
        let tried = self.tried("make link", &link);
        let target = target.as_ref();
        if target.is_empty() || target.contains(&0) {
            let what = "a link cannot point to nothing, nor to a name with NUL";
            return Err(tried.error(ErrorKind::InvalidInput, what));
        }
        match client.symlink(target, &link).await {
            Ok(()) => Ok(()),
            Err(failed) => Err(tried.not_made(&client, failed).await),
        }
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::Unsupported`] where the server cannot, and as
    /// [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    /// Whether it was made is unknown.
    pub async fn hard_link(&self, file: impl AsRef<[u8]>, link: impl AsRef<[u8]>) -> Result<()> {
        let (client, file) = self.locate("make link", file.as_ref()).await?;
        let (_, link) = self.locate("make link", link.as_ref()).await?;
        match client.hard_link(&file, &link).await {
            Ok(()) => Ok(()),
            Err(failed) => Err(self
                .tried("make link", &link)
                .not_made(&client, failed)
                .await),
        }
    }

    /// Renames a file or directory, in one step over a file that is there. Both names have to be on
    /// one file system.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`ErrorKind::AlreadyExists`] for a target that cannot be
    /// replaced: a directory that is not empty, or any on a server that cannot replace.
    ///
    /// # Cancel safety
    /// Whether it was renamed is unknown.
    pub async fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        let (client, from) = self.locate("rename", from.as_ref()).await?;
        let (_, to) = self.locate("rename", to.as_ref()).await?;
        let renamed = match client.has(Extension::PosixRename) {
            true => client.posix_rename(&from, &to).await,
            false => client.rename(&from, &to).await,
        };
        match renamed {
            Ok(()) => Ok(()),
            Err(failed) if failed.is_missing() => Err(self.tried("rename", &from).failed(failed)),
            Err(failed) => Err(self.tried("rename", &to).not_made(&client, failed).await),
        }
    }

    /// Removes a file, or a symbolic link itself.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata), and [`ErrorKind::IsADirectory`].
    ///
    /// # Cancel safety
    /// Whether it was removed is unknown.
    pub async fn remove_file(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let (client, path) = self.locate("remove", path.as_ref()).await?;
        match client.remove(&path).await {
            Ok(()) => Ok(()),
            Err(failed) => Err(self
                .tried("remove", &path)
                .not_opened(&client, failed)
                .await),
        }
    }

    /// Makes a new, empty file with a name that nobody else has, in this directory, for this account
    /// only (mode 0600), and opens it for reading and writing. It is the caller's to remove.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// Cancel safe: it is removed.
    pub async fn temp_file(&self, directory: impl AsRef<[u8]>) -> Result<(RemotePath, File)> {
        let (client, directory) = self.locate("make file", directory.as_ref()).await?;
        let tried = self.tried("make file", &directory);
        let made = Temporary::within(&client, &directory, 0o600, tried).await?;
        let (path, handle) = made.keep();
        let handle = handle.expect("it has just been opened");
        let file = File::new(self.clone(), client, handle, path.clone(), false);
        Ok((RemotePath::new(path), file))
    }
}
