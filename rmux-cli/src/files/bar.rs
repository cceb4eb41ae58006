//! How far a transfer is, on one line of the terminal that standard error is.
//!
//! Must not know what is transferred.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmux_core::Progress;
use rustix::termios::isatty;

use crate::log::{self, Level};

/// Whether the line is there now.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Whether anybody sees it.
pub(super) fn is_wanted() -> bool {
    isatty(rustix::stdio::stderr()) && log::shows(Level::Info)
}

/// Shows it.
pub(super) fn show(progress: &Progress) {
    SHOWN.store(true, Ordering::Relaxed);
    let line = format!("\r{}\x1b[K", line(progress));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Takes the line away, if it is there, so that another can be written.
pub(super) fn clear() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        let _ = std::io::stderr().write_all(b"\r\x1b[K");
    }
}

fn line(progress: &Progress) -> String {
    let share = match progress.total_bytes {
        0 => 100,
        total => progress.bytes.saturating_mul(100) / total,
    };
    // More may be found: then the share means little.
    let more = if progress.is_complete { "" } else { "+" };
    let mut line = format!(
        "{share:3}%  {} of {}{more}  {}/s",
        amount(progress.bytes as f64),
        amount(progress.total_bytes as f64),
        amount(progress.rate),
    );
    if progress.total_files > 1 {
        line += &format!(
            "  {} of {}{more} files",
            progress.files, progress.total_files
        );
    }
    if let Some(remaining) = progress.remaining {
        line += &format!("  {}", clock(remaining));
    }
    line
}

/// Bytes, for a person.
fn amount(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1000.0 {
            return match unit {
                "B" => format!("{value:.0} B"),
                _ => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match hours {
        0 => format!("{minutes:02}:{:02}", seconds % 60),
        _ => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_are_short() {
        for (bytes, expected) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1000.0, "1.0 KiB"),
            (1.5 * 1024.0 * 1024.0, "1.5 MiB"),
            (2e15, "1819.0 TiB"),
        ] {
            assert_eq!(amount(bytes), expected);
        }
        assert_eq!(clock(Duration::from_secs(61)), "01:01");
        assert_eq!(clock(Duration::from_secs(36_061)), "10:01:01");
        assert!(line(&Progress::default()).starts_with("100%  0 B of 0 B+"));
    }
}
