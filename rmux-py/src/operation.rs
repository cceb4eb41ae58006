//! One call into core that takes time: waited for by the sync classes, awaited by `rmux.aio`.

use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rmux_core::blocking::runtime;
use rmux_core::{Error, ErrorKind};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::delivery::{deliver as deliver_later, is_stopped};
use crate::error::{checked, exception};
use crate::fork::Here;
use crate::question::{Asked, Question};

/// How often a sync wait looks for signals, so that Ctrl-C ends it.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// Makes the Python result of what has ended.
type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

struct Work {
    future: Pin<Box<dyn Future<Output = Finish> + Send>>,
    questions: Option<UnboundedReceiver<Asked>>,
}

/// What a wait of the work came to.
enum Step {
    Done(Finish),
    Asked(Asked),
    Tick,
}

impl Work {
    async fn step(&mut self) -> Step {
        let asked = async {
            match &mut self.questions {
                Some(questions) => match questions.recv().await {
                    Some(asked) => asked,
                    None => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            finish = &mut self.future => Step::Done(finish),
            asked = asked => Step::Asked(asked),
        }
    }
}

/// A call that was prepared and not begun, or that is under way.
///
/// It runs once: by `wait` in the calling thread, or by `start` in the background. Letting go of
/// it cancels it, and so kills a command that only it knows of.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Operation {
    work: Mutex<Option<Here<Work>>>,
    task: Mutex<Option<Here<AbortHandle>>>,
    /// Asks what is under way to end in order, where it can: then it still has a result.
    stop: Mutex<Option<oneshot::Sender<()>>>,
    /// What is being done, and for which host: for the error of a timeout.
    verb: &'static str,
    host: Option<String>,
}

impl Operation {
    /// Prepares `call`; `convert` makes its result one of Python.
    pub(crate) fn new<T, C>(
        call: impl Future<Output = rmux_core::Result<T>> + Send + 'static,
        convert: C,
    ) -> Self
    where
        T: Send + 'static,
        C: FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    {
        let future = Box::pin(async move {
            let result = call.await;
            let finish: Finish = Box::new(move |py| convert(py, checked(py, result)?));
            finish
        });
        Self {
            work: Mutex::new(Some(Here::new(Work {
                future,
                questions: None,
            }))),
            task: Mutex::new(None),
            stop: Mutex::new(None),
            verb: "wait",
            host: None,
        }
    }

    /// The same, with the questions that may come up meanwhile.
    pub(crate) fn asking(self, questions: UnboundedReceiver<Asked>) -> Self {
        if let Some(work) = lock(&self.work).as_mut() {
            work.questions = Some(questions);
        }
        self
    }

    /// The same, of what ends in order when it is told so by this.
    pub(crate) fn stopped_by(self, stop: oneshot::Sender<()>) -> Self {
        *lock(&self.stop) = Some(stop);
        self
    }

    /// The same, for this host.
    pub(crate) fn on(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// The same, told as this in errors.
    pub(crate) fn named(mut self, verb: &'static str) -> Self {
        self.verb = verb;
        self
    }

    fn begin(&self) -> PyResult<Here<Work>> {
        lock(&self.work)
            .take()
            .ok_or_else(|| PyRuntimeError::new_err("an operation runs once"))
    }

    fn not_in_time(&self, timeout: Duration) -> Error {
        let message = format!("not done within {timeout:?}");
        let error = Error::new(ErrorKind::TimedOut, self.verb, message);
        match &self.host {
            Some(host) => error.with_host(host),
            None => error,
        }
    }
}

#[pymethods]
impl Operation {
    /// Waits for the end, without holding the interpreter's lock, and returns the result.
    ///
    /// `answer` is called with each `Question`, in this thread. A signal handler that raises, as
    /// that of Ctrl-C does, stops the operation in order where it can be, which is waited for
    /// unless one raises again; else it ends the wait and cancels the operation. So does the
    /// timeout, in seconds.
    #[pyo3(signature = (timeout=None, answer=None))]
    fn wait(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        answer: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let timeout = timeout.and_then(duration);
        let runtime = checked(py, runtime())?;
        let mut work = self.begin()?;
        let mut raised = None;
        let begun = Instant::now();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
            let slice = left.map_or(SIGNAL_CHECK, |left| left.min(SIGNAL_CHECK));
            let step = py.detach(|| {
                runtime.block_on(async {
                    tokio::time::timeout(slice, work.step())
                        .await
                        .unwrap_or(Step::Tick)
                })
            });
            match step {
                Step::Done(finish) => {
                    let done = finish(py);
                    return match raised {
                        Some(raised) => Err(telling(py, raised, &done)),
                        None => done,
                    };
                }
                Step::Asked(asked) => {
                    let question = Question::new(asked);
                    if let Some(answer) = &answer {
                        answer.call1(py, (question,))?;
                    }
                }
                Step::Tick => {
                    if let Err(error) = py.check_signals() {
                        if !self.stop(py)? {
                            return Err(error);
                        }
                        raised = Some(error);
                    }
                    if let Some(timeout) = timeout
                        && begun.elapsed() >= timeout
                    {
                        return Err(exception(py, &self.not_in_time(timeout)));
                    }
                }
            }
        }
    }

    /// Begins in the background. At the end `deliver(result, None)` or `deliver(None, exception)`
    /// is called, and before that `ask(question)` with each `Question`: both from a thread of
    /// rmux, so they must only pass it on.
    #[pyo3(signature = (deliver, ask=None))]
    fn start(&self, py: Python<'_>, deliver: Py<PyAny>, ask: Option<Py<PyAny>>) -> PyResult<()> {
        let runtime = checked(py, runtime())?;
        if is_stopped() {
            let what = "the interpreter is ending";
            return Err(exception(py, &Error::new(ErrorKind::Closed, "start", what)));
        }
        let mut work = self.begin()?;
        let ask = ask.map(std::sync::Arc::new);
        let task = runtime.spawn(async move {
            loop {
                match work.step().await {
                    Step::Done(finish) => {
                        deliver_later(move |py| pass_on(py, &deliver, finish));
                        return;
                    }
                    Step::Asked(asked) => {
                        if let Some(ask) = ask.clone() {
                            deliver_later(move |py| {
                                if let Err(error) = ask.call1(py, (Question::new(asked),)) {
                                    error.write_unraisable(py, None);
                                }
                            });
                        }
                    }
                    Step::Tick => {}
                }
            }
        });
        *lock(&self.task) = Some(Here::new(task.abort_handle()));
        Ok(())
    }

    /// Tells it to end in order, if it can and was not told before. True: its result, or what it
    /// fails with, is still to come, and says what came of it.
    fn stop(&self, py: Python<'_>) -> PyResult<bool> {
        checked(py, runtime())?;
        let stop = lock(&self.stop).take();
        Ok(stop.is_some_and(|stop| stop.send(()).is_ok()))
    }

    /// Cancels it, if it is under way. Nothing is delivered any more, unless it was already.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        checked(py, runtime())?;
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
        Ok(())
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(|e| e.into_inner());
        // In a fork there is no task, and asking for its end could wait for ever.
        if let Some(task) = task.take()
            && task.is_here()
        {
            task.abort();
        }
    }
}

/// What was raised, which from now on tells whether the end of what it stopped was confirmed.
fn telling(py: Python<'_>, raised: PyErr, done: &PyResult<Py<PyAny>>) -> PyErr {
    if let Err(end) = done
        && let Ok(confirmed) = end.value(py).getattr("confirmed")
    {
        // An exception that takes no attribute tells nothing.
        let _ = raised.value(py).setattr("confirmed", confirmed);
    }
    raised
}

fn pass_on(py: Python<'_>, deliver: &Py<PyAny>, finish: Finish) {
    let delivered = match finish(py) {
        Ok(result) => deliver.call1(py, (result, py.None())),
        Err(error) => deliver.call1(py, (py.None(), error.into_value(py))),
    };
    if let Err(error) = delivered {
        error.write_unraisable(py, None);
    }
}

/// A timeout given in seconds; none where it is longer than can be counted. A negative one has
/// passed already.
pub(crate) fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

/// The time from `TERM` to `KILL`, given in seconds; for ever where it is longer than can be counted.
pub(crate) fn grace(seconds: f64) -> Duration {
    duration(seconds).unwrap_or(Duration::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
