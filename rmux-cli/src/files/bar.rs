//! How far a transfer is, on one line of the terminal that standard error is.
//!
//! Must not know what is transferred.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rmux_core::Progress;
use rustix::termios::isatty;

use crate::gate;
use crate::log::{self, Level};

/// Shows one from now on, where anybody sees it.
pub(super) fn start() {
    if isatty(rustix::stdio::stderr()) && log::shows(Level::Info) {
        let style = ProgressStyle::with_template("{bar:20} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        gate::show(ProgressBar::new(1).with_style(style));
    }
}

/// Shows how far it is.
pub(super) fn show(progress: &Progress) {
    if let Some(bar) = gate::bar() {
        bar.set_length(progress.total_bytes.max(1));
        bar.set_position(progress.bytes);
        bar.set_message(line(progress));
        bar.force_draw();
    }
}

/// Writes something else, with the bar out of the way.
pub(super) fn beside(write: impl FnOnce()) {
    match gate::bar() {
        Some(bar) => bar.suspend(write),
        None => write(),
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
