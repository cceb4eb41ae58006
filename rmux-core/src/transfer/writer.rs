//! A file that is being written at the target, under another name until it is whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rmux_proto::sftp::Attributes;
use rustix::fs::{FlockOperation, Gid, Uid};
use sha2::{Digest as _, Sha256};

use super::digest::Of;
use super::known::Known;
use super::local::{self, Directory, blocking, failure};
use super::source::Remote;
use super::stripes::Stripes;
use super::target::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{Replace, Target, Tried, WriteOptions};
use crate::sftp::Failed;

/// Zeros in such stretches are not written where nothing is: they become a hole, if the file system
/// has any.
const HOLE: usize = 16 << 10;
static ZEROS: [u8; HOLE] = [0; HOLE];

/// How much of a file may be under way over all channels.
const MOST_UNDER_WAY: usize = 16 << 20;

/// How a file is to be in the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// The mode of a new file, of which the umask takes its part.
    pub(super) new_mode: u32,
    /// What was there.
    pub(super) old: Option<Known>,
    /// Mode and times to set whatever was there.
    pub(super) mode: Option<u32>,
    pub(super) times: Option<Known>,
    pub(super) sync: bool,
    /// Only to a free name.
    pub(super) is_new: bool,
    /// Somebody may want to go on with it.
    pub(super) lasts: bool,
    /// How long it will be, as far as that is known.
    pub(super) length: u64,
}

/// The name of what somebody may want to go on with: short, whatever the file's own name is.
fn lasting(name: &[u8]) -> String {
    let sum: [u8; 32] = Sha256::digest(name).into();
    let begin = u64::from_be_bytes([
        sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7],
    ]);
    format!(".rmux-{begin:016x}.part")
}

/// A file that is being written.
pub(super) enum Writer<'a> {
    Local(LocalWriter),
    Remote(RemoteWriter<'a>),
}

impl<'a> Writer<'a> {
    pub(super) async fn begin(place: &'a Place, wanted: &Wanted) -> Result<Self> {
        match place {
            Place::Local(directory, name) => {
                let (there, of, wanted) = (directory.clone(), name.clone(), wanted.clone());
                let begun = blocking(move || LocalWriter::begin(there, of, wanted)).await;
                let path = || directory.path_of(name);
                let begun = begun.map_err(|error| failure("write", &path(), error))?;
                Ok(Self::Local(begun))
            }
            Place::Remote(remote, path) => {
                let tried = remote.files.tried("write", path.as_bytes());
                RemoteWriter::begin(remote, tried, wanted)
                    .await
                    .map(Self::Remote)
            }
        }
    }

    /// How much of it is there already.
    pub(super) async fn length(&mut self) -> Result<u64> {
        match self {
            Self::Local(writer) => {
                let file = Arc::clone(&writer.file);
                let length = blocking(move || Ok(file.metadata()?.len())).await;
                length.map_err(|error| writer.failure(error))
            }
            Self::Remote(writer) => {
                let known = writer.remote.client.fstat(writer.replace.handle()).await;
                let known = known.map_err(|failed| writer.tried.failed(failed))?;
                Ok(known.size.unwrap_or(0))
            }
        }
    }

    /// What was there is the beginning: writing goes on behind it.
    pub(super) fn keep(&mut self, length: u64) {
        if let Self::Remote(writer) = self {
            writer.end = length;
        }
    }

    /// Forgets what is in it.
    pub(super) async fn empty(&mut self) -> Result<()> {
        match self {
            Self::Local(writer) => {
                let file = Arc::clone(&writer.file);
                let emptied = blocking(move || file.set_len(0)).await;
                emptied.map_err(|error| writer.failure(error))
            }
            Self::Remote(writer) => {
                let size = Attributes {
                    size: Some(0),
                    ..Attributes::default()
                };
                let client = &writer.remote.client;
                let emptied = client.set_handle_attributes(writer.replace.handle(), size);
                let emptied = emptied.await;
                emptied.map_err(|failed| writer.tried.failed(failed))
            }
        }
    }

    /// Writes pieces one behind the other, from `offset` on. They may still be under way when it
    /// returns.
    pub(super) async fn write(&mut self, offset: u64, pieces: Vec<Bytes>) -> Result<(), Failed> {
        match self {
            Self::Local(writer) => {
                let file = Arc::clone(&writer.file);
                let written = blocking(move || write(&file, offset, &pieces)).await;
                written.map_err(|error| writer.failure(error).into())
            }
            Self::Remote(writer) => writer.write(offset, pieces).await,
        }
    }

    /// Waits until all that was written is there.
    pub(super) async fn settle(&mut self) -> Result<(), Failed> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Remote(writer) => writer.settle().await,
        }
    }

    /// Makes it this long, with zeros at its end.
    pub(super) async fn lengthen(&mut self, length: u64) -> Result<(), Failed> {
        match self {
            Self::Local(writer) => {
                let file = Arc::clone(&writer.file);
                let set = blocking(move || file.set_len(length)).await;
                set.map_err(|error| writer.failure(error).into())
            }
            Self::Remote(writer) if writer.end != length => {
                let size = Attributes {
                    size: Some(length),
                    ..Attributes::default()
                };
                writer.end = length;
                let client = &writer.remote.client;
                let handle = writer.replace.handle();
                client.set_handle_attributes(handle, size).await
            }
            Self::Remote(_) => Ok(()),
        }
    }

    /// What the SHA-256 of it can be had from, once it has settled.
    pub(super) fn digested(&self) -> Of<'_> {
        match self {
            Self::Local(writer) => Of::Local(&writer.file, writer.directory.path()),
            Self::Remote(writer) => Of::Remote {
                remote: writer.remote,
                path: writer.replace.path(),
                handle: writer.replace.handle(),
            },
        }
    }

    /// Makes it this long, gives it what was wanted, and its name, if it was written.
    pub(super) async fn finish(self, written: Result<(), Failed>, length: u64) -> Result<()> {
        match self {
            Self::Local(mut writer) => {
                match written {
                    Err(Failed::Error(error)) => return Err(error),
                    // Of the side that is read: a local file has no server that could say so.
                    Err(Failed::Status(status)) => {
                        let what = format!("the server reports a failure: {:?}", status.code);
                        return Err(Error::new(ErrorKind::Io, "write", what));
                    }
                    Ok(()) => {}
                }
                let path = writer.directory.path_of(&writer.name);
                let finished = blocking(move || writer.finish(length)).await;
                finished.map_err(|error| failure("write", &path, error))
            }
            Self::Remote(writer) => writer.finish(written, length).await,
        }
    }
}

/// A file of the local disk. It is removed if it is dropped before it has its name, unless it lasts.
pub(super) struct LocalWriter {
    directory: Directory,
    name: Vec<u8>,
    temporary: Vec<u8>,
    file: Arc<File>,
    wanted: Wanted,
    is_placed: bool,
}

impl LocalWriter {
    fn begin(directory: Directory, name: Vec<u8>, wanted: Wanted) -> io::Result<Self> {
        let old_mode = wanted.old.as_ref().and_then(|old| old.mode);
        // Never more than it will be in the end: somebody may open it meanwhile.
        let mode = wanted.mode.or(old_mode).unwrap_or(wanted.new_mode);
        let (temporary, file) = if wanted.lasts {
            let temporary = lasting(&name).into_bytes();
            let file = directory.open_or_create(&temporary, mode | 0o600)?;
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                let what = "another transfer is writing to it";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
            (temporary, file)
        } else {
            let temporary = format!(".rmux-{:016x}.tmp", rand::random::<u64>()).into_bytes();
            let file = directory.create(&temporary, mode | 0o600)?;
            (temporary, file)
        };
        Ok(Self {
            directory,
            name,
            temporary,
            file: Arc::new(file),
            wanted,
            is_placed: false,
        })
    }

    fn failure(&self, error: io::Error) -> Error {
        failure("write", &self.directory.path_of(&self.name), error)
    }

    fn finish(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        let mut mode = self.wanted.mode;
        if let Some(old) = &self.wanted.old {
            let kept = self.take_owner(old)?;
            mode = mode.or(kept);
        } else if mode.is_none() && self.wanted.new_mode & 0o600 != 0o600 {
            // What was added so that it can be gone on with.
            let now = self.file.metadata()?.mode();
            mode = Some(now & self.wanted.new_mode & 0o777);
        }
        let times = self.wanted.times.as_ref().and_then(|known| known.times);
        local::set(&self.file, mode, times)?;
        if self.wanted.sync {
            self.file.sync_all()?;
        }
        let is_new = self.wanted.is_new;
        self.directory.rename(&self.temporary, &self.name, is_new)?;
        self.is_placed = true;
        Ok(())
    }

    /// Makes the owner that of the old file, as far as this account may; gives the mode to keep.
    fn take_owner(&self, old: &Known) -> io::Result<Option<u32>> {
        let (Some((user, group)), Some(mut mode)) = (old.identity, old.mode) else {
            return Ok(old.mode);
        };
        let own = self.file.metadata()?;
        if (user, group) != (own.uid().into(), own.gid().into()) {
            let id = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            let owner = (Uid::from_raw(id(user)), Gid::from_raw(id(group)));
            let is_whole = rustix::fs::fchown(&self.file, Some(owner.0), Some(owner.1)).is_ok();
            let has_group = is_whole || rustix::fs::fchown(&self.file, None, Some(owner.1)).is_ok();
            if !has_group {
                // Another group than was meant gets no more than everybody.
                mode = (mode & !0o070) | ((mode & 0o007) << 3);
            }
        }
        Ok(Some(mode))
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if !self.is_placed && !self.wanted.lasts {
            let _ = self.directory.remove(&self.temporary);
        }
    }
}

/// Writes, but leaves holes for long stretches of zeros: behind what is there, they read as such.
fn write(file: &File, mut offset: u64, pieces: &[Bytes]) -> io::Result<()> {
    for piece in pieces {
        let mut begun = 0;
        for (number, stretch) in piece.chunks(HOLE).enumerate() {
            let hole = number * HOLE;
            // Pieces that are zeros all over are holes however short they are.
            let is_long = stretch.len() == HOLE || begun == hole;
            if is_long && *stretch == ZEROS[..stretch.len()] {
                file.write_all_at(&piece[begun..hole], offset + begun as u64)?;
                begun = hole + stretch.len();
            }
        }
        file.write_all_at(&piece[begun..], offset + begun as u64)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

/// A file of a session's host.
pub(super) struct RemoteWriter<'a> {
    remote: &'a Remote,
    tried: Tried<'a>,
    replace: Replace<'a>,
    /// The writes under way: over which channel, as [`RemoteWriter::room`] counts them, and how long.
    under_way: FuturesUnordered<BoxFuture<'static, Result<(usize, usize), Failed>>>,
    /// How much is under way over the first channel.
    bytes: usize,
    stripes: Stripes,
    /// Where what was written ends.
    end: u64,
    attributes: Attributes,
    /// The mode, where more was given at first so that it can be gone on with.
    added: Option<u32>,
}

impl<'a> RemoteWriter<'a> {
    async fn begin(remote: &'a Remote, tried: Tried<'a>, wanted: &Wanted) -> Result<Self> {
        let target = Target {
            path: tried.path.to_vec(),
            known: wanted.old.as_ref().and_then(|old| old.attributes.clone()),
        };
        let more = if wanted.lasts { 0o600 } else { 0 };
        let mut options = WriteOptions::new().new_file_mode(wanted.new_mode | more);
        if !wanted.sync {
            options = options.no_sync();
        }
        if wanted.is_new {
            options = options.create_new();
        }
        let name = crate::files::RemotePath::new(tried.path);
        let name = wanted
            .lasts
            .then(|| lasting(name.file_name().unwrap_or_default()));
        let begun = Replace::begin_as(&remote.client, &target, tried, &options, name.as_deref());
        let replace = begun.await?.removing();
        // What somebody goes on with is whole up to its end, so it is written in order.
        let striped = if wanted.lasts { 0 } else { wanted.length };
        let session = remote.files.session();
        let path = replace.path();
        let stripes = remote
            .further
            .stripes(session, &remote.client, path, striped);
        Ok(Self {
            remote,
            tried,
            replace,
            stripes,
            under_way: FuturesUnordered::new(),
            bytes: 0,
            end: 0,
            added: (wanted.mode.is_none() && wanted.old.is_none())
                .then_some(wanted.new_mode)
                .filter(|mode| mode & more != more),
            attributes: Attributes {
                permissions: wanted.mode,
                times: wanted.times.as_ref().and_then(Known::sftp_times),
                ..Attributes::default()
            },
        })
    }

    async fn write(&mut self, mut offset: u64, pieces: Vec<Bytes>) -> Result<(), Failed> {
        for mut piece in pieces {
            while !piece.is_empty() {
                let channel = self.room().await?;
                let (client, handle) = match channel.checked_sub(1) {
                    None => (&self.remote.client, &**self.replace.handle()),
                    Some(at) => (&self.stripes.open[at].client, &self.stripes.open[at].handle),
                };
                let part = piece.split_to(piece.len().min(client.write_length() as usize));
                let length = part.len();
                let answer = client.write(handle, offset, part);
                let answer = async move { answer.await.map(|()| (channel, length)) };
                self.under_way.push(Box::pin(answer));
                offset += length as u64;
                *self.bytes_of(channel) += length;
            }
        }
        self.end = offset;
        Ok(())
    }

    fn bytes_of(&mut self, channel: usize) -> &mut usize {
        match channel.checked_sub(1) {
            None => &mut self.bytes,
            Some(at) => &mut self.stripes.open[at].bytes,
        }
    }

    /// Of the channels that may have more under way the one that has the least; the first is 0. Waits
    /// until there is one.
    async fn room(&mut self) -> Result<usize, Failed> {
        loop {
            let first = (&self.remote.client, self.bytes);
            let further = self.stripes.open.iter().map(|it| (&it.client, it.bytes));
            let all = std::iter::once(first).chain(further);
            let under_way: usize = all.clone().map(|(_, bytes)| bytes).sum();
            let with_room = all.enumerate();
            let with_room = with_room.filter(|(_, (client, bytes))| *bytes < client.under_way());
            match with_room.min_by_key(|(_, (_, bytes))| *bytes) {
                Some((channel, _)) if under_way < MOST_UNDER_WAY => return Ok(channel),
                _ => self.step().await?,
            }
        }
    }

    /// Waits until a write is done, or there is a further channel.
    async fn step(&mut self) -> Result<(), Failed> {
        tokio::select! {
            written = self.under_way.next() => {
                if let Some(written) = written {
                    let (channel, length) = written?;
                    *self.bytes_of(channel) -= length;
                }
            }
            () = self.stripes.more() => {}
        }
        Ok(())
    }

    /// Waits until nothing is under way.
    async fn settle(&mut self) -> Result<(), Failed> {
        while !self.under_way.is_empty() {
            self.step().await?;
        }
        Ok(())
    }

    /// Waits for what goes over further channels: the first one knows nothing of their order.
    async fn join_stripes(&mut self) -> Result<(), Failed> {
        if !self.stripes.open.is_empty() {
            self.settle().await?;
        }
        self.stripes.close().await
    }

    async fn finish(mut self, written: Result<(), Failed>, length: u64) -> Result<()> {
        let written = match written {
            Ok(()) => self.join_stripes().await,
            failed => failed,
        };
        if written.is_err() {
            return self.replace.finish(written).await;
        }
        if self.end != length {
            self.attributes.size = Some(length);
        }
        if let Some(mode) = self.added {
            let client = &self.remote.client;
            let known = client.fstat(self.replace.handle()).await;
            let known = known.map_err(|failed| self.tried.failed(failed))?;
            self.attributes.permissions = known.permissions.map(|now| now & mode);
        }
        let mut under_way = self.under_way;
        let writes = async move {
            while let Some(written) = under_way.next().await {
                written?;
            }
            Ok(())
        };
        self.replace.finish_behind(writes, self.attributes).await
    }
}
