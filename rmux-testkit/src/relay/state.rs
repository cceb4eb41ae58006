//! What the relay's controls set and its connections read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::clock::Clock;
use super::{Cut, Direction};

/// The state of one relay.
pub(super) struct State {
    lanes: [Lane; 2],
    cuts: watch::Sender<(u64, Cut)>,
    half_closes: [watch::Sender<u64>; 2],
    wanted: watch::Sender<Access>,
    actual: watch::Sender<Access>,
    pub(super) clock: Clock,
    pub(super) cut: Cut,
    pub(super) live: AtomicUsize,
    pub(super) accepted: AtomicUsize,
}

/// One direction, of all connections.
pub(super) struct Lane {
    settings: watch::Sender<Control>,
    /// When the link is free for the next byte, under a bandwidth limit.
    free_at: Mutex<Option<Instant>>,
    pub(super) forwarded: AtomicU64,
}

/// The settings of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Control {
    pub(super) delay: Duration,
    pub(super) bandwidth: Option<u64>,
    pub(super) stalled: bool,
    pub(super) drop_all: bool,
    pub(super) cut_after: Option<u64>,
    pub(super) stall_after: Option<u64>,
}

/// What becomes of new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Accept,
    Refuse,
    /// The relay is being dropped.
    Over,
}

/// What a connection may forward now.
pub(super) struct Grant {
    pub(super) bytes: usize,
    /// The connections are to be cut once these are forwarded.
    pub(super) then_cut: bool,
}

impl State {
    pub(super) fn new(cut: Cut, access: Access) -> Self {
        Self {
            lanes: [Lane::new(), Lane::new()],
            cuts: watch::Sender::new((0, cut)),
            half_closes: [watch::Sender::new(0), watch::Sender::new(0)],
            wanted: watch::Sender::new(access),
            actual: watch::Sender::new(access),
            clock: Clock::start(),
            cut,
            live: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        }
    }

    pub(super) fn lane(&self, direction: Direction) -> &Lane {
        &self.lanes[direction as usize]
    }

    pub(super) fn is_black_hole(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.settings.borrow().drop_all)
    }

    /// Counts a connection for as long as the value lives.
    pub(super) fn enter(&self) -> impl Drop + '_ {
        struct Live<'a>(&'a AtomicUsize);
        impl Drop for Live<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.live.fetch_add(1, Ordering::Relaxed);
        Live(&self.live)
    }

    pub(super) fn cut_all(&self, cut: Cut) {
        self.cuts.send_modify(|(number, how)| {
            *number += 1;
            *how = cut;
        });
    }

    pub(super) fn cuts(&self) -> watch::Receiver<(u64, Cut)> {
        self.cuts.subscribe()
    }

    pub(super) fn half_close(&self, direction: Direction) {
        self.half_closes[direction as usize].send_modify(|number| *number += 1);
    }

    pub(super) fn half_closes(&self, direction: Direction) -> watch::Receiver<u64> {
        self.half_closes[direction as usize].subscribe()
    }

    pub(super) fn set_access(&self, access: Access) {
        self.wanted.send_replace(access);
    }

    pub(super) fn wanted_access(&self) -> watch::Receiver<Access> {
        self.wanted.subscribe()
    }

    /// The acceptor says what it does now.
    pub(super) fn has_access(&self, access: Access) {
        self.actual.send_replace(access);
    }

    pub(super) async fn await_access(&self, access: Access) {
        let _ = self.actual.subscribe().wait_for(|now| *now == access).await;
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            settings: watch::Sender::new(Control::default()),
            free_at: Mutex::new(None),
            forwarded: AtomicU64::new(0),
        }
    }

    pub(super) fn control(&self, change: impl FnOnce(&mut Control)) {
        self.settings.send_modify(change);
    }

    pub(super) fn settings(&self) -> watch::Receiver<Control> {
        self.settings.subscribe()
    }

    /// Takes the right to forward up to `wanted` bytes; none while the lane is stalled.
    /// Whoever takes the last bytes before a cut or a stall is told so.
    pub(super) fn take(&self, wanted: usize) -> Grant {
        let now = self.settings.borrow();
        if now.stalled {
            return Grant {
                bytes: 0,
                then_cut: false,
            };
        }
        if now.cut_after.is_none() && now.stall_after.is_none() {
            return Grant {
                bytes: wanted,
                then_cut: false,
            };
        }
        drop(now);
        let mut grant = Grant {
            bytes: wanted,
            then_cut: false,
        };
        self.settings.send_modify(|control| {
            for left in [control.cut_after, control.stall_after]
                .into_iter()
                .flatten()
            {
                grant.bytes = grant.bytes.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            let taken = grant.bytes as u64;
            for left in [&mut control.cut_after, &mut control.stall_after]
                .into_iter()
                .flatten()
            {
                *left -= taken;
            }
            if control.stall_after == Some(0) {
                control.stall_after = None;
                control.stalled = true;
            }
            if control.cut_after == Some(0) {
                control.cut_after = None;
                grant.then_cut = true;
            }
        });
        grant
    }

    /// Reserves the link for `bytes` bytes: when the last of them is through. `None` without a
    /// bandwidth limit.
    pub(super) fn reserve(&self, bytes: usize) -> Option<Instant> {
        let bandwidth = self.settings.borrow().bandwidth?;
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let start = free_at.map_or(now, |free_at| free_at.max(now));
        let end = start + Duration::from_secs_f64(bytes as f64 / bandwidth.max(1) as f64);
        *free_at = Some(end);
        Some(end)
    }
}
