//! The task that owns a session: its links, the channel kept ready, and who waits for one.
//!
//! Handles send messages and hold nothing of a link. Who waits is served in the order of arrival, by
//! whichever link has a channel.

mod reach;
mod supply;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::exit::Signal;
use super::further::Further;
use super::lane::Lane;
use super::member::{LinkId, Member, News};
use super::running::Ready;
use super::shutdown::Shutting;
use super::stop::{Errand, PID_LIMIT, Stop};
use super::{Held, Shared};
use crate::error::{Error, ErrorKind, RemoteEnd, Result};
use crate::link::{Channel, Link, Request};
pub(super) use reach::{Listened, Reach};

/// How long signals that are on their way may take when the session is closed.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What handles ask of the driver.
pub(super) enum Message {
    /// A channel to run something on.
    Channel(Wanted),
    /// A channel of this link that was handed out and not used.
    Return(LinkId, Channel),
    /// A connection through the host, or one that comes in there.
    Reach(Reach),
    /// A command begins that must not outlive the session.
    Guard(LinkId, Weak<Channel>, Option<Arc<()>>),
    /// Send a signal to the process group of a command, once its wrapper has told which that is.
    Signal(LinkId, Arc<Channel>, Signal),
    /// End the process group of a command.
    Stop(LinkId, Arc<Channel>, Stop),
    /// Nobody holds the session any more.
    Unused,
    /// Nobody will come back to it once it is unused.
    Forsaken,
    /// Take no new work and close the session when nothing runs any more, or at this time; say how
    /// many channels were in use then.
    Shutdown(Option<Instant>, Option<oneshot::Sender<usize>>),
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
    pub(super) lane: Lane,
    /// Since when.
    pub(super) since: Instant,
}

/// A step on the way of a signal.
enum Step {
    /// A channel of this link is wanted for this.
    Run(LinkId, Errand),
    Done,
}

/// Waits for the next news of a link.
async fn news(members: &mut [Member]) -> (LinkId, News) {
    std::future::poll_fn(|cx| {
        for member in &mut *members {
            if let Poll::Ready(news) = member.poll_news(cx) {
                return Poll::Ready((member.id, news));
            }
        }
        Poll::Pending
    })
    .await
}

pub(super) struct Driver {
    shared: Arc<Shared>,
    host_name: Arc<str>,
    /// The links that live, in the order in which they were made.
    members: Vec<Member>,
    next_link: u64,
    further: Further,
    /// How long the session stays when nobody uses it, and until when it now does.
    linger: Duration,
    unused_until: Option<Instant>,
    waiting: VecDeque<Wanted>,
    /// Transfers that wait for a link of their own.
    bulk: VecDeque<Wanted>,
    signals: FuturesUnordered<Pin<Box<dyn Future<Output = Step> + Send>>>,
    /// Connections through the host that are being made.
    reaching: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Links that were parted with, on their way out.
    farewells: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The server closes channels that are not used: none is opened ahead until the next command.
    spares_die: bool,
    /// Set once no new work is taken.
    shutting: Option<Shutting>,
}

impl Driver {
    /// `place` is that of the first link.
    pub(super) fn new(link: Link, place: Held, further: Further, shared: Arc<Shared>) -> Self {
        Self {
            linger: shared.linger,
            host_name: shared.host.name.as_str().into(),
            shared,
            members: vec![Member::new(LinkId(0), link, place)],
            next_link: 1,
            further,
            unused_until: None,
            waiting: VecDeque::new(),
            bulk: VecDeque::new(),
            signals: FuturesUnordered::new(),
            reaching: FuturesUnordered::new(),
            farewells: FuturesUnordered::new(),
            spares_die: false,
            shutting: None,
        }
    }

    /// Runs until the session is closed, nobody holds it any more, or its last link is lost.
    pub(super) async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
        on_end: impl FnOnce(&Ended),
        ended: watch::Sender<Option<Ended>>,
    ) {
        let mut closing = false;
        let mut patience = std::pin::pin!(tokio::time::sleep(CLOSE_GRACE));
        self.hand_out();
        let counters = Arc::clone(&self.shared.counters);
        self.note();
        while !closing || !self.signals.is_empty() || self.promises() {
            let was_closing = closing;
            let wake = self.wake_at();
            let shut_by = self.shutting.as_ref().and_then(Shutting::deadline);
            tokio::select! {
                message = messages.recv(), if !closing || !messages.is_closed() => match message {
                    Some(Message::Channel(wanted)) if closing || self.shutting.is_some() => {
                        let _ = wanted.reply.send(Err(self.closed()));
                    }
                    Some(Message::Reach(wanted)) if closing || self.shutting.is_some() => {
                        self.refuse(wanted);
                    }
                    Some(Message::Shutdown(until, told)) => {
                        self.shutting.get_or_insert_default().ask(until, told);
                        // What is only kept warm is no work.
                        self.shared.short.notify_one();
                    }
                    Some(Message::Channel(wanted)) => {
                        self.spares_die = false;
                        self.queue(wanted);
                        self.hand_out();
                    }
                    Some(Message::Return(link, channel)) => {
                        if let Some(member) = self.member(link) {
                            member.take_back(channel);
                        }
                        self.hand_out();
                    }
                    Some(Message::Reach(wanted)) => self.reach(wanted),
                    // One that was begun before the session closed.
                    Some(Message::Guard(link, channel, _promise)) if closing => {
                        self.kill(link, &channel);
                    }
                    Some(Message::Guard(link, channel, _promise)) => {
                        if let Some(member) = self.member(link) {
                            member.guard(channel);
                        }
                    }
                    Some(Message::Signal(link, channel, signal)) => {
                        self.signal(link, channel, signal);
                    }
                    Some(Message::Stop(link, channel, stop)) => self.stop(link, channel, stop),
                    Some(Message::Unused) => self.unused_until = Some(Instant::now() + self.linger),
                    Some(Message::Forsaken) => {
                        self.linger = Duration::ZERO;
                        self.unused_until = self.unused_until.map(|_| Instant::now());
                    }
                    Some(Message::Close) | None => closing = true,
                },
                (link, news) = news(&mut self.members) => match news {
                    News::Changed => self.hand_out(),
                    News::Hopeless(why) => self.hopeless(link, why),
                    News::Lost(reason) => {
                        self.members.retain(|member| member.id != link);
                        if self.members.is_empty() {
                            self.settle(&reason);
                            let lost = Ended::Lost(reason);
                            self.shared.activity.end();
                            on_end(&lost);
                            self.shared.leave_via();
                            ended.send_replace(Some(lost));
                            return;
                        }
                        self.hand_out();
                    }
                },
                made = self.further.done(), if !closing => {
                    if let Ok((link, place)) = made {
                        let id = LinkId(self.next_link);
                        self.next_link += 1;
                        self.members.push(Member::new(id, link, place));
                    }
                    self.hand_out();
                }
                () = sleep_until(wake), if !closing => self.tend(),
                Some(()) = self.farewells.next() => {}
                () = sleep_until(shut_by), if !closing => closing = true,
                // What ends without a word: a way to another host.
                () = counters.ended() => {}
                () = sleep_until(self.unused_until), if !closing => {
                    self.unused_until = None;
                    // Somebody may have come back meanwhile.
                    closing = self.shared.leases.retire();
                }
                Some(()) = self.reaching.next() => {}
                Some(step) = self.signals.next() => match step {
                    Step::Run(link, errand) => self.run_errand(link, errand),
                    Step::Done => {}
                },
                () = &mut patience, if closing => break,
            }
            closing |= self.shutting.is_some() && !self.has_work();
            self.note();
            if closing && !was_closing {
                if let Some(shutting) = self.shutting.take() {
                    shutting.tell(self.in_use());
                }
                self.settle(&self.closed());
                self.further.give_up();
                for (link, channel) in self.guarded() {
                    self.kill(link, &channel);
                }
                patience.as_mut().reset(Instant::now() + CLOSE_GRACE);
            }
        }
        messages.close();
        let farewells = self.members.into_iter().map(Member::disconnect);
        let begun = self.farewells.collect::<()>();
        futures_util::future::join(futures_util::future::join_all(farewells), begun).await;
        self.shared.activity.end();
        on_end(&Ended::Closed);
        self.shared.leave_via();
        ended.send_replace(Some(Ended::Closed));
    }

    /// How many channels are ready.
    fn ready(&self) -> usize {
        self.members.iter().map(Member::ready).sum()
    }

    /// How many channels are in use: those that are not ready.
    fn in_use(&self) -> usize {
        let channels = self.shared.counters.channels();
        channels.saturating_sub(self.ready())
    }

    /// Whether anything runs, or is about to.
    fn has_work(&mut self) -> bool {
        self.waiting.retain(|waiting| !waiting.reply.is_closed());
        self.bulk.retain(|waiting| !waiting.reply.is_closed());
        self.in_use() > 0
            || !self.waiting.is_empty()
            || !self.bulk.is_empty()
            || !self.signals.is_empty()
            || !self.reaching.is_empty()
    }

    /// Tells those who look at figures.
    fn note(&self) {
        let activity = &self.shared.activity;
        activity.note(self.members.len(), self.ready(), self.in_use() > 0);
        activity.note_round_trip(self.round_trip());
        let most = self.members.iter().filter_map(Member::ceiling);
        activity.note_most_channels(most.max());
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "session", "the session was closed")
            .with_host(&self.shared.host.name)
    }

    /// A link, while it lives.
    fn member(&mut self, id: LinkId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Whether a channel is out on which a command to guard may be about to begin.
    fn promises(&self) -> bool {
        self.members.iter().any(Member::promises)
    }

    /// The commands that must not outlive the session.
    fn guarded(&mut self) -> Vec<(LinkId, Weak<Channel>)> {
        let taken = self.members.iter_mut().flat_map(|member| {
            let link = member.id;
            member
                .take_guarded()
                .into_iter()
                .map(move |channel| (link, channel))
        });
        taken.collect()
    }

    /// Answers those who wait to run a command.
    fn settle(&mut self, reason: &Error) {
        for waiting in self.waiting.drain(..).chain(self.bulk.drain(..)) {
            let _ = waiting.reply.send(Err(reason.clone()));
        }
    }

    fn kill(&mut self, link: LinkId, channel: &Weak<Channel>) {
        if let Some(channel) = channel.upgrade() {
            self.stop(link, channel, Stop::now());
        }
    }

    fn stop(&mut self, link: LinkId, channel: Arc<Channel>, stop: Stop) {
        let host = Arc::clone(&self.host_name);
        self.signals.push(Box::pin(async move {
            match Errand::stop(channel, stop).await {
                Ok(errand) => Step::Run(link, errand),
                Err(stop) => {
                    stop.settle(RemoteEnd::Unconfirmed, &host);
                    Step::Done
                }
            }
        }));
    }

    fn signal(&mut self, link: LinkId, channel: Arc<Channel>, signal: Signal) {
        let inbox = channel.inbox().clone();
        // Not held meanwhile: a channel that was let go of must come to its end.
        let channel = Arc::downgrade(&channel);
        self.signals.push(Box::pin(async move {
            // A server that runs something else than it was asked to never tells.
            let pid = tokio::time::timeout(PID_LIMIT, inbox.pid()).await;
            match pid.unwrap_or_default() {
                _ if inbox.is_over() => Step::Done,
                Some(pid) => Step::Run(link, Errand::signal(pid, &signal, &inbox)),
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
    fn run_errand(&mut self, link: LinkId, errand: Errand) {
        let (wanted, granted) = oneshot::channel();
        let run = errand.run(granted, Arc::clone(&self.host_name));
        // Without its link there is no way to the command: nothing will be granted.
        if let Some(member) = self.member(link) {
            member.want_urgently(wanted);
        }
        self.signals.push(Box::pin(async move {
            run.await;
            Step::Done
        }));
        self.hand_out();
    }
}
