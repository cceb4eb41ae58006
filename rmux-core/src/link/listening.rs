//! Ports and sockets of the remote that it was asked to listen on, and the connections that came in
//! there: channels that the server opens.
//!
//! A server may open as many as it likes, and for whatever it likes. Only one for exactly what was
//! asked for passes, and only so many may wait to be taken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::ChannelOpenFailure;
use russh::client::{ChannelOpenHandle, Msg};
use tokio::sync::{mpsc, watch};

use super::Lost;
use super::channel::Channel;
use super::counters::Counters;
use super::inbox::{Inbox, Limits};
use super::service::Service;

/// How many connections to one port or socket may wait to be taken.
const BACKLOG: usize = 128;

/// What the server listens on, as it names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The address as it was asked for. The port is 0 while the server has not yet said which.
    Tcp(String, u16),
    Unix(String),
}

/// Where one link listens. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Listeners(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when it is known on which port the server listens.
    settled: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    begun: Option<Begun>,
    listening: Vec<Entry>,
    next: u64,
}

struct Entry {
    number: u64,
    at: Bound,
    to: mpsc::Sender<Incoming>,
}

/// What is known once the user is let in.
#[derive(Clone)]
pub(super) struct Begun {
    pub(super) lost: Lost,
    pub(super) limits: Limits,
    pub(super) service: Arc<Service>,
    pub(super) counters: Arc<Counters>,
}

/// The server is, or will be, asked to listen. Dropping it refuses what comes from then on.
pub(super) struct Registered {
    listeners: Listeners,
    number: u64,
}

impl Listeners {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections may come from now on.
    pub(super) fn begin(&self, begun: Begun) {
        self.state().begun = Some(begun);
    }

    /// What comes in there is for who holds the receiver. None where it is for somebody already.
    pub(super) fn register(&self, at: Bound) -> Option<(Registered, mpsc::Receiver<Incoming>)> {
        let mut state = self.state();
        let open = matches!(at, Bound::Tcp(_, 0));
        if !open && state.listening.iter().any(|entry| entry.at == at) {
            return None;
        }
        let (to, incoming) = mpsc::channel(BACKLOG);
        let number = state.next;
        state.next += 1;
        state.listening.push(Entry { number, at, to });
        let registered = Registered {
            listeners: self.clone(),
            number,
        };
        Some((registered, incoming))
    }

    /// The server opens a channel. Called from the engine's task, which nothing here holds up.
    pub(super) async fn open(
        &self,
        at: Bound,
        from: Option<(String, u16)>,
        channel: russh::Channel<Msg>,
        reply: ChannelOpenHandle,
    ) {
        let arrived = Arrived {
            at,
            from,
            channel,
            reply,
        };
        let settled = self.0.settled.subscribe();
        if let Some(arrived) = self.give(arrived).await {
            if self.may_be_settled(&arrived.at) {
                // The answer that tells the port is known to the engine, but not here yet.
                tokio::spawn(self.clone().give_later(arrived, settled));
            } else {
                arrived.refuse().await;
            }
        }
    }

    /// Whether a server that chooses the port has been asked for this address.
    fn may_be_settled(&self, at: &Bound) -> bool {
        let Bound::Tcp(address, _) = at else {
            return false;
        };
        let unknown = Bound::Tcp(address.clone(), 0);
        self.state()
            .listening
            .iter()
            .any(|entry| entry.at == unknown)
    }

    async fn give_later(self, mut arrived: Arrived, mut settled: watch::Receiver<()>) {
        loop {
            // The sender lives as long as `self`.
            let _ = settled.changed().await;
            match self.give(arrived).await {
                None => return,
                Some(back) => arrived = back,
            }
            if !self.may_be_settled(&arrived.at) {
                return arrived.refuse().await;
            }
        }
    }

    /// Gives a connection to whom it is for; back if there is nobody.
    async fn give(&self, arrived: Arrived) -> Option<Arrived> {
        let found = {
            let state = self.state();
            let entry = state.listening.iter().find(|entry| entry.at == arrived.at);
            let to = entry.map(|entry| entry.to.clone());
            to.zip(state.begun.clone())
        };
        let Some((to, begun)) = found else {
            return Some(arrived);
        };
        let Arrived {
            from,
            channel,
            reply,
            ..
        } = arrived;
        let incoming = Incoming {
            from,
            channel,
            reply,
            begun,
        };
        if let Err(refused) = to.try_send(incoming) {
            refused.into_inner().refuse(Why::Busy).await;
        }
        None
    }
}

impl Registered {
    /// The server has chosen this port.
    pub(super) fn settle(&self, chosen: u16) {
        let mut state = self.listeners.state();
        let entries = &mut state.listening;
        if let Some(entry) = entries.iter_mut().find(|e| e.number == self.number)
            && let Bound::Tcp(_, port) = &mut entry.at
        {
            *port = chosen;
        }
        drop(state);
        self.listeners.0.settled.send_replace(());
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut state = self.listeners.state();
        state.listening.retain(|entry| entry.number != self.number);
        drop(state);
        self.listeners.0.settled.send_replace(());
    }
}

struct Arrived {
    at: Bound,
    from: Option<(String, u16)>,
    channel: russh::Channel<Msg>,
    reply: ChannelOpenHandle,
}

impl Arrived {
    async fn refuse(self) {
        tracing::warn!(at = ?self.at, "the server opens a channel that nobody asked for: refused");
        let why = ChannelOpenFailure::AdministrativelyProhibited;
        self.reply.reject(why).await;
    }
}

/// A connection that came in on the remote and waits to be taken. Dropping it refuses it.
pub(crate) struct Incoming {
    from: Option<(String, u16)>,
    channel: russh::Channel<Msg>,
    reply: ChannelOpenHandle,
    begun: Begun,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// There are too many.
    Busy,
    /// What it was to be connected to cannot be reached.
    Unreachable,
}

impl Incoming {
    /// Who connects, where the server says so: an address and a port.
    pub(crate) fn from(&self) -> Option<(&str, u16)> {
        let (address, port) = self.from.as_ref()?;
        Some((address, *port))
    }

    /// Takes it.
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is taken or refused.
    pub(crate) async fn accept(self) -> Channel {
        let Begun {
            lost,
            limits,
            service,
            counters,
        } = self.begun;
        let inbox = Inbox::new(Arc::clone(&lost.host), limits, counters);
        self.reply.accept().await;
        let (channel, _) = Channel::start(self.channel, inbox, lost, service, true);
        channel
    }

    /// Refuses it.
    pub(crate) async fn refuse(self, why: Why) {
        let why = match why {
            Why::Busy => ChannelOpenFailure::ResourceShortage,
            Why::Unreachable => ChannelOpenFailure::ConnectFailed,
        };
        self.reply.reject(why).await;
    }
}
