//! A connection that the host has made, or that came in there, as a stream of bytes.
//!
//! Must not know how it came about.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Session;
use crate::error::Result;
use crate::link::{Broken, Channel, Stream};

/// A connection between this program and something that the host reaches, or that reaches it.
///
/// What is written is sent in order, and each side can end its own direction alone: shutting the
/// stream down tells the other side that no more comes, and reading goes on. Reading is never needed
/// for anything else of the session to go on: what is not read is kept, in memory, then in a file,
/// up to [`Config::spill_limit`](crate::Config::spill_limit). Writes wait while the other side does
/// not read: about 1 MiB is accepted ahead.
///
/// Dropping it ends the connection; what was accepted before still goes out, as far as that takes no
/// more than 2 s. It keeps its session open.
pub struct RemoteStream {
    reader: RemoteReader,
    writer: RemoteWriter,
}

impl RemoteStream {
    pub(super) fn new(channel: Channel, session: Session) -> Self {
        let channel = Arc::new(channel);
        Self {
            reader: RemoteReader {
                channel: Arc::clone(&channel),
                _session: session.clone(),
                rest: Bytes::new(),
            },
            writer: RemoteWriter {
                channel,
                _session: session,
            },
        }
    }

    /// The next piece as it came, without copying it; `None` at the end.
    ///
    /// # Errors
    /// Where the session was lost, or more was left unread than the limits allow.
    ///
    /// # Cancel safety
    /// Cancel safe: a cancelled call takes nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.reader.chunk().await
    }

    /// Waits for the end of the whole connection: both sides have ended it, or it was lost.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let inbox = self.writer.channel.inbox().clone();
        async move {
            // It tells of no exit before the end, since nothing is run.
            let _ = inbox.exit().await;
        }
    }

    /// Its two directions, for two tasks. The connection ends with both.
    pub fn into_split(self) -> (RemoteReader, RemoteWriter) {
        (self.reader, self.writer)
    }
}

impl fmt::Debug for RemoteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStream")
            .field("session", &self.writer._session)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for RemoteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for RemoteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}

/// What comes in on a [`RemoteStream`]. Dropping it throws the rest away.
#[derive(Debug)]
pub struct RemoteReader {
    channel: Arc<Channel>,
    _session: Session,
    rest: Bytes,
}

impl RemoteReader {
    /// As [`RemoteStream::chunk`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Cancel safe: a cancelled call takes nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        self.channel.inbox().poll_read(Stream::Stdout, context)
    }
}

impl AsyncRead for RemoteReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let next = self.poll_chunk(context).map_err(io::Error::from);
        let Some(mut data) = std::task::ready!(next)? else {
            return Poll::Ready(Ok(()));
        };
        let length = data.len().min(buffer.remaining());
        buffer.put_slice(&data[..length]);
        data.advance(length);
        self.rest = data;
        Poll::Ready(Ok(()))
    }
}

impl Drop for RemoteReader {
    fn drop(&mut self) {
        self.channel.inbox().discard(Stream::Stdout);
    }
}

/// What goes out on a [`RemoteStream`]. Shutting it down, or dropping it, tells the other side that
/// no more comes, behind what was accepted.
#[derive(Debug)]
pub struct RemoteWriter {
    channel: Arc<Channel>,
    _session: Session,
}

impl AsyncWrite for RemoteWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.channel.outbox().poll_write(context, data);
        written.map_err(broken_pipe)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.channel.outbox().poll_flush(context);
        flushed.map_err(broken_pipe)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.channel.outbox().close().map_err(broken_pipe))
    }
}

impl Drop for RemoteWriter {
    fn drop(&mut self) {
        // What is lost with a broken channel is lost anyway.
        let _ = self.channel.outbox().close();
    }
}

fn broken_pipe(_: Broken) -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the other side has ended the connection",
    )
}
