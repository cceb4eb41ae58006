//! The task that owns a session: its link, the channel kept ready, and who waits for one.
//!
//! Handles send messages and hold nothing of the link. A channel that is being opened is always
//! seen through here, so that a caller who gives up leaves nothing behind on the server.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};

use super::exit::Signal;
use super::group;
use super::running::Ready;
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Channel, End, Inbox, Link, OpenError, Transport};

/// How many channel opens may be under way at once.
const MAX_OPENING: usize = 8;
/// How long signals that are on their way may take when the session is closed.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What handles ask of the driver.
pub(super) enum Message {
    /// A channel to run something on.
    Channel(Wanted),
    /// A channel that was handed out and not used.
    Return(Channel),
    /// A connection from the host to this name and port.
    Dial(String, u16, oneshot::Sender<Result<Transport>>),
    /// A command begins that must not outlive the session.
    Guard(Inbox),
    /// Send a signal to the process group of a command, once its wrapper has told which that is.
    Signal(Inbox, Signal),
    /// Close the session; answered when the connection is closed.
    Close(oneshot::Sender<()>),
}

/// How a session ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    Closed,
    Lost(Error),
}

type Wanted = oneshot::Sender<Result<Ready>>;
/// The answer, with the epoch in which the channel was asked for.
type Opening = Pin<Box<dyn Future<Output = (u64, Result<(Channel, End), OpenError>)> + Send>>;

/// A step on the way of a signal.
enum Step {
    /// The process group is known: a channel is wanted to run `kill` on.
    Group(u32, Signal),
    Done,
}

pub(super) struct Driver {
    link: Link,
    host: String,
    home: mpsc::WeakUnboundedSender<Message>,
    /// Kept open ahead, so that the next command costs one round trip.
    spare: Option<Channel>,
    /// Signals come before commands.
    urgent: VecDeque<Wanted>,
    waiting: VecDeque<Wanted>,
    opening: FuturesUnordered<Opening>,
    ends: FuturesUnordered<End>,
    signals: FuturesUnordered<Pin<Box<dyn Future<Output = Step> + Send>>>,
    dialling: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Commands to kill when the session is closed.
    guarded: Vec<Inbox>,
    /// How many channels have ended.
    epoch: u64,
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
            urgent: VecDeque::new(),
            waiting: VecDeque::new(),
            opening: FuturesUnordered::new(),
            ends: FuturesUnordered::new(),
            signals: FuturesUnordered::new(),
            dialling: FuturesUnordered::new(),
            guarded: Vec::new(),
            epoch: 0,
            full: false,
        }
    }

    /// Runs until the session is closed, nobody holds it any more, or the link is lost.
    pub(super) async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
        on_end: impl FnOnce(&Ended),
        ended: watch::Sender<Option<Ended>>,
    ) {
        let mut lost = self.link.lost();
        let mut closers = Vec::new();
        let mut closing = false;
        let mut patience = std::pin::pin!(tokio::time::sleep(CLOSE_GRACE));
        self.open_more();
        while !closing || !self.signals.is_empty() {
            let was_closing = closing;
            tokio::select! {
                message = messages.recv(), if !closing || !messages.is_closed() => match message {
                    Some(Message::Channel(wanted)) if closing => {
                        let _ = wanted.send(Err(self.closed()));
                    }
                    Some(Message::Channel(wanted)) => {
                        self.waiting.push_back(wanted);
                        self.hand_out();
                    }
                    Some(Message::Return(channel)) => self.keep(channel),
                    Some(Message::Dial(name, port, wanted)) => self.dial(name, port, wanted),
                    Some(Message::Guard(inbox)) => self.guarded.push(inbox),
                    Some(Message::Signal(inbox, signal)) => self.find_group(inbox, signal),
                    Some(Message::Close(done)) => {
                        closers.push(done);
                        closing = true;
                    }
                    None => closing = true,
                },
                Some((epoch, opened)) = self.opening.next() => match opened {
                    Ok((channel, end)) => {
                        self.ends.push(end);
                        self.keep(channel);
                    }
                    Err(OpenError::Refused(why)) => self.refused(epoch, &why),
                    // The link's end is on its way.
                    Err(OpenError::Lost) => {}
                },
                Some(_) = self.ends.next() => {
                    self.full = false;
                    self.epoch += 1;
                    self.guarded.retain(|inbox| !inbox.has_exited());
                    self.hand_out();
                }
                Some(()) = self.dialling.next() => {}
                Some(step) = self.signals.next() => match step {
                    Step::Group(pid, signal) => self.signal(pid, signal),
                    Step::Done => {}
                },
                reason = lost.wait() => {
                    self.settle(&reason);
                    let lost = Ended::Lost(reason);
                    on_end(&lost);
                    ended.send_replace(Some(lost));
                    return;
                }
                () = &mut patience, if closing => break,
            }
            if closing && !was_closing {
                self.settle(&self.closed());
                for inbox in std::mem::take(&mut self.guarded) {
                    self.find_group(inbox, Signal::kill());
                }
                patience
                    .as_mut()
                    .reset(tokio::time::Instant::now() + CLOSE_GRACE);
            }
        }
        messages.close();
        self.link.disconnect().await;
        on_end(&Ended::Closed);
        ended.send_replace(Some(Ended::Closed));
        for done in closers {
            let _ = done.send(());
        }
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "session", "the session was closed").with_host(&self.host)
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
            let next = self.urgent.pop_front().or_else(|| self.waiting.pop_front());
            let Some(next) = next else {
                self.spare = Some(spare);
                break;
            };
            if let Err(Ok(ready)) = next.send(Ok(Ready::new(spare, self.home.clone()))) {
                // The caller gave up: on to the next one.
                self.spare = Some(ready.take_back());
            }
        }
        self.open_more();
    }

    /// Opens channels for those who wait, and one ahead.
    fn open_more(&mut self) {
        self.waiting.retain(|waiting| !waiting.is_closed());
        let wanted = self.urgent.len() + self.waiting.len() + 1;
        while !self.full
            && self.opening.len() < MAX_OPENING
            && self.opening.len() + usize::from(self.spare.is_some()) < wanted
        {
            let (epoch, opening) = (self.epoch, self.link.open());
            self.opening
                .push(Box::pin(async move { (epoch, opening.await) }));
        }
    }

    fn refused(&mut self, epoch: u64, why: &str) {
        if epoch < self.epoch {
            // A channel has ended since this one was asked for: there may be room now.
            self.open_more();
            return;
        }
        self.full = true;
        // With no channel open and none on its way, waiting would be for nothing.
        if self.ends.is_empty() && self.opening.is_empty() {
            self.full = false;
            let error =
                Error::new(ErrorKind::ChannelRefused, "open channel", why).with_host(&self.host);
            self.urgent.clear();
            self.settle(&error);
        }
    }

    /// Answers those who wait to run a command.
    fn settle(&mut self, reason: &Error) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Err(reason.clone()));
        }
    }

    fn dial(&mut self, name: String, port: u16, wanted: oneshot::Sender<Result<Transport>>) {
        let (dialling, lost) = (self.link.dial(name.clone(), port), self.link.lost());
        let host = self.host.clone();
        self.dialling.push(Box::pin(async move {
            let dialled = dialling.await.map_err(|error| match error {
                OpenError::Lost => lost.reason(),
                OpenError::Refused(why) => Error::new(
                    ErrorKind::ConnectFailed,
                    "connect",
                    format!("{host} cannot connect to {name} port {port}: {why}"),
                ),
            });
            // Nobody waits any more: the way is cut again.
            let _ = wanted.send(dialled);
        }));
    }

    fn find_group(&mut self, inbox: Inbox, signal: Signal) {
        self.signals.push(Box::pin(async move {
            match std::future::poll_fn(|context| inbox.poll_pid(context)).await {
                Some(pid) if !inbox.has_exited() => Step::Group(pid, signal),
                _ => Step::Done,
            }
        }));
    }

    /// Runs `kill` on a channel of its own.
    fn signal(&mut self, pid: u32, signal: Signal) {
        let (wanted, granted) = oneshot::channel();
        self.urgent.push_back(wanted);
        self.signals.push(Box::pin(async move {
            if let Ok(Ok(ready)) = granted.await {
                group::signal(&ready.run(false).channel, pid, &signal).await;
            }
            Step::Done
        }));
        self.hand_out();
    }
}
