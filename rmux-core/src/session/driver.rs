//! The task that owns a session: its link, the channel kept ready, and who waits for one.
//!
//! Handles send messages and hold nothing of the link. A channel that is being opened is always
//! seen through here, so that a caller who gives up leaves nothing behind on the server.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};

use super::exit::Signal;
use super::group;
use super::running::{Guard, Ready};
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Channel, End, Link, OpenError, Request, Transport};

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
    Guard(Weak<Channel>),
    /// Send a signal to the process group of a command, once its wrapper has told which that is.
    Signal(Arc<Channel>, Signal),
    /// Close the session.
    Close,
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
    /// A channel is wanted to run this line on.
    Run(Vec<u8>),
    Done,
}

pub(super) struct Driver {
    link: Link,
    host: String,
    home: mpsc::WeakUnboundedSender<Message>,
    /// Kept open ahead, so that the next command costs one round trip. One, or two where one of
    /// them is kept back for signals.
    spares: Vec<Channel>,
    /// Signals come before commands.
    urgent: VecDeque<Wanted>,
    waiting: VecDeque<Wanted>,
    opening: FuturesUnordered<Opening>,
    ends: FuturesUnordered<End>,
    signals: FuturesUnordered<Pin<Box<dyn Future<Output = Step> + Send>>>,
    dialling: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Commands to kill when the session is closed.
    guarded: Vec<Weak<Channel>>,
    /// How many channels have ended.
    epoch: u64,
    /// How many channels the server had granted when it refused one more.
    ceiling: Option<usize>,
    /// The server closes channels that are not used: none is opened ahead until the next command.
    spares_die: bool,
    /// The server refused a channel: wait until one has ended before asking again.
    full: bool,
}

impl Driver {
    pub(super) fn new(link: Link, host: String, home: mpsc::WeakUnboundedSender<Message>) -> Self {
        Self {
            link,
            host,
            home,
            spares: Vec::new(),
            urgent: VecDeque::new(),
            waiting: VecDeque::new(),
            opening: FuturesUnordered::new(),
            ends: FuturesUnordered::new(),
            signals: FuturesUnordered::new(),
            dialling: FuturesUnordered::new(),
            guarded: Vec::new(),
            epoch: 0,
            ceiling: None,
            spares_die: false,
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
                        self.spares_die = false;
                        self.waiting.push_back(wanted);
                        self.hand_out();
                    }
                    Some(Message::Return(channel)) => self.keep(channel),
                    Some(Message::Dial(name, port, wanted)) => self.dial(name, port, wanted),
                    Some(Message::Guard(channel)) => self.guarded.push(channel),
                    Some(Message::Signal(channel, signal)) => self.find_group(channel, signal),
                    Some(Message::Close) | None => closing = true,
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
                    self.guarded.retain(|channel| {
                        channel.upgrade().is_some_and(|channel| !channel.inbox().is_over())
                    });
                    self.hand_out();
                }
                Some(()) = self.dialling.next() => {}
                Some(step) = self.signals.next() => match step {
                    Step::Run(line) => self.run_line(line),
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
                for channel in std::mem::take(&mut self.guarded) {
                    if let Some(channel) = channel.upgrade() {
                        self.find_group(channel, Signal::kill());
                    }
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
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "session", "the session was closed").with_host(&self.host)
    }

    /// Takes in a channel nothing runs on.
    fn keep(&mut self, channel: Channel) {
        self.spares.push(channel);
        self.hand_out();
    }

    /// Gives spare channels to those who wait longest, and sees to the next one.
    fn hand_out(&mut self) {
        let before = self.spares.len();
        self.spares.retain(|spare| !spare.inbox().is_finished());
        self.spares_die |= self.spares.len() < before;
        while let Some(spare) = self.spares.pop() {
            // The last one the server grants is kept back where a signal may need it: else no
            // command could be ended that holds one of the others.
            let all_granted = self
                .ceiling
                .is_some_and(|most| most > 1 && self.ends.len() >= most);
            let last = self.spares.is_empty() && all_granted && !self.guarded.is_empty();
            let next = self.urgent.pop_front();
            let next = next.or_else(|| (!last).then(|| self.waiting.pop_front()).flatten());
            let Some(next) = next else {
                self.spares.push(spare);
                break;
            };
            if let Err(Ok(ready)) = next.send(Ok(Ready::new(spare, self.home.clone()))) {
                // The caller gave up: on to the next one.
                self.spares.push(ready.take_back());
            }
        }
        // More than one is let go of: dropping it closes it.
        self.spares.truncate(1);
        self.open_more();
    }

    /// Opens channels for those who wait, and one ahead.
    fn open_more(&mut self) {
        self.waiting.retain(|waiting| !waiting.is_closed());
        let ahead = usize::from(!self.spares_die);
        let wanted = self.urgent.len() + self.waiting.len() + ahead;
        while !self.full
            && self.opening.len() < MAX_OPENING
            && self.opening.len() + self.spares.len() < wanted
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
        self.ceiling = Some(self.ends.len());
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

    fn find_group(&mut self, channel: Arc<Channel>, signal: Signal) {
        self.signals.push(Box::pin(async move {
            let inbox = channel.inbox();
            match inbox.pid().await {
                _ if inbox.is_over() => Step::Done,
                Some(pid) => Step::Run(group::signal(pid, &signal, !inbox.has_exited())),
                None => {
                    channel.tell(Request::Signal(signal.name().to_owned()));
                    Step::Done
                }
            }
        }));
    }

    /// Runs a line on a channel of its own, and waits for its end.
    fn run_line(&mut self, line: Vec<u8>) {
        let (wanted, granted) = oneshot::channel();
        self.urgent.push_back(wanted);
        self.signals.push(Box::pin(async move {
            if let Ok(Ok(ready)) = granted.await {
                let running = ready.run(Guard::None);
                let _ = running.channel.outbox().close();
                if let Ok(true) = running.channel.ask(Request::Exec(line)).await {
                    let _ = running.channel.inbox().exit().await;
                }
            }
            Step::Done
        }));
        self.hand_out();
    }
}
