//! Where a transfer puts things: directories of either side, and names in them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmux_proto::sftp::{Attributes, Extension, FileType, OpenFlags};

use super::digest::{Of, Sum};
use super::known::Known;
use super::local::{self, Directory, blocking, failure};
use super::source::Remote;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{Listing, RemotePath, Target};

/// The target itself, as it was named.
#[derive(Debug)]
pub(super) enum Top {
    Local(PathBuf),
    Remote(Remote, RemotePath),
}

impl Top {
    pub(super) fn remote(remote: Remote, path: RemotePath) -> Self {
        Self::Remote(remote, path)
    }

    /// The name under which a file is to be. Behind links, since this one was named.
    pub(super) async fn place(self) -> Result<Place> {
        match self {
            Self::Local(path) => {
                let there = path.clone();
                let real = blocking(move || {
                    // A link to nothing, or nothing: a new name.
                    Ok(std::fs::canonicalize(&there).unwrap_or(there))
                });
                let real = real.await.map_err(|error| failure("write", &path, error))?;
                let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
                    let error = std::io::Error::from(std::io::ErrorKind::IsADirectory);
                    return Err(failure("write", &path, error));
                };
                let directory = open(parent).await?;
                Ok(Place::Local(directory, name.as_bytes().to_vec()))
            }
            Self::Remote(remote, path) => {
                let (_, path) = remote.files.locate("write", path.as_bytes()).await?;
                let tried = remote.files.tried("write", &path);
                let target = Target::find(&remote.client, tried, false).await?;
                Ok(Place::Remote(remote, RemotePath::new(target.path)))
            }
        }
    }

    /// The directory whose contents are to be, made if it is missing; says whether it was.
    pub(super) async fn folder(self, mode: u32) -> Result<(Folder, bool)> {
        match self {
            Self::Local(path) => {
                if let Ok(directory) = open(&path).await {
                    return Ok((Folder::Local(directory), false));
                }
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                    return open(&path).await.map(|it| (Folder::Local(it), false));
                };
                let directory = open(parent).await?;
                let name = name.as_bytes().to_vec();
                Place::Local(directory, name).enter(mode).await
            }
            Self::Remote(remote, path) => {
                let (_, path) = remote.files.locate("write", path.as_bytes()).await?;
                let path = RemotePath::new(path);
                let found = remote.client.stat(path.as_bytes()).await;
                if found.is_ok_and(|it| it.file_type() == Some(FileType::Directory)) {
                    return Ok((Folder::Remote(remote, path), false));
                }
                Place::Remote(remote, path).enter(mode).await
            }
        }
    }
}

async fn open(path: &Path) -> Result<Directory> {
    let there = path.to_owned();
    let opened = blocking(move || Directory::open(&there)).await;
    opened.map_err(|error| failure("write", path, error))
}

/// A directory of the target.
#[derive(Debug, Clone)]
pub(super) enum Folder {
    Local(Directory),
    Remote(Remote, RemotePath),
}

impl Folder {
    pub(super) fn place(&self, name: &[u8]) -> Place {
        match self {
            Self::Local(directory) => Place::Local(directory.clone(), name.to_vec()),
            Self::Remote(remote, path) => Place::Remote(remote.clone(), path.join(name)),
        }
    }

    /// How many files may be open at once on this side.
    pub(super) fn most_open(&self) -> u64 {
        match self {
            Self::Local(_) => local::most_open(),
            Self::Remote(remote, _) => remote.client.most_handles(),
        }
    }

    /// What is in it, where asking for all at once is cheaper than for each.
    pub(super) async fn names(&self) -> Result<Option<Vec<(Vec<u8>, Known)>>> {
        let Self::Remote(remote, path) = self else {
            return Ok(None);
        };
        let tried = remote.files.tried("list", path.as_bytes());
        let handle = match remote.client.open_directory(path.as_bytes()).await {
            Ok(handle) => handle,
            // It may be written to and not be read.
            Err(failed) => {
                let error = tried.failed(failed);
                return match error.kind() {
                    ErrorKind::PermissionDenied => Ok(None),
                    _ => Err(error),
                };
            }
        };
        let mut listing = Listing::new(&remote.client, handle);
        let mut names = Vec::new();
        while let Some((name, attributes)) = listing.next(tried).await? {
            names.push((name, attributes.into()));
        }
        Ok(Some(names))
    }

    /// Sets what is known of it.
    pub(super) async fn set(&self, mode: Option<u32>, known: &Known) -> Result<()> {
        let wanted = (mode, known.times);
        match self {
            Self::Local(directory) => {
                let there = directory.clone();
                let set = blocking(move || there.set(wanted.0, wanted.1)).await;
                set.map_err(|error| failure("write", directory.path(), error))
            }
            Self::Remote(remote, path) => {
                let attributes = Attributes {
                    permissions: mode,
                    times: known.sftp_times(),
                    ..Attributes::default()
                };
                let set = remote.client.set_attributes(path.as_bytes(), attributes);
                let tried = remote.files.tried("write", path.as_bytes());
                set.await.map_err(|failed| tried.failed(failed))
            }
        }
    }
}

/// A name in a directory of the target, which need not be there.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Local(Directory, Vec<u8>),
    Remote(Remote, RemotePath),
}

impl Place {
    /// What is there, links not followed.
    pub(super) async fn known(&self) -> Result<Option<Known>> {
        match self {
            Self::Local(directory, name) => {
                let (there, of) = (directory.clone(), name.clone());
                let known = blocking(move || there.known(&of)).await;
                known.map_err(|error| failure("write", &directory.path_of(name), error))
            }
            Self::Remote(remote, path) => match remote.client.lstat(path.as_bytes()).await {
                Ok(found) => Ok(Some(found.into())),
                Err(failed) if failed.is_missing() => Ok(None),
                Err(failed) => {
                    let tried = remote.files.tried("write", path.as_bytes());
                    Err(tried.failed(failed))
                }
            },
        }
    }

    /// The directory of that name, made if it is missing; says whether it was. A link to one is none.
    pub(super) async fn enter(&self, mode: u32) -> Result<(Folder, bool)> {
        match self {
            Self::Local(directory, name) => {
                let (there, of) = (directory.clone(), name.clone());
                let entered = blocking(move || there.enter(&of, mode | 0o700)).await;
                let path = || directory.path_of(name);
                let (inner, made) = entered.map_err(|error| failure("write", &path(), error))?;
                Ok((Folder::Local(inner), made))
            }
            Self::Remote(remote, path) => {
                let folder = Folder::Remote(remote.clone(), path.clone());
                let attributes = Attributes {
                    permissions: Some(mode | 0o700),
                    ..Attributes::default()
                };
                let made = remote.client.make_directory(path.as_bytes(), attributes);
                let Err(failed) = made.await else {
                    return Ok((folder, true));
                };
                let tried = remote.files.tried("write", path.as_bytes());
                match remote.client.lstat(path.as_bytes()).await {
                    Ok(found) if found.file_type() == Some(FileType::Directory) => {
                        Ok((folder, false))
                    }
                    Ok(_) => Err(tried.error(ErrorKind::NotADirectory, "it is not a directory")),
                    Err(_) => Err(tried.unwritten(&remote.client, failed).await),
                }
            }
        }
    }

    /// Whether the file there begins with bytes that have this sum.
    pub(super) async fn has(&self, length: u64, sum: Sum) -> Result<bool> {
        match self {
            Self::Local(directory, name) => {
                let (there, of, path) = (directory.clone(), name.clone(), directory.path_of(name));
                let file = blocking(move || there.read(&of)).await;
                let file = Arc::new(file.map_err(|error| failure("read", &path, error))?);
                Of::Local(&file, &path).has(length, sum).await
            }
            Self::Remote(remote, path) => {
                let path = path.as_bytes();
                let opening = remote
                    .client
                    .open_file(path, OpenFlags::READ, Attributes::default());
                let tried = remote.files.tried("read", path);
                let handle = Arc::new(opening.await.map_err(|failed| tried.failed(failed))?);
                let handle = &handle;
                let of = Of::Remote {
                    remote,
                    path,
                    handle,
                };
                of.has(length, sum).await
            }
        }
    }

    /// Makes a symbolic link of that name, in one step in the place of what may be there.
    pub(super) async fn link(&self, target: Vec<u8>, is_new: bool) -> Result<()> {
        let temporary = format!(".rmux-{:016x}.tmp", rand::random::<u64>()).into_bytes();
        match self {
            Self::Local(directory, name) => {
                let (there, of) = (directory.clone(), name.clone());
                let made = blocking(move || {
                    there.symlink(&target, &temporary)?;
                    let placed = there.rename(&temporary, &of, is_new);
                    if placed.is_err() {
                        let _ = there.remove(&temporary);
                    }
                    placed
                });
                let path = || directory.path_of(name);
                made.await
                    .map_err(|error| failure("make link", &path(), error))
            }
            Self::Remote(remote, path) => {
                let (client, path) = (&remote.client, path.as_bytes());
                let tried = remote.files.tried("make link", path);
                // To a free name at once, which servers do only if it is free.
                let Err(failed) = client.symlink(&target, path).await else {
                    return Ok(());
                };
                let error = tried.not_made(client, failed).await;
                if error.kind() != ErrorKind::AlreadyExists || is_new {
                    return Err(error);
                }
                if !client.has(Extension::PosixRename) {
                    let removed = client.remove(path).await;
                    removed.map_err(|failed| tried.failed(failed))?;
                    let made = client.symlink(&target, path).await;
                    return made.map_err(|failed| tried.failed(failed));
                }
                let parent = RemotePath::new(path).parent();
                let beside = parent.map_or_else(
                    || RemotePath::new(temporary.clone()),
                    |parent| parent.join(&temporary),
                );
                let made = client.symlink(&target, beside.as_bytes()).await;
                made.map_err(|failed| tried.failed(failed))?;
                let placed = client.posix_rename(beside.as_bytes(), path).await;
                if let Err(failed) = placed {
                    client.remove_unheard(beside.as_bytes());
                    return Err(tried.not_opened(client, failed).await);
                }
                Ok(())
            }
        }
    }

    /// The error that something is there.
    pub(super) fn taken(&self, kind: ErrorKind, what: &str) -> Error {
        match self {
            Self::Local(directory, name) => {
                let path = directory.path_of(name);
                let path = crate::files::shown(path.as_os_str().as_bytes());
                Error::new(kind, "write", format!("{path}: {what}"))
            }
            Self::Remote(remote, path) => {
                let tried = remote.files.tried("write", path.as_bytes());
                tried.error(kind, what)
            }
        }
    }
}
