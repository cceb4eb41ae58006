//! A running command: its end, its signals, its terminal's size.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::future::{join, try_join3};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rmux_core::blocking::runtime;
use rmux_core::{Error, ErrorKind, ExitStatus, RemoteEnd, Signal};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, oneshot, watch};

use crate::error::checked;
use crate::fork::Here;
use crate::operation::{self, Operation};
use crate::pipe::{Output, Reader, SharedInput, SharedOutput, Source, Writer, shared_input};
use crate::session::ended;

/// A command that runs. Letting go of it kills the command, if it has not ended.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Child(Here<Arc<Running>>);

/// A command, its streams, and the task that has it. The task ends with this, and kills it.
pub(crate) struct Running {
    /// The task's. What is done by it is done in the order in which it is asked for.
    child: Weak<rmux_core::Child>,
    _wanted: oneshot::Sender<()>,
    end: watch::Receiver<Option<rmux_core::Result<ExitStatus>>>,
    host: String,
    has_pty: bool,
    stdin: Option<SharedInput>,
    stdout: Option<SharedOutput>,
    stderr: Option<SharedOutput>,
    talk: Mutex<Talk>,
}

/// How far `communicate` has come, so that it can go on after a timeout.
#[derive(Default)]
struct Talk {
    input: Option<Bytes>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Running {
    /// Takes a command over. To be called in a runtime.
    pub(crate) fn new(mut child: rmux_core::Child, host: String) -> Self {
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().map(Source::Stdout);
        let stderr = child.stderr.take().map(Source::Stderr);
        let (wanted, unwanted) = oneshot::channel();
        let (ending, end) = watch::channel(None);
        let has_pty = child.has_pty();
        let child = Arc::new(child);
        let weak = Arc::downgrade(&child);
        tokio::spawn(look_after(child, unwanted, ending));
        Self {
            child: weak,
            _wanted: wanted,
            end,
            host,
            has_pty,
            stdin: stdin.map(shared_input),
            stdout: stdout.map(Output::shared),
            stderr: stderr.map(Output::shared),
            talk: Mutex::default(),
        }
    }

    async fn wait(&self) -> rmux_core::Result<ExitStatus> {
        let mut end = self.end.clone();
        let end = end.wait_for(Option::is_some).await;
        match end.map(|end| end.clone()) {
            Ok(Some(end)) => end,
            // The runtime is ending.
            Ok(None) | Err(_) => {
                let what = "the command was given up";
                Err(Error::new(ErrorKind::OutcomeUnknown, "wait", what).with_host(&self.host))
            }
        }
    }

    /// Tells the command something, unless it has ended.
    fn tell(&self, what: impl FnOnce(&rmux_core::Child)) {
        if let Some(child) = self.child.upgrade() {
            what(&child);
        }
    }

    async fn communicate(
        &self,
        input: Option<Bytes>,
    ) -> rmux_core::Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        let mut talk = self.talk.lock().await;
        let Talk {
            input: pending,
            stdout,
            stderr,
        } = &mut *talk;
        let pending = pending.get_or_insert_with(|| input.unwrap_or_default());
        let feed = async {
            if let Some(stdin) = &self.stdin {
                let mut stdin = stdin.lock().await;
                if let Some(stdin) = &mut *stdin {
                    // A command that has enough closes its input: how it ended is what counts.
                    while pending.has_remaining() && stdin.write_buf(pending).await.is_ok() {}
                }
                stdin.take();
            }
            Ok(())
        };
        try_join3(
            feed,
            collect(self.stdout.as_ref(), stdout),
            collect(self.stderr.as_ref(), stderr),
        )
        .await
        .map_err(|error: rmux_core::Error| error.with_host(&self.host))?;
        self.wait().await?;
        Ok((
            self.stdout.as_ref().map(|_| std::mem::take(stdout)),
            self.stderr.as_ref().map(|_| std::mem::take(stderr)),
        ))
    }

    async fn stop(&self, grace: Duration) -> rmux_core::Result<(ExitStatus, bool)> {
        let Some(child) = self.child.upgrade() else {
            // It had ended by itself: nobody has asked for its group.
            return Ok((self.wait().await?, false));
        };
        let stopped = child.stop(grace).await?;
        Ok((stopped.status, stopped.remote_end == RemoteEnd::Confirmed))
    }

    /// Ends the streams as closing local pipes does, and waits for the end.
    async fn leave(&self) -> rmux_core::Result<ExitStatus> {
        if let Some(stdin) = &self.stdin {
            stdin.lock().await.take();
        }
        let hang_up = async |output: Option<&SharedOutput>| {
            if let Some(output) = output
                && output.lock().await.hang_up().await
            {
                // A local command would end by SIGPIPE now.
                self.tell(rmux_core::Child::start_kill);
            }
        };
        let hang_up_both = join(hang_up(self.stdout.as_ref()), hang_up(self.stderr.as_ref()));
        tokio::select! {
            biased;
            status = self.wait() => status,
            never = async {
                hang_up_both.await;
                std::future::pending().await
            } => never,
        }
    }
}

/// Waits for the command's end. When nobody wants it any more, it lets go of the command.
async fn look_after(
    child: Arc<rmux_core::Child>,
    unwanted: oneshot::Receiver<()>,
    ending: watch::Sender<Option<rmux_core::Result<ExitStatus>>>,
) {
    tokio::select! {
        end = child.ended() => drop(ending.send_replace(Some(end))),
        _ = unwanted => {}
    }
}

async fn collect(output: Option<&SharedOutput>, all: &mut Vec<u8>) -> rmux_core::Result<()> {
    if let Some(output) = output {
        let mut output = output.lock().await;
        while let Some(piece) = output.chunk().await? {
            all.extend_from_slice(&piece);
        }
    }
    Ok(())
}

impl Child {
    /// The child and its piped streams: stdin, stdout, stderr.
    pub(crate) fn new(running: Running) -> (Self, Option<Writer>, Option<Reader>, Option<Reader>) {
        let host = &running.host;
        let writer = running.stdin.clone().map(|stdin| Writer::new(stdin, host));
        let reader =
            |output: &Option<SharedOutput>| output.clone().map(|output| Reader::new(output, host));
        let (out, err) = (reader(&running.stdout), reader(&running.stderr));
        (Self(Here::new(Arc::new(running))), writer, out, err)
    }

    fn operation<T, F>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(Here<Arc<Running>>) -> F,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Operation>
    where
        T: Send + 'static,
        F: Future<Output = rmux_core::Result<T>> + Send + 'static,
    {
        checked(py, runtime())?;
        let call = call(Here::new((*self.0).clone()));
        Ok(Operation::new(call, convert).on(&self.0.host))
    }
}

fn end(py: Python<'_>, status: ExitStatus) -> PyResult<Py<PyAny>> {
    Ok(ended(&status).into_pyobject(py)?.into_any().unbind())
}

#[pymethods]
impl Child {
    /// Whether it has a terminal.
    #[getter]
    fn has_pty(&self) -> bool {
        self.0.has_pty
    }

    /// Waits for the end: exit code and signal. The streams stay as they are.
    fn wait(&self, py: Python<'_>) -> PyResult<Operation> {
        self.operation(py, async move |running| running.wait().await, end)
    }

    /// Exit code and signal, or None while it runs.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<(Option<i32>, Option<String>)>> {
        checked(py, runtime())?;
        let end = self.0.end.borrow().clone().transpose();
        Ok(checked(py, end)?.map(|status| ended(&status)))
    }

    /// Writes `input`, closes stdin, reads both outputs to their ends and waits for the end.
    /// Cancelled, it goes on where it was at the next call; the first call's input counts.
    fn communicate(&self, py: Python<'_>, input: Option<PyBackedBytes>) -> PyResult<Operation> {
        let input = input.map(Bytes::from_owner);
        self.operation(
            py,
            async move |running| running.communicate(input).await,
            |py, (stdout, stderr)| {
                let stdout = stdout.map(|all| PyBytes::new(py, &all));
                let stderr = stderr.map(|all| PyBytes::new(py, &all));
                Ok((stdout, stderr).into_pyobject(py)?.into_any().unbind())
            },
        )
    }

    /// Closes the streams and waits for the end: exit code and signal. A command that goes on
    /// writing is killed, as one on this machine would be by SIGPIPE.
    fn leave(&self, py: Python<'_>) -> PyResult<Operation> {
        self.operation(py, async move |running| running.leave().await, end)
    }

    /// Ends the command in order: exit code, signal, and whether the end of its process group was
    /// confirmed.
    fn stop(&self, py: Python<'_>, grace: f64) -> PyResult<Operation> {
        let grace = operation::grace(grace);
        let call = async move |running: Here<Arc<Running>>| running.stop(grace).await;
        self.operation(py, call, |py, (status, confirmed)| {
            let (code, signal) = ended(&status);
            let made = (code, signal, confirmed).into_pyobject(py)?;
            Ok(made.into_any().unbind())
        })
    }

    /// Sends a signal, by its name.
    fn signal(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        checked(py, runtime())?;
        let signal = Signal::named(name).map_err(|error| error.with_host(&self.0.host));
        let signal = checked(py, signal)?;
        self.0.tell(|child| child.signal(&signal));
        Ok(())
    }

    /// Kills its process group.
    fn kill(&self, py: Python<'_>) -> PyResult<()> {
        checked(py, runtime())?;
        self.0.tell(rmux_core::Child::start_kill);
        Ok(())
    }

    /// Tells its terminal the new size.
    fn resize(&self, py: Python<'_>, columns: u32, rows: u32) -> PyResult<()> {
        checked(py, runtime())?;
        self.0.tell(|child| child.resize(columns, rows));
        Ok(())
    }
}
