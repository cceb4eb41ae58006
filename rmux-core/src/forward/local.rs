//! Ports and sockets of this machine: listening on them and connecting to them.
//!
//! Which addresses are listened on was seen on OpenSSH. Must not know what comes through.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use super::spec::ForwardSpec;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::host::AddressFamily;

const BACKLOG: u32 = 1024;

/// A connection on this machine.
#[derive(Debug)]
pub(super) enum LocalStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What listens on this machine.
#[derive(Debug)]
pub(super) enum LocalListener {
    Tcp(Vec<TcpListener>),
    Unix {
        listener: UnixListener,
        _place: Place,
    },
}

/// A socket in the file system. Dropping it removes it, unless another has taken its place.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl LocalListener {
    /// Begins to listen; tells where, with the port that the system chose.
    pub(super) async fn bind(
        spec: &ForwardSpec,
        family: AddressFamily,
    ) -> Result<(Self, Endpoint)> {
        let failed = |error: io::Error| {
            let what = format!("cannot listen on {}", spec.listen);
            match error.kind() {
                io::ErrorKind::AddrInUse => {
                    let what = format!("{what}: {error}");
                    Error::new(ErrorKind::AlreadyExists, "forward", what).with_source(error)
                }
                _ => Error::io("forward", what, error),
            }
        };
        match &spec.listen {
            Endpoint::Unix(path) => {
                let (listener, _place) = socket(path, spec).map_err(failed)?;
                Ok((Self::Unix { listener, _place }, spec.listen.clone()))
            }
            Endpoint::Tcp { host, port } => {
                let addresses = addresses(host.as_deref(), *port, spec.gateway_ports, family)
                    .await
                    .map_err(failed)?;
                let (listeners, port) = ports(&addresses).map_err(failed)?;
                let host = host.clone();
                Ok((Self::Tcp(listeners), Endpoint::Tcp { host, port }))
            }
        }
    }

    /// The next connection, and who makes it where that is the address of a machine.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub(super) async fn accept(&self) -> io::Result<(LocalStream, Option<SocketAddr>)> {
        match self {
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((LocalStream::Unix(stream), None))
            }
            Self::Tcp(listeners) => {
                let (stream, from) = std::future::poll_fn(|context| {
                    for listener in listeners {
                        if let Poll::Ready(accepted) = listener.poll_accept(context) {
                            return Poll::Ready(accepted);
                        }
                    }
                    Poll::Pending
                })
                .await?;
                // What fails here fails with the connection.
                let _ = stream.set_nodelay(true);
                Ok((LocalStream::Tcp(stream), Some(from)))
            }
        }
    }
}

/// The addresses to listen on, as OpenSSH takes them.
async fn addresses(
    host: Option<&str>,
    port: u16,
    gateway_ports: bool,
    family: AddressFamily,
) -> io::Result<Vec<SocketAddr>> {
    let both = |four: Ipv4Addr, six: Ipv6Addr| vec![(four, port).into(), (six, port).into()];
    let everywhere = || both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
    let mut found: Vec<SocketAddr> = match host {
        None if gateway_ports => everywhere(),
        Some("" | "*") => everywhere(),
        None | Some("localhost") => both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
        Some(host) => tokio::net::lookup_host((host, port)).await?.collect(),
    };
    found.retain(|address| match family {
        AddressFamily::Inet => address.is_ipv4(),
        AddressFamily::Inet6 => address.is_ipv6(),
        _ => true,
    });
    found.dedup();
    Ok(found)
}

/// Listens on all of them that can be had, at least one; all have the same port.
fn ports(addresses: &[SocketAddr]) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut listeners = Vec::new();
    let mut chosen = addresses.first().map_or(0, SocketAddr::port);
    let mut failed = None;
    for address in addresses {
        let mut address = *address;
        address.set_port(chosen);
        match port(address) {
            Ok(listener) => {
                chosen = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) => {
                tracing::debug!(%address, %error, "not listened on");
                failed.get_or_insert(error);
            }
        }
    }
    if listeners.is_empty() {
        let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "it has no address");
        return Err(failed.unwrap_or_else(none));
    }
    Ok((listeners, chosen))
}

fn port(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        let socket = TcpSocket::new_v6()?;
        sockopt::set_ipv6_v6only(&socket, true)?;
        socket
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds in a folder of our own and moves the socket to its place, so that nobody connects before it
/// has its permissions, and none is replaced that should not be.
fn socket(path: &Path, spec: &ForwardSpec) -> io::Result<(UnixListener, Place)> {
    let beside = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = tempfile::Builder::new()
        .prefix(".r")
        .rand_bytes(4)
        .tempdir_in(beside)?;
    let first = folder.path().join("s");
    let listener = UnixListener::bind(&first)?;
    let mode = 0o666 & !spec.bind_mask;
    std::fs::set_permissions(&first, std::fs::Permissions::from_mode(mode))?;
    let found = std::fs::symlink_metadata(&first)?;
    let place = |path: &Path| Place {
        path: path.to_owned(),
        device: found.dev(),
        inode: found.ino(),
    };
    if spec.unlink {
        std::fs::rename(&first, path)?;
    } else if let Err(error) = std::fs::hard_link(&first, path) {
        return Err(match error.kind() {
            io::ErrorKind::AlreadyExists => io::ErrorKind::AddrInUse.into(),
            _ => error,
        });
    }
    Ok((listener, place(path)))
}

impl LocalStream {
    /// Connects on this machine, or from it.
    ///
    /// # Cancel safety
    /// Cancel safe: a connection that comes about all the same is ended.
    pub(super) async fn connect(to: &Endpoint) -> io::Result<Self> {
        match to {
            Endpoint::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
            Endpoint::Tcp { host, port } => {
                let host = host.as_deref().unwrap_or("localhost");
                let stream = TcpStream::connect((host, *port)).await?;
                let _ = stream.set_nodelay(true);
                Ok(Self::Tcp(stream))
            }
        }
    }

    /// Has its other side see that it did not end in order.
    pub(super) fn break_off(&self) {
        if let Self::Tcp(stream) = self {
            let _ = sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO));
        }
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, data),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
