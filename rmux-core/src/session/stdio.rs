//! The three streams of a remote command.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Session;
use crate::error::Result;
use crate::link::{Broken, Channel, Stream};

/// What a command's stream is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// To a [`ChildStdin`], [`ChildStdout`] or [`ChildStderr`].
    Piped,
    /// To the stream of the same name of this process.
    Inherit,
    /// To nothing: input is empty, output is thrown away.
    Null,
}

impl Stdio {
    /// [`Stdio::Piped`].
    pub fn piped() -> Self {
        Self::Piped
    }

    /// [`Stdio::Inherit`].
    pub fn inherit() -> Self {
        Self::Inherit
    }

    /// [`Stdio::Null`].
    pub fn null() -> Self {
        Self::Null
    }
}

/// A command's standard input.
///
/// What a write accepted is sent, in order, even if the write's future or this handle is dropped
/// meanwhile. Shutting it down, or dropping it, ends the input (EOF) behind what was accepted; that
/// it succeeds does not mean that all is sent, which [flushing](tokio::io::AsyncWriteExt::flush)
/// waits for.
/// Writes wait while the remote does not read: about 1 MiB is accepted ahead.
#[derive(Debug)]
pub struct ChildStdin {
    channel: Arc<Channel>,
    _session: Session,
}

impl ChildStdin {
    pub(super) fn new(channel: Arc<Channel>, session: Session) -> Self {
        Self {
            channel,
            _session: session,
        }
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.channel
            .outbox()
            .poll_write(context, data)
            .map_err(broken_pipe)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel
            .outbox()
            .poll_flush(context)
            .map_err(broken_pipe)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.channel.outbox().close().map_err(broken_pipe))
    }
}

fn broken_pipe(_: Broken) -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the remote command takes no more input",
    )
}

impl Drop for ChildStdin {
    fn drop(&mut self) {
        // What is lost with a broken channel is lost anyway.
        let _ = self.channel.outbox().close();
    }
}

/// One output stream of a command, whichever.
#[derive(Debug)]
struct Output {
    channel: Arc<Channel>,
    /// What is read here must not end with the other handles.
    _session: Session,
    stream: Stream,
    rest: Bytes,
}

impl Output {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        self.channel.inbox().poll_read(self.stream, context)
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut data) =
            std::task::ready!(self.poll_chunk(context)).map_err(io::Error::from)?
        else {
            return Poll::Ready(Ok(()));
        };
        let length = data.len().min(buffer.remaining());
        buffer.put_slice(&data[..length]);
        data.advance(length);
        self.rest = data;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.channel.inbox().discard(self.stream);
    }
}

macro_rules! output_stream {
    ($name:ident, $stream:expr, $what:literal) => {
        #[doc = concat!("A command's standard ", $what, ".")]
        ///
        /// Reading is never needed for the command, or for other commands of the session, to go
        /// on: what is not read is kept (see
        /// [`Config::memory_budget`](crate::Config::memory_budget)). Dropping it throws the rest
        /// away. It keeps its session's connection open.
        #[derive(Debug)]
        pub struct $name(Output);

        impl $name {
            pub(super) fn new(channel: Arc<Channel>, session: Session) -> Self {
                Self(Output {
                    channel,
                    _session: session,
                    stream: $stream,
                    rest: Bytes::new(),
                })
            }

            /// The next piece as it came, without copying it; `None` at the end.
            ///
            /// # Errors
            /// Where the session was lost, or more was left unread than the limits allow.
            ///
            /// # Cancel safety
            /// Cancel safe: a cancelled call takes nothing.
            pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
                std::future::poll_fn(|context| self.0.poll_chunk(context)).await
            }
        }

        impl AsyncRead for $name {
            fn poll_read(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.poll_read(context, buffer)
            }
        }
    };
}

output_stream!(ChildStdout, Stream::Stdout, "output");
output_stream!(ChildStderr, Stream::Stderr, "error");
