//! What a session does now and has done: figures for whoever watches a program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Session, Shared, WeakSession};
use crate::link::Counters;

/// What a [`Session`] does at the moment and has done so far.
///
/// Each figure is right by itself. They are read one after the other while the session goes on, so
/// that two of them need not fit together. Reading them takes no time, waits for nothing and is no
/// use of the session.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStats {
    /// The host as the user named it.
    pub host: String,
    /// Authenticated connections that are open; 0 when the session has ended.
    pub links: usize,
    /// Channels that are open: one for each command, for each connection to a host behind this one,
    /// and for each user of a forwarded agent, and those that are ready.
    pub channels: usize,
    /// Channels kept open ahead, on which nothing runs yet.
    pub channels_ready: usize,
    /// Callers who wait for a channel at the moment.
    pub waiting: usize,
    /// Commands that the server has begun to run, shells and subsystems among them.
    pub commands_started: u64,
    /// Bytes that came in on channels: standard output and error, read or not, and what hosts
    /// behind this one sent. Without what the SSH protocol adds.
    pub bytes_received: u64,
    /// Bytes of standard input, and to hosts behind this one, that were handed to the connection.
    /// Without what the SSH protocol adds.
    pub bytes_sent: u64,
    /// How long an answer of the server takes: the shortest of the last times that it opened a
    /// channel on the quickest of its links. None before the first.
    pub round_trip: Option<Duration>,
    /// How long the session has been connected, or was when it ended.
    pub connected_for: Duration,
    /// How long nothing has run on it and nobody has waited; none while it is in use.
    pub idle_for: Option<Duration>,
}

/// What is told of a session as it goes on. Nothing here is ever waited for.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    links: AtomicUsize,
    ready: AtomicUsize,
    waiting: AtomicUsize,
    /// Microseconds; 0 is not known.
    round_trip: AtomicU64,
    /// 0 is not known.
    most_channels: AtomicUsize,
    /// Milliseconds from the beginning, and 1; 0 is not yet.
    idle_since: AtomicU64,
    ended: AtomicU64,
}

/// Somebody waits for a channel as long as this is held.
pub(super) struct Waits(Arc<Shared>);

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            links: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            round_trip: AtomicU64::new(0),
            most_channels: AtomicUsize::new(0),
            idle_since: AtomicU64::new(1),
            ended: AtomicU64::new(0),
        }
    }

    /// How many links there are, how many channels are ready, and whether anything runs.
    pub(super) fn note(&self, links: usize, ready: usize, in_use: bool) {
        self.links.store(links, Ordering::Relaxed);
        self.ready.store(ready, Ordering::Relaxed);
        if in_use {
            self.idle_since.store(0, Ordering::Relaxed);
        } else {
            let _ = self.idle_since.compare_exchange(
                0,
                self.moment(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// What is known of how long an answer takes.
    pub(super) fn note_round_trip(&self, took: Option<Duration>) {
        if let Some(took) = took {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.round_trip.store(micros.max(1), Ordering::Relaxed);
        }
    }

    /// How many channels a link is known to have at most.
    pub(super) fn note_most_channels(&self, most: Option<usize>) {
        self.most_channels
            .store(most.unwrap_or(0), Ordering::Relaxed);
    }

    fn round_trip(&self) -> Option<Duration> {
        match self.round_trip.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    pub(super) fn end(&self) {
        self.note(0, 0, false);
        self.ended.store(self.moment(), Ordering::Relaxed);
    }

    fn moment(&self) -> u64 {
        let passed = self.began.elapsed().as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn since(&self, moment: &AtomicU64) -> Option<Duration> {
        match moment.load(Ordering::Relaxed) {
            0 => None,
            moment => {
                let now = self.moment();
                Some(Duration::from_millis(now.saturating_sub(moment)))
            }
        }
    }
}

impl Waits {
    pub(super) fn on(shared: &Arc<Shared>) -> Self {
        shared.activity.waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.activity.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    /// What the session does now and has done. Never waits.
    pub fn stats(&self) -> SessionStats {
        self.shared.stats()
    }

    /// How many channels the server grants over one link, as far as it has shown by refusing more.
    pub(crate) fn most_channels(&self) -> Option<usize> {
        let most = &self.shared.activity.most_channels;
        Some(most.load(Ordering::Relaxed)).filter(|most| *most > 0)
    }
}

impl WeakSession {
    /// As [`Session::stats`], while it is there.
    pub(crate) fn stats(&self) -> Option<SessionStats> {
        let shared = self.0.upgrade()?;
        (!shared.driver.is_closed()).then(|| shared.stats())
    }
}

impl Shared {
    fn stats(&self) -> SessionStats {
        let (activity, counters): (&Activity, &Counters) = (&self.activity, &self.counters);
        let began = activity.began.elapsed();
        let over = activity.since(&activity.ended).unwrap_or_default();
        let waiting = activity.waiting.load(Ordering::Relaxed);
        let idle_for = activity.since(&activity.idle_since);
        SessionStats {
            host: self.host.name.clone(),
            links: activity.links.load(Ordering::Relaxed),
            channels: counters.channels(),
            channels_ready: activity.ready.load(Ordering::Relaxed),
            waiting,
            commands_started: counters.commands(),
            bytes_received: counters.received(),
            bytes_sent: counters.sent(),
            round_trip: activity.round_trip(),
            connected_for: began.saturating_sub(over),
            idle_for: idle_for.filter(|_| waiting == 0),
        }
    }
}
