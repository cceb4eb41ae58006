//! What a link reaches through its server: connections that the server makes, and ports and sockets
//! that it listens on. `MaxSessions` counts none of them.

use std::net::SocketAddr;
use std::sync::Arc;

use russh::client::Handle;
use tokio::sync::mpsc;

use super::channel::Channel;
use super::handler::Handler;
use super::inbox::Inbox;
use super::listening::{Bound, Incoming, Registered};
use super::{Link, OpenError};
use crate::endpoint::Endpoint;

/// What somebody listens on at the server. Dropping it refuses what comes in; the server goes on
/// listening until it is [told](Link::unlisten) otherwise.
pub(crate) struct Listening {
    pub(crate) at: Bound,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    _registered: Registered,
}

impl Link {
    /// Asks the server to connect (RFC 4254, section 7.2, and OpenSSH's PROTOCOL, 2.4). `from` is who
    /// wants it, where that is somebody else.
    ///
    /// # Cancel safety
    /// Not cancel safe, as [`Link::open`].
    pub(crate) fn connect_to(
        &self,
        to: Endpoint,
        from: Option<SocketAddr>,
    ) -> impl Future<Output = Result<Channel, OpenError>> + Send + 'static {
        let handle = Arc::clone(&self.handle);
        let lost = self.lost.clone();
        let service = Arc::clone(&self.service);
        let inbox = Inbox::new(lost.host.clone(), self.limits, Arc::clone(&self.counters));
        let refusals = self.refusals.clone();
        async move {
            let (address, port) = match from {
                Some(from) => (from.ip().to_string(), from.port()),
                None => ("127.0.0.1".to_owned(), 0),
            };
            let asked = refusals.ask();
            let opened = match &to {
                Endpoint::Tcp { host, port: to } => {
                    let host = host.as_deref().unwrap_or("localhost");
                    let port = u32::from(port);
                    let to = u32::from(*to);
                    handle
                        .channel_open_direct_tcpip(host, to, address, port)
                        .await
                }
                Endpoint::Unix(path) => {
                    let path = path.to_str().unwrap_or_default();
                    handle.channel_open_direct_streamlocal(path).await
                }
            };
            match opened {
                Ok(channel) => Ok(Channel::start(channel, inbox, lost, service, true).0),
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    Err(OpenError::Refused(asked.refused(&reason).await))
                }
                Err(_) => Err(OpenError::Lost),
            }
        }
    }

    /// Asks the server to listen (RFC 4254, section 7.1, and OpenSSH's PROTOCOL, 2.4).
    ///
    /// # Cancel safety
    /// Not cancel safe: the server would go on listening for nobody.
    pub(crate) fn listen(
        &self,
        at: Bound,
    ) -> impl Future<Output = Result<Listening, OpenError>> + Send + 'static {
        let registered = self.listeners.register(at.clone());
        let (handle, answers) = (Arc::clone(&self.handle), self.answers.clone());
        async move {
            let Some((registered, incoming)) = registered else {
                let why = "this session listens there already";
                return Err(OpenError::Refused(why.to_owned()));
            };
            let mut asking = Box::pin(ask_to_listen(Arc::clone(&handle), at.clone()));
            match answers.within(&mut asking).await {
                Ok(Ok(at)) => {
                    if let Bound::Tcp(_, port) = &at {
                        registered.settle(*port);
                    }
                    Ok(Listening {
                        at,
                        incoming,
                        _registered: registered,
                    })
                }
                Ok(Err(error)) => Err(error),
                Err(unanswered) => {
                    // Should it listen after all, it is told at once that nobody wants it.
                    tokio::spawn(async move {
                        if let Ok(at) = asking.await {
                            stop_listening(&handle, &at).await;
                        }
                    });
                    Err(OpenError::Unanswered(unanswered))
                }
            }
        }
    }

    /// Tells the server to listen there no more, and waits for its answer.
    ///
    /// # Cancel safety
    /// Cancel safe: the server is told all the same, if it was to be told at all.
    pub(crate) fn unlisten(
        &self,
        at: Bound,
    ) -> impl Future<Output = Result<bool, OpenError>> + Send + 'static {
        let (handle, answers) = (Arc::clone(&self.handle), self.answers.clone());
        async move {
            match answers.within(stop_listening(&handle, &at)).await {
                Ok(stopped) => Ok(stopped),
                Err(unanswered) => Err(OpenError::Unanswered(unanswered)),
            }
        }
    }
}

/// Where the server listens then.
async fn ask_to_listen(handle: Arc<Handle<Handler>>, at: Bound) -> Result<Bound, OpenError> {
    let refused = |what| OpenError::Refused(format!("the server refused to listen on {what}"));
    match at {
        Bound::Tcp(address, port) => {
            match handle.tcpip_forward(address.as_str(), port.into()).await {
                // It tells the port only where it has chosen it.
                Ok(chosen) if port == 0 => match u16::try_from(chosen) {
                    Ok(chosen) if chosen != 0 => Ok(Bound::Tcp(address, chosen)),
                    _ => Err(OpenError::Refused(
                        "the server listens, but does not say on which port".to_owned(),
                    )),
                },
                Ok(_) => Ok(Bound::Tcp(address, port)),
                Err(russh::Error::RequestDenied) => Err(refused(format!("port {port}"))),
                Err(_) => Err(OpenError::Lost),
            }
        }
        Bound::Unix(path) => match handle.streamlocal_forward(path.as_str()).await {
            Ok(()) => Ok(Bound::Unix(path)),
            Err(russh::Error::RequestDenied) => Err(refused(path)),
            Err(_) => Err(OpenError::Lost),
        },
    }
}

/// Whether it says that it has stopped.
async fn stop_listening(handle: &Handle<Handler>, at: &Bound) -> bool {
    let stopped = match at {
        Bound::Tcp(address, port) => {
            let port = u32::from(*port);
            handle.cancel_tcpip_forward(address.as_str(), port).await
        }
        Bound::Unix(path) => handle.cancel_streamlocal_forward(path.as_str()).await,
    };
    stopped.is_ok()
}
