//! The way from the core's tasks to one JavaScript environment (the main thread or a worker), and
//! the operations that are under way for it.
//!
//! Every result, event and question takes the same way, in order. They wait here and not in Node's
//! queue, because what is in that when an environment ends may never be dropped, and a session among
//! it would stay connected. Once the environment is gone, nothing is delivered
//! any more, and what was under way or on its way is dropped.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::delivery::{Arguments, Event, Failure, Message, Outcome, Question};
use crate::prompts::Answer;

/// Called once for each message. Weak, so that waiting for one alone does not keep the process
/// alive: the JavaScript layer knows which operations should.
type Deliver = ThreadsafeFunction<(), (), Arguments, Status, false, true>;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Inner>);

struct Inner {
    deliver: Deliver,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// On their way to JavaScript.
    messages: VecDeque<Message>,
    tasks: HashMap<u32, AbortHandle>,
    /// What tells operations under way to end in order.
    stops: HashMap<u32, oneshot::Sender<()>>,
    questions: HashMap<u32, oneshot::Sender<Answer>>,
    last_question: u32,
    gone: bool,
}

impl Mailbox {
    pub(crate) fn new(deliver: &Function<'_, Arguments, ()>) -> napi::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let waiting = Arc::clone(&state);
        let deliver = deliver
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(move |context| {
                let next = lock(&waiting).messages.pop_front();
                // One is always there. If not, this says something that nobody heeds.
                let message = next.unwrap_or(Message::Withdrawn(0));
                message.into_arguments(&context.env)
            })?;
        Ok(Self(Arc::new(Inner { deliver, state })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    fn send(&self, message: Message) {
        let mut state = self.state();
        if state.gone {
            // Dropping it may lead here again.
            drop(state);
            return drop(message);
        }
        state.messages.push_back(message);
        // Under the lock, so that none of these calls is under way when the environment ends.
        let _ = self
            .0
            .deliver
            .call((), ThreadsafeFunctionCallMode::NonBlocking);
    }

    /// Runs `work` in the core's runtime and delivers its result as that of `operation`.
    pub(crate) fn start(
        &self,
        operation: u32,
        work: impl Future<Output = Result<Outcome, Failure>> + Send + 'static,
    ) {
        let runtime = match rmux_core::blocking::runtime() {
            Ok(runtime) => runtime,
            Err(error) => return self.settle(operation, Err(error.into())),
        };
        let mut state = self.state();
        if state.gone {
            return;
        }
        let mailbox = self.clone();
        let task = runtime.spawn(async move {
            let result = work.await;
            // Cancelled at the last moment: then nobody waits, and dropping the result undoes it.
            let waited_for = {
                let mut state = mailbox.state();
                state.stops.remove(&operation);
                state.tasks.remove(&operation).is_some()
            };
            if waited_for {
                mailbox.settle(operation, result);
            }
        });
        // The task needs the same lock to end, so it cannot have ended before this.
        state.tasks.insert(operation, task.abort_handle());
    }

    /// As `start`, of work that can be told to end in order: by what `work` is given.
    pub(crate) fn start_stoppable<W>(
        &self,
        operation: u32,
        work: impl FnOnce(oneshot::Receiver<()>) -> W,
    ) where
        W: Future<Output = Result<Outcome, Failure>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        self.state().stops.insert(operation, stop);
        self.start(operation, work(stopped));
    }

    /// Tells an operation to end in order. Returns whether it will: then it is settled when it has.
    pub(crate) fn stop(&self, operation: u32) -> bool {
        let stop = self.state().stops.remove(&operation);
        stop.is_some_and(|stop| stop.send(()).is_ok())
    }

    /// Delivers the result of an operation that needed no waiting.
    pub(crate) fn settle(&self, operation: u32, result: Result<Outcome, Failure>) {
        self.send(Message::Settled(operation, result));
    }

    /// Stops an operation. Returns whether it will never be settled; if not, its result is on its
    /// way already.
    pub(crate) fn cancel(&self, operation: u32) -> bool {
        let task = {
            let mut state = self.state();
            state.stops.remove(&operation);
            state.tasks.remove(&operation)
        };
        if let Some(task) = &task {
            task.abort();
        }
        task.is_some()
    }

    /// Delivers an event of the session that `operation` connected.
    pub(crate) fn event(&self, operation: u32, event: Event) {
        self.send(Message::Event(operation, event));
    }

    /// Puts a question for `operation`; its number and the answer, or `None` where nobody can answer
    /// any more. When this is dropped, the question is withdrawn.
    pub(crate) async fn ask(
        &self,
        operation: u32,
        mut question: Question,
    ) -> Option<(u32, Answer)> {
        let (answer, answered) = oneshot::channel();
        let _forget = {
            let mut state = self.state();
            state.last_question = state.last_question.wrapping_add(1);
            question.number = state.last_question;
            state.questions.insert(question.number, answer);
            Forget {
                mailbox: self.clone(),
                number: question.number,
            }
        };
        let number = question.number;
        self.send(Message::Question(operation, question));
        let answer = answered.await.ok()?;
        Some((number, answer))
    }

    /// Tells that nothing will be heard of `operation` any more.
    pub(crate) fn gone(&self, operation: u32) {
        self.send(Message::Gone(operation));
    }

    pub(crate) fn answer(&self, number: u32, answer: Answer) {
        let waiting = self.state().questions.remove(&number);
        if let Some(waiting) = waiting {
            // An error means that the operation was cancelled meanwhile.
            let _ = waiting.send(answer);
        }
    }

    /// The environment is going away: drops everything that is under way for it.
    pub(crate) fn close(&self) {
        let left = {
            let mut state = self.state();
            let left = std::mem::take(&mut *state);
            state.gone = true;
            left
        };
        for task in left.tasks.into_values() {
            task.abort();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|p| p.into_inner())
}

/// Takes the question back when its answer is not waited for any more.
struct Forget {
    mailbox: Mailbox,
    number: u32,
}

impl Drop for Forget {
    fn drop(&mut self) {
        let open = self.mailbox.state().questions.remove(&self.number);
        if open.is_some() {
            self.mailbox.send(Message::Withdrawn(self.number));
        }
    }
}
