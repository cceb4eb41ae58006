//! The program's log on standard error: quiet, unless `-v` or `RMUX_LOG` asks for it.
//!
//! Must not know what is logged. No secret is ever given to a log.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::message;

/// Names what to log, as `rmux_core=debug`; wins over `-v` and `-q`.
const VARIABLE: &str = "RMUX_LOG";

/// Starts the log. `verbose` counts the `-v`; two of them show debug messages, three show all.
pub(crate) fn start(verbose: u8, quiet: bool) {
    let asked = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let default = match verbose {
        0 if quiet => "off",
        0 => "rmux_core=warn",
        1 => "rmux_core=info",
        2 => "rmux_core=debug",
        _ => "trace",
    };
    let filter = match &asked {
        None => EnvFilter::new(default),
        Some(text) => EnvFilter::try_new(text).unwrap_or_else(|error| {
            message::warning(format_args!("{VARIABLE} is not used: {error}"));
            EnvFilter::new(default)
        }),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .event_format(Line {
            with_target: asked.is_some() || verbose > 1,
        })
        .init();
}

/// `rmux: warning: message key=value`, as the program's other messages look.
struct Line {
    with_target: bool,
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
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            Level::DEBUG => "debug: ",
            Level::TRACE => "trace: ",
        };
        write!(writer, "rmux: {level}")?;
        if self.with_target {
            write!(writer, "{}: ", metadata.target())?;
        }
        let text = message::printable(&text, |_| false);
        write!(writer, "{text}{}", message::line_end())
    }
}
