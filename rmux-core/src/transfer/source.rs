//! Where a transfer takes from: a path of either side.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rmux_proto::sftp::{Attributes, FileType, OpenFlags};

use super::event::TransferPath;
use super::known::Known;
use super::local::{self, blocking, failure};
use super::stripes::Further;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{Files, Listing, Reading, RemotePath};
use crate::sftp::{Client, Handle};

/// How much of a local file is read at a time.
const PIECE: u64 = 1 << 20;

/// The remote side: its channel stays for as long as this is there.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) files: Files,
    pub(super) client: Client,
    /// Opened where they are worth it.
    pub(super) further: Further,
}

impl Remote {
    pub(super) async fn open(files: &Files) -> Result<Self> {
        Ok(Self {
            client: files.client().await?,
            files: files.clone(),
            further: Further::default(),
        })
    }
}

/// A path of either side.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Local(PathBuf),
    Remote(Remote, RemotePath),
}

impl Source {
    /// The path to tell.
    pub(super) fn path(&self) -> TransferPath {
        match self {
            Self::Local(path) => TransferPath::Local(path.clone()),
            Self::Remote(_, path) => TransferPath::Remote(path.clone()),
        }
    }

    pub(super) fn child(&self, name: &[u8]) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(OsStr::from_bytes(name))),
            Self::Remote(remote, path) => Self::Remote(remote.clone(), path.join(name)),
        }
    }

    /// How many files may be open at once on this side.
    pub(super) fn most_open(&self) -> u64 {
        match self {
            Self::Local(_) => local::most_open(),
            Self::Remote(remote, _) => remote.client.most_handles(),
        }
    }

    /// The same with `~` in place.
    pub(super) async fn located(self) -> Result<Self> {
        match self {
            Self::Local(path) => Ok(Self::Local(path)),
            Self::Remote(remote, path) => {
                let (_, path) = remote.files.locate("read", path.as_bytes()).await?;
                Ok(Self::Remote(remote, RemotePath::new(path)))
            }
        }
    }

    /// What is known of it, behind links.
    pub(super) async fn known(&self) -> Result<Known> {
        match self {
            Self::Local(path) => {
                let there = path.clone();
                let found = blocking(move || std::fs::metadata(there)).await;
                Ok(found.map_err(|error| failure("read", path, error))?.into())
            }
            Self::Remote(remote, path) => {
                let found = remote.client.stat(path.as_bytes()).await;
                let tried = remote.files.tried("read", path.as_bytes());
                Ok(found.map_err(|failed| tried.failed(failed))?.into())
            }
        }
    }

    /// The names in a directory, each once, with what is known of them: of links themselves.
    pub(super) async fn list(&self) -> Result<Vec<(Vec<u8>, Known)>> {
        match self {
            Self::Local(path) => {
                let there = path.clone();
                let names = blocking(move || list(&there)).await;
                names.map_err(|error| failure("list", path, error))
            }
            Self::Remote(remote, path) => {
                let tried = remote.files.tried("list", path.as_bytes());
                let handle = match remote.client.open_directory(path.as_bytes()).await {
                    Ok(handle) => handle,
                    Err(failed) => return Err(tried.not_listed(&remote.client, failed).await),
                };
                let mut listing = Listing::new(&remote.client, handle);
                let (mut names, mut seen) = (Vec::new(), HashSet::new());
                while let Some((name, attributes)) = listing.next(tried).await? {
                    // Two of one name would be written to one place at once.
                    if seen.insert(name.clone()) {
                        names.push((name, Known::from(attributes)));
                    }
                }
                Ok(names)
            }
        }
    }

    /// What a link says.
    pub(super) async fn link(&self) -> Result<Vec<u8>> {
        let target = match self {
            Self::Local(path) => {
                let there = path.clone();
                let target = blocking(move || std::fs::read_link(there)).await;
                let target = target.map_err(|error| failure("read link", path, error))?;
                target.into_os_string().as_bytes().to_vec()
            }
            Self::Remote(remote, path) => {
                let target = remote.client.read_link(path.as_bytes()).await;
                let tried = remote.files.tried("read link", path.as_bytes());
                target.map_err(|failed| tried.failed(failed))?.to_vec()
            }
        };
        if target.is_empty() || target.contains(&0) {
            let what = "the link points to nothing that has a name";
            return Err(Error::new(ErrorKind::ProtocolViolation, "read link", what));
        }
        Ok(target)
    }

    /// The path without links, as bytes.
    pub(super) async fn real(&self) -> Result<Vec<u8>> {
        match self {
            Self::Local(path) => {
                let there = path.clone();
                let real = blocking(move || std::fs::canonicalize(there)).await;
                let real = real.map_err(|error| failure("read", path, error))?;
                Ok(real.into_os_string().as_bytes().to_vec())
            }
            Self::Remote(remote, path) => {
                let real = remote.client.real_path(path.as_bytes()).await;
                let tried = remote.files.tried("read", path.as_bytes());
                Ok(real.map_err(|failed| tried.failed(failed))?.to_vec())
            }
        }
    }

    /// Opens a file of which this was known.
    pub(super) async fn open(&self, listed: &Known) -> Result<Reader> {
        match self {
            Self::Local(path) => {
                let there = path.clone();
                let opened = blocking(move || open(&there)).await;
                let (file, known) = opened.map_err(|error| failure("read", path, error))?;
                require_file(known.kind, path)?;
                Ok(Reader {
                    end: end_of(&known),
                    known,
                    offset: 0,
                    from: From::Local(Arc::new(file), path.clone()),
                })
            }
            Self::Remote(remote, path) => {
                let client = &remote.client;
                let tried = remote.files.tried("read", path.as_bytes());
                let opening =
                    client.open_file(path.as_bytes(), OpenFlags::READ, Attributes::default());
                let handle = match opening.await {
                    Ok(handle) => Arc::new(handle),
                    Err(failed) => return Err(tried.not_opened(client, failed).await),
                };
                let known = client.fstat(&handle);
                // On its way before it is known whether the file still is as it was listed.
                let mut reading = Reading::new(client, &handle, 0..end_of(listed));
                reading.ask(client.under_way());
                let mut known: Known = known.await.map_err(|failed| tried.failed(failed))?.into();
                if known.kind == Some(FileType::Directory) {
                    return Err(tried.is_directory());
                }
                known.mode = known.mode.or(listed.mode);
                let end = end_of(&known);
                if end != end_of(listed) {
                    reading = Reading::new(client, &handle, 0..end);
                }
                Ok(Reader {
                    end,
                    known,
                    offset: 0,
                    from: From::Remote {
                        remote: remote.clone(),
                        path: path.clone(),
                        handle,
                        reading,
                    },
                })
            }
        }
    }
}

/// Where reading ends. A length of 0 may be none at all, as in `/proc`.
fn end_of(known: &Known) -> u64 {
    match known.size {
        0 => u64::MAX,
        size => size,
    }
}

fn open(path: &Path) -> io::Result<(File, Known)> {
    // A pipe that took the place of a file must not hold us up.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut options = File::options();
    let file = options.read(true).custom_flags(flags).open(path)?;
    let known = file.metadata()?.into();
    Ok((file, known))
}

fn require_file(kind: Option<FileType>, path: &Path) -> Result<()> {
    match kind {
        Some(FileType::File) => Ok(()),
        Some(FileType::Directory) => {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            Err(failure("read", path, error))
        }
        _ => {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
            Err(failure("read", path, error))
        }
    }
}

fn list(path: &Path) -> io::Result<Vec<(Vec<u8>, Known)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // What is gone by now was never there.
        if let Ok(metadata) = entry.metadata() {
            names.push((entry.file_name().as_bytes().to_vec(), metadata.into()));
        }
    }
    Ok(names)
}

/// An open file that is read in order.
pub(super) struct Reader {
    pub(super) known: Known,
    /// Where the next piece begins.
    offset: u64,
    end: u64,
    from: From,
}

enum From {
    Local(Arc<File>, PathBuf),
    Remote {
        remote: Remote,
        path: RemotePath,
        handle: Arc<Handle>,
        reading: Reading,
    },
}

impl Reader {
    /// How long the file is, where that is known beforehand.
    pub(super) fn length(&self) -> Option<u64> {
        (self.end < u64::MAX).then_some(self.end)
    }

    /// Goes on at this place.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
        if let From::Remote {
            remote,
            handle,
            reading,
            ..
        } = &mut self.from
        {
            *reading = Reading::new(&remote.client, handle, offset..self.end);
        }
    }

    /// The next pieces and where they belong: holes are passed over. `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Vec<Bytes>)>> {
        let start = self.offset;
        match &mut self.from {
            From::Local(file, path) => {
                let (file, end) = (Arc::clone(file), self.end);
                let read = blocking(move || read(&file, start, end)).await;
                let (at, piece) = read.map_err(|error| failure("read", path, error))?;
                self.offset = at + piece.len() as u64;
                Ok((!piece.is_empty()).then(|| (at, vec![piece])))
            }
            From::Remote {
                remote,
                path,
                reading,
                ..
            } => {
                let read = reading.next(remote.client.under_way()).await;
                let tried = remote.files.tried("read", path.as_bytes());
                let pieces = read.map_err(|failed| tried.failed(failed))?;
                Ok(pieces.map(|pieces| {
                    self.offset += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
                    (start, pieces)
                }))
            }
        }
    }

    /// Where reading is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What the SHA-256 of its first bytes can be had from.
    pub(super) fn digested(&self) -> super::digest::Of<'_> {
        match &self.from {
            From::Local(file, path) => super::digest::Of::Local(file, path),
            From::Remote {
                remote,
                path,
                handle,
                ..
            } => super::digest::Of::Remote {
                remote,
                path: path.as_bytes(),
                handle,
            },
        }
    }
}

/// The next data of a file, and where it begins; nothing at the end. A hole that reaches the end is
/// left out: the place is then where the data before it ended.
fn read(file: &File, from: u64, end: u64) -> io::Result<(u64, Bytes)> {
    let (start, data_end) = match end {
        u64::MAX => (from, from.saturating_add(PIECE)),
        end => match local::data(file, from, end)? {
            Some(found) => found,
            None => return Ok((at_end(file, end)?, Bytes::new())),
        },
    };
    let mut piece = BytesMut::zeroed((data_end - start).min(PIECE) as usize);
    let mut length = 0;
    while length < piece.len() {
        match file.read_at(&mut piece[length..], start + length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(length);
    Ok((start, piece.freeze()))
}

/// Where a file ends that was to end there: before it, if it was cut meanwhile.
fn at_end(file: &File, end: u64) -> io::Result<u64> {
    Ok(file.metadata()?.len().min(end))
}
