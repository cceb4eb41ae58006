//! What the program logs, how much of it, and where it goes: standard error, a file or syslog.
//!
//! Two sources come together here: what the command line has to say of itself, and the log of the
//! library. Quiet, unless `LogLevel`, `-v` or `RMUX_LOG` asks for more. Must not know what is
//! logged. No secret is ever given to a log.

mod syslog;

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use rmux_core::LogLevel;
use tracing::{Event, Level as TracingLevel, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::message;
use syslog::{Facility, Syslog};

/// Names what of the library to log, as `rmux_core=debug`; wins over the level.
const VARIABLE: &str = "RMUX_LOG";

/// How much is logged, as `LogLevel` of `ssh_config` names it; each level includes those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// Nothing.
    Quiet,
    /// Why rmux gives up.
    Fatal,
    /// The library's errors.
    Error,
    /// Warnings and the server's banner; the default.
    Info,
    /// Who was logged in, and how.
    Verbose,
    /// Every step of connecting; `-v`.
    Debug1,
    /// The library's debug messages; `-vv`.
    Debug2,
    /// Everything; `-vvv`.
    Debug3,
}

impl Level {
    const ALL: [Self; 8] = [
        Self::Quiet,
        Self::Fatal,
        Self::Error,
        Self::Info,
        Self::Verbose,
        Self::Debug1,
        Self::Debug2,
        Self::Debug3,
    ];

    /// By its name in `ssh_config`, in any case. `None` for a name that is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("DEBUG") {
            return Some(Self::Debug1);
        }
        Self::ALL
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// Its name in `ssh_config`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quiet => "QUIET",
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Info => "INFO",
            Self::Verbose => "VERBOSE",
            Self::Debug1 => "DEBUG1",
            Self::Debug2 => "DEBUG2",
            Self::Debug3 => "DEBUG3",
        }
    }

    /// One level more; the last stays.
    pub(crate) fn louder(self) -> Self {
        Self::ALL[(self as usize + 1).min(Self::ALL.len() - 1)]
    }

    /// One level less; the first stays.
    pub(crate) fn quieter(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }

    /// What of the library belongs to it.
    fn filter(self) -> &'static str {
        match self {
            Self::Quiet | Self::Fatal => "off",
            Self::Error => "rmux_core=error",
            Self::Info => "rmux_core=warn",
            Self::Verbose | Self::Debug1 => "rmux_core=info",
            Self::Debug2 => "rmux_core=debug",
            Self::Debug3 => "trace",
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Quiet => Self::Quiet,
            LogLevel::Fatal => Self::Fatal,
            LogLevel::Error => Self::Error,
            LogLevel::Info => Self::Info,
            LogLevel::Verbose => Self::Verbose,
            LogLevel::Debug1 => Self::Debug1,
            LogLevel::Debug2 => Self::Debug2,
            _ => Self::Debug3,
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static PLACE: OnceLock<Place> = OnceLock::new();
static FILTER: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Where the log goes instead of standard error.
#[derive(Debug)]
enum Place {
    File(File),
    Syslog(Syslog),
}

/// The level now.
pub(crate) fn level() -> Level {
    Level::ALL[usize::from(LEVEL.load(Ordering::Relaxed)) % Level::ALL.len()]
}

/// Whether messages of this level are shown now.
pub(crate) fn shows(level_of_message: Level) -> bool {
    level_of_message <= level()
}

/// Changes the level; the library's log follows, unless `RMUX_LOG` rules it.
pub(crate) fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    if let Some(change) = FILTER.get()
        && asked_for().is_none()
    {
        change(EnvFilter::new(level.filter()));
    }
}

/// From now on the log is appended to a file, which only its owner may read if it is made for it.
pub(crate) fn to_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    // Only the first place counts; there is no second one.
    let _ = PLACE.set(Place::File(file));
    Ok(())
}

/// From now on the log goes to syslog. What cannot be delivered is dropped, as syslog(3) does.
pub(crate) fn to_syslog() {
    let _ = PLACE.set(Place::Syslog(Syslog::new()));
}

/// As which part of the system the log appears in syslog, by its name in `ssh_config`
/// (SyslogFacility); at first `USER`. A name that is none changes nothing.
pub(crate) fn set_facility(name: &str) {
    if let (Some(Place::Syslog(syslog)), Some(facility)) = (PLACE.get(), Facility::named(name)) {
        syslog.set_facility(facility);
    }
}

/// Whether the log goes to standard error.
pub(crate) fn is_on_stderr() -> bool {
    PLACE.get().is_none()
}

/// One line of the log, if the level shows it. Control characters never pass.
pub(crate) fn write(level: Level, text: impl fmt::Display) {
    if shows(level) {
        put(level, &text.to_string());
    }
}

/// Starts the library's log.
pub(crate) fn start() {
    let filter = match asked_for() {
        None => EnvFilter::new(level().filter()),
        Some(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
            message::warning(format_args!("{VARIABLE} is not used: {error}"));
            EnvFilter::new(level().filter())
        }),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(ToPlace)
        .event_format(Line {
            always_with_target: asked_for().is_some(),
        })
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    subscriber.init();
    let _ = FILTER.set(Box::new(move |filter| {
        // It fails only where the log is gone.
        let _ = handle.reload(filter);
    }));
}

fn asked_for() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|text| !text.is_empty())
}

fn put(level: Level, text: &str) {
    let text = message::printable(text, |_| false);
    match PLACE.get() {
        None => message::line(format_args!("rmux: {text}")),
        // One write for a line: others may append to the file too. Nobody is left to be told that
        // it fails.
        Some(Place::File(file)) => {
            let _ = (&*file).write_all(format!("rmux: {text}\n").as_bytes());
        }
        Some(Place::Syslog(syslog)) => syslog.send(level, &text),
    }
}

/// Passes the library's lines on.
#[derive(Debug, Clone, Copy)]
struct ToPlace;

/// A line of this level.
struct OneLine(Level);

impl io::Write for OneLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        put(self.0, String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for ToPlace {
    type Writer = OneLine;

    fn make_writer(&'a self) -> OneLine {
        OneLine(Level::Info)
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> OneLine {
        OneLine(match *metadata.level() {
            TracingLevel::ERROR => Level::Error,
            TracingLevel::WARN | TracingLevel::INFO => Level::Info,
            TracingLevel::DEBUG => Level::Debug1,
            TracingLevel::TRACE => Level::Debug3,
        })
    }
}

/// `warning: message key=value`, as the program's other messages look.
struct Line {
    always_with_target: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str(match *metadata.level() {
            TracingLevel::ERROR => "error: ",
            TracingLevel::WARN => "warning: ",
            TracingLevel::INFO => "",
            TracingLevel::DEBUG => "debug: ",
            TracingLevel::TRACE => "trace: ",
        })?;
        if self.always_with_target || level() >= Level::Debug2 {
            write!(writer, "{}: ", metadata.target())?;
        }
        context.format_fields(writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_names_and_the_order_of_ssh_config() {
        assert_eq!(Level::named("quiet"), Some(Level::Quiet));
        assert_eq!(Level::named("DEBUG"), Some(Level::Debug1));
        assert_eq!(Level::named("debug3"), Some(Level::Debug3));
        assert_eq!(Level::named("loud"), None);
        assert!(Level::Fatal < Level::Info && Level::Info < Level::Debug1);
        assert_eq!(Level::Quiet.quieter(), Level::Quiet);
        assert_eq!(Level::Debug3.louder(), Level::Debug3);
        assert_eq!(Level::Info.louder().louder(), Level::Debug1);
    }
}
