//! A running command: its end, its signals, its terminal's size.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::future::{join, try_join3};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rmux_core::blocking::runtime;
use rmux_core::{Error, ErrorKind, ExitStatus, RemoteEnd, Signal, Stopped};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, oneshot, watch};

use crate::error::checked;
use crate::fork::Here;
use crate::operation::{Operation, duration};
use crate::pipe::{Output, Reader, SharedInput, SharedOutput, Source, Writer, shared_input};
use crate::session::ended;

/// A command that runs. Letting go of it kills the command, if it has not ended.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Child(Here<Arc<Running>>);

/// A command, its streams, and the task that has it. The task ends with this, and kills it.
pub(crate) struct Running {
    orders: UnboundedSender<Order>,
    end: watch::Receiver<Option<rmux_core::Result<ExitStatus>>>,
    host: String,
    has_pty: bool,
    stdin: Option<SharedInput>,
    stdout: Option<SharedOutput>,
    stderr: Option<SharedOutput>,
    talk: Mutex<Talk>,
}

/// What the task is told to do with the command.
enum Order {
    Signal(Signal),
    Kill,
    Stop(Duration, oneshot::Sender<rmux_core::Result<Stopped>>),
    Resize(u32, u32),
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
        let (orders, received) = unbounded_channel();
        let (ending, end) = watch::channel(None);
        let has_pty = child.has_pty();
        tokio::spawn(look_after(child, received, ending));
        Self {
            orders,
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

    fn order(&self, order: Order) {
        // An error means that the command has ended.
        let _ = self.orders.send(order);
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
        let (told, stopped) = oneshot::channel();
        self.order(Order::Stop(grace, told));
        match stopped.await {
            Ok(stopped) => {
                let stopped = stopped?;
                Ok((stopped.status, stopped.remote_end == RemoteEnd::Confirmed))
            }
            // It had ended by itself: nobody has asked for its group.
            Err(_) => Ok((self.wait().await?, false)),
        }
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
                self.order(Order::Kill);
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

/// Waits for the command's end and does meanwhile what is ordered. When nobody can order any more,
/// it lets go of the command.
async fn look_after(
    mut child: rmux_core::Child,
    mut orders: UnboundedReceiver<Order>,
    ending: watch::Sender<Option<rmux_core::Result<ExitStatus>>>,
) {
    let end = loop {
        tokio::select! {
            end = child.wait() => break end,
            order = orders.recv() => match order {
                Some(Order::Stop(grace, told)) => {
                    let mut stopping = std::pin::pin!(child.stop(grace));
                    let stopped = loop {
                        tokio::select! {
                            stopped = &mut stopping => break stopped,
                            order = orders.recv() => match order {
                                Some(order) => obey(&child, order),
                                None => return,
                            },
                        }
                    };
                    let _ = told.send(stopped);
                }
                Some(order) => obey(&child, order),
                None => return,
            },
        }
    };
    ending.send_replace(Some(end));
}

/// Does what needs no waiting.
fn obey(child: &rmux_core::Child, order: Order) {
    match order {
        Order::Signal(signal) => child.signal(&signal),
        Order::Kill => child.start_kill(),
        Order::Resize(columns, rows) => child.resize(columns, rows),
        // It is being stopped already: who asks again waits for the end only.
        Order::Stop(..) => {}
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
        let grace = duration(grace).unwrap_or(Duration::MAX);
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
        self.0.order(Order::Signal(signal));
        Ok(())
    }

    /// Kills its process group.
    fn kill(&self, py: Python<'_>) -> PyResult<()> {
        checked(py, runtime())?;
        self.0.order(Order::Kill);
        Ok(())
    }

    /// Tells its terminal the new size.
    fn resize(&self, py: Python<'_>, columns: u32, rows: u32) -> PyResult<()> {
        checked(py, runtime())?;
        self.0.order(Order::Resize(columns, rows));
        Ok(())
    }
}
