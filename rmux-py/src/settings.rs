//! The keywords of `connect` as core's `Config`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rmux_core::{Config, ConfigFile, Error, ErrorKind, HostKeyPolicy, SessionEvent};

use crate::delivery::deliver;
use crate::error::exception;
use crate::operation::Operation;
use crate::question::{Answers, Passing};
use crate::session::Session;

/// Prepares a connection. `answers` names the kinds of questions that can be answered, `on_event`
/// is called with the name of each event, and what it tells as keywords, from a thread of rmux: it
/// must only pass it on.
#[pyfunction]
#[pyo3(signature = (host, *, user, port, identity_files, config_file, options, password,
                    host_key_policy, connect_timeout, answers, on_event))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn connect(
    py: Python<'_>,
    host: String,
    user: Option<String>,
    port: Option<i64>,
    identity_files: Vec<PathBuf>,
    config_file: Option<PathBuf>,
    options: Vec<(String, String)>,
    password: Option<String>,
    host_key_policy: Option<&str>,
    connect_timeout: Option<f64>,
    answers: Vec<String>,
    on_event: Option<Py<PyAny>>,
) -> PyResult<Operation> {
    let invalid = |what: String| {
        let error = Error::new(ErrorKind::ConfigInvalid, "connect", what).with_host(&host);
        exception(py, &error)
    };
    let mut config = Config::new();
    if let Some(user) = user {
        config = config.user(user);
    }
    if let Some(port) = port {
        config = config.port(match u16::try_from(port) {
            Ok(port) if port != 0 => port,
            _ => return Err(invalid(format!("{port} is no port (1 to 65535)"))),
        });
    }
    for file in identity_files {
        config = config.identity_file(file);
    }
    if let Some(file) = config_file {
        config = config.config_file(match file.as_os_str() == "none" {
            true => ConfigFile::None,
            false => ConfigFile::Path(file),
        });
    }
    for (key, value) in options {
        config = config.option(key, value);
    }
    if let Some(password) = password {
        config = config.password(password);
    }
    config = match host_key_policy {
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
    if let Some(seconds) = connect_timeout {
        config = config.connect_timeout(match Duration::try_from_secs_f64(seconds) {
            Ok(timeout) if !timeout.is_zero() => timeout,
            _ => return Err(invalid(format!("{seconds} seconds is no connect timeout"))),
        });
    }
    if let Some(sink) = on_event {
        config = config.on_event(observer(sink));
    }
    let has = |kind: &str| answers.iter().any(|answer| answer == kind);
    let answers = Answers {
        host_key: has("host_key"),
        passphrase: has("passphrase"),
        password: has("password"),
        keyboard_interactive: has("keyboard_interactive"),
    };
    let (prompter, questions) = Passing::new(answers);
    if answers.any() {
        config = config.prompter(Arc::new(prompter));
    }
    let named = host.clone();
    let operation = Operation::new(
        async move { rmux_core::Session::connect(&host, config).await },
        |py, session| Ok(Py::new(py, Session::new(session))?.into_any()),
    );
    Ok(operation.on(&named).asking(questions))
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
