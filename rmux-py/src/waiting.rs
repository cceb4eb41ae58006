//! Who waits for connections, and so can be asked what connecting has to ask.
//!
//! A question belongs to a connection, which several may wait for: each of them is one who could
//! answer, and is asked when those before have gone. Knows nothing of what is asked.

use std::sync::{Arc, Mutex, MutexGuard};

use rmux_core::HostSpec;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::question::Asked;

/// All who wait, in the order they came. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Waiters(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    waiting: Vec<Waiter>,
    /// How many have come so far.
    count: u64,
}

struct Waiter {
    number: u64,
    host: Option<String>,
    questions: UnboundedSender<Asked>,
}

/// A place among those who wait, which is left when this is dropped.
pub(crate) struct Place {
    waiters: Waiters,
    number: u64,
}

impl Waiters {
    /// Joins those who wait, for a destination.
    pub(crate) fn join(&self, destination: &str) -> (Place, UnboundedReceiver<Asked>) {
        let (questions, asked) = unbounded_channel();
        let spec = HostSpec::parse(destination).ok();
        let mut state = self.state();
        state.count += 1;
        let number = state.count;
        state.waiting.push(Waiter {
            number,
            host: spec.map(|spec| spec.name().to_owned()),
            questions,
        });
        let waiters = self.clone();
        (Place { waiters, number }, asked)
    }

    /// Where to put a question about `host` to somebody who is not among the `asked`, and then is:
    /// who waits for that very name, else who has waited longest.
    pub(crate) fn next(&self, host: &str, asked: &mut Vec<u64>) -> Option<UnboundedSender<Asked>> {
        let state = self.state();
        let mut left = state.waiting.iter();
        let mut left = left.by_ref().filter(|one| !asked.contains(&one.number));
        let first = left.next()?;
        let by_name = |one: &&Waiter| one.host.as_deref() == Some(host);
        let found = std::iter::once(first).chain(left).find(by_name);
        let found = found.unwrap_or(first);
        asked.push(found.number);
        Some(found.questions.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.waiters.state();
        state.waiting.retain(|one| one.number != self.number);
    }
}
