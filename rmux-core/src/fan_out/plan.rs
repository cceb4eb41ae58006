//! What is to be done on each host, how long it may take, and when all is given up. Must not know
//! when a host's turn comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use super::FanOut;
use crate::deadline::{Deadline, Expired};
use crate::error::{Error, ErrorKind, RemoteEnd, Result};
use crate::pool::Pool;
use crate::session::{Command, Session};

/// How long ending a command may take beyond its grace. Where the connection hangs too, there is nothing
/// to wait for.
const END_LIMIT: Duration = Duration::from_secs(13);

/// Makes the command of a session.
pub(super) type Make = Box<dyn Fn(&Session) -> Command + Send + Sync>;

/// Ready when the command is to be ended.
pub(super) type GivenUp = BoxFuture<'static, ()>;

pub(super) struct Plan {
    pool: Pool,
    pub(super) hosts: Vec<Arc<str>>,
    pub(super) limit: usize,
    pub(super) ordered: bool,
    fail_fast: bool,
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    command: Make,
    stop: watch::Sender<Option<Stop>>,
    repeats: Mutex<HashMap<Arc<str>, Repeat>>,
}

/// Why all is given up.
#[derive(Debug, Clone)]
enum Stop {
    /// This host failed, and the others depend on it.
    Failed(Arc<str>),
    /// The caller has had enough.
    Cancelled,
}

/// A host that is named several times: its session stays until the last of them.
#[derive(Debug, Default)]
struct Repeat {
    left: usize,
    session: Option<Session>,
}

impl Plan {
    pub(super) fn new(wanted: FanOut, command: Make) -> Arc<Self> {
        let mut repeats: HashMap<Arc<str>, Repeat> = HashMap::new();
        for host in &wanted.hosts {
            repeats.entry(Arc::clone(host)).or_default().left += 1;
        }
        repeats.retain(|_, repeat| repeat.left > 1);
        Arc::new(Self {
            pool: wanted.pool,
            hosts: wanted.hosts,
            limit: wanted.limit,
            ordered: wanted.ordered,
            fail_fast: wanted.fail_fast,
            timeout: wanted.timeout,
            deadline: wanted.deadline.map(Deadline::after),
            command,
            stop: watch::Sender::new(None),
            repeats: Mutex::new(repeats),
        })
    }

    /// Gives all up, as the caller wants it.
    pub(super) fn cancel(&self) {
        self.stop(Stop::Cancelled);
    }

    /// The first reason stays.
    fn stop(&self, reason: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(reason);
            first
        });
    }

    /// Why the host whose turn comes now is not begun, where it is not.
    pub(super) fn refusal(&self, host: &Arc<str>) -> Option<Error> {
        let error = self.refusal_of_all()?;
        self.leave(host);
        Some(error.with_host(host))
    }

    /// Why no host is begun any more, if none is.
    fn refusal_of_all(&self) -> Option<Error> {
        let stop = self.stop.borrow().clone();
        match (stop, &self.deadline) {
            (Some(stop), _) => Some(stop.error("not begun")),
            (None, Some(deadline)) if deadline.left().is_zero() && !deadline.is_paused() => {
                let what = "not begun, since the time for all hosts is up";
                Some(Error::new(ErrorKind::TimedOut, "run", what))
            }
            _ => None,
        }
    }

    /// Does `work` with the host's command, until the future that it is given is ready: then it ends
    /// the command and tells what came of that in its error. `succeeded` says whether what comes of it
    /// is no failure.
    pub(super) async fn on_host<T, F>(
        &self,
        host: &Arc<str>,
        work: impl FnOnce(Command, GivenUp) -> F,
        succeeded: impl FnOnce(&T) -> bool,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let result = self.until_given_up(host, work).await;
        let result = result.map_err(|error| error.with_host(host));
        if self.fail_fast && !result.as_ref().is_ok_and(succeeded) {
            self.stop(Stop::Failed(Arc::clone(host)));
        }
        self.leave(host);
        if self.refusal_of_all().is_some() {
            self.forget();
        }
        result
    }

    async fn until_given_up<T, F>(
        &self,
        host: &Arc<str>,
        work: impl FnOnce(Command, GivenUp) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let own = self.timeout.map(Deadline::after);
        let mut enough = std::pin::pin!(self.enough(own.as_ref()));
        let session = tokio::select! {
            biased;
            session = self.connect(host, own.as_ref()) => session?,
            why = &mut enough => return Err(why.not_reached()),
        };
        self.keep(host, &session);
        let mut command = (self.command)(&session);
        command.kill_on_drop(true);
        let end_limit = command.given_grace().saturating_add(END_LIMIT);
        let (give_up, given_up) = oneshot::channel::<()>();
        // Boxed, as connecting is: each future around them would be as large as they are, and be moved
        // on the stack more than once.
        let given_up: GivenUp = Box::pin(async move { drop(given_up.await) });
        let mut working = Box::pin(work(command, given_up));
        let why = tokio::select! {
            biased;
            done = &mut working => return done,
            why = enough => why,
        };
        drop(give_up);
        match tokio::time::timeout(end_limit, working).await {
            // It ended by itself at the last moment.
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if error.kind() == ErrorKind::Cancelled => Err(why.ended(&error)),
            Ok(Err(error)) => Err(error),
            // Letting go of it ends it too, as far as the connection still works.
            Err(_) => {
                let error = why.error("run", "it was told to end, and may still run");
                Err(error.with_remote_end(RemoteEnd::Unconfirmed))
            }
        }
    }

    /// Waits until the host is to be given up.
    async fn enough(&self, own: Option<&Deadline>) -> Enough {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            stop = stop.wait_for(Option::is_some) => {
                let stop = stop.ok().and_then(|stop| stop.clone());
                Enough::Stopped(stop.unwrap_or(Stop::Cancelled))
            }
            time = expired(own) => Enough::Late(time, "the host"),
            time = expired(self.deadline.as_ref()) => Enough::Late(time, "all hosts together"),
        }
    }

    /// The host's session. Who waits for an answer to a question loses no time by it, and no more do
    /// those who wait for their turn to ask.
    async fn connect(&self, host: &str, own: Option<&Deadline>) -> Result<Session> {
        let mut questions = self.pool.questions();
        let standing_still = async {
            loop {
                let open = *questions.borrow_and_update() > 0;
                let deadlines = own.into_iter().chain(&self.deadline).filter(|_| open);
                let _pauses: Vec<_> = deadlines.map(Deadline::pause).collect();
                if questions.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        // Boxed, as the work is: each future around them would be as large as they are, and be moved
        // on the stack more than once.
        tokio::select! {
            session = Box::pin(self.pool.session(host)) => session,
            never = standing_still => never,
        }
    }

    /// Keeps the session of a host that comes again.
    fn keep(&self, host: &Arc<str>, session: &Session) {
        let old = match self.repeats().get_mut(host) {
            Some(repeat) if repeat.left > 1 => repeat.session.replace(session.clone()),
            _ => return,
        };
        // Not while the others are locked out.
        drop(old);
    }

    /// The host has had its turn.
    fn leave(&self, host: &Arc<str>) {
        let kept = match self.repeats().get_mut(host) {
            Some(repeat) => {
                repeat.left -= 1;
                repeat.session.take_if(|_| repeat.left == 0)
            }
            None => return,
        };
        drop(kept);
    }

    /// No host comes again.
    fn forget(&self) {
        let mut repeats = self.repeats();
        let sessions = repeats.values_mut();
        let kept: Vec<_> = sessions
            .filter_map(|repeat| repeat.session.take())
            .collect();
        drop(repeats);
        // Not while the others are locked out.
        drop(kept);
    }

    fn repeats(&self) -> MutexGuard<'_, HashMap<Arc<str>, Repeat>> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stop {
    /// What is told of a host that was `given_up`.
    fn error(&self, given_up: &str) -> Error {
        let what = match self {
            Self::Failed(host) => format!("{given_up}, since {host} failed"),
            Self::Cancelled => format!("{given_up}: the whole was cancelled"),
        };
        Error::new(ErrorKind::Cancelled, "run", what)
    }
}

/// Why a host is given up.
enum Enough {
    Stopped(Stop),
    /// It had this time, or all had it.
    Late(Duration, &'static str),
}

impl Enough {
    /// The error of a host that was not reached.
    fn not_reached(&self) -> Error {
        self.error("connect", "the command was not begun")
    }

    /// The error of a host whose command has ended as `how` says.
    fn ended(&self, how: &Error) -> Error {
        let end = how.remote_end();
        let error = self.error(
            "run",
            match end {
                None => "the command was not begun",
                Some(RemoteEnd::Confirmed) => "the command was ended",
                Some(RemoteEnd::Unconfirmed) => "it was told to end, and may still run",
            },
        );
        let error = match end {
            Some(end) => error.with_remote_end(end),
            None => error,
        };
        match (how.partial_stdout(), how.partial_stderr()) {
            (Some(stdout), Some(stderr)) => error.with_partial(stdout.to_vec(), stderr.to_vec()),
            _ => error,
        }
    }

    fn error(&self, operation: &'static str, what_came: &str) -> Error {
        match self {
            Self::Stopped(stop) => {
                let error = stop.error("given up");
                let what = format!("{}; {what_came}", error.message());
                Error::new(error.kind(), operation, what)
            }
            Self::Late(time, whom) => {
                let what = format!("the {time:?} for {whom} are over; {what_came}");
                Error::new(ErrorKind::TimedOut, operation, what)
            }
        }
    }
}

/// Waits for the end of the time, if there is one; tells how long that was.
async fn expired(deadline: Option<&Deadline>) -> Duration {
    let never = std::future::pending::<Duration>();
    match deadline {
        None => never.await,
        Some(deadline) => match deadline.run(never).await {
            Ok(time) | Err(Expired(time)) => time,
        },
    }
}
