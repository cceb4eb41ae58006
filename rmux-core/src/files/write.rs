//! Writing: whole files, in one step or in place, and at the end.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rmux_proto::sftp::{Attributes, Extension, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::failure::Tried;
use super::read::Reading;
use super::replace::{Replace, Target};
use super::{Files, Metadata};
use crate::error::{Error, ErrorKind, Result};
use crate::sftp::{Client, Failed, Handle};

/// The mode of a new file, of which the server takes away what the account's umask says.
pub(super) const NEW_FILE: u32 = 0o666;

/// How a file is written. Default: whole, in one step, over whatever file was there.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    pub(super) mode: Option<u32>,
    /// The mode of a file that was not there, before the umask.
    pub(super) new_mode: Option<u32>,
    in_place: bool,
    pub(super) no_sync: bool,
    pub(super) create_new: bool,
    /// Length and time of writing, in seconds.
    pub(super) unchanged: Option<(Option<u64>, Option<u32>)>,
    pub(super) sha256: Option<[u8; 32]>,
    /// Whether the conditions are of what was read a moment ago.
    pub(super) just_read: bool,
}

impl WriteOptions {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file's permission bits. Default: those of the file that was there, or what the account's
    /// umask leaves of 0666.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode & 0o7777);
        self
    }

    /// The mode of a file that was not there, of which the umask takes its part.
    pub(crate) fn new_file_mode(mut self, mode: u32) -> Self {
        self.new_mode = Some(mode & 0o777);
        self
    }

    /// Writes into the file itself: it keeps its hard links, extended attributes and owner for sure,
    /// but a reader may see half of it, and so may everybody when the connection is lost meanwhile.
    pub fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// For contents that were just read, with this known of the file before: they are not read again
    /// where length and time of writing can tell that nobody else wrote to it.
    pub(super) fn just_read(mut self, known: &Attributes, sum: [u8; 32]) -> Self {
        self.unchanged = Some((known.size, known.times.map(|it| it.1)));
        self.sha256 = Some(sum);
        self.just_read = true;
        self
    }

    pub(super) fn is_in_place(&self) -> bool {
        self.in_place
    }

    /// Does not wait until the server has written it to its disk.
    pub fn no_sync(mut self) -> Self {
        self.no_sync = true;
        self
    }

    /// Fails with [`ErrorKind::AlreadyExists`] where there is one.
    pub fn create_new(mut self) -> Self {
        self.create_new = true;
        self
    }

    /// Fails with [`ErrorKind::Changed`] where the file's length or time of writing are not those
    /// that were seen before, or it is gone. Looked at again right before the new file takes its
    /// place; between the two, somebody else may still be faster.
    pub fn if_unchanged(mut self, seen: &Metadata) -> Self {
        let seen = seen.attributes();
        self.unchanged = Some((seen.size, seen.times.map(|it| it.1)));
        self
    }

    /// As [`if_unchanged`](Self::if_unchanged), for a length and a time of writing that were kept
    /// apart from the rest; of the time, the whole seconds count.
    pub fn if_unmodified(mut self, len: u64, modified: SystemTime) -> Self {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH);
        // What SFTP has no word for is no file's time.
        let seconds = since.ok().and_then(|it| u32::try_from(it.as_secs()).ok());
        self.unchanged = Some((Some(len), seconds));
        self
    }

    /// Fails with [`ErrorKind::Changed`] where the SHA-256 of the file's contents is another, or it
    /// is gone. The contents are read for it, right before the new file takes its place.
    pub fn if_sha256(mut self, sum: [u8; 32]) -> Self {
        self.sha256 = Some(sum);
        self
    }
}

impl Files {
    /// Writes a whole file in one step: whoever opens it sees the old contents or the new, whatever
    /// happens meanwhile. Mode and, where the server allows it, owner stay those of the file that was
    /// there. A symbolic link stays one, and the file it points to is written. Five round trips for
    /// a small file, four for a new one.
    ///
    /// The contents are written to a temporary file beside it (`.rmux-….tmp`), on to the disk, and
    /// then take its name. Hard links, access lists and extended attributes of the old file do not
    /// follow; [`WriteOptions::in_place`] keeps them.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::NotFound`] for the directory,
    /// [`ErrorKind::IsADirectory`], [`ErrorKind::LimitExceeded`] for a full file system,
    /// [`ErrorKind::Unsupported`] where the server cannot replace a file in one step, and those of
    /// the session. If the session ends while the new file takes its place, which of the two is
    /// there cannot be known.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the old file or the new one, whole, and removes the temporary file.
    /// That is left behind only where the session ends too.
    pub async fn write(&self, path: impl AsRef<[u8]>, contents: impl Into<Bytes>) -> Result<()> {
        self.write_with(path, contents, &WriteOptions::new()).await
    }

    /// As [`write`](Self::write), as the options say.
    ///
    /// # Errors
    /// As [`write`](Self::write), and those of the conditions.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write); a file that is written in place may be left half written.
    pub async fn write_with(
        &self,
        path: impl AsRef<[u8]>,
        contents: impl Into<Bytes>,
        options: &WriteOptions,
    ) -> Result<()> {
        let (client, path) = self.locate("write", path.as_ref()).await?;
        let contents = contents.into();
        if options.in_place {
            let write = InPlace {
                client: &client,
                tried: self.tried("write", &path),
                options,
            };
            return write.run(contents).await;
        }
        let target = Target::find(&client, self.tried("write", &path), options.create_new).await?;
        let replace = Replace::begin(&client, &target, self.tried("write", &target.path), options);
        let replace = replace.await?;
        if contents.len() <= client.write_length() as usize {
            let writing = client.write(replace.handle(), 0, contents);
            return replace.finish_behind(writing, Attributes::default()).await;
        }
        let written = write_at(&client, replace.handle(), 0, contents).await;
        replace.finish(written).await
    }

    /// Writes at the end of a file, which is made where there is none.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// Dropping the future may leave a part of it written.
    pub async fn append(&self, path: impl AsRef<[u8]>, contents: impl Into<Bytes>) -> Result<()> {
        let (client, path) = self.locate("append", path.as_ref()).await?;
        let tried = self.tried("append", &path);
        let flags = OpenFlags::WRITE | OpenFlags::APPEND | OpenFlags::CREATE;
        let attributes = permissions(NEW_FILE);
        let handle = match client.open_file(&path, flags, attributes).await {
            Ok(handle) => handle,
            Err(failed) => return Err(tried.not_opened(&client, failed).await),
        };
        // Servers that heed the offset must not overwrite.
        let end = client.fstat(&handle).await;
        let end = end.ok().and_then(|it| it.size).unwrap_or(0);
        if let Err(failed) = write_at(&client, &handle, end, contents.into()).await {
            return Err(tried.handle_unwritten(&client, &handle, failed).await);
        }
        handle.close().await.map_err(|failed| tried.failed(failed))
    }
}

/// A file that is written into as it is.
struct InPlace<'a> {
    client: &'a Client,
    tried: Tried<'a>,
    options: &'a WriteOptions,
}

impl InPlace<'_> {
    async fn run(self, contents: Bytes) -> Result<()> {
        let Self {
            client,
            tried,
            options,
        } = self;
        if options.unchanged.is_some() || options.sha256.is_some() {
            let now = client.stat(tried.path).await.ok();
            check(client, tried, options, now.as_ref()).await?;
        }
        let mut flags = OpenFlags::WRITE | OpenFlags::CREATE;
        flags = flags
            | match options.create_new {
                true => OpenFlags::EXCLUSIVE,
                false => OpenFlags::TRUNCATE,
            };
        let mode = permissions(options.mode.unwrap_or(NEW_FILE));
        let handle = match client.open_file(tried.path, flags, mode).await {
            Ok(handle) => handle,
            Err(failed) if options.create_new => {
                return Err(tried.not_made(client, failed).await);
            }
            Err(failed) => return Err(tried.not_opened(client, failed).await),
        };
        let mut done = write_at(client, &handle, 0, contents).await;
        if let (Ok(()), Some(mode)) = (&done, options.mode) {
            done = client
                .set_handle_attributes(&handle, permissions(mode))
                .await;
        }
        if done.is_ok() && !options.no_sync && client.has(Extension::Fsync) {
            done = client.sync(&handle).await;
        }
        if let Err(failed) = done {
            return Err(tried.handle_unwritten(client, &handle, failed).await);
        }
        handle.close().await.map_err(|failed| tried.failed(failed))
    }
}

/// Whether what is there now is what the options want there.
pub(super) async fn check(
    client: &Client,
    tried: Tried<'_>,
    options: &WriteOptions,
    now: Option<&Attributes>,
) -> Result<()> {
    check_known(tried, options, now)?;
    check_contents(client, tried, options).await
}

/// As [`check`], of what needs no reading.
pub(super) fn check_known(
    tried: Tried<'_>,
    options: &WriteOptions,
    now: Option<&Attributes>,
) -> Result<()> {
    if options.create_new && now.is_some() {
        return Err(tried.error(ErrorKind::AlreadyExists, "it exists already"));
    }
    let changed = |what| Err(tried.error(ErrorKind::Changed, what));
    if let Some(seen) = &options.unchanged {
        let Some(now) = now else {
            return changed("it is gone");
        };
        if (now.size, now.times.map(|it| it.1)) != *seen {
            return changed("its length or its time of writing is another than before");
        }
    }
    Ok(())
}

/// As [`check`], of the contents.
pub(super) async fn check_contents(
    client: &Client,
    tried: Tried<'_>,
    options: &WriteOptions,
) -> Result<()> {
    let changed = |what| Err(tried.error(ErrorKind::Changed, what));
    if let Some(wanted) = options.sha256 {
        match sha256(client, tried.path).await {
            Ok(sum) if sum == wanted => {}
            Ok(_) => return changed("its contents are others than before"),
            Err(failed) if failed.is_missing() => return changed("it is gone"),
            Err(failed) => return Err(tried.failed(failed)),
        }
    }
    Ok(())
}

async fn sha256(client: &Client, path: &[u8]) -> Result<[u8; 32], Failed> {
    let handle = client.open_file(path, OpenFlags::READ, Attributes::default());
    let handle = Arc::new(handle.await?);
    let mut sum = Sha256::new();
    let mut reading = Reading::new(client, &handle, 0..u64::MAX);
    while let Some(pieces) = reading.next(client.under_way()).await? {
        pieces.iter().for_each(|piece| sum.update(piece));
    }
    Ok(sum.finalize().into())
}

/// Writes all of `data`, with as much under way as is of use.
pub(super) async fn write_at(
    client: &Client,
    handle: &Handle,
    offset: u64,
    mut data: Bytes,
) -> Result<(), Failed> {
    if offset.checked_add(data.len() as u64).is_none() {
        let what = "a file cannot be that long";
        return Err(Error::new(ErrorKind::InvalidInput, "write", what).into());
    }
    let mut offset = offset;
    let mut under_way = FuturesUnordered::new();
    let mut bytes = 0;
    loop {
        while !data.is_empty() && (bytes == 0 || bytes < client.under_way()) {
            let piece = data.split_to(data.len().min(client.write_length() as usize));
            let length = piece.len();
            let answer = client.write(handle, offset, piece);
            under_way.push(async move { answer.await.map(|()| length) });
            bytes += length;
            offset += length as u64;
        }
        match under_way.next().await {
            Some(written) => bytes -= written?,
            None => return Ok(()),
        }
    }
}

pub(super) fn permissions(mode: u32) -> Attributes {
    Attributes {
        permissions: Some(mode),
        ..Attributes::default()
    }
}
