//! Figures of sessions and pools, what a host can do, and what a shutdown cut off, as tuples for the classes in Python.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rmux_core::{Capabilities, CutOff, PoolStats, SessionStats};

/// The fields of `rmux.SessionStats`, in order. Times are in seconds.
pub(crate) fn of_session(py: Python<'_>, stats: &SessionStats) -> PyResult<Py<PyAny>> {
    let seconds = |time: Duration| time.as_secs_f64();
    let fields = (
        &stats.host,
        stats.links,
        stats.channels,
        stats.channels_ready,
        stats.waiting,
        stats.commands_started,
        stats.bytes_received,
        stats.bytes_sent,
        stats.round_trip.map(seconds),
        seconds(stats.connected_for),
        stats.idle_for.map(seconds),
    );
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}

/// The fields of `rmux.Capabilities`, in order.
pub(crate) fn capabilities(py: Python<'_>, able: Capabilities) -> PyResult<Py<PyAny>> {
    let fields = (
        able.files.as_str(),
        able.files_why,
        PyTuple::new(py, able.sftp_extensions)?,
        able.channels,
    );
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}

/// The fields of `rmux.PoolStats`, in order; first those of its sessions.
pub(crate) fn of_pool(py: Python<'_>, stats: &PoolStats) -> PyResult<Py<PyAny>> {
    let sessions: PyResult<Vec<_>> = stats.sessions.iter().map(|s| of_session(py, s)).collect();
    let fields = (
        sessions?,
        stats.connecting,
        stats.waiting_for_room,
        stats.links,
        stats.channels,
        stats.channels_ready,
        stats.waiting,
        stats.commands_started,
        stats.bytes_received,
        stats.bytes_sent,
    );
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}

/// The fields of each `rmux.CutOff`, in order.
pub(crate) fn cut_off(py: Python<'_>, cut_off: Vec<CutOff>) -> PyResult<Py<PyAny>> {
    let fields: Vec<_> = cut_off.into_iter().map(|c| (c.host, c.channels)).collect();
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}
