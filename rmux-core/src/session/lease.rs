//! Who uses a session. It stays as long as somebody holds a lease, lingers for a while afterwards,
//! and then retires: from then on no lease is given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::driver::Message;

/// Held by all who use a session, together: its end is that of the last of them.
#[derive(Debug)]
pub(super) struct Lease {
    driver: mpsc::UnboundedSender<Message>,
    returned: Arc<Returned>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.returned.last() = Instant::now();
        let _ = self.driver.send(Message::Unused);
        self.returned.notice.notify_one();
    }
}

/// When the last lease was given back, and who wants to know.
#[derive(Debug)]
struct Returned {
    last: Mutex<Instant>,
    notice: Arc<Notify>,
}

impl Returned {
    fn last(&self) -> MutexGuard<'_, Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lease of a session, while somebody holds it.
#[derive(Debug)]
pub(super) struct Leases {
    state: Mutex<State>,
    returned: Arc<Returned>,
}

#[derive(Debug, Default)]
struct State {
    held: Weak<Lease>,
    retired: bool,
}

impl Leases {
    /// `notice` is told whenever the last lease was given back.
    pub(super) fn new(notice: Arc<Notify>) -> Self {
        Self {
            state: Mutex::default(),
            returned: Arc::new(Returned {
                last: Mutex::new(Instant::now()),
                notice,
            }),
        }
    }

    /// A lease, unless the session has retired.
    pub(super) fn take(&self, driver: &mpsc::UnboundedSender<Message>) -> Option<Arc<Lease>> {
        let mut state = self.state();
        if state.retired {
            return None;
        }
        Some(state.held.upgrade().unwrap_or_else(|| {
            let lease = Arc::new(Lease {
                driver: driver.clone(),
                returned: Arc::clone(&self.returned),
            });
            state.held = Arc::downgrade(&lease);
            lease
        }))
    }

    /// Whether somebody holds a lease.
    pub(super) fn are_held(&self) -> bool {
        self.state().held.strong_count() > 0
    }

    /// For how long nobody has held a lease; none while somebody does.
    pub(super) fn unused_for(&self) -> Option<Duration> {
        let unused = !self.are_held();
        unused.then(|| self.returned.last().elapsed())
    }

    /// Retires the session, unless somebody holds a lease. Returns whether it has retired.
    pub(super) fn retire(&self) -> bool {
        let mut state = self.state();
        state.retired |= state.held.strong_count() == 0;
        state.retired
    }

    /// Retires the session, whoever holds a lease.
    pub(super) fn end(&self) {
        self.state().retired = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_session_gives_no_lease_and_a_held_one_does_not_retire() {
        let (driver, mut messages) = mpsc::unbounded_channel();
        let leases = Leases::new(Arc::default());
        let first = leases.take(&driver).unwrap();
        let second = leases.take(&driver).unwrap();
        drop(first);
        assert!(messages.try_recv().is_err(), "one is still held");
        assert!(!leases.retire());
        drop(second);
        assert!(matches!(messages.try_recv(), Ok(Message::Unused)));
        // Somebody comes back before it retires.
        let third = leases.take(&driver).unwrap();
        assert!(leases.are_held() && !leases.retire());
        drop(third);
        assert!(leases.retire());
        assert!(leases.take(&driver).is_none());

        let leases = Leases::new(Arc::default());
        let _held = leases.take(&driver).unwrap();
        leases.end();
        assert!(leases.take(&driver).is_none());
    }
}
