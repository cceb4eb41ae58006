//! What passes over a session's links, counted where it happens and read at any time.
//!
//! Bytes are those of channels: what programs wrote and read, without what the SSH protocol adds to
//! it. Knows nothing of what they are counted for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The figures of one session, which count for its pool too. Each is right by itself; no two are
/// read at the same moment.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// The pool's, which outlast the session's.
    above: Option<Arc<Counters>>,
    received: AtomicU64,
    sent: AtomicU64,
    commands: AtomicU64,
    channels: AtomicUsize,
    /// Told when a channel has ended.
    ended: Notify,
}

/// A channel that is open as long as this is held.
#[derive(Debug)]
pub(super) struct Open(Arc<Counters>);

impl Counters {
    /// Counters that count in `above`, too.
    pub(crate) fn within(above: Arc<Self>) -> Self {
        Self {
            above: Some(above),
            ..Self::default()
        }
    }

    /// Bytes of output that came in.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes of input that were handed to the connection.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Commands that were started.
    pub(crate) fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// Channels that are open now.
    pub(crate) fn channels(&self) -> usize {
        self.channels.load(Ordering::Relaxed)
    }

    /// Waits until a channel ends.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// A command was started.
    pub(crate) fn count_command(&self) {
        self.each(|counters| counters.commands.fetch_add(1, Ordering::Relaxed));
    }

    pub(super) fn count_received(&self, bytes: usize) {
        self.each(|counters| counters.received.fetch_add(bytes as u64, Ordering::Relaxed));
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        self.each(|counters| counters.sent.fetch_add(bytes as u64, Ordering::Relaxed));
    }

    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.channels.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    fn each(&self, count: impl Fn(&Self) -> u64) {
        count(self);
        if let Some(above) = &self.above {
            count(above);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.channels.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_one();
    }
}
