//! Where a part of something stands that one operation at a time may use.
//!
//! An operation takes the part out and puts it back, so that one that is cancelled lets go of the
//! part, and nobody waits for a lock.

use std::sync::{Arc, Mutex, MutexGuard};

/// A part that is there, unless it is in use, was let go of, or never was.
pub(crate) struct Slot<T>(Arc<Mutex<Place<T>>>);

struct Place<T> {
    part: Option<T>,
    /// Whoever uses the part now need not bring it back.
    let_go: bool,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Slot<T> {
    pub(crate) fn new(part: Option<T>) -> Self {
        Self(Arc::new(Mutex::new(Place {
            part,
            let_go: false,
        })))
    }

    pub(crate) fn is_filled(&self) -> bool {
        self.place().part.is_some()
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.place().part.take()
    }

    /// Brings a part back, unless it was let go of meanwhile.
    pub(crate) fn put_back(&self, part: T) {
        let mut place = self.place();
        if place.let_go {
            // Not under the lock.
            drop(place);
            return drop(part);
        }
        place.part = Some(part);
    }

    /// Lets go of the part, now or when whoever uses it is done. An operation that is cancelled may be
    /// at its very end, and bring it back all the same.
    pub(crate) fn let_go(&self) {
        let mut place = self.place();
        place.let_go = true;
        let part = place.part.take();
        drop(place);
        drop(part);
    }

    fn place(&self) -> MutexGuard<'_, Place<T>> {
        self.0.lock().unwrap_or_else(|p| p.into_inner())
    }
}
