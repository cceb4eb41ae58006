//! The files of a session's host: each method makes one call into core.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt as _;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rmux_core::blocking::runtime;
use rmux_core::{
    DirEntry, DiskSpace, Error, ErrorKind, FileType, Metadata, ReadDir, RemotePath, Walk,
    WriteOptions,
};
use tokio::sync::Mutex;

use crate::error::checked;
use crate::file::{File, opening};
use crate::fork::Here;
use crate::operation::Operation;
use crate::session::Session;
use crate::transfer::{self, Transfer, Transferring};

/// How many names are handed over at once.
const MOST_NAMES: usize = 1000;

/// Mode with the file's type, length, user, group, and when it was read and written, in seconds;
/// what the server does not tell is None.
pub(crate) type Stat = (
    Option<u32>,
    u64,
    Option<u32>,
    Option<u32>,
    Option<u64>,
    Option<u64>,
);

/// The files of the host that a session is with.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Files {
    /// The handle: what was given back opens no files.
    session: Py<Session>,
}

impl Files {
    pub(crate) fn new(session: Py<Session>) -> Self {
        Self { session }
    }

    /// An operation on the files.
    fn call<T, F>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(rmux_core::Files) -> F,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Operation>
    where
        T: Send + 'static,
        F: Future<Output = rmux_core::Result<T>> + Send + 'static,
    {
        checked(py, runtime())?;
        let session = self.session.get();
        let files = checked(py, session.files())?;
        Ok(Operation::new(call(files), convert).on(session.name()))
    }

    /// An operation that gives nothing back.
    fn act<F>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(rmux_core::Files) -> F,
    ) -> PyResult<Operation>
    where
        F: Future<Output = rmux_core::Result<()>> + Send + 'static,
    {
        self.call(py, call, |py, ()| Ok(py.None()))
    }

    fn listing<F>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(rmux_core::Files) -> F,
    ) -> PyResult<Operation>
    where
        F: Future<Output = rmux_core::Result<Source>> + Send + 'static,
    {
        let host = self.session.get().name().to_owned();
        self.call(py, call, |py, source| {
            let listing = Listing {
                source: Here::new(Arc::new(Mutex::new(source))),
                host,
            };
            Ok(Py::new(py, listing)?.into_any())
        })
    }
}

#[pymethods]
impl Files {
    /// The bytes from `start` to `end`, or to the end.
    fn read(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        start: u64,
        end: Option<u64>,
    ) -> PyResult<Operation> {
        let range = start..end.unwrap_or(u64::MAX);
        self.call(
            py,
            |files| async move { files.read_range(path, range).await },
            |py, contents| Ok(PyBytes::new(py, &contents).into_any().unbind()),
        )
    }

    /// Writes the whole file. `unmodified` is the length and the time of writing that it must have.
    #[pyo3(signature = (path, data, *, mode, in_place, sync, exclusive, unmodified, sha256))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn write(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        data: PyBackedBytes,
        mode: Option<u32>,
        in_place: bool,
        sync: bool,
        exclusive: bool,
        unmodified: Option<(u64, f64)>,
        sha256: Option<[u8; 32]>,
    ) -> PyResult<Operation> {
        let mut options = WriteOptions::new();
        if let Some(mode) = mode {
            options = options.mode(mode);
        }
        if in_place {
            options = options.in_place();
        }
        if !sync {
            options = options.no_sync();
        }
        if exclusive {
            options = options.create_new();
        }
        if let Some((length, modified)) = unmodified {
            options = options.if_unmodified(length, checked(py, time(modified))?);
        }
        if let Some(sum) = sha256 {
            options = options.if_sha256(sum);
        }
        let data = Bytes::from_owner(data);
        self.act(py, |files| async move {
            files.write_with(path, data, &options).await
        })
    }

    /// Writes at the end.
    fn append(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        data: PyBackedBytes,
    ) -> PyResult<Operation> {
        let data = Bytes::from_owner(data);
        self.act(py, |files| async move { files.append(path, data).await })
    }

    /// Puts one text in the place of another, which is there once.
    fn replace_text(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        old: PyBackedBytes,
        new: PyBackedBytes,
    ) -> PyResult<Operation> {
        self.act(py, |files| async move {
            files.replace_text(path, old, new).await
        })
    }

    /// What is known of a file, behind links if they are followed.
    fn stat(&self, py: Python<'_>, path: PyBackedBytes, follow: bool) -> PyResult<Operation> {
        self.call(
            py,
            |files| async move {
                match follow {
                    true => files.metadata(path).await,
                    false => files.symlink_metadata(path).await,
                }
            },
            |py, known| Ok(stat(&known).into_pyobject(py)?.into_any().unbind()),
        )
    }

    /// Whether there is something.
    fn exists(&self, py: Python<'_>, path: PyBackedBytes) -> PyResult<Operation> {
        self.call(
            py,
            |files| async move { files.exists(path).await },
            |py, exists| Ok(exists.into_pyobject(py)?.to_owned().into_any().unbind()),
        )
    }

    /// A `Listing` of a directory.
    fn list(&self, py: Python<'_>, path: PyBackedBytes) -> PyResult<Operation> {
        self.listing(py, |files| async move {
            files.read_dir(path).await.map(Source::Directory)
        })
    }

    /// A `Listing` of all below a directory.
    fn walk(&self, py: Python<'_>, path: PyBackedBytes) -> PyResult<Operation> {
        self.listing(
            py,
            |files| async move { Ok(Source::Walk(files.walk(path))) },
        )
    }

    /// A `Listing` of what is below a directory and matches a pattern.
    fn glob(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        pattern: PyBackedBytes,
    ) -> PyResult<Operation> {
        self.listing(py, |files| async move {
            files.glob(path, pattern).map(Source::Walk)
        })
    }

    /// Makes a directory, and those it is in if `parents`. One that is there already is no error if
    /// `exist_ok`.
    fn make_directory(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        parents: bool,
        exist_ok: bool,
    ) -> PyResult<Operation> {
        self.act(py, |files| async move {
            files.create_dir_with(path, parents, exist_ok).await
        })
    }

    /// Removes a file.
    fn remove(&self, py: Python<'_>, path: PyBackedBytes) -> PyResult<Operation> {
        self.act(py, |files| async move { files.remove_file(path).await })
    }

    /// Removes an empty directory, or any with all that is in it.
    fn remove_directory(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        tree: bool,
    ) -> PyResult<Operation> {
        self.act(py, |files| async move {
            match tree {
                true => files.remove_dir_all(path).await,
                false => files.remove_dir(path).await,
            }
        })
    }

    /// Renames, over what is there.
    fn rename(
        &self,
        py: Python<'_>,
        source: PyBackedBytes,
        target: PyBackedBytes,
    ) -> PyResult<Operation> {
        self.act(
            py,
            |files| async move { files.rename(source, target).await },
        )
    }

    /// Copies a file on the server.
    fn copy(
        &self,
        py: Python<'_>,
        source: PyBackedBytes,
        target: PyBackedBytes,
    ) -> PyResult<Operation> {
        self.act(py, |files| async move { files.copy(source, target).await })
    }

    /// Makes a link: a symbolic one, or a second name.
    fn link(
        &self,
        py: Python<'_>,
        target: PyBackedBytes,
        link: PyBackedBytes,
        symbolic: bool,
    ) -> PyResult<Operation> {
        self.act(py, |files| async move {
            match symbolic {
                true => files.symlink(target, link).await,
                false => files.hard_link(target, link).await,
            }
        })
    }

    /// Where a symbolic link points to.
    fn read_link(&self, py: Python<'_>, path: PyBackedBytes) -> PyResult<Operation> {
        self.call(
            py,
            |files| async move { files.read_link(path).await },
            one_path,
        )
    }

    /// The absolute path without links.
    fn resolve(&self, py: Python<'_>, path: PyBackedBytes) -> PyResult<Operation> {
        self.call(
            py,
            |files| async move { files.canonicalize(path).await },
            one_path,
        )
    }

    /// Sets the permission bits.
    fn set_mode(&self, py: Python<'_>, path: PyBackedBytes, mode: u32) -> PyResult<Operation> {
        self.act(py, |files| async move { files.set_mode(path, mode).await })
    }

    /// Sets user and group by their numbers.
    fn set_owner(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        uid: u32,
        gid: u32,
        follow: bool,
    ) -> PyResult<Operation> {
        self.act(py, |files| async move {
            match follow {
                true => files.set_owner(path, uid, gid).await,
                false => files.set_link_owner(path, uid, gid).await,
            }
        })
    }

    /// Sets when it was read and written, in seconds since 1970.
    fn set_times(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        accessed: f64,
        modified: f64,
    ) -> PyResult<Operation> {
        let accessed = checked(py, time(accessed))?;
        let modified = checked(py, time(modified))?;
        self.act(py, |files| async move {
            files.set_times(path, accessed, modified).await
        })
    }

    /// The room of a file system.
    fn disk_space(&self, py: Python<'_>, path: PyBackedBytes) -> PyResult<Operation> {
        self.call(
            py,
            |files| async move { files.disk_space(path).await },
            |py, room: DiskSpace| {
                let fields = (
                    room.total,
                    room.free,
                    room.available,
                    room.files,
                    room.files_available,
                    room.longest_name,
                    room.read_only,
                );
                Ok(fields.into_pyobject(py)?.into_any().unbind())
            },
        )
    }

    /// Begins to put something of this machine at a path.
    fn put(
        &self,
        py: Python<'_>,
        local: PyBackedBytes,
        path: PyBackedBytes,
        how: Transferring,
    ) -> PyResult<Transfer> {
        let options = checked(py, how.options())?;
        let session = self.session.get();
        let files = checked(py, session.files())?;
        Transfer::begin(py, session.name(), || {
            files.put(transfer::local(&local), &path, &options)
        })
    }

    /// Begins to get what is at a path to this machine.
    fn get(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        local: PyBackedBytes,
        how: Transferring,
    ) -> PyResult<Transfer> {
        let options = checked(py, how.options())?;
        let session = self.session.get();
        let files = checked(py, session.files())?;
        Transfer::begin(py, session.name(), || {
            files.get(&path, transfer::local(&local), &options)
        })
    }

    /// Begins to bring what is at a path to one of another host.
    fn send(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        to: &Self,
        target: PyBackedBytes,
        how: Transferring,
    ) -> PyResult<Transfer> {
        let options = checked(py, how.options())?;
        let session = self.session.get();
        let files = checked(py, session.files())?;
        let others = checked(py, to.session.get().files())?;
        Transfer::begin(py, session.name(), || {
            files.send(&path, &others, &target, &options)
        })
    }

    /// Opens a file: what it is opened for, as in C's fopen, and the mode of a new one.
    fn open(
        &self,
        py: Python<'_>,
        path: PyBackedBytes,
        how: &str,
        mode: Option<u32>,
    ) -> PyResult<Operation> {
        let mut options = checked(py, opening(how))?;
        if let Some(mode) = mode {
            options = options.mode(mode);
        }
        let host = self.session.get().name().to_owned();
        self.call(
            py,
            |files| async move { files.open(path, &options).await },
            |py, file| Ok(Py::new(py, File::new(file, host))?.into_any()),
        )
    }
}

/// What gives names.
enum Source {
    Directory(ReadDir),
    Walk(Walk),
    /// It has failed, and the names before that were taken.
    Failed(Error),
}

impl Source {
    async fn next(&mut self) -> rmux_core::Result<Option<DirEntry>> {
        match self {
            Self::Directory(names) => names.next_entry().await,
            Self::Walk(found) => found.next_entry().await,
            Self::Failed(error) => Err(error.clone()),
        }
    }
}

/// The names in a directory, or what was found below it, as they come.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Listing {
    source: Here<Arc<Mutex<Source>>>,
    host: String,
}

#[pymethods]
impl Listing {
    /// Waits for something and returns what there is, each as its path, its name and its stat;
    /// nothing at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let source = Here::new(Arc::clone(&self.source));
        let call = async move {
            let mut source = source.lock().await;
            let mut entries = Vec::new();
            while entries.len() < MOST_NAMES {
                let next = match entries.is_empty() {
                    true => source.next().await?,
                    false => match source.next().now_or_never() {
                        Some(Ok(next)) => next,
                        Some(Err(error)) => {
                            *source = Source::Failed(error);
                            break;
                        }
                        None => break,
                    },
                };
                let Some(entry) = next else {
                    break;
                };
                entries.push(entry);
            }
            Ok(entries)
        };
        let operation = Operation::new(call, |py, entries: Vec<DirEntry>| {
            let entries = entries.iter().map(|entry| {
                let path = PyBytes::new(py, entry.path().as_bytes());
                let name = PyBytes::new(py, entry.file_name());
                (path, name, stat(entry.metadata()))
            });
            let entries: Vec<_> = entries.collect();
            Ok(entries.into_pyobject(py)?.into_any().unbind())
        });
        Ok(operation.on(&self.host))
    }
}

fn one_path(py: Python<'_>, path: RemotePath) -> PyResult<Py<PyAny>> {
    Ok(PyBytes::new(py, path.as_bytes()).into_any().unbind())
}

/// What is known of a file, for Python.
pub(crate) fn stat(known: &Metadata) -> Stat {
    // As every POSIX system has them.
    let kind = known.file_type().map_or(0, |kind| match kind {
        FileType::File => 0o100_000,
        FileType::Directory => 0o040_000,
        FileType::Symlink => 0o120_000,
        FileType::Fifo => 0o010_000,
        FileType::Socket => 0o140_000,
        FileType::BlockDevice => 0o060_000,
        FileType::CharDevice => 0o020_000,
        _ => 0,
    });
    let mode = known.mode().map(|mode| mode | kind);
    let seconds = |time: Option<SystemTime>| {
        let since = time?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    };
    (
        mode,
        known.len(),
        known.uid(),
        known.gid(),
        seconds(known.accessed()),
        seconds(known.modified()),
    )
}

/// A time given in seconds since 1970.
fn time(seconds: f64) -> rmux_core::Result<SystemTime> {
    let since = Duration::try_from_secs_f64(seconds).ok();
    let time = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    time.ok_or_else(|| {
        let what = "a time is a number of seconds since 1970";
        Error::new(ErrorKind::InvalidInput, "set times", what)
    })
}
