//! One command on many hosts, so many at a time.
//!
//! Knows who is next, when to stop and in which order results are told. Must not know how a host is
//! reached or how a command is run and killed: that is the pool's and the session's.

mod events;
mod plan;
mod results;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use events::{HostEvent, HostEvents, HostStep};
pub use results::{HostOutput, HostOutputs};

use crate::pool::Pool;
use crate::session::{Command, Session};
use plan::Plan;

/// How many hosts are at work at a time, unless [`FanOut::limit`] says otherwise.
const LIMIT: usize = 32;

/// One command to run on many hosts, made by [`Pool::fan_out`].
///
/// Each host is asked for from the pool, so that those named twice, and the hosts on the way, are
/// connected to once. A host fails if it cannot be reached, if its command cannot be run, or if
/// that ends with another status than 0. Unless [`fail_fast`](Self::fail_fast) is set, every host
/// gets its result, whatever becomes of the others.
///
/// ```no_run
/// # async fn example() -> rmux_core::Result<()> {
/// use futures_util::StreamExt;
/// use rmux_core::{Config, Pool};
///
/// let pool = Pool::new(Config::new());
/// let mut outputs = pool
///     .fan_out(["web1", "web2", "web3"])
///     .run(|session| session.command("uptime"));
/// while let Some(output) = outputs.next().await {
///     match output.result {
///         Ok(done) => println!("{}: {}", output.host, String::from_utf8_lossy(&done.stdout)),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is run before `run` or `events`"]
pub struct FanOut {
    pool: Pool,
    hosts: Vec<Arc<str>>,
    limit: usize,
    ordered: bool,
    fail_fast: bool,
    timeout: Option<Duration>,
    deadline: Option<Duration>,
}

impl Pool {
    /// One command on many hosts. A destination may be named several times: then the command runs
    /// there as often.
    pub fn fan_out<H: Into<String>>(&self, hosts: impl IntoIterator<Item = H>) -> FanOut {
        FanOut {
            pool: self.clone(),
            hosts: hosts.into_iter().map(|host| host.into().into()).collect(),
            limit: LIMIT,
            ordered: true,
            fail_fast: false,
            timeout: None,
            deadline: None,
        }
    }
}

impl FanOut {
    /// How many hosts are at work at a time: being connected to, running the command, or waiting for
    /// their result to be taken. Default: 32. 0 counts as 1.
    pub fn limit(mut self, hosts: usize) -> Self {
        self.limit = hosts.max(1);
        self
    }

    /// Whether results are told as they come, instead of in the order of the hosts. Default: in
    /// order; then a slow host holds up those behind it once [`limit`](Self::limit) of them wait.
    pub fn as_finished(mut self, as_finished: bool) -> Self {
        self.ordered = !as_finished;
        self
    }

    /// Whether the first host that fails ends all: what runs elsewhere is ended, what was not begun
    /// is not, and both are told as [`Cancelled`](crate::ErrorKind::Cancelled). As after
    /// [`Command::timeout`], the error says whether the end was
    /// [confirmed](crate::Error::remote_end). Default: no.
    pub fn fail_fast(mut self, fail_fast: bool) -> Self {
        self.fail_fast = fail_fast;
        self
    }

    /// How long each host may take, connecting included, from when its turn comes. After that its
    /// command is killed, if it was started, and its result is
    /// [`TimedOut`](crate::ErrorKind::TimedOut). While it is connected to, the time that questions
    /// of the pool are open is not counted. Default: for ever, but connecting has its own limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long all may take together, counted likewise. What then runs is killed, and what was not
    /// begun is not; both are told as [`TimedOut`](crate::ErrorKind::TimedOut). Default: for ever.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Runs what `command` makes for each host's session, and collects what it writes, as
    /// [`Command::output`] does. It never outlives what is returned:
    /// [`kill_on_drop`](Command::kill_on_drop) is set.
    pub fn run(self, command: impl Fn(&Session) -> Command + Send + Sync + 'static) -> HostOutputs {
        HostOutputs::new(Plan::new(self, Box::new(command)))
    }

    /// The same, telling what the commands write while they write it: for output without bound, and
    /// for showing how far each host is. The order of the hosts counts for nothing here.
    ///
    /// Both outputs are told, whatever [`Command::stdout`] and [`Command::stderr`] say, and neither
    /// [`Command::timeout`] nor [`Command::output_limit`] counts.
    pub fn events(
        mut self,
        command: impl Fn(&Session) -> Command + Send + Sync + 'static,
    ) -> HostEvents {
        self.ordered = false;
        HostEvents::new(Plan::new(self, Box::new(command)))
    }
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut")
            .field("hosts", &self.hosts)
            .field("limit", &self.limit)
            .field("ordered", &self.ordered)
            .field("fail_fast", &self.fail_fast)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
