//! Connections through the host: those that it makes, and those that come in there.

use std::net::SocketAddr;
use std::path::Path;

use tokio::sync::oneshot;

use super::driver::{Listened, Message, Reach};
use super::member::LinkId;
use super::stream::RemoteStream;
use super::{Session, WeakSession};
use crate::ask::Asker;
use crate::deadline::Expired;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::link::{Bound, Channel, Incoming, Listening, Transport, Why};

impl Session {
    /// Connects from the host to a port: of the host itself, or of another that it reaches. The name
    /// is resolved there.
    ///
    /// Such connections do not count among the commands that a server allows at a time.
    ///
    /// # Errors
    /// [`ErrorKind::ChannelRefused`] where the host cannot connect, or does not allow it; the message
    /// says why, in the words of the server.
    ///
    /// # Cancel safety
    /// Cancel safe: a connection that comes about all the same is ended.
    pub async fn connect_tcp(&self, host: impl Into<String>, port: u16) -> Result<RemoteStream> {
        self.reach(&Endpoint::tcp(host, port)).await
    }

    /// Connects to a unix socket of the host (OpenSSH's `direct-streamlocal@openssh.com`).
    ///
    /// # Errors
    /// As [`connect_tcp`](Self::connect_tcp); [`ErrorKind::InvalidInput`] for a path that is not
    /// UTF-8.
    ///
    /// # Cancel safety
    /// Cancel safe: a connection that comes about all the same is ended.
    pub async fn connect_unix(&self, path: impl AsRef<Path>) -> Result<RemoteStream> {
        self.reach(&Endpoint::unix(path.as_ref())).await
    }

    /// Connects from the host to a port or a unix socket.
    ///
    /// # Errors
    /// As [`connect_tcp`](Self::connect_tcp) and [`connect_unix`](Self::connect_unix).
    ///
    /// # Cancel safety
    /// Cancel safe: a connection that comes about all the same is ended.
    pub async fn reach(&self, to: &Endpoint) -> Result<RemoteStream> {
        self.reach_for(to, None).await
    }

    /// The same for somebody whose address the server is told.
    pub(crate) async fn reach_for(
        &self,
        to: &Endpoint,
        from: Option<SocketAddr>,
    ) -> Result<RemoteStream> {
        check(to)?;
        let (reply, made) = oneshot::channel();
        self.tell(Message::Reach(Reach::Connect(to.clone(), from, reply)));
        let made = made.await.map_err(|_| self.why_ended())?;
        let channel = made.map_err(|no_way| {
            let what = |why: &str| format!("cannot connect to {to}: {why}");
            let error = no_way.error(ErrorKind::ChannelRefused, "connect", what);
            error.with_host(&self.host().name)
        })?;
        Ok(RemoteStream::new(channel, self.clone()))
    }

    /// Has the host listen on a port or a unix socket, and takes the connections that come in there.
    /// With port 0 the server chooses one, which [`RemoteListener::endpoint`] tells. Without a host
    /// it listens on the loopback addresses; whether others are allowed is for the server to say
    /// (`GatewayPorts`).
    ///
    /// # Errors
    /// [`ErrorKind::ChannelRefused`] where the server refuses: the port is taken, privileged, or
    /// forwarding is not allowed there. It does not tell which.
    ///
    /// # Cancel safety
    /// Cancel safe: the host is told to listen no more.
    pub async fn listen(&self, at: &Endpoint) -> Result<RemoteListener> {
        check(at)?;
        let bound = match at {
            Endpoint::Tcp { host, port } => {
                // As ssh spells it.
                let host = match host.as_deref() {
                    None => "localhost",
                    Some("*") => "",
                    Some(host) => host,
                };
                Bound::Tcp(host.to_owned(), *port)
            }
            Endpoint::Unix(path) => Bound::Unix(text(path)?),
        };
        let (reply, listened) = oneshot::channel();
        self.tell(Message::Reach(Reach::Listen(bound, reply)));
        let listened = listened.await.map_err(|_| self.why_ended())?;
        let Listened { link, listening } = listened.map_err(|no_way| {
            let what = |why: &str| format!("cannot listen on {at}: {why}");
            let error = no_way.error(ErrorKind::ChannelRefused, "forward", what);
            error.with_host(&self.host().name)
        })?;
        let endpoint = match (at, &listening.at) {
            (Endpoint::Tcp { host, .. }, Bound::Tcp(_, port)) => Endpoint::Tcp {
                host: host.clone(),
                port: *port,
            },
            _ => at.clone(),
        };
        Ok(RemoteListener {
            session: self.clone(),
            endpoint,
            open: Some((link, listening.at.clone())),
            listening,
        })
    }

    /// A way from this session's host to another one.
    pub(super) async fn dial(&self, host: &Host, asker: &Asker) -> Result<Transport> {
        let to = Endpoint::tcp(&host.hostname, host.port);
        let (reply, made) = oneshot::channel();
        self.tell(Message::Reach(Reach::Connect(to, None, reply)));
        let own = &self.host().name;
        let place = format!("{} port {}", host.hostname, host.port);
        let dialled: Result<Channel> = match asker.deadline().run(made).await {
            Ok(Ok(made)) => made.map_err(|no_way| {
                let what = |why: &str| format!("{own} cannot connect to {place}: {why}");
                no_way.error(ErrorKind::ConnectFailed, "connect", what)
            }),
            Ok(Err(_)) => Err(self.why_ended()),
            Err(Expired(allowed)) => Err(Error::new(
                ErrorKind::TimedOut,
                "connect",
                format!("no way through {own} within {allowed:?}"),
            )),
        };
        let channel = dialled.map_err(|error| error.with_host(&host.name))?;
        Ok(Transport::channel(channel, place))
    }
}

/// Refuses what cannot be asked for.
fn check(endpoint: &Endpoint) -> Result<()> {
    let refused = |why: &str| Err(Error::new(ErrorKind::InvalidInput, "forward", why));
    match endpoint {
        Endpoint::Tcp {
            host: Some(host), ..
        } if host.contains('\0') => refused("the name of the host holds a NUL byte"),
        Endpoint::Tcp { .. } => Ok(()),
        Endpoint::Unix(path) => match text(path)? {
            path if path.is_empty() => refused("the path of the socket is empty"),
            path if path.contains('\0') => refused("the path of the socket holds a NUL byte"),
            _ => Ok(()),
        },
    }
}

/// The engine sends UTF-8 only.
fn text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        let what = format!("the path {} is not UTF-8", path.display());
        Error::new(ErrorKind::InvalidInput, "forward", what)
    })
}

/// A port or a unix socket of the host on which it listens for this program.
///
/// Up to 128 connections wait to be accepted; more are refused. Dropping it tells the host to listen
/// no more, without waiting; connections that were accepted go on.
pub struct RemoteListener {
    session: Session,
    endpoint: Endpoint,
    /// Until the host is told to stop.
    open: Option<(LinkId, Bound)>,
    listening: Listening,
}

/// A connection that came in on the host.
#[non_exhaustive]
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: RemoteStream,
    /// Who connected, where the server says so: an address and a port.
    pub from: Option<(String, u16)>,
}

impl RemoteListener {
    /// Where the host listens, with the port that it chose.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The next connection.
    ///
    /// # Errors
    /// Where the session has ended, or the connection over which the host was asked to listen.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub async fn accept(&mut self) -> Result<Accepted> {
        let incoming = self.incoming().await?;
        let from = incoming.from().map(|(host, port)| (host.to_owned(), port));
        let stream = RemoteStream::new(incoming.accept().await, self.session.clone());
        Ok(Accepted { stream, from })
    }

    /// The next connection, not yet taken.
    pub(crate) async fn arrival(&mut self) -> Result<Arrival> {
        let session = self.session.downgrade();
        let incoming = self.incoming().await?;
        Ok(Arrival { session, incoming })
    }

    async fn incoming(&mut self) -> Result<Incoming> {
        tokio::select! {
            biased;
            incoming = self.listening.incoming.recv() => match incoming {
                Some(incoming) => Ok(incoming),
                None => Err(self.ended()),
            },
            _ = self.session.closed() => Err(self.session.why_ended()),
        }
    }

    fn ended(&self) -> Error {
        if self.session.is_closed() {
            return self.session.why_ended();
        }
        let what = "the connection over which the host listened was lost";
        Error::new(ErrorKind::Disconnected, "forward", what).with_host(&self.session.host().name)
    }

    /// Tells the host to listen no more, and waits for its answer. Connections that were accepted go
    /// on.
    ///
    /// # Cancel safety
    /// Cancel safe: the host is told all the same.
    pub async fn close(mut self) {
        let told = self.stop();
        if let Some(told) = told {
            let _ = told.await;
        }
    }

    fn stop(&mut self) -> Option<oneshot::Receiver<bool>> {
        let (link, at) = self.open.take()?;
        let (reply, told) = oneshot::channel();
        let unlisten = Reach::Unlisten(link, at, reply);
        self.session.tell(Message::Reach(unlisten));
        Some(told)
    }
}

impl Drop for RemoteListener {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for RemoteListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteListener")
            .field("session", &self.session)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A connection that came in on the host and was not yet taken. Dropping it refuses it.
pub(crate) struct Arrival {
    session: WeakSession,
    incoming: Incoming,
}

impl Arrival {
    /// Who connects, where the server says so.
    pub(crate) fn from(&self) -> Option<String> {
        let (host, port) = self.incoming.from()?;
        Some(Endpoint::tcp(host, port).to_string())
    }

    /// Takes it. None where the session has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is taken or refused.
    pub(crate) async fn accept(self) -> Option<RemoteStream> {
        let session = self.session.upgrade()?;
        Some(RemoteStream::new(self.incoming.accept().await, session))
    }

    /// What it was to be connected to cannot be reached.
    pub(crate) async fn refuse(self) {
        self.incoming.refuse(Why::Unreachable).await;
    }

    /// There are too many.
    pub(crate) async fn refuse_as_busy(self) {
        self.incoming.refuse(Why::Busy).await;
    }
}
