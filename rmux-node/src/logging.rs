//! Logging on request: `RMUX_LOG` turns `tracing` events into lines on standard error.

use std::io::IsTerminal;
use std::sync::Once;

use tracing_subscriber::EnvFilter;

static SET_UP: Once = Once::new();

/// Sets logging up once in a process, whatever number of workers load the addon.
pub(crate) fn set_up() {
    SET_UP.call_once(|| {
        let Ok(filter) = EnvFilter::try_from_env("RMUX_LOG") else {
            return;
        };
        // An error means that the program that embeds Node has set up logging itself.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init();
    });
}
