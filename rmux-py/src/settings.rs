//! The keywords that `connect` and a pool have beside those of `resolve`, and `connect` itself.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rmux_core::{Config, Error, ErrorKind, FurtherLogins, HostKeyPolicy, SessionEvent};

use crate::delivery::deliver;
use crate::error::exception;
use crate::operation::Operation;
use crate::question::{Answers, Passing};
use crate::recipe::{Variables, text};
use crate::resolve::Wanted;
use crate::session::Session;
use crate::waiting::Waiters;

/// Prepares a connection.
#[pyfunction]
pub(crate) fn connect(
    py: Python<'_>,
    host: String,
    wanted: Wanted,
    connecting: Connecting,
) -> PyResult<Operation> {
    let waiters = Waiters::default();
    let config = connecting.config(py, wanted, Some(&host), &waiters)?;
    let (place, questions) = waiters.join(&host);
    let named = host.clone();
    let call = async move {
        let _place = place;
        rmux_core::Session::connect(&host, config).await
    };
    let operation = Operation::new(call, |py, session| {
        Ok(Py::new(py, Session::new(session))?.into_any())
    });
    Ok(operation.on(&named).asking(questions))
}

/// How a program connects, beside what decides what a destination resolves to.
#[derive(FromPyObject)]
pub(crate) struct Connecting {
    password: Option<String>,
    host_key_policy: Option<String>,
    connect_timeout: Option<f64>,
    answer_timeout: Option<f64>,
    /// For every command.
    env: Variables,
    max_links: Option<i64>,
    further_logins: Option<String>,
    /// The kinds of questions that can be answered.
    answers: Vec<String>,
    /// Called with the name of each event, and what it tells as keywords, from a thread of rmux: it
    /// must only pass it on.
    on_event: Option<Py<PyAny>>,
    /// Called with the questions that come up when nobody waits, likewise.
    on_question: Option<Py<PyAny>>,
}

impl Connecting {
    /// As core has it, with what resolves the destination. An error tells of `host`; questions are
    /// put to one of the `waiters`.
    pub(crate) fn config(
        self,
        py: Python<'_>,
        wanted: Wanted,
        host: Option<&str>,
        waiters: &Waiters,
    ) -> PyResult<Config> {
        let invalid = |what: String| {
            let error = Error::new(ErrorKind::ConfigInvalid, "connect", what);
            exception(py, &about(error, host))
        };
        let mut config = wanted.config(py, "connect", host)?;
        if let Some(password) = self.password {
            config = config.password(password);
        }
        config = match self.host_key_policy.as_deref() {
            None => config,
            Some("strict") => config.host_key_policy(HostKeyPolicy::Strict),
            Some("accept-new") => config.host_key_policy(HostKeyPolicy::AcceptNew),
            Some("ask") => config.host_key_policy(HostKeyPolicy::Ask),
            Some("danger-accept-any") => config.danger_accept_any_host_key(),
            Some(other) => {
                return Err(invalid(format!(
                    "{other:?} is no host key policy (\"strict\", \"accept-new\", \"ask\", or a \
                     callable)"
                )));
            }
        };
        if let Some(seconds) = self.connect_timeout {
            config = config.connect_timeout(match Duration::try_from_secs_f64(seconds) {
                Ok(timeout) if !timeout.is_zero() => timeout,
                _ => return Err(invalid(format!("{seconds} seconds is no connect timeout"))),
            });
        }
        if let Some(seconds) = self.answer_timeout {
            let timeout = Duration::try_from_secs_f64(seconds);
            let timeout =
                timeout.map_err(|_| invalid(format!("{seconds} seconds is no answer timeout")))?;
            config = config.answer_timeout(timeout);
        }
        for (name, value) in &self.env {
            let text = |bytes| text(bytes).map_err(|error| exception(py, &about(error, host)));
            config = config.env(text(name)?, text(value)?);
        }
        if let Some(links) = self.max_links {
            config = config.max_links(match usize::try_from(links) {
                Ok(links) if links > 0 => links,
                _ => return Err(invalid(format!("{links} is no number of connections"))),
            });
        }
        config = match self.further_logins.as_deref() {
            None => config,
            Some("silent") => config.further_logins(FurtherLogins::Silent),
            Some("never") => config.further_logins(FurtherLogins::Never),
            Some("allowed") => config.further_logins(FurtherLogins::Allowed),
            Some(other) => {
                return Err(invalid(format!(
                    "further_logins is \"silent\", \"never\" or \"allowed\", not {other:?}"
                )));
            }
        };
        if let Some(sink) = self.on_event {
            config = config.on_event(observer(sink));
        }
        let has = |kind: &str| self.answers.iter().any(|answer| answer == kind);
        let answers = Answers {
            host_key: has("host_key"),
            passphrase: has("passphrase"),
            password: has("password"),
            keyboard_interactive: has("keyboard_interactive"),
            agent_key: has("agent_key"),
        };
        if answers.any() || self.on_question.is_some() {
            let passing = Passing::new(waiters.clone(), answers, self.on_question);
            config = config.prompter(Arc::new(passing));
        }
        Ok(config)
    }
}

/// How long a session stays that nobody uses. For ever is as long as core counts.
pub(crate) fn linger(seconds: f64) -> rmux_core::Result<Duration> {
    if seconds == f64::INFINITY {
        return Ok(Duration::MAX);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let what = format!("{seconds} seconds is no time to linger");
        Error::new(ErrorKind::ConfigInvalid, "connect", what)
    })
}

/// A length of time that something may take; for ever is as long as core counts.
pub(crate) fn limit(seconds: f64, operation: &'static str) -> rmux_core::Result<Duration> {
    if seconds == f64::INFINITY {
        return Ok(Duration::MAX);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let what = format!("{seconds} seconds is no time to wait");
        Error::new(ErrorKind::InvalidInput, operation, what)
    })
}

/// The limits of a pool's connections.
pub(crate) fn limited(
    mut config: Config,
    [total, per_host]: [Option<i64>; 2],
    acquire_timeout: Option<f64>,
) -> rmux_core::Result<Config> {
    let number = |number: i64| {
        let number = usize::try_from(number).ok().filter(|number| *number > 0);
        number.ok_or_else(|| {
            let what = "a pool must have room for 1 connection at least";
            Error::new(ErrorKind::ConfigInvalid, "connect", what)
        })
    };
    if let Some(total) = total {
        config = config.max_connections(number(total)?);
    }
    if let Some(per_host) = per_host {
        config = config.max_connections_per_host(number(per_host)?);
    }
    if let Some(seconds) = acquire_timeout {
        config = config.acquire_timeout(limit(seconds, "connect")?);
    }
    Ok(config)
}

/// The error, with the host where it is about one.
pub(crate) fn about(error: Error, host: Option<&str>) -> Error {
    match host {
        Some(host) => error.with_host(host),
        None => error,
    }
}

/// Passes events on to `sink`.
fn observer(sink: Py<PyAny>) -> impl Fn(SessionEvent) + Send + Sync + 'static {
    let sink = Arc::new(sink);
    move |event| {
        let sink = sink.clone();
        deliver(move |py| {
            let name = event.name();
            let told = fields(py, event)
                .and_then(|fields| sink.bind(py).call((name,), Some(&fields)).map(drop));
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// What an event tells besides its name.
fn fields(py: Python<'_>, event: SessionEvent) -> PyResult<Bound<'_, PyDict>> {
    let fields = PyDict::new(py);
    match event {
        SessionEvent::Connected { address } => fields.set_item("address", address.to_string())?,
        SessionEvent::Banner { text } => fields.set_item("text", text)?,
        SessionEvent::Authenticated { user, method } => {
            fields.set_item("user", user)?;
            fields.set_item("method", method)?;
        }
        SessionEvent::Lost { reason } => fields.set_item("reason", exception(py, &reason))?,
        _ => {}
    }
    Ok(fields)
}
