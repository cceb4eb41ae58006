//! The task that owns a session: its link, the channel kept ready, and who waits for one.
//!
//! Handles send messages and hold nothing of the link. A channel that is being opened is always
//! seen through here, so that a caller who gives up leaves nothing behind on the server.

use std::collections::VecDeque;
use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};

use super::group;
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Channel, End, Link, OpenError};

/// How many channel opens may be under way at once.
const MAX_OPENING: usize = 8;

/// What handles ask of the driver.
pub(super) enum Message {
    /// A channel to run something on.
    Channel(oneshot::Sender<Result<Ready>>),
    /// A channel that was handed out and not used.
    Return(Channel),
    /// End the process group of a command whose channel is gone.
    KillGroup(u32),
    /// Close the session; answered when the connection is closed.
    Close(oneshot::Sender<()>),
}

/// A channel nothing runs on yet. Dropping it gives it back.
pub(super) struct Ready {
    channel: Option<Channel>,
    home: mpsc::UnboundedSender<Message>,
}

impl Ready {
    pub(super) fn channel(&self) -> &Channel {
        self.channel
            .as_ref()
            .expect("taken only by into_channel, which consumes self")
    }

    /// Takes the channel to run something on it.
    pub(super) fn into_channel(mut self) -> Channel {
        self.channel
            .take()
            .expect("taken only here, and self is consumed")
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            let _ = self.home.send(Message::Return(channel));
        }
    }
}

type Opening = Pin<Box<dyn Future<Output = Result<(Channel, End), OpenError>> + Send>>;

pub(super) struct Driver {
    link: Link,
    host: String,
    home: mpsc::WeakUnboundedSender<Message>,
    /// Kept open ahead, so that the next command costs one round trip.
    spare: Option<Channel>,
    waiting: VecDeque<oneshot::Sender<Result<Ready>>>,
    opening: FuturesUnordered<Opening>,
    ends: FuturesUnordered<End>,
    /// The server refused a channel: wait until one has ended before asking again.
    full: bool,
}

impl Driver {
    pub(super) fn new(link: Link, host: String, home: mpsc::WeakUnboundedSender<Message>) -> Self {
        Self {
            link,
            host,
            home,
            spare: None,
            waiting: VecDeque::new(),
            opening: FuturesUnordered::new(),
            ends: FuturesUnordered::new(),
            full: false,
        }
    }

    /// Runs until the session is closed, nobody holds it any more, or the link is lost.
    pub(super) async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
        ended: watch::Sender<Option<Ended>>,
    ) {
        let mut lost = self.link.lost();
        self.open_more();
        let closer = loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::Channel(wanted)) => {
                        self.waiting.push_back(wanted);
                        self.hand_out();
                    }
                    Some(Message::Return(channel)) => self.keep(channel),
                    Some(Message::KillGroup(pid)) => self.kill_group(pid),
                    Some(Message::Close(done)) => break Some(done),
                    None => break None,
                },
                Some(opened) = self.opening.next() => match opened {
                    Ok((channel, end)) => {
                        self.ends.push(end);
                        self.keep(channel);
                    }
                    Err(OpenError::Refused(why)) => self.refused(&why),
                    // The link's end is on its way.
                    Err(OpenError::Lost) => {}
                },
                Some(_) = self.ends.next() => {
                    self.full = false;
                    self.hand_out();
                }
                reason = lost.wait() => {
                    self.settle(&reason);
                    ended.send_replace(Some(Ended::Lost(reason)));
                    return;
                }
            }
        };
        let reason = Error::new(ErrorKind::Closed, "session", "the session was closed")
            .with_host(&self.host);
        self.settle(&reason);
        self.link.disconnect().await;
        ended.send_replace(Some(Ended::Closed));
        if let Some(done) = closer {
            let _ = done.send(());
        }
    }

    /// Takes in a channel nothing runs on.
    fn keep(&mut self, channel: Channel) {
        if self.spare.is_none() {
            self.spare = Some(channel);
        }
        // A second spare is let go of: dropping it closes it.
        self.hand_out();
    }

    /// Gives the spare channel to whoever waits longest, and sees to the next one.
    fn hand_out(&mut self) {
        if self
            .spare
            .as_ref()
            .is_some_and(|spare| spare.inbox().is_finished())
        {
            self.spare = None;
        }
        while let Some(spare) = self.spare.take() {
            let Some(home) = self.home.upgrade() else {
                return;
            };
            let Some(next) = self.waiting.pop_front() else {
                self.spare = Some(spare);
                break;
            };
            if let Err(Ok(mut ready)) = next.send(Ok(Ready {
                channel: Some(spare),
                home,
            })) {
                // The caller gave up: on to the next one.
                self.spare = ready.channel.take();
            }
        }
        self.open_more();
    }

    /// Opens channels for those who wait, and one ahead.
    fn open_more(&mut self) {
        self.waiting.retain(|waiting| !waiting.is_closed());
        while !self.full
            && self.opening.len() < MAX_OPENING
            && self.opening.len() + usize::from(self.spare.is_some()) < self.waiting.len() + 1
        {
            self.opening.push(Box::pin(self.link.open()));
        }
    }

    fn refused(&mut self, why: &str) {
        self.full = true;
        // With no channel open and none on its way, waiting would be for nothing.
        if self.ends.is_empty() && self.opening.is_empty() {
            self.full = false;
            let error =
                Error::new(ErrorKind::ChannelRefused, "open channel", why).with_host(&self.host);
            self.settle(&error);
        }
    }

    fn settle(&mut self, reason: &Error) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Err(reason.clone()));
        }
    }

    /// Runs `kill` on a channel of its own. Nobody waits for it; it ends with the link.
    fn kill_group(&mut self, pid: u32) {
        let (wanted, granted) = oneshot::channel();
        self.waiting.push_front(wanted);
        tokio::spawn(async move {
            if let Ok(Ok(ready)) = granted.await {
                group::kill(ready.into_channel(), pid).await;
            }
        });
        self.hand_out();
    }
}

/// How a session ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    Closed,
    Lost(Error),
}
