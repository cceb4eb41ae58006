//! What belongs to one process and must be left alone by its forks.
//!
//! A fork has a copy of the memory and none of the runtime's threads: a lock that one of them held
//! is held for ever. Letting go of a session there could hang, so it is not let go of at all.

use std::ops::{Deref, DerefMut};

/// A value that is dropped in the process that made it, and forgotten in forks of that.
pub(crate) struct Here<T> {
    /// Always there until dropped.
    value: Option<T>,
    process: u32,
}

impl<T> Here<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Some(value),
            process: std::process::id(),
        }
    }

    /// The value itself.
    pub(crate) fn into_inner(mut self) -> T {
        self.value.take().expect("only drop takes it")
    }

    /// Whether this is the process that made it.
    pub(crate) fn is_here(&self) -> bool {
        self.process == std::process::id()
    }
}

impl<T> Deref for Here<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("only drop takes it")
    }
}

impl<T> DerefMut for Here<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("only drop takes it")
    }
}

impl<T> Drop for Here<T> {
    fn drop(&mut self) {
        if !self.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}
