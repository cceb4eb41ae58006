//! Ending a command by its process group, on a channel of its own, and what came of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::exit::Signal;
use super::group;
use super::running::{Guard, Ready};
use crate::error::{RemoteEnd, Result};
use crate::link::{Channel, Inbox, Request};

/// How long a wrapper may take to tell its process id; login shells may be slow to start.
pub(super) const PID_LIMIT: Duration = Duration::from_secs(10);
/// How long the way by the group may take to begin before the command is asked to end by its own
/// channel: a slow login shell, or a server without a channel to spare.
const DETOUR: Duration = Duration::from_millis(500);

/// How a command is to be ended, and who wants to hear of it.
#[derive(Debug)]
pub(super) struct Stop {
    /// How long it has from `TERM` to `KILL`; without, it is only looked at.
    pub(super) grace: Option<Duration>,
    pub(super) told: oneshot::Sender<RemoteEnd>,
}

impl Stop {
    /// Kills at once; nobody hears of it.
    pub(super) fn now() -> Self {
        Self {
            grace: Some(Duration::ZERO),
            told: oneshot::channel().0,
        }
    }

    /// Tells what came of it.
    pub(super) fn settle(self, end: RemoteEnd, host: &str) {
        let Err(end) = self.told.send(end) else {
            return;
        };
        match end {
            RemoteEnd::Confirmed => tracing::debug!(host, "a command that was let go of has ended"),
            RemoteEnd::Unconfirmed => {
                tracing::warn!(host, "a command that was let go of may still run");
            }
        }
    }
}

/// A line to run on a channel of its own, for a command.
pub(super) struct Errand {
    pub(super) line: Vec<u8>,
    /// Where the line is to end the command.
    stop: Option<(Weak<Channel>, Stop)>,
}

impl Errand {
    /// The line that sends a signal.
    pub(super) fn signal(pid: u32, signal: &Signal, inbox: &Inbox) -> Self {
        Self {
            line: group::signal(pid, signal, !inbox.has_exited()),
            stop: None,
        }
    }

    /// The line that ends a command, once it is known which group that is. `Err` where that cannot
    /// be known.
    pub(super) async fn stop(channel: Arc<Channel>, stop: Stop) -> Result<Self, Stop> {
        let inbox = channel.inbox().clone();
        // Not held meanwhile: a channel that was let go of must come to its end.
        let channel = Arc::downgrade(&{ channel });
        let mut pid = tokio::time::timeout(DETOUR, inbox.pid()).await;
        if pid.is_err() {
            ask(&channel, &stop);
            // A server that runs something else than it was asked to never tells.
            pid = tokio::time::timeout(PID_LIMIT, inbox.pid()).await;
        }
        let Some(pid) = pid.unwrap_or_default() else {
            ask(&channel, &stop);
            return Err(stop);
        };
        Ok(Self {
            line: match stop.grace {
                Some(grace) => group::stop(pid, grace, !inbox.has_exited()),
                None => group::look(pid),
            },
            stop: Some((channel, stop)),
        })
    }

    /// Runs the line on the channel that will be granted, waits for its end and tells what it says.
    pub(super) async fn run(self, mut granted: oneshot::Receiver<Result<Ready>>, host: Arc<str>) {
        let mut ready = tokio::time::timeout(DETOUR, &mut granted).await;
        if ready.is_err() {
            if let Some((channel, stop)) = &self.stop {
                ask(channel, stop);
            }
            ready = Ok(granted.await);
        }
        let mut exit = None;
        if let Ok(Ok(Ok(ready))) = ready {
            let running = ready.run(Guard::None, Duration::ZERO);
            let _ = running.channel.outbox().close();
            if let Ok(true) = running.channel.ask(Request::Exec(self.line)).await {
                exit = running.channel.inbox().exit().await.unwrap_or_default();
            }
        }
        if let Some((_, stop)) = self.stop {
            stop.settle(group::verdict(exit), &host);
        }
    }
}

/// Asks the command to end by its own channel.
fn ask(channel: &Weak<Channel>, stop: &Stop) {
    if stop.grace.is_some_and(|grace| !grace.is_zero())
        && let Some(channel) = channel.upgrade()
    {
        channel.tell(Request::Signal(Signal::TERM.to_owned()));
    }
}
