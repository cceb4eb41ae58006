//! All sessions of this process, for programs that are about to end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Session, Shared, WeakSession};

static SESSIONS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// From now on it is one of them.
pub(super) fn enter(session: &Arc<Shared>) {
    let mut sessions = sessions();
    sessions.retain(|session| session.strong_count() > 0);
    sessions.push(Arc::downgrade(session));
}

impl Session {
    /// All sessions that are connected now, whoever has them.
    pub(crate) fn all() -> Vec<Self> {
        let all = sessions().clone();
        let all = all.into_iter().map(WeakSession);
        all.filter_map(|session| session.upgrade()).collect()
    }

    /// How many hosts are on the way.
    pub(crate) fn depth(&self) -> usize {
        std::iter::successors(self.shared.via(), |via| via.shared.via()).count()
    }
}

fn sessions() -> MutexGuard<'static, Vec<Weak<Shared>>> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}
