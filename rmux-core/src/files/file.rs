//! An open file: reads ahead, writes behind, seeks.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use rmux_proto::sftp::{Attributes, Extension, FileType, OpenFlags};
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::behind::{Writing, closed};
use super::failure::Tried;
use super::read::Reading;
use super::replace::{Begun, Replace, Target};
use super::{Files, Metadata, WriteOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::sftp::{Answer, Client, Failed, Handle};

/// What the first read asks for at least; each that goes on where the one before ended asks for
/// twice as much.
const FIRST_READ: usize = 32 << 10;

/// How a file is opened, as with `std::fs::OpenOptions`. Default: not at all; set one of
/// [`read`](Self::read), [`write`](Self::write) and [`append`](Self::append).
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    flags: OpenFlags,
    mode: Option<u32>,
}

impl OpenOptions {
    /// Nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// For reading.
    pub fn read(self) -> Self {
        self.with(OpenFlags::READ)
    }

    /// For writing.
    pub fn write(self) -> Self {
        self.with(OpenFlags::WRITE)
    }

    /// For writing at the end, whatever the position is.
    pub fn append(self) -> Self {
        self.with(OpenFlags::WRITE | OpenFlags::APPEND)
    }

    /// Makes it where there is none.
    pub fn create(self) -> Self {
        self.with(OpenFlags::CREATE)
    }

    /// Makes it, and fails where there is one.
    pub fn create_new(self) -> Self {
        self.with(OpenFlags::CREATE | OpenFlags::EXCLUSIVE)
    }

    /// Empties it.
    pub fn truncate(self) -> Self {
        self.with(OpenFlags::TRUNCATE)
    }

    /// The permission bits of a new file, of which the umask takes its part. Default: 0666.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode & 0o7777);
        self
    }

    fn with(mut self, flags: OpenFlags) -> Self {
        self.flags = self.flags | flags;
        self
    }
}

impl Files {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], [`ErrorKind::IsADirectory`],
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::LimitExceeded`] where the server lets no more
    /// files be open, and those of the session.
    ///
    /// # Cancel safety
    /// Cancel safe: the file is closed. Whether it was made or emptied is unknown.
    pub async fn open(&self, path: impl AsRef<[u8]>, options: &OpenOptions) -> Result<File> {
        let (client, path) = self.locate("open", path.as_ref()).await?;
        let tried = self.tried("open", &path);
        let flags = options.flags;
        if !flags.has(OpenFlags::READ) && !flags.has(OpenFlags::WRITE) {
            let what = "say whether it is opened for reading or for writing";
            return Err(tried.error(ErrorKind::InvalidInput, what));
        }
        let attributes = super::write::permissions(options.mode.unwrap_or(0o666));
        let attributes = match flags.has(OpenFlags::CREATE) {
            true => attributes,
            false => Attributes::default(),
        };
        let opening = client.open_file(&path, flags, attributes);
        // Servers open directories for reading, and fail when they are read. Asked together: the
        // answer costs no round trip.
        let known = (!flags.has(OpenFlags::WRITE)).then(|| client.stat(&path));
        match opening.await {
            Ok(handle) => {
                if let Some(known) = known
                    && let Ok(known) = known.await
                    && known.file_type() == Some(FileType::Directory)
                {
                    return Err(tried.is_directory());
                }
                let appends = flags.has(OpenFlags::APPEND);
                let handle = Arc::new(handle);
                Ok(File::new(self.clone(), client, handle, path, appends))
            }
            Err(failed) if flags.has(OpenFlags::EXCLUSIVE) => {
                Err(tried.not_made(&client, failed).await)
            }
            Err(failed) => Err(tried.not_opened(&client, failed).await),
        }
    }
}

impl Files {
    /// Makes a file that has its name when it is [closed](File::close): what was there under that name
    /// stays until then, and is replaced in one step, as [`write`](Self::write) does. Dropping it without
    /// closing it removes it.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`ErrorKind::Unsupported`] with [`WriteOptions::in_place`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is left.
    pub async fn create(&self, path: impl AsRef<[u8]>, options: &WriteOptions) -> Result<File> {
        let (client, path) = self.locate("write", path.as_ref()).await?;
        let tried = self.tried("write", &path);
        if options.is_in_place() {
            let what = "a file that is written in place is opened";
            return Err(tried.error(ErrorKind::Unsupported, what));
        }
        let target = Target::find(&client, tried, options.create_new).await?;
        let tried = self.tried("write", &target.path);
        let begun = Replace::begin(&client, &target, tried, options).await?;
        let begun = begun.leave();
        let handle = Arc::clone(begun.handle());
        let mut file = File::new(self.clone(), client, handle, target.path, false);
        file.begun = Some(begun);
        Ok(file)
    }
}

/// An open file of the remote.
///
/// Reads ask ahead while they go on in order. Writes are taken into memory and sent while the caller
/// goes on; an error of an earlier write is reported by a later one, by
/// [flushing](tokio::io::AsyncWriteExt::flush) or by [`close`](Self::close). What a write accepted is
/// sent even if this is dropped, which closes the file without waiting. It keeps its session open.
#[derive(Debug)]
pub struct File {
    /// Before the session that `files` keeps open: it has something to say when it is dropped.
    writing: Writing,
    reading: Option<Ahead>,
    position: u64,
    seeking: Option<Seeking>,
    path: Vec<u8>,
    /// What gives it its name when it is closed.
    begun: Option<Begun>,
    files: Files,
}

impl File {
    pub(super) fn new(
        files: Files,
        client: Client,
        handle: Arc<Handle>,
        path: Vec<u8>,
        appends: bool,
    ) -> Self {
        Self {
            writing: Writing::new(client, handle, appends),
            reading: None,
            position: 0,
            seeking: None,
            path,
            begun: None,
            files,
        }
    }

    /// Where the next read or write begins; one of a file that was opened for appending writes at its
    /// end all the same.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What is known of it.
    ///
    /// # Errors
    /// Those of the session.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn metadata(&self) -> Result<Metadata> {
        let known = self.writing.client.fstat(self.writing.handle()?).await;
        let tried = self.files.tried("stat", &self.path);
        Ok(Metadata::new(known.map_err(|failed| tried.failed(failed))?))
    }

    /// Cuts it off behind this length, or fills it up with zeros.
    ///
    /// # Errors
    /// As [`Files::write`].
    ///
    /// # Cancel safety
    /// Whether it was done is unknown.
    pub async fn set_len(&mut self, length: u64) -> Result<()> {
        self.settle().await?;
        self.reading = None;
        let size = Attributes {
            size: Some(length),
            ..Attributes::default()
        };
        let handle = self.writing.handle()?;
        let set = self
            .writing
            .client
            .set_handle_attributes(handle, size)
            .await;
        set.map_err(|failed| self.files.tried("set length", &self.path).failed(failed))
    }

    /// Waits until all that was written is on the server's disk.
    ///
    /// # Errors
    /// As [`Files::write`], and [`ErrorKind::Unsupported`] where the server cannot.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn sync_all(&mut self) -> Result<()> {
        self.settle().await?;
        let handle = self.writing.handle()?;
        match self.writing.client.has(Extension::Fsync) {
            true => {
                let synced = self.writing.client.sync(handle).await;
                synced.map_err(|failed| self.files.tried("sync", &self.path).failed(failed))
            }
            false => {
                let what = "the server cannot tell when it is on its disk";
                let tried = self.files.tried("sync", &self.path);
                Err(tried.error(ErrorKind::Unsupported, what))
            }
        }
    }

    /// Waits for what was written, and closes the file. One of [`Files::create`] has its name then.
    ///
    /// # Errors
    /// As [`Files::write`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the file without waiting. One of [`Files::create`] has its name then,
    /// or is removed.
    pub async fn close(mut self) -> Result<()> {
        self.settle().await?;
        self.reading = None;
        if let Some(begun) = self.begun.take() {
            drop(self.writing.handle.take());
            return begun.finish(&self.files).await;
        }
        match self.writing.handle.take().and_then(Arc::into_inner) {
            Some(handle) => {
                let closed = handle.close().await;
                closed.map_err(|failed| self.files.tried("close", &self.path).failed(failed))
            }
            None => Ok(()),
        }
    }

    /// Waits for what was written, and gives its error with what is known about it.
    async fn settle(&mut self) -> Result<()> {
        match self.flush().await {
            Ok(()) => Ok(()),
            Err(error) => Err(match self.writing.failed.take() {
                Some(failed) => self.explained(failed).await,
                None => Error::io("write", "cannot write", error),
            }),
        }
    }

    async fn explained(&self, failed: Failed) -> Error {
        let tried = self.files.tried("write", &self.path);
        if failed.is_missing() {
            return not_open_for(tried);
        }
        match self.writing.handle() {
            Ok(handle) => {
                let client = &self.writing.client;
                tried.handle_unwritten(client, handle, failed).await
            }
            Err(error) => error,
        }
    }

    fn io(&self, operation: &'static str, failed: Failed) -> io::Error {
        let tried = self.files.tried(operation, &self.path);
        match failed.is_missing() {
            true => not_open_for(tried),
            false => tried.failed(failed),
        }
        .into()
    }
}

/// What OpenSSH means when it says of an open file that there is none.
fn not_open_for(tried: Tried<'_>) -> Error {
    tried.error(ErrorKind::Io, "the file was not opened for that")
}

/// What was asked for ahead, and what of it has come.
struct Ahead {
    reading: Reading,
    pieces: std::collections::VecDeque<Bytes>,
    /// How many bytes may be under way.
    window: usize,
}

impl std::fmt::Debug for Ahead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ahead")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // What was written has to be there to be read.
        if let Err(failed) = std::task::ready!(this.writing.poll_drain(context)) {
            return Poll::Ready(Err(this.io("write", failed)));
        }
        let client = &this.writing.client;
        let handle = match &this.writing.handle {
            Some(handle) => handle,
            None => return Poll::Ready(Err(closed().into())),
        };
        let position = this.position;
        let ahead = this.reading.get_or_insert_with(|| Ahead {
            reading: Reading::new(client, handle, position..u64::MAX),
            pieces: std::collections::VecDeque::new(),
            window: buffer.remaining().max(FIRST_READ).min(client.under_way()),
        });
        if ahead.pieces.is_empty() {
            let read = std::task::ready!(ahead.reading.poll_next(ahead.window, context));
            match read {
                Ok(Some(pieces)) => {
                    ahead.window = (2 * ahead.window).min(client.under_way());
                    ahead.pieces.extend(pieces);
                }
                Ok(None) => {
                    // The file may grow: the next read asks anew.
                    this.reading = None;
                    return Poll::Ready(Ok(()));
                }
                Err(failed) => {
                    this.reading = None;
                    return Poll::Ready(Err(this.io("read", failed)));
                }
            }
        }
        while let Some(piece) = ahead.pieces.front_mut() {
            let length = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..length]);
            piece.advance(length);
            this.position += length as u64;
            if !piece.is_empty() {
                break;
            }
            ahead.pieces.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.reading = None;
        let writing = &mut this.writing;
        if writing.handle.is_none() {
            return Poll::Ready(Err(closed().into()));
        }
        let most = writing.client.under_way();
        if let Err(failed) = std::task::ready!(writing.poll_below(most, context)) {
            return Poll::Ready(Err(this.io("write", failed)));
        }
        if writing.buffer.is_empty() && !(writing.appends && writing.offset > 0) {
            writing.offset = this.position;
        }
        let longest = writing.client.write_length() as usize;
        let length = data.len().min(longest.saturating_sub(writing.buffer.len()));
        writing.buffer.extend_from_slice(&data[..length]);
        if writing.buffer.len() >= longest {
            writing.send();
        }
        this.position += length as u64;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let drained = std::task::ready!(this.writing.poll_drain(context));
        Poll::Ready(drained.map_err(|failed| this.io("write", failed)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

/// A seek that has to learn the file's length first.
struct Seeking {
    answer: Option<Answer<Attributes>>,
    from: SeekFrom,
}

impl std::fmt::Debug for Seeking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.from.fmt(f)
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, from: SeekFrom) -> io::Result<()> {
        self.get_mut().seeking = Some(Seeking { answer: None, from });
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        let Some(seeking) = &mut this.seeking else {
            return Poll::Ready(Ok(this.position));
        };
        if let Err(failed) = std::task::ready!(this.writing.poll_drain(context)) {
            this.seeking = None;
            return Poll::Ready(Err(this.io("write", failed)));
        }
        let target = match seeking.from {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => this.position.checked_add_signed(by),
            SeekFrom::End(by) => {
                let Some(handle) = &this.writing.handle else {
                    return Poll::Ready(Err(closed().into()));
                };
                let client = &this.writing.client;
                let answer = seeking.answer.get_or_insert_with(|| client.fstat(handle));
                match std::task::ready!(Pin::new(answer).poll(context)) {
                    Ok(known) => known.size.unwrap_or(0).checked_add_signed(by),
                    Err(failed) => {
                        this.seeking = None;
                        return Poll::Ready(Err(this.io("seek", failed)));
                    }
                }
            }
        };
        this.seeking = None;
        let Some(target) = target else {
            let what = "a position before the start of a file";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, what)));
        };
        if target != this.position {
            this.reading = None;
            this.position = target;
        }
        Poll::Ready(Ok(target))
    }
}
