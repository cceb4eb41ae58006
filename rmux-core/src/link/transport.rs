//! What an SSH connection runs over: a socket, a program's pipes, or a channel of another
//! connection; and how it is cut from outside.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::channel::Channel;
use super::inbox::Stream;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;

/// Bytes both ways.
pub(super) trait Bytestream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytestream for T {}

/// A way to a server, not yet spoken on. Dropping it cuts it.
pub(crate) struct Transport {
    pub(super) stream: Box<dyn Bytestream>,
    pub(super) cutter: Cutter,
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
    Socket(std::net::TcpStream),
    /// The program between, which dies with the value.
    Program(Mutex<Child>),
    /// The channel of the connection below.
    Channel(Arc<Channel>),
}

impl Cutter {
    pub(super) fn cut(&self) {
        // What fails here is gone already.
        match self {
            Self::Socket(socket) => drop(socket.shutdown(std::net::Shutdown::Both)),
            Self::Program(child) => {
                drop(child.lock().unwrap_or_else(|p| p.into_inner()).start_kill());
            }
            Self::Channel(channel) => channel.abandon(),
        }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Transport {
    /// Over a TCP socket.
    pub(super) fn socket(socket: TcpStream, address: SocketAddr) -> std::io::Result<Self> {
        socket.set_nodelay(true)?;
        let socket = socket.into_std()?;
        let twin = socket.try_clone()?;
        Ok(Self {
            stream: Box::new(TcpStream::from_std(socket)?),
            cutter: Cutter::Socket(twin),
            place: address.to_string(),
            address: Some(address),
        })
    }

    /// Over the standard input and output of a program, as `ProxyCommand` says: the user's shell
    /// runs it, and what it writes to standard error is seen (ssh_config(5)).
    pub(super) fn program(host: &Host, line: &OsStr) -> Result<Self> {
        let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
        let command = [b"exec ", line.as_bytes()].concat();
        let started = Command::new(&shell)
            .arg("-c")
            .arg(OsStr::from_bytes(&command))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|error| {
            Error::new(
                ErrorKind::ConnectFailed,
                "connect",
                format!(
                    "cannot run {} for the ProxyCommand: {error}",
                    shell.display()
                ),
            )
            .with_host(&host.name)
            .with_source(error)
        })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped");
        };
        Ok(Self {
            stream: Box::new(tokio::io::join(output, input)),
            cutter: Cutter::Program(Mutex::new(child)),
            place: "the ProxyCommand".to_owned(),
            address: None,
        })
    }

    /// Over a channel of another connection, which leads to `place`.
    pub(super) fn channel(channel: Channel, place: String) -> Self {
        let channel = Arc::new(channel);
        Self {
            stream: Box::new(Tunnel {
                channel: Arc::clone(&channel),
                rest: Bytes::new(),
            }),
            cutter: Cutter::Channel(channel),
            place,
            address: None,
        }
    }
}

/// A channel as a stream of bytes.
struct Tunnel {
    channel: Arc<Channel>,
    rest: Bytes,
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
