//! What the rooms above keep with a session: one value of a type, made when it is first asked for.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Session;

/// One value of a type, whatever the type.
#[derive(Default)]
pub(super) struct Attached(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Attached {
    fn value<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(T::default()));
        Arc::clone(value)
            .downcast()
            .expect("it is kept under its own type")
    }
}

impl Session {
    /// The one value of this type that is kept with the session, for all of its handles. It must
    /// hold no handle of the session, which would keep it open.
    pub(crate) fn attached<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.shared.attached.value()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn there_is_one_value_of_a_type() {
        let attached = Attached::default();
        attached.value::<AtomicU32>().store(7, Ordering::Relaxed);
        assert_eq!(attached.value::<AtomicU32>().load(Ordering::Relaxed), 7);
        assert!(attached.value::<String>().is_empty());
    }
}
