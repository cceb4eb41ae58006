//! Files of a session's host: one operation a method.
//!
//! Paths come as bytes, and go as bytes. What JavaScript calls the operations is in `lib/files.cjs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use rmux_core::{Error, ErrorKind, Files, OpenOptions, RemotePath, Result, WriteOptions};

use crate::delivery::Outcome;
use crate::directory::{Listing, NativeDirectory};
use crate::file::NativeFile;
use crate::found::{FileFacts, Found, Room};
use crate::session::NativeSession;

/// How a whole file is written.
#[napi(object, object_to_js = false)]
pub struct WriteSpec {
    pub mode: Option<u32>,
    /// Whether it must not be there yet.
    pub create_new: bool,
    /// Whether the file itself is written into.
    pub in_place: bool,
    /// Whether to wait until it is on the server's disk.
    pub sync: bool,
    /// Only if the file is as it was seen.
    pub unchanged: Option<SeenFile>,
    /// Only if the file's contents have this SHA-256.
    pub sha256: Option<Uint8Array>,
}

/// What was kept of a file.
#[napi(object, object_to_js = false)]
pub struct SeenFile {
    pub size: f64,
    /// Milliseconds since 1970.
    pub modified: f64,
}

/// How a file is opened.
#[napi(object, object_to_js = false)]
pub struct OpenSpec {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    pub create: bool,
    pub create_new: bool,
    pub truncate: bool,
    pub mode: Option<u32>,
}

impl WriteSpec {
    fn into_options(self) -> Result<WriteOptions> {
        let mut options = WriteOptions::new();
        if let Some(mode) = self.mode {
            options = options.mode(mode);
        }
        if self.create_new {
            options = options.create_new();
        }
        if self.in_place {
            options = options.in_place();
        }
        if !self.sync {
            options = options.no_sync();
        }
        if let Some(SeenFile { size, modified }) = self.unchanged {
            options = options.if_unmodified(size as u64, time(modified)?);
        }
        if let Some(sum) = self.sha256 {
            let sum = sum.as_ref().try_into();
            let sum = sum.map_err(|_| invalid("a SHA-256 has 32 bytes".into()))?;
            options = options.if_sha256(sum);
        }
        Ok(options)
    }
}

impl OpenSpec {
    fn to_options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        if self.read {
            options = options.read();
        }
        if self.write {
            options = options.write();
        }
        if self.append {
            options = options.append();
        }
        if self.create {
            options = options.create();
        }
        if self.create_new {
            options = options.create_new();
        }
        if self.truncate {
            options = options.truncate();
        }
        match self.mode {
            Some(mode) => options.mode(mode),
            None => options,
        }
    }
}

impl NativeSession {
    /// Starts an operation on the files of the host.
    fn on_files<W>(&self, operation: u32, work: impl FnOnce(Files) -> W)
    where
        W: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let files = match self.files() {
            Ok(files) => files,
            Err(error) => return self.mailbox().settle(operation, Err(error.into())),
        };
        let (work, host) = (work(files), self.host().name);
        self.mailbox().start(operation, async move {
            Ok(work.await.map_err(|error| error.with_host(&host))?)
        });
    }

    /// One that gives nothing but that it was done.
    fn change_files<W>(&self, operation: u32, work: impl FnOnce(Files) -> W)
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        self.on_files(operation, |files| {
            let work = work(files);
            async move { work.await.map(|()| Outcome::Nothing) }
        });
    }

    /// One that gives a path.
    fn path_of_files<W>(&self, operation: u32, work: impl FnOnce(Files) -> W)
    where
        W: Future<Output = Result<RemotePath>> + Send + 'static,
    {
        self.on_files(operation, |files| {
            let work = work(files);
            async move { Ok(Outcome::Found(work.await?.into())) }
        });
    }
}

#[napi]
impl NativeSession {
    /// Reads a file, from `start` up to `end` if they are given; settled with a `Buffer`.
    #[napi]
    pub fn read_file(
        &self,
        operation: u32,
        path: Uint8Array,
        start: Option<f64>,
        end: Option<f64>,
    ) {
        let path = path.to_vec();
        self.on_files(operation, |files| async move {
            let start = start.map_or(0, |start| start as u64);
            let end = end.map_or(u64::MAX, |end| end as u64);
            let contents = files.read_range(path, start..end).await?;
            Ok(Outcome::Found(Found::Bytes(contents.into())))
        });
    }

    /// Writes a whole file.
    #[napi]
    pub fn write_file(&self, operation: u32, path: Uint8Array, data: Uint8Array, spec: WriteSpec) {
        let (path, data, options) = (path.to_vec(), data.to_vec(), spec.into_options());
        self.change_files(operation, |files| async move {
            files.write_with(path, data, &options?).await
        });
    }

    /// Writes at the end of a file.
    #[napi]
    pub fn append_file(&self, operation: u32, path: Uint8Array, data: Uint8Array) {
        let (path, data) = (path.to_vec(), data.to_vec());
        self.change_files(
            operation,
            |files| async move { files.append(path, data).await },
        );
    }

    /// Replaces the one place where `before` stands.
    #[napi]
    pub fn replace_text(
        &self,
        operation: u32,
        path: Uint8Array,
        before: Uint8Array,
        after: Uint8Array,
    ) {
        let (path, before, after) = (path.to_vec(), before.to_vec(), after.to_vec());
        self.change_files(operation, |files| async move {
            files.replace_text(path, before, after).await
        });
    }

    /// What is known of a file, behind symbolic links if it is to follow them; settled with a
    /// `FileFacts`.
    #[napi]
    pub fn stat(&self, operation: u32, path: Uint8Array, follow: bool) {
        let path = path.to_vec();
        self.on_files(operation, move |files| async move {
            let known = match follow {
                true => files.metadata(path).await?,
                false => files.symlink_metadata(path).await?,
            };
            Ok(Outcome::Found(Found::Facts(FileFacts::from(&known))))
        });
    }

    /// Begins to list a directory; settled with a `NativeDirectory`.
    #[napi]
    pub fn open_directory(&self, operation: u32, path: Uint8Array) {
        let (path, mailbox) = (path.to_vec(), self.mailbox().clone());
        self.on_files(operation, |files| async move {
            let listing = files.read_dir(path).await?;
            let directory = NativeDirectory::new(Listing::Names(listing), mailbox);
            Ok(Outcome::Found(Found::Directory(directory)))
        });
    }

    /// Begins to search below a directory; settled with a `NativeDirectory`.
    #[napi]
    pub fn search(&self, operation: u32, directory: Uint8Array, pattern: Uint8Array) {
        let (directory, pattern) = (directory.to_vec(), pattern.to_vec());
        let mailbox = self.mailbox().clone();
        self.on_files(operation, |files| async move {
            let search = files.glob(directory, pattern)?;
            let directory = NativeDirectory::new(Listing::Search(search), mailbox);
            Ok(Outcome::Found(Found::Directory(directory)))
        });
    }

    /// Opens a file; settled with a `NativeFile`.
    #[napi]
    pub fn open_file(&self, operation: u32, path: Uint8Array, spec: OpenSpec) {
        let (path, mailbox) = (path.to_vec(), self.mailbox().clone());
        let (options, host) = (spec.to_options(), self.host().name);
        self.on_files(operation, |files| async move {
            let file = files.open(&path, &options).await?;
            let file = NativeFile::new(file, path.into(), host, mailbox);
            Ok(Outcome::Found(Found::File(file)))
        });
    }

    /// Makes a file that has its name when it is closed; settled with a `NativeFile`.
    #[napi]
    pub fn create_file(&self, operation: u32, path: Uint8Array, mode: Option<u32>) {
        let (path, mailbox) = (path.to_vec(), self.mailbox().clone());
        let host = self.host().name;
        let mut options = WriteOptions::new();
        if let Some(mode) = mode {
            options = options.mode(mode);
        }
        self.on_files(operation, |files| async move {
            let file = files.create(&path, &options).await?;
            let file = NativeFile::new(file, path.into(), host, mailbox);
            Ok(Outcome::Found(Found::File(file)))
        });
    }

    /// Makes a new file in a directory and opens it; settled with a `NativeFile`.
    #[napi]
    pub fn temp_file(&self, operation: u32, directory: Uint8Array) {
        let (directory, mailbox) = (directory.to_vec(), self.mailbox().clone());
        let host = self.host().name;
        self.on_files(operation, |files| async move {
            let (path, file) = files.temp_file(directory).await?;
            let file = NativeFile::new(file, path, host, mailbox);
            Ok(Outcome::Found(Found::File(file)))
        });
    }

    /// Makes a new directory whose name begins so; settled with its path.
    #[napi]
    pub fn temp_directory(&self, operation: u32, prefix: Uint8Array) {
        let prefix = prefix.to_vec();
        self.path_of_files(
            operation,
            |files| async move { files.temp_dir(prefix).await },
        );
    }

    /// Makes a directory, with those it is in if it is to.
    #[napi]
    pub fn make_directory(&self, operation: u32, path: Uint8Array, all: bool) {
        let path = path.to_vec();
        self.change_files(operation, move |files| async move {
            match all {
                true => files.create_dir_all(path).await,
                false => files.create_dir(path).await,
            }
        });
    }

    /// Removes an empty directory.
    #[napi]
    pub fn remove_directory(&self, operation: u32, path: Uint8Array) {
        let path = path.to_vec();
        self.change_files(
            operation,
            |files| async move { files.remove_dir(path).await },
        );
    }

    /// Removes a file, or with `all` a directory and all that is in it. With `force` it may be
    /// missing.
    #[napi]
    pub fn remove(&self, operation: u32, path: Uint8Array, all: bool, force: bool) {
        let path = path.to_vec();
        self.change_files(operation, move |files| async move {
            let removed = match all {
                true => files.remove_dir_all(path).await,
                false => files.remove_file(path).await,
            };
            match removed {
                Err(error) if force && error.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed,
            }
        });
    }

    /// Renames, in one step over what is there.
    #[napi]
    pub fn rename(&self, operation: u32, from: Uint8Array, to: Uint8Array) {
        let (from, to) = (from.to_vec(), to.to_vec());
        self.change_files(
            operation,
            |files| async move { files.rename(from, to).await },
        );
    }

    /// Copies a file on the server.
    #[napi]
    pub fn copy_file(&self, operation: u32, from: Uint8Array, to: Uint8Array) {
        let (from, to) = (from.to_vec(), to.to_vec());
        self.change_files(operation, |files| async move { files.copy(from, to).await });
    }

    /// Gives a file a second name.
    #[napi]
    pub fn link(&self, operation: u32, file: Uint8Array, link: Uint8Array) {
        let (file, link) = (file.to_vec(), link.to_vec());
        self.change_files(operation, |files| async move {
            files.hard_link(file, link).await
        });
    }

    /// Makes a symbolic link that points to `target`.
    #[napi]
    pub fn symlink(&self, operation: u32, target: Uint8Array, link: Uint8Array) {
        let (target, link) = (target.to_vec(), link.to_vec());
        self.change_files(operation, |files| async move {
            files.symlink(target, link).await
        });
    }

    /// Where a symbolic link points to; settled with a `Buffer`.
    #[napi]
    pub fn readlink(&self, operation: u32, path: Uint8Array) {
        let path = path.to_vec();
        self.path_of_files(
            operation,
            |files| async move { files.read_link(path).await },
        );
    }

    /// The absolute path without links; settled with a `Buffer`.
    #[napi]
    pub fn realpath(&self, operation: u32, path: Uint8Array) {
        let path = path.to_vec();
        self.path_of_files(
            operation,
            |files| async move { files.canonicalize(path).await },
        );
    }

    /// Sets the permission bits.
    #[napi]
    pub fn chmod(&self, operation: u32, path: Uint8Array, mode: u32) {
        let path = path.to_vec();
        self.change_files(operation, move |files| async move {
            files.set_mode(path, mode).await
        });
    }

    /// Sets user and group, behind symbolic links if it is to follow them.
    #[napi]
    pub fn chown(&self, operation: u32, path: Uint8Array, uid: u32, gid: u32, follow: bool) {
        let path = path.to_vec();
        self.change_files(operation, move |files| async move {
            match follow {
                true => files.set_owner(path, uid, gid).await,
                false => files.set_link_owner(path, uid, gid).await,
            }
        });
    }

    /// Sets when it was last read and written, in milliseconds since 1970.
    #[napi]
    pub fn utimes(&self, operation: u32, path: Uint8Array, accessed: f64, modified: f64) {
        let path = path.to_vec();
        self.change_files(operation, move |files| async move {
            files
                .set_times(path, time(accessed)?, time(modified)?)
                .await
        });
    }

    /// The room of the file system that a file is on; settled with a `Room`.
    #[napi]
    pub fn statfs(&self, operation: u32, path: Uint8Array) {
        let path = path.to_vec();
        self.on_files(operation, |files| async move {
            let room = Room::from(files.disk_space(path).await?);
            Ok(Outcome::Found(Found::Room(room)))
        });
    }
}

/// A point in time as JavaScript counts it.
fn time(milliseconds: f64) -> Result<SystemTime> {
    let length = Duration::try_from_secs_f64(milliseconds.abs() / 1000.0).ok();
    let time = length.and_then(|length| match milliseconds < 0.0 {
        true => UNIX_EPOCH.checked_sub(length),
        false => UNIX_EPOCH.checked_add(length),
    });
    time.ok_or_else(|| invalid(format!("{milliseconds} ms is no point in time")))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "files", message)
}
