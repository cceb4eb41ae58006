//! What a pool does now and has done.

use super::Pool;
use super::places::Entry;
use crate::session::SessionStats;

/// What a [`Pool`] does at the moment and has done so far.
///
/// As with [`SessionStats`], each figure is right by itself, and reading them takes no time, waits
/// for nothing and is no use of a session.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Each session that is connected, used or not, hosts on the way included; in no order.
    pub sessions: Vec<SessionStats>,
    /// Sessions that are being connected, or wait for a host on the way to be.
    pub connecting: usize,
    /// Callers who wait for room, because the pool's connections are limited.
    pub waiting_for_room: usize,
    /// Authenticated connections of all sessions.
    pub links: usize,
    /// Open channels of all sessions, those that are ready included.
    pub channels: usize,
    /// Channels kept open ahead by all sessions.
    pub channels_ready: usize,
    /// Callers who wait for a channel of a session.
    pub waiting: usize,
    /// Commands that were started since the pool was made, on sessions that have ended, too.
    pub commands_started: u64,
    /// Bytes that came in on channels, likewise.
    pub bytes_received: u64,
    /// Bytes that were handed to connections, likewise.
    pub bytes_sent: u64,
}

impl Pool {
    /// What the pool does now and has done. Never waits.
    pub fn stats(&self) -> PoolStats {
        let (mut connected, mut connecting) = (Vec::new(), Vec::new());
        let places = self.0.places();
        for entry in places.entries.values() {
            match entry {
                Entry::Connected { session, .. } => connected.push(session.clone()),
                Entry::Connecting { session, .. } => connecting.extend(session.upgrade()),
            }
        }
        let line = places.line.iter();
        let waiting_for_room = line.filter(|waiting| !waiting.reply.is_closed()).count();
        drop(places);
        let counters = &self.0.counters;
        let mut stats = PoolStats {
            connecting: connecting.len(),
            waiting_for_room,
            commands_started: counters.commands(),
            bytes_received: counters.received(),
            bytes_sent: counters.sent(),
            ..PoolStats::default()
        };
        for session in connected.iter().filter_map(|session| session.stats()) {
            stats.links += session.links;
            stats.channels += session.channels;
            stats.channels_ready += session.channels_ready;
            stats.waiting += session.waiting;
            stats.sessions.push(session);
        }
        stats
    }
}
