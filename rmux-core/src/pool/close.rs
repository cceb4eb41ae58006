//! Closing many sessions: those behind others first, because what runs there is ended through them.

use std::time::Duration;

use super::Pool;
use crate::session::Session;

/// Closes all sessions of this process, whoever has them, as [`Session::close`] does, those behind
/// others first, but not longer than `limit`. For programs that are about to end, by a signal above
/// all: commands that were started with [`kill_on_drop`](crate::Command::kill_on_drop) are killed,
/// which the end of the process alone would not do.
///
/// ```no_run
/// # async fn example() -> rmux_core::Result<()> {
/// # async fn work() {}
/// # use std::time::Duration;
/// tokio::select! {
///     () = work() => {}
///     _ = tokio::signal::ctrl_c() => {}
/// }
/// rmux_core::close_all(Duration::from_secs(3)).await;
/// # Ok(()) }
/// ```
///
/// # Cancel safety
/// Cancel safe in that it can be called again; what was not begun to close stays open.
pub async fn close_all(limit: Duration) {
    let sessions = Session::all().into_iter();
    let sessions = sessions.map(|session| (session.depth(), session)).collect();
    let _ = tokio::time::timeout(limit, in_order(sessions)).await;
}

impl Pool {
    /// Closes all sessions that are connected now, as [`Session::close`] does, those behind others
    /// first. The pool can be used again.
    ///
    /// # Cancel safety
    /// Cancel safe in that it can be called again; what was not begun to close stays open.
    pub async fn close(&self) {
        in_order(self.connected()).await;
    }
}

/// Closes sessions, each given with how many hosts are on the way to it.
async fn in_order(mut sessions: Vec<(usize, Session)>) {
    while let Some(deepest) = sessions.iter().map(|(depth, _)| *depth).max() {
        let (behind, rest): (Vec<_>, Vec<_>) = sessions
            .into_iter()
            .partition(|(depth, _)| *depth == deepest);
        let closing = behind
            .into_iter()
            .map(|(_, session)| async move { session.close().await });
        futures_util::future::join_all(closing).await;
        sessions = rest;
    }
}
