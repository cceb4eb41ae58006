//! Writing behind: what a caller has written goes out while the caller goes on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::error::{Error, ErrorKind, Result};
use crate::sftp::{Answer, Client, Failed, Handle};

/// What was written and is not known to have arrived.
pub(super) struct Writing {
    pub(super) client: Client,
    pub(super) handle: Option<Arc<Handle>>,
    pub(super) appends: bool,
    /// What has not been sent, and where it belongs.
    pub(super) buffer: BytesMut,
    pub(super) offset: u64,
    under_way: FuturesUnordered<WriteAnswer>,
    bytes: usize,
    pub(super) failed: Option<Failed>,
}

struct WriteAnswer(Answer<()>, usize);

impl Future for WriteAnswer {
    type Output = Result<usize, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let length = self.1;
        Pin::new(&mut self.0).poll(context).map_ok(|()| length)
    }
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writing")
            .field("unsent", &self.buffer.len())
            .field("under_way", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Writing {
    pub(super) fn new(client: Client, handle: Arc<Handle>, appends: bool) -> Self {
        Self {
            client,
            handle: Some(handle),
            appends,
            buffer: BytesMut::new(),
            offset: 0,
            under_way: FuturesUnordered::new(),
            bytes: 0,
            failed: None,
        }
    }

    pub(super) fn handle(&self) -> Result<&Arc<Handle>> {
        self.handle.as_ref().ok_or_else(closed)
    }

    /// Sends what is buffered.
    pub(super) fn send(&mut self) {
        let Some(handle) = self.handle.as_ref().filter(|_| !self.buffer.is_empty()) else {
            return;
        };
        let data = self.buffer.split().freeze();
        let length = data.len();
        let answer = self.client.write(handle, self.offset, data);
        self.under_way.push(WriteAnswer(answer, length));
        self.offset += length as u64;
        self.bytes += length;
    }

    /// Takes the answers that have come, and waits until less than `most` is under way.
    pub(super) fn poll_below(
        &mut self,
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>> {
        loop {
            if let Some(failed) = &self.failed {
                return Poll::Ready(Err(failed.clone()));
            }
            match self.under_way.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(length))) => self.bytes -= length,
                Poll::Ready(Some(Err(failed))) => {
                    self.buffer.clear();
                    self.failed = Some(failed);
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending if self.bytes < most => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    pub(super) fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.send();
        self.poll_below(0, context)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.failed.is_none() {
            self.send();
        }
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "files", "the file was closed")
}
