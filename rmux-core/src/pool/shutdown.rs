//! Closing a pool in order: nobody gets a session any more, what runs may finish, and what has not
//! by the deadline is ended.

use std::time::Duration;

use tokio::time::Instant;

use super::Pool;
use crate::session::CutOff;

/// Further than anybody waits, and not too far to count.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long after the deadline a host on the way may see those ways end that led through it.
const LEAVING: Duration = Duration::from_secs(2);

impl Pool {
    /// Ends the pool. From now on it gives no session, and its sessions take no new work: that is
    /// refused with [`Closed`](crate::ErrorKind::Closed), and so is who waits for room or for a
    /// connection. What runs may finish, but not longer than `limit`; then all sessions are closed as
    /// [`close`](Self::close) does, those behind others first, for which hosts on the way have up to 2 s
    /// more. Returns what was cut off: nothing if all has finished.
    ///
    /// # Cancel safety
    /// Cancel safe in that no new work is taken all the same and that it can be called again. What
    /// runs is then not ended by the deadline.
    pub async fn shutdown(&self, limit: Duration) -> Vec<CutOff> {
        let mut deadline = Instant::now() + limit.min(A_YEAR);
        let line = {
            let mut places = self.0.places();
            places.shut = true;
            std::mem::take(&mut places.line)
        };
        drop(line);
        self.0.shut.send_replace(true);
        let mut connected = self.connected();
        for (_, session) in &connected {
            session.refuse_work();
        }
        let mut cut_off = Vec::new();
        // What runs behind a host is ended through it.
        while let Some(deepest) = connected.iter().map(|(depth, _)| *depth).max() {
            let (behind, rest): (Vec<_>, Vec<_>) = connected
                .into_iter()
                .partition(|(depth, _)| *depth == deepest);
            let closing = behind
                .into_iter()
                .map(|(_, session)| async move { session.close_by(deadline).await });
            let closed = futures_util::future::join_all(closing).await;
            cut_off.extend(closed.into_iter().flatten());
            deadline = deadline.max(Instant::now() + LEAVING);
            connected = rest;
        }
        cut_off
    }
}
