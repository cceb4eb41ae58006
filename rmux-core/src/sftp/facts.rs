//! What is known of a server and its channel, for all who use it.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rmux_proto::sftp::{Extensions, Limits, MAX_DATA, Pace, SAFE_DATA};

use crate::error::{Error, ErrorKind};

/// The most that reads or writes may have under way: what a channel's window lets in at once.
pub(super) const MOST_UNDER_WAY: usize = 16 << 20;

/// What one process reads or writes, and how much of it may be under way.
const TOOLS_DATA: u32 = 1 << 20;
const TOOLS_UNDER_WAY: usize = 8 << 20;

/// What is known of the server and its channel, for all who use it.
pub(super) struct Facts {
    pub(super) host: Arc<str>,
    pub(super) extensions: Extensions,
    read: AtomicU32,
    write: AtomicU32,
    most_handles: AtomicU64,
    handles: AtomicU64,
    under_way: AtomicUsize,
    /// In microseconds; 0 before it is known.
    round_trip: AtomicU64,
    pub(super) ended: OnceLock<Error>,
    /// Why there is no server, where tools do its work.
    pub(super) without_server: Option<Error>,
}

impl Facts {
    pub(super) fn new(host: Arc<str>, extensions: Extensions) -> Self {
        Self {
            host,
            extensions,
            without_server: None,
            read: AtomicU32::new(SAFE_DATA),
            write: AtomicU32::new(SAFE_DATA),
            most_handles: AtomicU64::new(u64::MAX),
            handles: AtomicU64::new(0),
            under_way: AtomicUsize::new(Pace::new(MOST_UNDER_WAY).window()),
            round_trip: AtomicU64::new(0),
            ended: OnceLock::new(),
        }
    }

    /// Those of a host without a server, whose tools do its work: each request is a process, which
    /// has more to do than a request to a server.
    pub(super) fn of_tools(host: Arc<str>, extensions: Extensions, why: Error) -> Self {
        let mut facts = Self::new(host, extensions);
        facts.without_server = Some(why);
        facts.read = TOOLS_DATA.into();
        facts.write = TOOLS_DATA.into();
        facts.under_way = TOOLS_UNDER_WAY.into();
        facts
    }

    /// The most that one read should ask for.
    pub(super) fn read_length(&self) -> u32 {
        self.read.load(Ordering::Relaxed)
    }

    /// The most that one write may carry.
    pub(super) fn write_length(&self) -> u32 {
        self.write.load(Ordering::Relaxed)
    }

    /// How many bytes one transfer should have under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many files the server lets be open at once, as far as it has told.
    pub(super) fn most_handles(&self) -> u64 {
        self.most_handles.load(Ordering::Relaxed)
    }

    /// How many files the server lets be open at once, where that many are.
    pub(super) fn handles_used_up(&self) -> Option<u64> {
        let most = self.most_handles.load(Ordering::Relaxed);
        (self.handles.load(Ordering::Relaxed) >= most).then_some(most)
    }

    pub(super) fn handle_opened(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// The shortest time that the server has taken for an answer.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub(super) fn set_pace(&self, pace: &Pace) {
        self.under_way.store(pace.window(), Ordering::Relaxed);
        let round_trip = pace.round_trip().unwrap_or_default().as_micros();
        let micros = u64::try_from(round_trip).unwrap_or(u64::MAX);
        self.round_trip.store(micros, Ordering::Relaxed);
    }

    pub(super) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Relaxed) > 0
    }

    pub(super) fn handle_closed(&self) {
        self.handles.fetch_sub(1, Ordering::Relaxed);
    }

    /// Why no answer comes any more.
    pub(super) fn why_ended(&self) -> Error {
        self.ended.get().cloned().unwrap_or_else(|| {
            let what = "the SFTP channel was closed";
            Error::new(ErrorKind::Closed, "files", what).with_host(&self.host)
        })
    }

    pub(super) fn learn(&self, limits: Limits) {
        // What does not fit a packet, of ours or of the server's, is of no use.
        let packet = match limits.packet {
            0 => u64::from(MAX_DATA),
            some => some.saturating_sub(1024).max(u64::from(SAFE_DATA)),
        };
        let data = |length: u64| match length {
            0 => SAFE_DATA,
            some => some.min(packet).min(MAX_DATA.into()) as u32,
        };
        self.read.store(data(limits.read), Ordering::Relaxed);
        self.write.store(data(limits.write), Ordering::Relaxed);
        if limits.handles > 0 {
            self.most_handles.store(limits.handles, Ordering::Relaxed);
        }
    }
}
