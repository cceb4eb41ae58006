//! A session, and how its commands are begun.

use std::ffi::OsStr;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rmux_core::blocking::runtime;
use rmux_core::{
    CloseReason, Command, Error, ErrorKind, ExitStatus, Host, Lane, Output, OutputLimit, Pty, Stdio,
};
use tokio::sync::{oneshot, watch};

use crate::child::{Child, Running};
use crate::context::ShellContext;
use crate::error::{checked, exception};
use crate::files::Files;
use crate::fork::Here;
use crate::forward::Reach;
use crate::operation::{Operation, duration, grace};
use crate::recipe::{Recipe, Variables, Words};
use crate::settings::limit;
use crate::stats;
use crate::transfer::{Dropped, local};

/// One host, connected to and authenticated once: a handle, which may be given back.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Session(Here<Handle>);

struct Handle {
    /// None when it was given back.
    session: Mutex<Option<rmux_core::Session>>,
    host: Host,
    /// Wakes who waits for the session's end by this handle.
    given_back: watch::Sender<bool>,
}

/// For a command that moves much data: how much, where that is known.
type Bulk = Option<(Option<u64>,)>;

impl Session {
    pub(crate) fn new(session: rmux_core::Session) -> Self {
        Self(Here::new(Handle {
            host: session.host().clone(),
            session: Mutex::new(Some(session)),
            given_back: watch::Sender::new(false),
        }))
    }

    /// What is held; nothing after it was given back.
    fn held(&self) -> MutexGuard<'_, Option<rmux_core::Session>> {
        self.0.session.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The host as the user named it.
    pub(crate) fn name(&self) -> &str {
        &self.0.host.name
    }

    /// The session, for this; an error after the handle was given back.
    pub(crate) fn session(&self, operation: &'static str) -> rmux_core::Result<rmux_core::Session> {
        self.held().clone().ok_or_else(|| {
            let what = "this handle of the session was given back";
            Error::new(ErrorKind::Closed, operation, what).with_host(self.name())
        })
    }

    /// The files of the host; an error after the handle was given back.
    pub(crate) fn files(&self) -> rmux_core::Result<rmux_core::Files> {
        Ok(self.session("files")?.files())
    }

    /// The command that both ways to run one begin with. It never outlives its caller.
    fn command(
        &self,
        words: &Words,
        env: &Variables,
        cwd: Option<&PyBackedBytes>,
        verbatim: bool,
        bulk: Bulk,
        context: Option<&ShellContext>,
    ) -> rmux_core::Result<Command> {
        let about = |error: Error| error.with_host(&self.0.host.name);
        let recipe = Recipe::new(words, env, cwd).map_err(about)?;
        let session = self.session("run")?;
        let mut command = match context {
            Some(context) => recipe.command_in(context.core()).map_err(about)?,
            None => recipe.command(&session),
        };
        if let Some((size,)) = bulk {
            command.lane(Lane::Bulk(size));
        }
        command.kill_on_drop(true).verbatim(verbatim);
        Ok(command)
    }
}

#[pymethods]
impl Session {
    /// Name, host name, user, port, identity files and ignored settings.
    #[getter]
    fn host(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let host = &self.0.host;
        let files: Vec<&OsStr> = host.identity_files.iter().map(|f| f.as_os_str()).collect();
        let ignored: Vec<String> = host.ignored.iter().map(ToString::to_string).collect();
        let fields = (
            &host.name,
            &host.hostname,
            &host.user,
            host.port,
            files,
            ignored,
        );
        Ok(fields.into_pyobject(py)?.into_any().unbind())
    }

    /// Whether the session has ended, or was given back.
    #[getter]
    fn closed(&self) -> bool {
        self.held().as_ref().is_none_or(|held| held.is_closed())
    }

    /// The files of the host.
    #[getter(files)]
    fn files_of(slf: Py<Self>) -> Files {
        Files::new(slf)
    }

    /// What it reaches through its host.
    #[getter(reach)]
    fn reach_of(slf: Py<Self>) -> Reach {
        Reach::new(slf)
    }

    /// Runs a command to its end: exit code, signal, stdout, stderr, how many bytes of each were
    /// dropped, the files with all of each, and what to say if the exit code should have been 0.
    #[pyo3(signature = (words, *, input, env, cwd, timeout, kill_grace, limit, verbatim, bulk, context))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn run(
        &self,
        py: Python<'_>,
        words: Words,
        input: Option<PyBackedBytes>,
        env: Variables,
        cwd: Option<PyBackedBytes>,
        timeout: Option<f64>,
        kill_grace: Option<f64>,
        limit: Option<(u64, String)>,
        verbatim: bool,
        bulk: Bulk,
        context: Option<&Bound<'_, ShellContext>>,
    ) -> PyResult<Operation> {
        checked(py, runtime())?;
        let context = context.map(Bound::get);
        let command = self.command(&words, &env, cwd.as_ref(), verbatim, bulk, context);
        let mut command = checked(py, command)?;
        if let Some(time) = kill_grace.map(grace) {
            command.kill_grace(time);
        }
        if let Some((most, on_excess)) = limit {
            command.output_limit(checked(py, output_limit(most, &on_excess))?);
        }
        if let Some(input) = input {
            command.input(Bytes::from_owner(input));
        }
        if let Some(timeout) = timeout.and_then(duration) {
            command.timeout(timeout);
        }
        let host = self.0.host.name.clone();
        let (stop, stopped) = oneshot::channel();
        let call = async move {
            let stopped = async {
                if stopped.await.is_err() {
                    std::future::pending().await
                }
            };
            command.output_until(stopped).await
        };
        let operation = Operation::new(call, {
            let host = host.clone();
            move |py, output| completed(py, output, &host)
        });
        Ok(operation.on(&host).stopped_by(stop))
    }

    /// Starts a command: the child, and its stdin, stdout and stderr where they are pipes. `pty`
    /// is a terminal's type, columns, rows, and whether to do without if it is refused.
    #[pyo3(signature = (words, *, stdin, stdout, stderr, env, cwd, pty, kill_grace, verbatim, bulk, context))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn spawn(
        &self,
        py: Python<'_>,
        words: Words,
        stdin: &str,
        stdout: &str,
        stderr: &str,
        env: Variables,
        cwd: Option<PyBackedBytes>,
        pty: Option<(String, u32, u32, bool)>,
        kill_grace: Option<f64>,
        verbatim: bool,
        bulk: Bulk,
        context: Option<&Bound<'_, ShellContext>>,
    ) -> PyResult<Operation> {
        checked(py, runtime())?;
        let context = context.map(Bound::get);
        let command = self.command(&words, &env, cwd.as_ref(), verbatim, bulk, context);
        let mut command = checked(py, command)?;
        command.stdin(checked(py, stdio(stdin))?);
        command.stdout(checked(py, stdio(stdout))?);
        command.stderr(checked(py, stdio(stderr))?);
        if let Some(time) = kill_grace.map(grace) {
            command.kill_grace(time);
        }
        if let Some((term, columns, rows, optional)) = pty {
            let pty = Pty::new(term).size(columns, rows);
            command.pty(if optional { pty.optional() } else { pty });
        }
        let host = self.0.host.name.clone();
        let named = host.clone();
        let call = async move {
            let child = command.spawn().await?;
            Ok(Here::new(Running::new(child, named)))
        };
        let operation = Operation::new(call, |py, running| {
            let (child, stdin, stdout, stderr) = Child::new(running.into_inner());
            let child = Py::new(py, child)?;
            let made = (child, stdin, stdout, stderr).into_pyobject(py)?;
            Ok(made.into_any().unbind())
        });
        Ok(operation.on(&host))
    }

    /// Puts files of this machine into a private folder of the remote: a `Dropped`.
    fn drop_files(&self, py: Python<'_>, paths: Vec<PyBackedBytes>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let session = self.held().clone();
        let host = self.0.host.name.clone();
        let named = host.clone();
        let paths: Vec<_> = paths.iter().map(|path| local(path).to_owned()).collect();
        let call = async move {
            let Some(session) = session else {
                let what = "this handle of the session was given back";
                return Err(Error::new(ErrorKind::Closed, "drop", what).with_host(&named));
            };
            let dropped = session.drop_files(paths).await;
            Ok(Here::new(dropped.map_err(|error| error.with_host(&named))?))
        };
        let operation = Operation::new(call, {
            let host = host.clone();
            |py, dropped: Here<rmux_core::Dropped>| {
                let dropped = Dropped::new(dropped.into_inner(), host);
                Ok(Py::new(py, dropped)?.into_any())
            }
        });
        Ok(operation.on(&host).named("drop"))
    }

    /// A context that begins as any command does.
    fn context(&self, py: Python<'_>) -> PyResult<ShellContext> {
        checked(py, runtime())?;
        let session = checked(py, self.session("make a context"))?;
        Ok(ShellContext::new(session.context()))
    }

    /// Gives the handle back: what runs by it still uses the session, and nothing new can.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        checked(py, runtime())?;
        let held = self.held().take();
        drop(held);
        self.0.given_back.send_replace(true);
        Ok(())
    }

    /// Closes the connection, for all who use it.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let session = Here::new(self.held().clone());
        let call = async move {
            if let Some(session) = &*session {
                session.close().await;
            }
            Ok(())
        };
        let operation = Operation::new(call, |py, ()| Ok(py.None()));
        Ok(operation.on(&self.0.host.name).named("close"))
    }

    /// Closes the session when nothing runs any more, or after so many seconds: what was cut off.
    fn shutdown(&self, py: Python<'_>, timeout: f64) -> PyResult<Operation> {
        checked(py, runtime())?;
        let limit = checked(py, limit(timeout, "shut down"))?;
        let session = Here::new(self.held().clone());
        let call = async move {
            Ok(match &*session {
                Some(session) => session.shutdown(limit).await,
                None => Vec::new(),
            })
        };
        let operation = Operation::new(call, stats::cut_off);
        Ok(operation.on(&self.0.host.name).named("shut down"))
    }

    /// The fields of `rmux.Capabilities`, in order.
    fn capabilities(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let session = self.held().clone().ok_or_else(|| {
            let what = "this handle of the session was given back";
            Error::new(ErrorKind::Closed, "capabilities", what).with_host(&self.0.host.name)
        });
        let session = Here::new(checked(py, session)?);
        let call = async move { session.capabilities().await };
        Ok(Operation::new(call, stats::capabilities).on(&self.0.host.name))
    }

    /// What the session does and has done.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        checked(py, runtime())?;
        let stats = self.held().as_ref().map(rmux_core::Session::stats);
        let stats = stats.ok_or_else(|| {
            let what = "this handle of the session was given back";
            Error::new(ErrorKind::Closed, "stats", what).with_host(&self.0.host.name)
        });
        stats::of_session(py, &checked(py, stats)?)
    }

    /// Waits for the end, or until the handle is given back: the exception if the session was lost,
    /// else None.
    fn wait_closed(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let session = Here::new(self.held().clone());
        let mut given_back = self.0.given_back.subscribe();
        let call = async move {
            let Some(session) = &*session else {
                return Ok(None);
            };
            // Waiting is a use of the session, which must not outlast the handle.
            tokio::select! {
                reason = session.closed() => Ok(Some(reason)),
                _ = given_back.wait_for(|given_back| *given_back) => Ok(None),
            }
        };
        let operation = Operation::new(call, |py, reason| match reason {
            Some(CloseReason::Lost(error)) => Ok(exception(py, &error).into_value(py).into_any()),
            _ => Ok(py.None()),
        });
        Ok(operation.on(&self.0.host.name).named("wait for the end"))
    }
}

/// Exit code and signal's name, one of which is None.
pub(crate) fn ended(status: &ExitStatus) -> (Option<i32>, Option<String>) {
    let signal = status.signal().map(|signal| signal.name().to_owned());
    (status.code(), signal)
}

pub(crate) fn completed(py: Python<'_>, mut output: Output, host: &str) -> PyResult<Py<PyAny>> {
    let (code, signal) = ended(&output.status);
    let stdout = PyBytes::new(py, &std::mem::take(&mut output.stdout));
    let stderr = PyBytes::new(py, &output.stderr);
    let dropped = (output.stdout_dropped, output.stderr_dropped);
    let files = (output.stdout_file.take(), output.stderr_file.take());
    let failure = output.check().err();
    let failure = failure.map(|error| error.with_host(host).to_string());
    Ok((code, signal, stdout, stderr, dropped, files, failure)
        .into_pyobject(py)?
        .into_any()
        .unbind())
}

pub(crate) fn output_limit(most: u64, on_excess: &str) -> rmux_core::Result<OutputLimit> {
    match on_excess {
        "error" => Ok(OutputLimit::Error(most)),
        "truncate" => Ok(OutputLimit::Truncate(most)),
        "spill" => Ok(OutputLimit::Spill(most)),
        _ => {
            let what = format!("on_excess is error, truncate or spill, not {on_excess:?}");
            Err(Error::new(ErrorKind::InvalidInput, "run", what))
        }
    }
}

fn stdio(name: &str) -> rmux_core::Result<Stdio> {
    match name {
        "pipe" => Ok(Stdio::Piped),
        "inherit" => Ok(Stdio::Inherit),
        "null" => Ok(Stdio::Null),
        _ => {
            let what = format!("a stream cannot be connected to {name:?}");
            Err(Error::new(ErrorKind::InvalidInput, "run", what))
        }
    }
}
