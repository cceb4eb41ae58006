//! `RMUX_LOG`: what rmux does, told on standard error. Quiet unless it is set.

use pyo3::prelude::*;
use tracing_subscriber::EnvFilter;

/// Starts logging if `RMUX_LOG` asks for it (`debug`, or `rmux_core=trace,warn`). Later calls do
/// nothing.
#[pyfunction]
pub(crate) fn start_logging() {
    let Ok(wanted) = std::env::var("RMUX_LOG") else {
        return;
    };
    if wanted.is_empty() {
        return;
    }
    // An error means that logging was started before.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(wanted))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
