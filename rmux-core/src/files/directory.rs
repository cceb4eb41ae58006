//! Directories: making, listing and removing one.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use rmux_proto::sftp::{Attributes, FileType, Name};

use super::failure::Tried;
use super::{Files, Metadata, RemotePath};
use crate::error::{ErrorKind, Result};
use crate::sftp::{Answer, Client, Handle};

/// How many requests for names may be under way; OpenSSH answers each with up to a hundred.
const MOST_UNDER_WAY: usize = 32;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    path: RemotePath,
    name: Vec<u8>,
    metadata: Metadata,
}

impl DirEntry {
    pub(super) fn new(path: RemotePath, name: Vec<u8>, metadata: Metadata) -> Self {
        Self {
            path,
            name,
            metadata,
        }
    }

    /// The directory's path with the name behind it.
    pub fn path(&self) -> &RemotePath {
        &self.path
    }

    /// The name.
    pub fn file_name(&self) -> &[u8] {
        &self.name
    }

    /// What is known of it: of a symbolic link itself. Came with the listing.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// The names in a directory, as they come, in the server's order. Dropping it ends the listing.
#[derive(Debug)]
pub struct ReadDir {
    files: Files,
    path: Vec<u8>,
    listing: Listing,
}

impl ReadDir {
    /// The next name, without `.` and `..`; `None` at the end.
    ///
    /// # Errors
    /// Those of the session, and [`ErrorKind::ProtocolViolation`] for a name with `/` or NUL, which
    /// is none.
    ///
    /// # Cancel safety
    /// Cancel safe: no name is lost.
    pub async fn next_entry(&mut self) -> Result<Option<DirEntry>> {
        let tried = self.files.tried("list", &self.path);
        let Some((name, attributes)) = self.listing.next(tried).await? else {
            return Ok(None);
        };
        let mut path = RemotePath::new(self.path.clone());
        path = path.join(&name);
        Ok(Some(DirEntry {
            path,
            name,
            metadata: Metadata::new(attributes),
        }))
    }

    /// All names that are left.
    ///
    /// # Errors
    /// As [`next_entry`](Self::next_entry).
    ///
    /// # Cancel safety
    /// Dropping the future ends the listing.
    pub async fn entries(mut self) -> Result<Vec<DirEntry>> {
        let mut all = Vec::new();
        while let Some(entry) = self.next_entry().await? {
            all.push(entry);
        }
        Ok(all)
    }
}

impl Files {
    /// Lists a directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::NotADirectory`], [`ErrorKind::PermissionDenied`], and
    /// those of the session.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn read_dir(&self, path: impl AsRef<[u8]>) -> Result<ReadDir> {
        let (client, path) = self.locate("list", path.as_ref()).await?;
        let listing = match client.open_directory(&path).await {
            Ok(handle) => Listing::new(&client, handle),
            Err(failed) => {
                let tried = self.tried("list", &path);
                return Err(tried.not_listed(&client, failed).await);
            }
        };
        Ok(ReadDir {
            files: self.clone(),
            path,
            listing,
        })
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::NotFound`] for the directory it is to be in, and
    /// as [`write`](Self::write).
    ///
    /// # Cancel safety
    /// Whether it was made is unknown.
    pub async fn create_dir(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let (client, path) = self.locate("make directory", path.as_ref()).await?;
        match client.make_directory(&path, Attributes::default()).await {
            Ok(()) => Ok(()),
            Err(failed) => {
                let tried = self.tried("make directory", &path);
                Err(tried.not_made(&client, failed).await)
            }
        }
    }

    /// Makes a directory and those it is in, as far as they are missing (`mkdir -p`).
    ///
    /// # Errors
    /// [`ErrorKind::NotADirectory`] where one of them is something else, and as
    /// [`create_dir`](Self::create_dir), but for [`ErrorKind::AlreadyExists`].
    ///
    /// # Cancel safety
    /// Some of them may have been made.
    pub async fn create_dir_all(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let (client, path) = self.locate("make directory", path.as_ref()).await?;
        // The deepest that is there is looked for from the end, since most often little is missing.
        let mut missing = Vec::new();
        let mut next = Some(RemotePath::new(path));
        while let Some(path) = next.filter(|path| !path.as_bytes().is_empty()) {
            let tried = self.tried("make directory", path.as_bytes());
            match client.stat(path.as_bytes()).await {
                Ok(found) if found.file_type() == Some(FileType::Directory) => break,
                Ok(_) => return Err(tried.error(ErrorKind::NotADirectory, "it is not a directory")),
                Err(failed) if failed.is_missing() => {}
                Err(failed) => return Err(tried.failed(failed)),
            }
            next = path.parent();
            missing.push(path);
        }
        while let Some(path) = missing.pop() {
            let made = client.make_directory(path.as_bytes(), Attributes::default());
            let Err(failed) = made.await else { continue };
            // Somebody else may have been faster.
            let found = client.stat(path.as_bytes()).await.ok();
            if found.and_then(|it| it.file_type()) != Some(FileType::Directory) {
                let tried = self.tried("make directory", path.as_bytes());
                return Err(tried.not_made(&client, failed).await);
            }
        }
        Ok(())
    }

    /// Makes a directory, with `parents` also those it is in, as far as they are missing. One that is
    /// there already is no error with `exist_ok`, whatever leads to it.
    ///
    /// # Errors
    /// As [`create_dir`](Self::create_dir) and, with `parents`, as
    /// [`create_dir_all`](Self::create_dir_all).
    ///
    /// # Cancel safety
    /// Some of them may have been made.
    pub async fn create_dir_with(
        &self,
        path: impl AsRef<[u8]>,
        parents: bool,
        exist_ok: bool,
    ) -> Result<()> {
        let path = path.as_ref();
        if parents && exist_ok {
            return self.create_dir_all(path).await;
        }
        let parent = RemotePath::new(path).parent();
        if let Some(parent) = parent.filter(|it| parents && !it.as_bytes().is_empty()) {
            self.create_dir_all(parent).await?;
        }
        match self.create_dir(path).await {
            Err(error) if exist_ok && error.kind() == ErrorKind::AlreadyExists => {
                let is_one = self.metadata(path).await.is_ok_and(|it| it.is_dir());
                is_one.then_some(()).ok_or(error)
            }
            made => made,
        }
    }

    /// Makes a new directory for this account only (mode 0700), whose name is `prefix` and what
    /// makes it one that nobody else has. It is the caller's to remove.
    ///
    /// # Errors
    /// As [`create_dir`](Self::create_dir).
    ///
    /// # Cancel safety
    /// Whether it was made is unknown.
    pub async fn temp_dir(&self, prefix: impl AsRef<[u8]>) -> Result<RemotePath> {
        let (client, mut path) = self.locate("make directory", prefix.as_ref()).await?;
        path.extend_from_slice(format!("{:016x}", rand::random::<u64>()).as_bytes());
        let private = super::write::permissions(0o700);
        match client.make_directory(&path, private).await {
            Ok(()) => Ok(RemotePath::new(path)),
            Err(failed) => {
                let tried = self.tried("make directory", &path);
                Err(tried.not_made(&client, failed).await)
            }
        }
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As [`read_dir`](Self::read_dir), and [`ErrorKind::Io`] for one that is not empty.
    ///
    /// # Cancel safety
    /// Whether it was removed is unknown.
    pub async fn remove_dir(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let (client, path) = self.locate("remove directory", path.as_ref()).await?;
        match client.remove_directory(&path).await {
            Ok(()) => Ok(()),
            Err(failed) => {
                let tried = self.tried("remove directory", &path);
                Err(tried.not_removed(&client, failed).await)
            }
        }
    }
}

/// A directory that is being listed.
pub(crate) struct Listing {
    client: Client,
    handle: Arc<Handle>,
    under_way: FuturesOrdered<Answer<Vec<Name>>>,
    /// How many requests the next answer lets be under way.
    most: usize,
    names: VecDeque<Name>,
    ended: bool,
}

impl Listing {
    pub(crate) fn new(client: &Client, handle: Handle) -> Self {
        Self {
            client: client.clone(),
            handle: Arc::new(handle),
            under_way: FuturesOrdered::new(),
            // What a thousand names need are then two round trips.
            most: 4,
            names: VecDeque::new(),
            ended: false,
        }
    }

    /// The next name and what is known of it.
    pub(crate) async fn next(&mut self, tried: Tried<'_>) -> Result<Option<(Vec<u8>, Attributes)>> {
        loop {
            while let Some(name) = self.names.pop_front() {
                let bytes = &name.name[..];
                if matches!(bytes, b"." | b"..") {
                    continue;
                }
                // A server that sent ".." in disguise could have files removed outside.
                if bytes.is_empty() || bytes.contains(&b'/') || bytes.contains(&0) {
                    let what = format!(
                        "the server lists {}, which is no name",
                        super::path::shown(bytes)
                    );
                    return Err(tried.error(ErrorKind::ProtocolViolation, &what));
                }
                return Ok(Some((bytes.to_vec(), name.attributes)));
            }
            if self.ended {
                return Ok(None);
            }
            while self.under_way.len() < self.most {
                self.under_way.push_back(self.client.names(&self.handle));
            }
            match self.under_way.next().await {
                Some(Ok(names)) => {
                    self.most = (2 * self.most).min(MOST_UNDER_WAY);
                    // Without a name it would be asked for again and again.
                    self.ended = names.is_empty();
                    self.names = names.into();
                }
                Some(Err(failed)) if failed.is_end() => self.ended = true,
                Some(Err(failed)) => return Err(tried.failed(failed)),
                None => self.ended = true,
            }
            if self.ended {
                self.under_way.clear();
            }
        }
    }
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
