//! What each host's command has written and how it ended, when it has ended.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};

use super::plan::Plan;
use super::window::Window;
use crate::error::Result;
use crate::session::{Command, Output};

/// What came of the command on one host.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct HostOutput {
    /// Which of the hosts it is, counted from 0.
    pub index: usize,
    /// The host as it was named.
    pub host: Arc<str>,
    /// What the command wrote and how it ended, or why there is nothing of it. A status other than 0
    /// is no error.
    pub result: Result<Output>,
}

/// The results of a [`FanOut`](super::FanOut), one for each host: a stream.
///
/// The first hosts begin when it is first polled, which must be inside of a Tokio runtime; they then
/// work in tasks of their own, and go on while nobody polls, but the next ones wait for that.
/// Dropping it ends all: what runs is killed, by tasks of the sessions, and nothing more is begun;
/// [`close`](Self::close) waits for that.
///
/// # Panics
/// It panics with what the function that makes the commands has panicked with.
pub struct HostOutputs(Window<Output>);

impl HostOutputs {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let shared = Arc::clone(&plan);
        let begin = Box::new(move |index: usize| {
            let plan = Arc::clone(&shared);
            let work = async move {
                let output = |command: Command, given_up| async move {
                    command.output_until(given_up).await
                };
                let host = &plan.hosts[index];
                plan.on_host(host, output, |output| output.status.success())
                    .await
            };
            Box::pin(work) as _
        });
        Self(Window::new(plan, begin))
    }

    /// Gives all up: what runs is killed, what was not begun is not, and both are told as
    /// [`Cancelled`](crate::ErrorKind::Cancelled). Does not wait.
    pub fn cancel(&self) {
        self.0.plan.cancel();
    }

    /// Gives all up, and waits until nothing runs any more that the hosts can still be told of.
    ///
    /// # Cancel safety
    /// Cancel safe in that dropping the future drops this.
    pub async fn close(mut self) {
        self.cancel();
        while self.next().await.is_some() {}
    }
}

impl Stream for HostOutputs {
    type Item = HostOutput;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<HostOutput>> {
        self.0.poll_next(context).map(|done| {
            let done = done?;
            Some(HostOutput {
                index: done.index,
                host: Arc::clone(&self.0.plan.hosts[done.index]),
                result: done.result,
            })
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.0.left()))
    }
}

impl fmt::Debug for HostOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostOutputs")
            .field("left", &self.0.left())
            .finish_non_exhaustive()
    }
}
