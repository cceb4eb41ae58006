//! The local disk, below open directories: no name is resolved from its root, no link is followed.
//!
//! All of this blocks, so it runs in threads, of which a few are enough for every disk.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use tokio::sync::Semaphore;

use super::known::{Known, file_type};
use crate::error::{Error, ErrorKind};
use crate::files::shown;

/// How many threads may wait for disks at once, in the whole program.
static THREADS: Semaphore = Semaphore::const_new(16);

/// Runs what may block on a disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let turn = THREADS.acquire().await;
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    })
    .await
    .unwrap_or_else(|_| Err(io::Error::other("the runtime has ended")))
}

/// How many files this process may have open at once.
pub(super) fn most_open() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

/// What a local failure means.
pub(super) fn failure(operation: &'static str, path: &Path, error: io::Error) -> Error {
    let name = shown(path.as_os_str().as_bytes());
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::LimitExceeded,
        io::ErrorKind::IsADirectory => ErrorKind::IsADirectory,
        io::ErrorKind::NotADirectory => ErrorKind::NotADirectory,
        _ => return Error::io(operation, name, error),
    };
    Error::new(kind, operation, format!("{name}: {error}")).with_source(error)
}

/// An open directory of the local disk.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    fd: Arc<OwnedFd>,
    /// For errors only.
    path: PathBuf,
}

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Directory {
    /// Opens one by its path, as the user means it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let shown = path;
        let path = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        };
        let fd = rustix::fs::openat(CWD, path, OPEN, Mode::empty())?;
        Ok(Self {
            fd: Arc::new(fd),
            path: shown.to_owned(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: &[u8]) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(name))
    }

    /// Opens a directory in it, or makes one; says whether it was made. A link to one is none.
    pub(super) fn enter(&self, name: &[u8], mode: u32) -> io::Result<(Self, bool)> {
        let made = match rustix::fs::mkdirat(&*self.fd, name, Mode::from(mode)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let opened = rustix::fs::openat(&*self.fd, name, OPEN | OFlags::NOFOLLOW, Mode::empty());
        let fd = opened.map_err(|error| match error {
            // A link: the same to who wanted a directory.
            Errno::LOOP => Errno::NOTDIR,
            other => other,
        })?;
        let path = self.path_of(name);
        let fd = Arc::new(fd);
        Ok((Self { fd, path }, made))
    }

    /// What is known of a name in it, or of a link of that name.
    pub(super) fn known(&self, name: &[u8]) -> io::Result<Option<Known>> {
        match rustix::fs::statat(&*self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(Known {
                kind: file_type(found.st_mode),
                size: found.st_size.try_into().unwrap_or(0),
                mode: Some(found.st_mode & 0o777),
                times: Some((found.st_atime, found.st_mtime)),
                identity: Some((found.st_uid.into(), found.st_gid.into())),
                attributes: None,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a new file in it. It is a file, and nobody else's.
    pub(super) fn create(&self, name: &[u8], mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*self.fd, name, flags, Mode::from(mode))?.into())
    }

    /// Opens a file in it for writing, or makes it. What is no file of this account is refused.
    pub(super) fn open_or_create(&self, name: &[u8], mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = rustix::fs::openat(&*self.fd, name, flags, Mode::from(mode))?.into();
        let found = rustix::fs::fstat(&file)?;
        let is_ours = found.st_uid == rustix::process::geteuid().as_raw();
        if file_type(found.st_mode) != Some(rmux_proto::sftp::FileType::File) || !is_ours {
            let what = "something else is in the way";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        Ok(file)
    }

    /// Opens a file in it for reading.
    pub(super) fn read(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*self.fd, name, flags, Mode::empty())?.into())
    }

    /// Gives what has one name in it another; over what has that, unless it must be free.
    pub(super) fn rename(&self, from: &[u8], to: &[u8], is_new: bool) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        if is_new {
            use rustix::fs::RenameFlags;
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&*self.fd, from, &*self.fd, to, flags) {
                // Not every file system can: it was looked at before.
                Err(Errno::INVAL | Errno::NOSYS) => {}
                renamed => return Ok(renamed?),
            }
        }
        #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
        let _ = is_new;
        Ok(rustix::fs::renameat(&*self.fd, from, &*self.fd, to)?)
    }

    pub(super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&*self.fd, name, AtFlags::empty())?)
    }

    pub(super) fn symlink(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &*self.fd, name)?)
    }

    /// Sets what is known of the directory itself.
    pub(super) fn set(&self, mode: Option<u32>, times: Option<(i64, i64)>) -> io::Result<()> {
        set(&*self.fd, mode, times)
    }
}

/// Sets what is known of something open.
pub(super) fn set(
    fd: impl std::os::fd::AsFd,
    mode: Option<u32>,
    times: Option<(i64, i64)>,
) -> io::Result<()> {
    if let Some(mode) = mode {
        rustix::fs::fchmod(&fd, Mode::from(mode))?;
    }
    if let Some((accessed, modified)) = times {
        let at = |seconds| Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: at(accessed),
            last_modification: at(modified),
        };
        rustix::fs::futimens(&fd, &times)?;
    }
    Ok(())
}

/// Where the data at or behind `from` begins and ends; `None` where only a hole is left. On what
/// cannot tell holes, all is data.
pub(super) fn data(file: &File, from: u64, end: u64) -> io::Result<Option<(u64, u64)>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{SeekFrom, seek};
        let start = match seek(file, SeekFrom::Data(from)) {
            Ok(start) => start,
            // Behind the last data.
            Err(Errno::NXIO) => return Ok(None),
            Err(_) => return Ok(Some((from, end))),
        };
        let hole = seek(file, SeekFrom::Hole(start)).unwrap_or(end);
        Ok((start < end).then_some((start, hole.min(end))))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        Ok((from < end).then_some((from, end)))
    }
}
