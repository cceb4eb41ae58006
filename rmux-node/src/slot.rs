//! Where a part of something stands that one operation at a time may use.
//!
//! An operation takes the part out and puts it back, so that one that is cancelled lets go of the
//! part, and nobody waits for a lock.

use std::sync::{Arc, Mutex, MutexGuard};

/// A part that is there, unless it is in use, was let go of, or never was.
pub(crate) struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Slot<T> {
    pub(crate) fn new(part: Option<T>) -> Self {
        Self(Arc::new(Mutex::new(part)))
    }

    pub(crate) fn is_filled(&self) -> bool {
        self.part().is_some()
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.part().take()
    }

    pub(crate) fn put_back(&self, part: T) {
        *self.part() = Some(part);
    }

    fn part(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(|p| p.into_inner())
    }
}
