//! Connections that the host makes, and those that come in there: over the first of the session's
//! links, which stays as long as the session.
//!
//! What was asked for is always seen through here, so that who gives up leaves nothing behind.

use std::net::SocketAddr;

use tokio::sync::oneshot;

use super::super::member::{LinkId, NoWay};
use super::{Driver, Message};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::link::{Bound, Channel, Listening};

/// What handles ask for.
pub(in crate::session) enum Reach {
    /// A connection from the host to there, for whoever wants it.
    Connect(
        Endpoint,
        Option<SocketAddr>,
        oneshot::Sender<Result<Channel, NoWay>>,
    ),
    /// The host shall listen there.
    Listen(Bound, oneshot::Sender<Result<Listened, NoWay>>),
    /// It shall listen no more; says whether it has stopped.
    Unlisten(LinkId, Bound, oneshot::Sender<bool>),
}

/// What the host listens on, and over which link that was asked for.
pub(in crate::session) struct Listened {
    pub(in crate::session) link: LinkId,
    pub(in crate::session) listening: Listening,
}

impl Driver {
    pub(super) fn reach(&mut self, wanted: Reach) {
        let Some(first) = self.members.first() else {
            return;
        };
        match wanted {
            Reach::Connect(to, from, reply) => {
                let connecting = first.connect_to(to, from);
                self.reaching.push(Box::pin(async move {
                    // Where nobody waits any more the connection ends again.
                    let _ = reply.send(connecting.await);
                }));
            }
            Reach::Listen(at, reply) => {
                let (link, listening) = (first.id, first.listen(at));
                let home = self.shared.driver.downgrade();
                self.reaching.push(Box::pin(async move {
                    let listened = listening.await;
                    let listened = listened.map(|listening| Listened { link, listening });
                    if let Err(Ok(unwanted)) = reply.send(listened)
                        && let Some(home) = home.upgrade()
                    {
                        let (told, _) = oneshot::channel();
                        let unlisten = Reach::Unlisten(link, unwanted.listening.at.clone(), told);
                        let _ = home.send(Message::Reach(unlisten));
                    }
                }));
            }
            Reach::Unlisten(link, at, reply) => {
                // With its link it has ended anyway.
                let Some(member) = self.member(link) else {
                    let _ = reply.send(true);
                    return;
                };
                let stopping = member.unlisten(at);
                self.reaching.push(Box::pin(async move {
                    let _ = reply.send(stopping.await);
                }));
            }
        }
    }

    /// No new work is taken. What ends some is not.
    pub(super) fn refuse(&mut self, wanted: Reach) {
        let closed = NoWay::Failed(self.closed());
        match wanted {
            Reach::Connect(_, _, reply) => drop(reply.send(Err(closed))),
            Reach::Listen(_, reply) => drop(reply.send(Err(closed))),
            unlisten @ Reach::Unlisten(..) => self.reach(unlisten),
        }
    }
}

impl NoWay {
    /// The error of an `operation`, of this kind where the server refused it.
    pub(in crate::session) fn error(
        self,
        kind: ErrorKind,
        operation: &'static str,
        what: impl FnOnce(&str) -> String,
    ) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Refused(why) => Error::new(kind, operation, what(&why)),
        }
    }
}
