//! One of a session's links: its channels, and what the server is known to grant on it.
//!
//! A channel that is being opened is always seen through here, so that a caller who gives up leaves
//! nothing behind on the server. Commands are ended over the link they run on and over no other:
//! one name may stand for several machines.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use super::Held;
use super::driver::{Message, Wanted};
use super::lane::Lane;
use super::round_trip::RoundTrip;
use super::running::Ready;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Bound, Channel, End, Inbox, Link, Listening, Lost, OpenError};

/// How many channel opens may be under way at once.
const MAX_OPENING: usize = 8;

/// How long to wait before a refused channel is asked for again where only the server can know when
/// there is room.
const RETRY: Duration = Duration::from_millis(200);

/// How long to wait before more is asked for than the server has ever granted at a time.
const PROBE: Duration = Duration::from_secs(5);

/// How long a channel that has ended may still count with the server, at least and at most. OpenSSH
/// frees its place only after it has read all that came with our word that the channel is closed; a
/// request for the next one that comes along is refused, and the engine keeps half a KiB for each
/// refusal.
const FADING: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// How many refusals in a row are believed although a channel was granted before.
const REFUSALS: u32 = 15;

/// Which link of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkId(pub(super) u64);

/// Where what is handed out comes back to.
pub(super) type Home = mpsc::WeakUnboundedSender<Message>;

/// A channel that was asked for.
type Opening = Pin<Box<dyn Future<Output = Opened> + Send>>;

/// The answer, with the epoch in which the channel was asked for, and how long it took.
struct Opened {
    epoch: u64,
    took: Duration,
    answer: Result<(Channel, End), OpenError>,
}

/// What has happened on a link.
pub(super) enum News {
    /// There may be channels to hand out or to ask for.
    Changed,
    /// The server grants no channel, or says nothing to the request for one, and waiting would be for
    /// nothing.
    Hopeless(Error),
    /// The link is gone.
    Lost(Error),
}

pub(super) struct Member {
    pub(super) id: LinkId,
    link: Link,
    lost: Pin<Box<dyn Future<Output = Error> + Send>>,
    /// Channels on which nothing runs.
    spares: Vec<Channel>,
    /// Who ends commands comes before who begins some.
    urgent: VecDeque<oneshot::Sender<Result<Ready>>>,
    opening: FuturesUnordered<Opening>,
    ends: FuturesUnordered<End>,
    /// Those of a server with no more room that have just ended.
    fading: FuturesUnordered<Pin<Box<Sleep>>>,
    /// How long they take to count no more: longer after each refusal that should not have been.
    fade: Duration,
    /// Held by channels that were handed out for commands to guard, until those are in `guarded`.
    promised: Vec<Weak<()>>,
    /// Commands to kill when the session is closed.
    guarded: Vec<Weak<Channel>>,
    /// How many channels have ended.
    epoch: u64,
    /// When to ask again although no channel of ours has ended.
    retry: Option<Pin<Box<Sleep>>>,
    /// Whether the server has ever granted a channel, and how often it has refused one since.
    granted: bool,
    refusals: u32,
    /// The server refused a channel: wait until one has ended before asking again.
    full: bool,
    /// The most channels that the server has ever granted at a time.
    most: usize,
    /// How many to have at a time, since the server has refused more.
    ceiling: Option<usize>,
    round_trip: RoundTrip,
    /// What moves so much data that others would wait behind it.
    bulk: Vec<Inbox>,
    /// Since when nobody has used it.
    unused: Option<Instant>,
    /// Among the connections of the pool.
    _place: Held,
}

impl Member {
    pub(super) fn new(id: LinkId, link: Link, place: Held) -> Self {
        let mut lost = link.lost();
        Self {
            id,
            link,
            lost: Box::pin(async move { lost.wait().await }),
            spares: Vec::new(),
            urgent: VecDeque::new(),
            opening: FuturesUnordered::new(),
            ends: FuturesUnordered::new(),
            fading: FuturesUnordered::new(),
            fade: FADING.0,
            promised: Vec::new(),
            guarded: Vec::new(),
            epoch: 0,
            retry: None,
            granted: false,
            refusals: 0,
            full: false,
            most: 0,
            ceiling: None,
            round_trip: RoundTrip::default(),
            bulk: Vec::new(),
            unused: None,
            _place: place,
        }
    }

    /// Waits for the next news. Nothing is lost where nobody goes on waiting.
    pub(super) fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        if let Poll::Ready(reason) = self.lost.as_mut().poll(cx) {
            return Poll::Ready(News::Lost(reason));
        }
        if let Poll::Ready(Some(_)) = self.ends.poll_next_unpin(cx) {
            (self.full, self.refusals) = (false, 0);
            self.epoch += 1;
            if self.ceiling.is_some() {
                self.fading.push(Box::pin(tokio::time::sleep(self.fade)));
            }
            self.bulk.retain(|inbox| !inbox.is_over());
            self.guarded.retain(|channel| {
                channel
                    .upgrade()
                    .is_some_and(|channel| !channel.inbox().is_over())
            });
            return Poll::Ready(News::Changed);
        }
        if let Poll::Ready(Some(())) = self.fading.poll_next_unpin(cx) {
            return Poll::Ready(News::Changed);
        }
        while let Poll::Ready(Some(opened)) = self.opening.poll_next_unpin(cx) {
            return Poll::Ready(match opened.answer {
                Ok((channel, end)) => {
                    self.round_trip.took(opened.took);
                    self.granted(channel, end);
                    News::Changed
                }
                Err(OpenError::Refused(why)) => {
                    self.round_trip.took(opened.took);
                    self.refused(opened.epoch, why)
                }
                Err(OpenError::Unanswered(why)) => {
                    // Nor will it answer the others, which were made in the same way. The next caller
                    // asks anew.
                    self.full = false;
                    self.urgent.clear();
                    News::Hopeless(why.error("open channel", "the request for a channel"))
                }
                // The link's end is on its way.
                Err(OpenError::Lost) => continue,
            });
        }
        let retry = self.retry.as_mut();
        if retry.is_some_and(|retry| retry.as_mut().poll(cx).is_ready()) {
            self.retry = None;
            self.full = false;
            // One more than there are, to see.
            self.ceiling = self.ceiling.map(|most| most.max(self.ends.len() + 1));
            return Poll::Ready(News::Changed);
        }
        Poll::Pending
    }

    fn granted(&mut self, channel: Channel, end: End) {
        (self.granted, self.refusals) = (true, 0);
        self.fade = (self.fade - self.fade / 64).max(FADING.0);
        self.ends.push(end);
        self.spares.push(channel);
        if self.ends.len() > self.most {
            self.most = self.ends.len();
            // More than was known: there may be room for still more.
            self.ceiling = None;
        }
    }

    fn refused(&mut self, epoch: u64, why: String) -> News {
        if self.ends.len() < self.most {
            self.fade = (self.fade * 2).min(FADING.1);
        }
        if epoch < self.epoch {
            // A channel has ended since this one was asked for: there may be room now.
            return News::Changed;
        }
        self.full = true;
        self.ceiling = Some(self.most.max(1));
        if !self.opening.is_empty() {
            return News::Changed;
        }
        self.refusals += 1;
        if !self.ends.is_empty() {
            if self.refusals >= REFUSALS {
                // It does not grant as many any more.
                (self.most, self.refusals) = (self.ends.len(), 0);
            }
            let patience = if self.ends.len() < self.most {
                RETRY
            } else {
                PROBE
            };
            self.retry = Some(Box::pin(tokio::time::sleep(patience)));
            return News::Changed;
        }
        let signalling = !self.urgent.is_empty();
        if (signalling || self.granted) && self.refusals < REFUSALS {
            // What has ended for us, or was let go of, may still count with the server for a moment.
            self.retry = Some(Box::pin(tokio::time::sleep(RETRY)));
            return News::Changed;
        }
        self.full = false;
        self.urgent.clear();
        News::Hopeless(Error::new(ErrorKind::ChannelRefused, "open channel", why))
    }

    /// The server grants nothing here although nothing runs: asks for nothing for a while.
    pub(super) fn rest(&mut self) {
        self.full = true;
        self.retry = Some(Box::pin(tokio::time::sleep(PROBE)));
    }

    /// How many channels to have at a time, since the server has refused more.
    pub(super) fn ceiling(&self) -> Option<usize> {
        self.ceiling
    }

    /// Whether one more channel may be asked for now.
    pub(super) fn may_open(&self) -> bool {
        self.has_room() && self.opening.len() < MAX_OPENING
    }

    /// Whether the server may grant more channels than there are and were asked for.
    pub(super) fn has_room(&self) -> bool {
        let asked_for = self.ends.len() + self.fading.len() + self.opening.len();
        !self.full && self.ceiling.is_none_or(|ceiling| asked_for < ceiling)
    }

    /// Whether the server grants no channel to end a command by.
    pub(super) fn is_short_for_signals(&self) -> bool {
        !self.urgent.is_empty() && !self.has_room()
    }

    /// Whether a command may begin on it soon.
    pub(super) fn has_place(&self) -> bool {
        self.has_room() || self.supply() > 0
    }

    /// How long the way to the server and back takes, once that is known.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.least()
    }

    /// How many channels are ready.
    pub(super) fn ready(&self) -> usize {
        let alive = self.spares.iter().filter(|s| !s.inbox().is_finished());
        alive.count()
    }

    /// How many channels are out.
    pub(super) fn in_use(&self) -> usize {
        self.ends.len().saturating_sub(self.spares.len())
    }

    /// Whether something runs on it that others would wait behind.
    pub(super) fn has_bulk(&self) -> bool {
        self.bulk.iter().any(|inbox| !inbox.is_over())
    }

    /// Until when it stays where nobody uses it for so long.
    pub(super) fn unused_until(&mut self, stay: Duration) -> Option<Instant> {
        let used = self.in_use() > 0 || !self.urgent.is_empty();
        self.unused = match used {
            true => None,
            false => self.unused.or_else(|| Some(Instant::now())),
        };
        self.unused.map(|since| since + stay)
    }

    /// Asks for one more channel.
    pub(super) fn open(&mut self) {
        let (epoch, opening, asked) = (self.epoch, self.link.open(), Instant::now());
        self.opening.push(Box::pin(async move {
            let answer = opening.await;
            Opened {
                epoch,
                took: asked.elapsed(),
                answer,
            }
        }));
    }

    /// Asks for the channels by which commands are ended.
    pub(super) fn open_for_signals(&mut self) {
        let wanted = self.kept_for_signals();
        while self.may_open() && self.opening.len() + self.spares.len() < wanted {
            self.open();
        }
    }

    /// How many channels are there, or will be, for commands to begin on.
    pub(super) fn supply(&self) -> usize {
        let kept = self.kept_for_signals();
        (self.opening.len() + self.spares.len()).saturating_sub(kept)
    }

    /// One channel is kept back as long as a signal may need it: on a full server no command could be
    /// ended otherwise.
    fn kept_for_signals(&self) -> usize {
        self.urgent.len() + usize::from(self.guards())
    }

    /// Whether there are commands that may have to be ended.
    fn guards(&self) -> bool {
        self.promises() || !self.guarded.is_empty()
    }

    /// Whether a channel is out on which such a command may be about to begin.
    pub(super) fn promises(&self) -> bool {
        let mut promised = self.promised.iter();
        promised.any(|promise| promise.strong_count() > 0)
    }

    /// Forgets spares that the server has closed. Returns whether there were any.
    pub(super) fn forget_dead_spares(&mut self) -> bool {
        let before = self.spares.len();
        self.spares.retain(|spare| !spare.inbox().is_finished());
        self.spares.len() < before
    }

    /// Gives spares to those who end commands.
    pub(super) fn serve_urgent(&mut self, home: &Home) {
        while !self.urgent.is_empty()
            && let Some(spare) = self.spares.pop()
            && let Some(urgent) = self.urgent.pop_front()
        {
            self.hand_over(spare, urgent, None, home);
        }
    }

    /// A channel for a command to begin on.
    pub(super) fn spare(&mut self) -> Option<Channel> {
        let kept = self.kept_for_signals();
        (self.spares.len() > kept)
            .then(|| self.spares.pop())
            .flatten()
    }

    /// Gives a channel of this link to one who waits.
    pub(super) fn give(&mut self, spare: Channel, wanted: Wanted, home: &Home) {
        let promise: Option<Arc<()>> = wanted.guarded.then(Arc::default);
        self.promised.retain(|promise| promise.strong_count() > 0);
        self.promised.extend(promise.as_ref().map(Arc::downgrade));
        if matches!(wanted.lane, Lane::Bulk(_)) {
            self.bulk.push(spare.inbox().clone());
        }
        self.hand_over(spare, wanted.reply, promise, home);
    }

    fn hand_over(
        &mut self,
        spare: Channel,
        to: oneshot::Sender<Result<Ready>>,
        promise: Option<Arc<()>>,
        home: &Home,
    ) {
        let ready = Ready::new(spare, self.id, promise, home.clone());
        if let Err(Ok(ready)) = to.send(Ok(ready)) {
            // The caller gave up.
            self.take_back(ready.take_back());
        }
    }

    /// Takes in a channel that was not used.
    pub(super) fn take_back(&mut self, channel: Channel) {
        self.bulk.retain(|inbox| !inbox.is(channel.inbox()));
        self.spares.push(channel);
    }

    /// Lets go of all spares but `ahead` and those that signals may need: dropping one closes it.
    /// Returns how many of those ahead there are.
    pub(super) fn trim(&mut self, ahead: usize) -> usize {
        let kept = self.kept_for_signals();
        self.spares.truncate(ahead + kept);
        self.spares.len().saturating_sub(kept)
    }

    /// Wants a channel to end a command by.
    pub(super) fn want_urgently(&mut self, wanted: oneshot::Sender<Result<Ready>>) {
        self.urgent.push_back(wanted);
    }

    /// A command begins that must not outlive the session.
    pub(super) fn guard(&mut self, channel: Weak<Channel>) {
        self.guarded.push(channel);
    }

    /// The commands that must not outlive the session.
    pub(super) fn take_guarded(&mut self) -> Vec<Weak<Channel>> {
        std::mem::take(&mut self.guarded)
    }

    /// A connection from the host to there.
    pub(super) fn connect_to(
        &self,
        to: Endpoint,
        from: Option<SocketAddr>,
    ) -> impl Future<Output = Result<Channel, NoWay>> + Send + 'static {
        let (connecting, lost) = (self.link.connect_to(to, from), self.link.lost());
        async move { connecting.await.map_err(|e| NoWay::of(e, &lost)) }
    }

    /// Has the host listen there.
    pub(super) fn listen(
        &self,
        at: Bound,
    ) -> impl Future<Output = Result<Listening, NoWay>> + Send + 'static {
        let (listening, lost) = (self.link.listen(at), self.link.lost());
        async move { listening.await.map_err(|e| NoWay::of(e, &lost)) }
    }

    /// Has the host listen there no more. Whether it says that it has stopped.
    pub(super) fn unlisten(&self, at: Bound) -> impl Future<Output = bool> + Send + 'static {
        let stopping = self.link.unlisten(at);
        async move { stopping.await.unwrap_or(false) }
    }

    /// Says good-bye.
    pub(super) async fn disconnect(self) {
        self.link.disconnect().await;
    }
}

/// Why nothing is reached through the host.
pub(super) enum NoWay {
    /// The server cannot, or does not allow it.
    Refused(String),
    Failed(Error),
}

impl NoWay {
    fn of(error: OpenError, lost: &Lost) -> Self {
        match error {
            OpenError::Lost => Self::Failed(lost.reason()),
            OpenError::Unanswered(unanswered) => {
                Self::Failed(unanswered.error("forward", "the request to listen"))
            }
            OpenError::Refused(why) => Self::Refused(why),
        }
    }
}
