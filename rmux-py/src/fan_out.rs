//! One command on many hosts: the results, one after the other.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rmux_core::blocking::runtime;
use rmux_core::{HostOutput, Pool};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::error::{checked, exception};
use crate::fork::Here;
use crate::operation::{Operation, duration, grace};
use crate::question::Asked;
use crate::recipe::{Recipe, Variables, Words};
use crate::session::{completed, output_limit};
use crate::waiting::{Place, Waiters};

/// What to run on many hosts, and how.
#[derive(FromPyObject)]
pub(crate) struct Many {
    hosts: Vec<String>,
    words: Words,
    input: Option<PyBackedBytes>,
    env: Variables,
    cwd: Option<PyBackedBytes>,
    kill_grace: Option<f64>,
    output_limit: Option<(u64, String)>,
    verbatim: bool,
    limit: usize,
    ordered: bool,
    fail_fast: bool,
    timeout: Option<f64>,
    deadline: Option<f64>,
}

/// The results. Letting go of it ends all.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct HostOutputs(Mutex<Option<Here<Arc<Outputs>>>>);

struct Outputs {
    /// None when all was ended.
    stream: Mutex<Option<rmux_core::HostOutputs>>,
    /// Whose turn it is to wait.
    ///
    /// Who takes the results may be asked as long as there are some; who does not wait for one just
    /// now is asked when the next one is.
    questions: tokio::sync::Mutex<UnboundedReceiver<Asked>>,
    _place: Place,
}

impl Outputs {
    fn stream(&self) -> MutexGuard<'_, Option<rmux_core::HostOutputs>> {
        self.stream.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl HostOutputs {
    pub(crate) fn new(
        py: Python<'_>,
        pool: &Pool,
        waiters: &Waiters,
        many: Many,
    ) -> PyResult<Self> {
        checked(py, runtime())?;
        let recipe = Recipe::new(&many.words, &many.env, many.cwd.as_ref());
        let recipe = checked(py, recipe)?;
        let input = many.input.map_or_else(Bytes::new, Bytes::from_owner);
        let kill_grace = many.kill_grace.map(grace);
        let output_limit = many
            .output_limit
            .map(|(most, on_excess)| output_limit(most, &on_excess))
            .transpose();
        let output_limit = checked(py, output_limit)?;
        let mut fan_out = pool
            .fan_out(many.hosts)
            .limit(many.limit)
            .as_finished(!many.ordered)
            .fail_fast(many.fail_fast);
        if let Some(timeout) = many.timeout.and_then(duration) {
            fan_out = fan_out.timeout(bounded(timeout));
        }
        if let Some(deadline) = many.deadline.and_then(duration) {
            fan_out = fan_out.deadline(bounded(deadline));
        }
        let stream = fan_out.run(move |session| {
            let mut command = recipe.command(session);
            command.verbatim(many.verbatim).input(input.clone());
            if let Some(grace) = kill_grace {
                command.kill_grace(grace);
            }
            if let Some(limit) = output_limit {
                command.output_limit(limit);
            }
            command
        });
        // A question is about a host, of which this waits for many.
        let (place, questions) = waiters.join("");
        Ok(Self(Mutex::new(Some(Here::new(Arc::new(Outputs {
            stream: Mutex::new(Some(stream)),
            questions: tokio::sync::Mutex::new(questions),
            _place: place,
        }))))))
    }

    fn held(&self) -> Option<Here<Arc<Outputs>>> {
        let held = self.0.lock().unwrap_or_else(|e| e.into_inner());
        held.as_ref().map(|held| Here::new(Arc::clone(held)))
    }
}

#[pymethods]
impl HostOutputs {
    /// Waits for the next one: index, host, what came of the command or None, and the exception or
    /// None. None at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let held = self.held();
        let (sender, asked) = unbounded_channel();
        let call = async move {
            let Some(held) = held else { return Ok(None) };
            let mut questions = held.questions.lock().await;
            loop {
                let next = std::future::poll_fn(|context| match held.stream().as_mut() {
                    Some(stream) => stream.poll_next_unpin(context),
                    None => Poll::Ready(None),
                });
                tokio::select! {
                    biased;
                    output = next => return Ok(output),
                    Some(asked) = questions.recv() => drop(sender.send(asked)),
                }
            }
        };
        let operation = Operation::new(call, |py, output: Option<HostOutput>| {
            let Some(HostOutput {
                index,
                host,
                result,
                ..
            }) = output
            else {
                return Ok(py.None());
            };
            let (done, error) = match result {
                Ok(output) => (completed(py, output, &host)?, py.None()),
                Err(error) => (py.None(), exception(py, &error).into_value(py).into_any()),
            };
            let told = (index, &*host, done, error).into_pyobject(py)?;
            Ok(told.into_any().unbind())
        });
        Ok(operation.asking(asked))
    }

    /// Gives all up, and waits for its end.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let held = self.0.lock().unwrap_or_else(|e| e.into_inner()).take();
        let call = async move {
            let Some(held) = held else { return Ok(()) };
            if let Some(stream) = &*held.stream() {
                // Who waits for a result is told of a cancelled one.
                stream.cancel();
            }
            let _turn = held.questions.lock().await;
            let stream = held.stream().take();
            if let Some(stream) = stream {
                stream.close().await;
            }
            Ok(())
        };
        Ok(Operation::new(call, |py, ()| Ok(py.None())).named("close"))
    }
}

/// Times are added to the clock.
fn bounded(time: Duration) -> Duration {
    time.min(Duration::from_secs(365 * 24 * 3600))
}
