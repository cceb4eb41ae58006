//! Closing a session in order: nothing new begins, what runs may finish, and what has not by the
//! deadline is ended.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Session;
use super::driver::Message;

/// Further than anybody waits, and not too far to count.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a shutdown had to cut off on one host when its time was over.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// The host as the user named it.
    pub host: String,
    /// How many channels were in use: one for each command, and for each connection to a host
    /// behind this one.
    pub channels: usize,
}

/// A session takes no new work, and ends when nothing runs any more.
#[derive(Debug, Default)]
pub(super) struct Shutting {
    /// Until when what runs may go on: the earliest that was asked for.
    until: Option<Instant>,
    /// Who wants to know how many channels were cut off.
    told: Vec<oneshot::Sender<usize>>,
}

impl Shutting {
    pub(super) fn ask(&mut self, until: Option<Instant>, told: Option<oneshot::Sender<usize>>) {
        self.until = match (self.until, until) {
            (Some(before), Some(until)) => Some(before.min(until)),
            (before, until) => before.or(until),
        };
        self.told.extend(told);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn tell(self, cut_off: usize) {
        for told in self.told {
            // Who gave up does not want to know.
            let _ = told.send(cut_off);
        }
    }
}

impl Session {
    /// Refuses new work with [`Closed`](crate::ErrorKind::Closed) from now on, waits for what runs, but
    /// not longer than `limit`, and closes the session then, as [`close`](Self::close) does. Returns what
    /// was cut off: nothing if all has finished.
    ///
    /// Who asked for a channel before still gets it. Sessions that lead through this one are work in
    /// hand too.
    ///
    /// # Cancel safety
    /// Cancel safe: no new work is taken and the deadline holds all the same.
    pub async fn shutdown(&self, limit: Duration) -> Vec<CutOff> {
        let deadline = Instant::now() + limit.min(A_YEAR);
        self.close_by(deadline).await
    }

    /// Refuses new work from now on, and closes the session when nothing runs any more.
    pub(crate) fn refuse_work(&self) {
        self.shared.leases.end();
        self.tell(Message::Shutdown(None, None));
    }

    /// Waits until nothing runs any more, or for the deadline, and closes the session.
    pub(crate) async fn close_by(&self, deadline: Instant) -> Vec<CutOff> {
        let via = self.shared.via();
        let (reply, told) = oneshot::channel();
        self.shared.leases.end();
        self.tell(Message::Shutdown(Some(deadline), Some(reply)));
        // A session that has ended before has nothing to tell.
        let channels = told.await.unwrap_or(0);
        self.closed().await;
        if let Some(via) = via {
            Box::pin(via.let_go()).await;
        }
        let host = self.host().name.clone();
        let cut_off = (channels > 0).then_some(CutOff { host, channels });
        cut_off.into_iter().collect()
    }
}
