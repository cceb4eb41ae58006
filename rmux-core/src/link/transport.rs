//! What an SSH connection runs over: a socket, a program's pipes, or a channel of another
//! connection; and how it is cut from outside.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::channel::Channel;
use super::inbox::Stream;
use super::program::Program;
use super::service::Service;
use crate::error::Result;
use crate::host::Host;

/// Bytes both ways.
pub(super) trait Bytestream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytestream for T {}

/// A way to a server, not yet spoken on. Dropping it cuts it.
pub(crate) struct Transport {
    pub(super) stream: Box<dyn Bytestream>,
    pub(super) cutter: Cutter,
    /// What is asked of the network between.
    pub(super) service: Arc<Service>,
    /// Where it leads, for messages.
    pub(super) place: String,
    /// The server's address, where this side knows it.
    pub(super) address: Option<SocketAddr>,
}

/// Cuts a connection from outside of the engine, whose task would otherwise stay for ever with a
/// silent server. Dropping it cuts.
#[derive(Debug)]
pub(super) enum Cutter {
    /// A second handle of the socket.
    Socket(Arc<std::net::TcpStream>),
    /// The program between.
    Program(Program),
    /// The channel of the connection below.
    Channel(Arc<Channel>),
}

impl Cutter {
    pub(super) fn cut(&self) {
        // What fails here is gone already.
        match self {
            Self::Socket(socket) => drop(socket.shutdown(std::net::Shutdown::Both)),
            Self::Program(program) => program.hang_up(),
            Self::Channel(channel) => channel.abandon(),
        }
    }

    /// Whether the other side is gone, whatever is left to be read of what it said.
    pub(super) fn is_hung_up(&self) -> bool {
        match self {
            Self::Socket(socket) => has_hung_up(socket),
            Self::Program(program) => program.has_ended(),
            Self::Channel(channel) => channel.inbox().is_finished(),
        }
    }

    /// Waits until nothing of the way is left on this machine. Only after a [`cut`](Self::cut).
    pub(super) async fn gone(&self) {
        if let Self::Program(program) = self {
            program.ended().await;
        }
    }

    /// How the program between ended by itself, where there is one and it did.
    pub(super) async fn status(&self) -> Option<ExitStatus> {
        match self {
            Self::Program(program) => program.status().await,
            Self::Socket(_) | Self::Channel(_) => None,
        }
    }
}

fn has_hung_up(socket: &std::net::TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    #[cfg(target_os = "linux")]
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    #[cfg(not(target_os = "linux"))]
    let gone = PollFlags::HUP | PollFlags::ERR;
    let mut polled = [PollFd::new(socket, gone)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().intersects(gone)
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Transport {
    /// Over a TCP socket.
    pub(super) fn socket(
        host: &Host,
        socket: TcpStream,
        address: SocketAddr,
    ) -> std::io::Result<Self> {
        let socket = socket.into_std()?;
        let twin = Arc::new(socket.try_clone()?);
        Ok(Self {
            stream: Box::new(TcpStream::from_std(socket)?),
            service: Arc::new(Service::of(host, &twin)),
            cutter: Cutter::Socket(twin),
            place: address.to_string(),
            address: Some(address),
        })
    }

    /// Over the standard input and output of a program, as `ProxyCommand` says.
    pub(super) fn program(host: &Host, line: &OsStr) -> Result<Self> {
        let (stream, program) = Program::start(host, line)?;
        Ok(Self {
            stream: Box::new(stream),
            service: Arc::default(),
            cutter: Cutter::Program(program),
            place: "the ProxyCommand".to_owned(),
            address: None,
        })
    }

    /// Over a channel of another connection, which leads to `place`.
    pub(crate) fn channel(channel: Channel, place: String) -> Self {
        let channel = Arc::new(channel);
        Self {
            stream: Box::new(Tunnel::new(Arc::clone(&channel))),
            service: Arc::default(),
            cutter: Cutter::Channel(channel),
            place,
            address: None,
        }
    }
}

/// A channel as a stream of bytes.
pub(super) struct Tunnel {
    channel: Arc<Channel>,
    rest: Bytes,
}

impl Tunnel {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self {
            channel,
            rest: Bytes::new(),
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.rest.is_empty() {
            let next = self.channel.inbox().poll_read(Stream::Stdout, context);
            match std::task::ready!(next).map_err(std::io::Error::from)? {
                Some(data) => self.rest = data,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = self.channel.outbox().poll_write(context, data);
        written.map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        // What was accepted is sent without being asked; to wait for it would only slow the engine.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let closed = self.channel.outbox().close();
        Poll::Ready(closed.map_err(|_| std::io::ErrorKind::BrokenPipe.into()))
    }
}
