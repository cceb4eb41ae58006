//! Who is at work: so many hosts at a time, each in a task of its own, and the results until they are
//! taken. Must not know what is done on a host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use super::plan::Plan;
use crate::error::Result;

/// Begins the work on the host of this index.
pub(super) type Begin<T> = Box<dyn Fn(usize) -> BoxFuture<'static, Result<T>> + Send + Sync>;

/// Dropping it ends the tasks, and with them what they run.
pub(super) struct Window<T> {
    pub(super) plan: Arc<Plan>,
    begin: Begin<T>,
    running: JoinSet<(usize, Result<T>)>,
    /// Results that nobody has taken, those of hosts that were not begun among them.
    done: BTreeMap<usize, Done<T>>,
    /// How many hosts have had their turn, and of how many the result was taken.
    begun: usize,
    taken: usize,
}

/// What came of a host.
pub(super) struct Done<T> {
    pub(super) index: usize,
    /// Whether it was begun.
    pub(super) begun: bool,
    pub(super) result: Result<T>,
}

impl<T: Send + 'static> Window<T> {
    pub(super) fn new(plan: Arc<Plan>, begin: Begin<T>) -> Self {
        Self {
            plan,
            begin,
            running: JoinSet::new(),
            done: BTreeMap::new(),
            begun: 0,
            taken: 0,
        }
    }

    /// How many hosts there are whose result was not taken yet.
    pub(super) fn left(&self) -> usize {
        self.plan.hosts.len() - self.taken
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Done<T>>> {
        loop {
            self.fill();
            if let Some(done) = self.next_done() {
                self.taken += 1;
                return Poll::Ready(Some(done));
            }
            match ready!(self.running.poll_join_next(context)) {
                Some(Ok((index, result))) => self.keep(index, true, result),
                Some(Err(error)) => match error.try_into_panic() {
                    // What the caller's own code panicked with is the caller's.
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime ends, and with it whoever waits here.
                    Err(_) => return Poll::Ready(None),
                },
                None => return Poll::Ready(None),
            }
        }
    }

    /// Begins as many as there is room for. A result that waits takes room too, so that memory is
    /// bounded however slow the reader or the host in front is.
    fn fill(&mut self) {
        while self.begun < self.plan.hosts.len() && self.begun - self.taken < self.plan.limit {
            let index = self.begun;
            self.begun += 1;
            if let Some(refusal) = self.plan.refusal(&self.plan.hosts[index]) {
                self.keep(index, false, Err(refusal));
                continue;
            }
            let work = (self.begin)(index);
            self.running.spawn(async move { (index, work.await) });
        }
    }

    fn next_done(&mut self) -> Option<Done<T>> {
        let first = self.done.first_entry()?;
        if self.plan.ordered && *first.key() != self.taken {
            return None;
        }
        Some(first.remove())
    }

    fn keep(&mut self, index: usize, begun: bool, result: Result<T>) {
        let done = Done {
            index,
            begun,
            result,
        };
        self.done.insert(index, done);
    }
}
