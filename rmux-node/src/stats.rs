//! Figures of sessions and pools, and what a shutdown cut off, as plain values.

use std::time::Duration;

use napi_derive::napi;
use rmux_core::{CutOff, PoolStats, SessionStats};

/// What a session does and has done. Times are in milliseconds.
#[napi(object, object_from_js = false)]
pub struct SessionFigures {
    pub host: String,
    pub links: u32,
    pub channels: u32,
    pub channels_ready: u32,
    pub waiting: u32,
    pub commands_started: f64,
    pub bytes_received: f64,
    pub bytes_sent: f64,
    pub round_trip: Option<f64>,
    pub connected_for: f64,
    pub idle_for: Option<f64>,
}

/// What a pool does and has done.
#[napi(object, object_from_js = false)]
pub struct PoolFigures {
    pub sessions: Vec<SessionFigures>,
    pub connecting: u32,
    pub waiting_for_room: u32,
    pub links: u32,
    pub channels: u32,
    pub channels_ready: u32,
    pub waiting: u32,
    pub commands_started: f64,
    pub bytes_received: f64,
    pub bytes_sent: f64,
}

/// What a shutdown cut off on one host.
#[napi(object, object_from_js = false)]
pub struct Severed {
    pub host: String,
    pub channels: u32,
}

impl From<SessionStats> for SessionFigures {
    fn from(stats: SessionStats) -> Self {
        Self {
            host: stats.host,
            links: number(stats.links),
            channels: number(stats.channels),
            channels_ready: number(stats.channels_ready),
            waiting: number(stats.waiting),
            commands_started: total(stats.commands_started),
            bytes_received: total(stats.bytes_received),
            bytes_sent: total(stats.bytes_sent),
            round_trip: stats.round_trip.map(milliseconds),
            connected_for: milliseconds(stats.connected_for),
            idle_for: stats.idle_for.map(milliseconds),
        }
    }
}

impl From<PoolStats> for PoolFigures {
    fn from(stats: PoolStats) -> Self {
        Self {
            sessions: stats.sessions.into_iter().map(Into::into).collect(),
            connecting: number(stats.connecting),
            waiting_for_room: number(stats.waiting_for_room),
            links: number(stats.links),
            channels: number(stats.channels),
            channels_ready: number(stats.channels_ready),
            waiting: number(stats.waiting),
            commands_started: total(stats.commands_started),
            bytes_received: total(stats.bytes_received),
            bytes_sent: total(stats.bytes_sent),
        }
    }
}

impl From<CutOff> for Severed {
    fn from(cut_off: CutOff) -> Self {
        Self {
            host: cut_off.host,
            channels: number(cut_off.channels),
        }
    }
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// JavaScript's numbers are exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "8 PiB are far away")]
fn total(number: u64) -> f64 {
    number as f64
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
