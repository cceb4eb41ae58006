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
use tokio::time::Instant;

use super::Shared;
use super::exit::Signal;
use super::running::Ready;
use super::stop::{Errand, PID_LIMIT, Stop};
use crate::error::{Error, ErrorKind, RemoteEnd, Result};
use crate::link::{Channel, End, Link, OpenError, Request, Transport, Unanswered};

/// How many channel opens may be under way at once.
const MAX_OPENING: usize = 8;
/// How long signals that are on their way may take when the session is closed.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// How long to wait before a refused channel is asked for again where only the server can know when
/// there is room.
const RETRY: Duration = Duration::from_millis(200);

/// How many refusals in a row are believed although a channel was granted before.
const REFUSALS: u32 = 15;

/// What handles ask of the driver.
pub(super) enum Message {
    /// A channel to run something on.
    Channel(Wanted),
    /// A channel that was handed out and not used.
    Return(Channel),
    /// A connection from the host to this name and port.
    Dial(String, u16, oneshot::Sender<Result<Transport>>),
    /// A command begins that must not outlive the session.
    Guard(Weak<Channel>, Option<Arc<()>>),
    /// Send a signal to the process group of a command, once its wrapper has told which that is.
    Signal(Arc<Channel>, Signal),
    /// End the process group of a command.
    Stop(Arc<Channel>, Stop),
    /// Nobody holds the session any more.
    Unused,
    /// Nobody will come back to it once it is unused.
    Forsaken,
    /// Close the session.
    Close,
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// How a session ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    Closed,
    Lost(Error),
}

/// A caller who waits for a channel.
pub(super) struct Wanted {
    pub(super) reply: oneshot::Sender<Result<Ready>>,
    /// Whether what will run on it must not outlive its caller.
    pub(super) guarded: bool,
}

/// The answer, with the epoch in which the channel was asked for.
type Opening = Pin<Box<dyn Future<Output = (u64, Result<(Channel, End), OpenError>)> + Send>>;

/// A step on the way of a signal.
enum Step {
    /// A channel is wanted for this.
    Run(Errand),
    Done,
}

pub(super) struct Driver {
    link: Link,
    shared: Arc<Shared>,
    host_name: Arc<str>,
    /// How long the session stays when nobody uses it, and until when it now does.
    linger: Duration,
    unused_until: Option<Instant>,
    /// Kept open ahead, so that the next command costs one round trip; one more while there are
    /// commands that may have to be ended.
    spares: Vec<Channel>,
    /// Signals come before commands.
    urgent: VecDeque<oneshot::Sender<Result<Ready>>>,
    waiting: VecDeque<Wanted>,
    opening: FuturesUnordered<Opening>,
    ends: FuturesUnordered<End>,
    signals: FuturesUnordered<Pin<Box<dyn Future<Output = Step> + Send>>>,
    dialling: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Held by channels that were handed out for commands to guard, until those are in `guarded`.
    promised: Vec<Weak<()>>,
    /// Commands to kill when the session is closed.
    guarded: Vec<Weak<Channel>>,
    /// How many channels have ended.
    epoch: u64,
    /// When to ask again although no channel of ours has ended.
    retry: Option<Instant>,
    /// The server closes channels that are not used: none is opened ahead until the next command.
    spares_die: bool,
    /// Whether the server has ever granted a channel, and how often it has refused one since.
    granted: bool,
    refusals: u32,
    /// The server refused a channel: wait until one has ended before asking again.
    full: bool,
}

impl Driver {
    pub(super) fn new(link: Link, shared: Arc<Shared>) -> Self {
        Self {
            link,
            linger: shared.linger,
            host_name: shared.host.name.as_str().into(),
            shared,
            unused_until: None,
            spares: Vec::new(),
            urgent: VecDeque::new(),
            waiting: VecDeque::new(),
            opening: FuturesUnordered::new(),
            ends: FuturesUnordered::new(),
            signals: FuturesUnordered::new(),
            dialling: FuturesUnordered::new(),
            promised: Vec::new(),
            guarded: Vec::new(),
            epoch: 0,
            retry: None,
            spares_die: false,
            granted: false,
            refusals: 0,
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
        while !closing || !self.signals.is_empty() || self.promises() {
            let was_closing = closing;
            tokio::select! {
                message = messages.recv(), if !closing || !messages.is_closed() => match message {
                    Some(Message::Channel(wanted)) if closing => {
                        let _ = wanted.reply.send(Err(self.closed()));
                    }
                    Some(Message::Channel(wanted)) => {
                        self.spares_die = false;
                        self.waiting.push_back(wanted);
                        self.hand_out();
                    }
                    Some(Message::Return(channel)) => self.keep(channel),
                    Some(Message::Dial(name, port, wanted)) => self.dial(name, port, wanted),
                    // One that was begun before the session closed.
                    Some(Message::Guard(channel, _promise)) if closing => self.kill(&channel),
                    Some(Message::Guard(channel, _promise)) => self.guarded.push(channel),
                    Some(Message::Signal(channel, signal)) => self.signal(channel, signal),
                    Some(Message::Stop(channel, stop)) => self.stop(channel, stop),
                    Some(Message::Unused) => self.unused_until = Some(Instant::now() + self.linger),
                    Some(Message::Forsaken) => {
                        self.linger = Duration::ZERO;
                        self.unused_until = self.unused_until.map(|_| Instant::now());
                    }
                    Some(Message::Close) | None => closing = true,
                },
                Some((epoch, opened)) = self.opening.next() => match opened {
                    Ok((channel, end)) => {
                        (self.granted, self.refusals) = (true, 0);
                        self.ends.push(end);
                        self.keep(channel);
                    }
                    Err(OpenError::Refused(why)) => self.refused(epoch, &why),
                    Err(OpenError::Unanswered(why)) => self.unanswered(&why),
                    // The link's end is on its way.
                    Err(OpenError::Lost) => {}
                },
                Some(_) = self.ends.next() => {
                    (self.full, self.refusals) = (false, 0);
                    self.epoch += 1;
                    self.guarded.retain(|channel| {
                        channel.upgrade().is_some_and(|channel| !channel.inbox().is_over())
                    });
                    self.hand_out();
                }
                () = sleep_until(self.unused_until), if !closing => {
                    self.unused_until = None;
                    // Somebody may have come back meanwhile.
                    closing = self.shared.leases.retire();
                }
                () = sleep_until(self.retry) => {
                    self.retry = None;
                    self.full = false;
                    self.open_more();
                }
                Some(()) = self.dialling.next() => {}
                Some(step) = self.signals.next() => match step {
                    Step::Run(errand) => self.run_errand(errand),
                    Step::Done => {}
                },
                reason = lost.wait() => {
                    self.settle(&reason);
                    let lost = Ended::Lost(reason);
                    on_end(&lost);
                    self.shared.leave_via();
                    ended.send_replace(Some(lost));
                    return;
                }
                () = &mut patience, if closing => break,
            }
            if closing && !was_closing {
                self.settle(&self.closed());
                for channel in std::mem::take(&mut self.guarded) {
                    self.kill(&channel);
                }
                patience.as_mut().reset(Instant::now() + CLOSE_GRACE);
            }
        }
        messages.close();
        self.link.disconnect().await;
        on_end(&Ended::Closed);
        self.shared.leave_via();
        ended.send_replace(Some(Ended::Closed));
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "session", "the session was closed")
            .with_host(&self.shared.host.name)
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
            // The last one in hand is kept back where a signal may need it: on a full server no
            // command could be ended otherwise.
            let kept_back = self.spares.is_empty() && self.guards();
            let mut promise = None;
            let next = match self.urgent.pop_front() {
                Some(urgent) => Some(urgent),
                None if kept_back => None,
                None => self.waiting.pop_front().map(|wanted| {
                    promise = wanted.guarded.then(Arc::default);
                    wanted.reply
                }),
            };
            let Some(next) = next else {
                self.spares.push(spare);
                break;
            };
            self.promised.extend(promise.as_ref().map(Arc::downgrade));
            let ready = Ready::new(spare, promise, self.shared.driver.downgrade());
            if let Err(Ok(ready)) = next.send(Ok(ready)) {
                // The caller gave up: on to the next one.
                self.spares.push(ready.take_back());
            }
        }
        // What is too much is let go of: dropping it closes it.
        let ahead = self.ahead().max(1);
        self.spares.truncate(ahead);
        self.open_more();
    }

    /// Whether there are commands that may have to be ended.
    fn guards(&mut self) -> bool {
        self.promises() || !self.guarded.is_empty()
    }

    /// Whether a channel is out on which such a command may be about to begin.
    fn promises(&mut self) -> bool {
        self.promised.retain(|promise| promise.strong_count() > 0);
        !self.promised.is_empty()
    }

    /// How many channels to have ready: one for the next command, and one for a signal.
    fn ahead(&mut self) -> usize {
        usize::from(!self.spares_die) + usize::from(self.guards())
    }

    /// Opens channels for those who wait, and some ahead.
    fn open_more(&mut self) {
        self.waiting.retain(|waiting| !waiting.reply.is_closed());
        let wanted = self.urgent.len() + self.waiting.len() + self.ahead();
        while !self.full
            && self.opening.len() < MAX_OPENING
            && self.opening.len() + self.spares.len() < wanted
        {
            let (epoch, opening) = (self.epoch, self.link.open());
            self.opening
                .push(Box::pin(async move { (epoch, opening.await) }));
        }
        if self.full && !(self.urgent.is_empty() && self.waiting.is_empty()) {
            self.shared.short.notify_one();
        }
    }

    fn refused(&mut self, epoch: u64, why: &str) {
        if epoch < self.epoch {
            // A channel has ended since this one was asked for: there may be room now.
            self.open_more();
            return;
        }
        self.full = true;
        self.open_more();
        if !self.opening.is_empty() {
            return;
        }
        self.refusals += 1;
        if !self.ends.is_empty() {
            // The next end may be far off, and what has just ended for us may still have counted with
            // the server.
            if self.refusals < REFUSALS {
                self.retry = Some(Instant::now() + RETRY);
            }
            return;
        }
        let signalling = !self.urgent.is_empty();
        if (signalling || self.granted) && self.refusals < REFUSALS {
            // What has ended for us, or was let go of, may still count with the server for a moment.
            self.retry = Some(Instant::now() + RETRY);
        } else {
            // Waiting would be for nothing.
            self.full = false;
            self.urgent.clear();
            let error = Error::new(ErrorKind::ChannelRefused, "open channel", why);
            self.settle(&error.with_host(&self.shared.host.name));
        }
    }

    /// The server says nothing to the request for a channel; nor will it to the others, which were made
    /// in the same way. The next caller asks anew.
    fn unanswered(&mut self, why: &Unanswered) {
        self.full = false;
        self.urgent.clear();
        self.settle(&why.error("open channel", "the request for a channel"));
    }

    /// Answers those who wait to run a command.
    fn settle(&mut self, reason: &Error) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.reply.send(Err(reason.clone()));
        }
    }

    fn dial(&mut self, name: String, port: u16, wanted: oneshot::Sender<Result<Transport>>) {
        let (dialling, lost) = (self.link.dial(name.clone(), port), self.link.lost());
        let host = self.shared.host.name.clone();
        self.dialling.push(Box::pin(async move {
            let dialled = dialling.await.map_err(|error| match error {
                OpenError::Lost => lost.reason(),
                OpenError::Unanswered(unanswered) => {
                    unanswered.error("connect", "the request to connect")
                }
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

    fn kill(&mut self, channel: &Weak<Channel>) {
        if let Some(channel) = channel.upgrade() {
            self.stop(channel, Stop::now());
        }
    }

    fn stop(&mut self, channel: Arc<Channel>, stop: Stop) {
        let host = Arc::clone(&self.host_name);
        self.signals.push(Box::pin(async move {
            match Errand::stop(channel, stop).await {
                Ok(errand) => Step::Run(errand),
                Err(stop) => {
                    stop.settle(RemoteEnd::Unconfirmed, &host);
                    Step::Done
                }
            }
        }));
    }

    fn signal(&mut self, channel: Arc<Channel>, signal: Signal) {
        let inbox = channel.inbox().clone();
        // Not held meanwhile: a channel that was let go of must come to its end.
        let channel = Arc::downgrade(&channel);
        self.signals.push(Box::pin(async move {
            // A server that runs something else than it was asked to never tells.
            let pid = tokio::time::timeout(PID_LIMIT, inbox.pid()).await;
            match pid.unwrap_or_default() {
                _ if inbox.is_over() => Step::Done,
                Some(pid) => Step::Run(Errand::signal(pid, &signal, &inbox)),
                None => {
                    if let Some(channel) = channel.upgrade() {
                        channel.tell(Request::Signal(signal.name().to_owned()));
                    }
                    Step::Done
                }
            }
        }));
    }

    /// Runs a line on a channel of its own, and waits for its end.
    fn run_errand(&mut self, errand: Errand) {
        let (wanted, granted) = oneshot::channel();
        self.urgent.push_back(wanted);
        let run = errand.run(granted, Arc::clone(&self.host_name));
        self.signals.push(Box::pin(async move {
            run.await;
            Step::Done
        }));
        self.hand_out();
    }
}
