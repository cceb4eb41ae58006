//! Who uses a session. It stays as long as somebody holds a lease, lingers for a while afterwards,
//! and then retires: from then on no lease is given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc;

use super::driver::Message;

/// Held by all who use a session, together: its end is that of the last of them.
#[derive(Debug)]
pub(super) struct Lease {
    driver: mpsc::UnboundedSender<Message>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.driver.send(Message::Unused);
    }
}

/// The lease of a session, while somebody holds it.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held: Weak<Lease>,
    retired: bool,
}

impl Leases {
    /// A lease, unless the session has retired.
    pub(super) fn take(&self, driver: &mpsc::UnboundedSender<Message>) -> Option<Arc<Lease>> {
        let mut state = self.state();
        if state.retired {
            return None;
        }
        Some(state.held.upgrade().unwrap_or_else(|| {
            let lease = Arc::new(Lease {
                driver: driver.clone(),
            });
            state.held = Arc::downgrade(&lease);
            lease
        }))
    }

    /// Whether somebody holds a lease.
    pub(super) fn are_held(&self) -> bool {
        self.state().held.strong_count() > 0
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_session_gives_no_lease_and_a_held_one_does_not_retire() {
        let (driver, mut messages) = mpsc::unbounded_channel();
        let leases = Leases::default();
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

        let leases = Leases::default();
        let _held = leases.take(&driver).unwrap();
        leases.end();
        assert!(leases.take(&driver).is_none());
    }
}
