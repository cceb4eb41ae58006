//! What a forward does now and has done, and the list of those of a session.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::pump::Bytes;
use crate::endpoint::Endpoint;
use crate::error::Error;

/// On which side a forward listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardKind {
    /// On this machine.
    Local,
    /// On the remote host.
    Remote,
}

impl ForwardKind {
    /// A stable name of the kind: `local` or `remote`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// What a [`Forward`](super::Forward) does at the moment and has done so far. Each figure is right
/// by itself; two of them need not fit together.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct ForwardStats {
    /// On which side it listens.
    pub kind: ForwardKind,
    /// Where it listens, with the port that was chosen.
    pub listen: Endpoint,
    /// Where connections go; none for wherever a SOCKS client asks for.
    pub target: Option<Endpoint>,
    /// Whether it still listens.
    pub listening: bool,
    /// Connections that are open.
    pub open: usize,
    /// Connections that came in.
    pub total: u64,
    /// Those of them that came to nothing.
    pub failed: u64,
    /// Bytes that went to the remote host.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
    /// Why the last of those that failed did.
    pub last_error: Option<Error>,
    /// Those that are open, in the order in which they came.
    pub connections: Vec<ForwardConnection>,
}

/// A connection of a forward.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardConnection {
    /// Who made it, where that is known: an address and a port.
    pub from: Option<String>,
    /// Where it goes.
    pub target: Endpoint,
    /// Bytes that went to the remote host.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
}

/// What is counted of one forward.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) bytes: Bytes,
    total: AtomicU64,
    failed: AtomicU64,
    /// Connections that came and have not ended, be they open yet or not.
    there: watch::Sender<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_error: Option<Error>,
    open: BTreeMap<u64, Arc<OpenConnection>>,
}

/// One that is open.
#[derive(Debug)]
pub(super) struct OpenConnection {
    from: Option<String>,
    target: Endpoint,
    pub(super) bytes: Bytes,
}

/// There as long as this is held.
pub(super) struct Coming {
    counts: Arc<Counts>,
    number: u64,
}

impl Coming {
    /// It is open, and leads there.
    pub(super) fn opened(&self, from: Option<String>, target: Endpoint) -> Arc<OpenConnection> {
        let connection = Arc::new(OpenConnection {
            from,
            target,
            bytes: Bytes::default(),
        });
        let mut state = self.counts.state();
        state.open.insert(self.number, Arc::clone(&connection));
        connection
    }
}

impl Counts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection came in.
    pub(super) fn came(self: &Arc<Self>) -> Coming {
        self.there.send_modify(|there| *there += 1);
        Coming {
            number: self.total.fetch_add(1, Ordering::Relaxed),
            counts: Arc::clone(self),
        }
    }

    /// Waits until there is no connection.
    pub(super) async fn idle(&self) {
        let mut there = self.there.subscribe();
        // The sender lives as long as `self`.
        let _ = there.wait_for(|there| *there == 0).await;
    }

    /// It came to nothing.
    pub(super) fn failed(&self, error: Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.state().last_error = Some(error);
    }

    pub(super) fn stats(
        &self,
        kind: ForwardKind,
        listen: Endpoint,
        target: Option<Endpoint>,
        listening: bool,
    ) -> ForwardStats {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let state = self.state();
        let connections = state.open.values().map(|open| ForwardConnection {
            from: open.from.clone(),
            target: open.target.clone(),
            bytes_sent: read(&open.bytes.sent),
            bytes_received: read(&open.bytes.received),
        });
        ForwardStats {
            kind,
            listen,
            target,
            listening,
            open: state.open.len(),
            total: read(&self.total),
            failed: read(&self.failed),
            bytes_sent: read(&self.bytes.sent),
            bytes_received: read(&self.bytes.received),
            last_error: state.last_error.clone(),
            connections: connections.collect(),
        }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.counts.state().open.remove(&self.number);
        self.counts.there.send_modify(|there| *there -= 1);
    }
}

/// The forwards of a session.
pub(super) struct List<T>(Mutex<Vec<Weak<T>>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> List<T> {
    pub(super) fn enter(&self, forward: &Arc<T>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|forward| forward.strong_count() > 0);
        list.push(Arc::downgrade(forward));
    }

    pub(super) fn all(&self) -> Vec<Arc<T>> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().filter_map(Weak::upgrade).collect()
    }
}
