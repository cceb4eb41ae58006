//! Reading: a stretch of a file in pieces, several of them under way.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use rmux_proto::sftp::{Attributes, OpenFlags, Pieces};

use super::Files;
use crate::error::Result;
use crate::sftp::{Answer, Client, Failed, Handle};

/// What is reserved for a file's contents on the word of the server; more comes with the contents.
const MOST_RESERVED: u64 = 16 << 20;

impl Files {
    /// The whole contents of a file, also of one whose length is not known beforehand, as in
    /// `/proc`. Two round trips for a small one.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied),
    /// [`IsADirectory`](crate::ErrorKind::IsADirectory), and those of the session.
    ///
    /// # Cancel safety
    /// Cancel safe: the file is closed.
    pub async fn read(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        self.read_bytes(path.as_ref(), 0..u64::MAX).await
    }

    /// The bytes of a file from `range.start` up to `range.end`, fewer where it ends before.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// Cancel safe: the file is closed.
    pub async fn read_range(&self, path: impl AsRef<[u8]>, range: Range<u64>) -> Result<Vec<u8>> {
        self.read_bytes(path.as_ref(), range).await
    }

    async fn read_bytes(&self, path: &[u8], range: Range<u64>) -> Result<Vec<u8>> {
        let (client, path) = self.locate("read", path).await?;
        let tried = self.tried("read", &path);
        let opening = client.open_file(&path, OpenFlags::READ, Attributes::default());
        let handle = match opening.await {
            Ok(handle) => Arc::new(handle),
            Err(failed) => return Err(tried.not_opened(&client, failed).await),
        };
        match whole(&client, &handle, range).await {
            Ok(contents) => Ok(contents),
            // OpenSSH opens directories, and fails when they are read.
            Err(failed) => Err(tried.not_opened(&client, failed).await),
        }
    }

    /// The whole contents of a file, and what was known of it before they were read.
    pub(super) async fn read_known(&self, path: &[u8]) -> Result<(Attributes, Vec<u8>)> {
        let (client, path) = self.locate("read", path).await?;
        let tried = self.tried("read", &path);
        let opening = client.open_file(&path, OpenFlags::READ, Attributes::default());
        let handle = match opening.await {
            Ok(handle) => Arc::new(handle),
            Err(failed) => return Err(tried.not_opened(&client, failed).await),
        };
        let known = client.fstat(&handle);
        match whole(&client, &handle, 0..u64::MAX).await {
            Ok(contents) => Ok((known.await.unwrap_or_default(), contents)),
            Err(failed) => Err(tried.not_opened(&client, failed).await),
        }
    }
}

/// The bytes of a range.
async fn whole(
    client: &Client,
    handle: &Arc<Handle>,
    range: Range<u64>,
) -> Result<Vec<u8>, Failed> {
    let wanted = range.end.saturating_sub(range.start);
    let length = wanted.min(client.read_length().into()) as u32;
    if length == 0 {
        return Ok(Vec::new());
    }
    // Asked for together: a small file is whole with the answers to both.
    let size = client.fstat(handle);
    let first = client.read(handle, range.start, length);
    let size = size.await.ok().and_then(|attributes| attributes.size);
    // A length of 0 may be none at all, as in /proc.
    let end = size
        .filter(|size| *size > range.start)
        .map(|size| size.min(range.end));
    let start = range.start.saturating_add(length.into());
    // Of a large file, the rest is on its way before the first piece is there.
    let mut rest = Reading::new(client, handle, start..end.unwrap_or(start));
    rest.ask(client.under_way());
    let enough = end.map_or(length, |end| (end - range.start).min(length.into()) as u32);
    let stretch = Stretch::new(client, handle, range.start, enough);
    let (pieces, ended) = stretch.read(first).await?;
    let mut contents = Vec::new();
    if let Some(end) = end {
        contents.reserve((end - range.start).min(MOST_RESERVED) as usize);
    }
    put(&mut contents, &pieces);
    if ended {
        return Ok(contents);
    }
    if end.is_none() {
        rest.range.end = range.end;
    }
    while let Some(pieces) = rest.next(client.under_way()).await? {
        put(&mut contents, &pieces);
    }
    Ok(contents)
}

fn put(contents: &mut Vec<u8>, pieces: &[Bytes]) {
    pieces
        .iter()
        .for_each(|piece| contents.extend_from_slice(piece));
}

/// Some bytes of a file, read with as many requests as the server needs for them.
struct Stretch {
    client: Client,
    handle: Arc<Handle>,
    offset: u64,
    /// How many bytes are enough; an answer may bring more.
    enough: u32,
}

/// What was read, and whether the file ends there.
type Read = (Vec<Bytes>, bool);

impl Stretch {
    fn new(client: &Client, handle: &Arc<Handle>, offset: u64, enough: u32) -> Self {
        Self {
            client: client.clone(),
            handle: Arc::clone(handle),
            offset,
            enough,
        }
    }

    /// Sees it through, from the answer to its first request on.
    async fn read(self, mut answer: Answer<Pieces>) -> Result<Read, Failed> {
        let (mut pieces, mut got) = (Vec::new(), 0_u32);
        loop {
            let piece = match answer.await {
                Ok(piece) => piece,
                Err(failed) if failed.is_end() => return Ok((pieces, true)),
                Err(failed) => return Err(failed),
            };
            // Nothing at all would be asked for again and again.
            if piece.is_empty() {
                return Ok((pieces, true));
            }
            got += piece.len() as u32;
            pieces.extend(piece);
            if got >= self.enough {
                return Ok((pieces, false));
            }
            let offset = self.offset + u64::from(got);
            answer = self.client.read(&self.handle, offset, self.enough - got);
        }
    }
}

/// A stretch that is being read, and how long it is. Also `Sync`, so that a file is, and what waits
/// for one can be spawned.
type StretchRead = dyn Future<Output = (u32, Result<Read, Failed>)> + Send + Sync;

/// Reads a range in order, with requests ahead.
pub(crate) struct Reading {
    client: Client,
    handle: Arc<Handle>,
    /// What has not been asked for.
    range: Range<u64>,
    under_way: FuturesOrdered<Pin<Box<StretchRead>>>,
    bytes: usize,
}

impl Reading {
    pub(crate) fn new(client: &Client, handle: &Arc<Handle>, range: Range<u64>) -> Self {
        Self {
            client: client.clone(),
            handle: Arc::clone(handle),
            range,
            under_way: FuturesOrdered::new(),
            bytes: 0,
        }
    }

    /// Asks for what may be under way.
    pub(crate) fn ask(&mut self, window: usize) {
        while self.range.start < self.range.end && (self.bytes < window || self.bytes == 0) {
            let left = self.range.end - self.range.start;
            let window = u32::try_from(window.max(1)).unwrap_or(u32::MAX);
            let most = self.client.read_length().min(window);
            let length = left.min(most.into()) as u32;
            let offset = self.range.start;
            let answer = self.client.read(&self.handle, offset, length);
            let stretch = Stretch::new(&self.client, &self.handle, offset, length);
            self.under_way.push_back(Box::pin(
                async move { (length, stretch.read(answer).await) },
            ));
            self.bytes += length as usize;
            self.range.start += u64::from(length);
        }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self, window: usize) -> Result<Option<Vec<Bytes>>, Failed> {
        std::future::poll_fn(|context| self.poll_next(window, context)).await
    }

    pub(crate) fn poll_next(
        &mut self,
        window: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Vec<Bytes>>, Failed>> {
        self.ask(window);
        let Some((length, read)) = std::task::ready!(self.under_way.poll_next_unpin(context))
        else {
            return Poll::Ready(Ok(None));
        };
        self.bytes -= length as usize;
        let (pieces, ended) = read?;
        if ended {
            // What was asked for behind the end is of no use.
            self.range.end = self.range.start;
            self.under_way.clear();
            self.bytes = 0;
        }
        Poll::Ready(Ok((!pieces.is_empty()).then_some(pieces)))
    }
}
