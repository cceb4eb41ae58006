//! The task that owns a session: its links, the channel kept ready, and who waits for one.
//!
//! Handles send messages and hold nothing of a link. Who waits is served in the order of arrival, by
//! whichever link has a channel.

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
use super::further::{Further, IDLE};
use super::lane::Lane;
use super::member::{Home, LinkId, Member, News, NoWay};
use super::running::Ready;
use super::shutdown::Shutting;
use super::stop::{Errand, PID_LIMIT, Stop};
use super::{Held, Shared};
use crate::error::{Error, ErrorKind, RemoteEnd, Result};
use crate::link::{Channel, Link, Request, Transport};

/// How long signals that are on their way may take when the session is closed.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What handles ask of the driver.
pub(super) enum Message {
    /// A channel to run something on.
    Channel(Wanted),
    /// A channel of this link that was handed out and not used.
    Return(LinkId, Channel),
    /// A connection from the host to this name and port.
    Dial(String, u16, oneshot::Sender<Result<Transport>>),
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

/// The links for commands to begin on, in the order of preference. What is typed does not wait behind
/// a transfer where another link has a place.
fn preferred(members: &mut [Member]) -> Vec<&mut Member> {
    let (behind, mut free): (Vec<_>, Vec<_>) =
        members.iter_mut().partition(|member| member.has_bulk());
    if !free.iter().any(|member| member.has_place()) {
        free.extend(behind);
    }
    free
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
    dialling: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
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
            dialling: FuturesUnordered::new(),
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
                    Some(Message::Dial(_, _, wanted)) if self.shutting.is_some() => {
                        let _ = wanted.send(Err(self.closed()));
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
                    Some(Message::Dial(name, port, wanted)) => self.dial(name, port, wanted),
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
                Some(()) = self.dialling.next() => {}
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
            || !self.dialling.is_empty()
    }

    /// Tells those who look at figures.
    fn note(&self) {
        let activity = &self.shared.activity;
        activity.note(self.members.len(), self.ready(), self.in_use() > 0);
        activity.note_round_trip(self.round_trip());
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "session", "the session was closed")
            .with_host(&self.shared.host.name)
    }

    /// A link, while it lives.
    fn member(&mut self, id: LinkId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Gives channels to those who wait longest, and sees to the next ones.
    fn hand_out(&mut self) {
        let home = self.shared.driver.downgrade();
        for member in &mut self.members {
            self.spares_die |= member.forget_dead_spares();
            member.serve_urgent(&home);
        }
        self.waiting.retain(|waiting| !waiting.reply.is_closed());
        self.bulk.retain(|waiting| !waiting.reply.is_closed());
        self.hand_out_bulk(&home);
        while let Some(wanted) = self.waiting.pop_front() {
            let members = preferred(&mut self.members).into_iter();
            let given = members.into_iter().find_map(|member| {
                let spare = member.spare()?;
                Some((member, spare))
            });
            match given {
                Some((member, spare)) => member.give(spare, wanted, &home),
                None => {
                    self.waiting.push_front(wanted);
                    break;
                }
            }
        }
        // What is too much is let go of. One channel is kept ready for the whole session.
        let mut ahead = 1;
        for member in preferred(&mut self.members) {
            ahead -= member.trim(ahead);
        }
        self.open_more();
    }

    /// Takes a caller in: a transfer that is worth it waits for a link of its own.
    fn queue(&mut self, wanted: Wanted) {
        let links = self.members.len();
        let apart = links > 1 || self.further.is_under_way() || self.further.may(links);
        let round_trip = self.round_trip();
        if apart && wanted.lane.is_worth(self.further.took(), round_trip) {
            self.bulk.push_back(wanted);
        } else {
            self.waiting.push_back(wanted);
        }
    }

    /// How long the way to the host and back takes, once that is known.
    fn round_trip(&self) -> Option<Duration> {
        self.members.iter().filter_map(Member::round_trip).min()
    }

    /// Gives transfers channels of a link of their own; where none is to be had, they wait with the
    /// others.
    fn hand_out_bulk(&mut self, home: &Home) {
        while let Some(wanted) = self.bulk.pop_front() {
            let Some(member) = self.apart() else {
                let may = self.further.may(self.members.len()) && !self.further.pauses();
                if may {
                    self.log_in();
                }
                if may || self.further.is_under_way() {
                    self.bulk.push_front(wanted);
                    return;
                }
                let earlier = |other: &Wanted| other.since <= wanted.since;
                let place = self.waiting.partition_point(earlier);
                self.waiting.insert(place, wanted);
                continue;
            };
            match member.spare() {
                Some(spare) => member.give(spare, wanted, home),
                None => {
                    if member.supply() == 0 {
                        member.open();
                    }
                    self.bulk.push_front(wanted);
                    return;
                }
            }
        }
    }

    /// The link for transfers: never the first one, and one on which others work only where no
    /// further one may be had.
    fn apart(&mut self) -> Option<&mut Member> {
        let links = self.members.len();
        let may = self.further.may(links) && !self.further.pauses();
        let more = may || self.further.is_under_way();
        let others = self.members.iter_mut().skip(1);
        let best = others
            .filter(|member| member.has_place())
            .min_by_key(|member| (!member.has_bulk(), member.in_use()))?;
        (best.has_bulk() || best.in_use() == 0 || !more).then_some(best)
    }

    /// When to look after the number of links.
    fn wake_at(&mut self) -> Option<Instant> {
        let spread = self.spread_at();
        let further = self.members.iter_mut().skip(1);
        let idle = further.filter_map(|member| member.unused_until(IDLE)).min();
        spread.into_iter().chain(idle).min()
    }

    /// When to log in once more for those who wait: where the links are known to be full, once the
    /// first of them has waited as long as a login takes.
    fn spread_at(&self) -> Option<Instant> {
        let first = self.waiting.front()?;
        let supply: usize = self.members.iter().map(Member::supply).sum();
        let full = supply < self.waiting.len() && !self.members.iter().any(Member::has_room);
        let may = full && self.further.may(self.members.len());
        may.then(|| self.further.worth_at(first.since))
    }

    /// Logs in once more where it is time to, and parts with further links that nobody uses.
    fn tend(&mut self) {
        let now = Instant::now();
        if self.spread_at().is_some_and(|time| time <= now) {
            self.log_in();
        }
        let further = self.members.iter_mut().skip(1);
        let unused = further.filter_map(|member| {
            let until = member.unused_until(IDLE)?;
            (until <= now).then_some(member.id)
        });
        for link in unused.collect::<Vec<_>>() {
            self.part_with(link);
        }
        self.hand_out();
    }

    fn log_in(&mut self) {
        self.further.begin(self.shared.via());
    }

    /// Says good-bye to one link of several.
    fn part_with(&mut self, link: LinkId) {
        if let Some(index) = self.members.iter().position(|member| member.id == link) {
            let member = self.members.remove(index);
            self.farewells.push(Box::pin(member.disconnect()));
        }
    }

    /// The server grants nothing on a link on which nothing runs, or no longer answers.
    fn hopeless(&mut self, link: LinkId, why: Error) {
        let error = why.with_host(&self.shared.host.name);
        if self.members.len() == 1 {
            self.settle(&error);
            return;
        }
        if self.members[0].id == link {
            // Ways to other hosts may lead over it.
            self.members[0].rest();
        } else {
            self.further.failed(&error);
            self.part_with(link);
        }
        self.hand_out();
    }

    /// Opens channels for those who wait, and some ahead: one, so that the next command costs one
    /// round trip, and one for each link with commands that may have to be ended.
    fn open_more(&mut self) {
        let wanted = self.waiting.len() + usize::from(!self.spares_die);
        for member in &mut self.members {
            member.open_for_signals();
        }
        let mut members = preferred(&mut self.members);
        let mut supply: usize = members.iter().map(|member| member.supply()).sum();
        while supply < wanted
            && let Some(member) = members.iter_mut().find(|member| member.may_open())
        {
            member.open();
            supply += 1;
        }
        let full = !self.members.iter().any(Member::has_room);
        let short = full && supply < self.waiting.len();
        if short || self.members.iter().any(Member::is_short_for_signals) {
            self.shared.short.notify_one();
        }
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

    fn dial(&mut self, name: String, port: u16, wanted: oneshot::Sender<Result<Transport>>) {
        let Some(first) = self.members.first() else {
            return;
        };
        let dialling = first.dial(name.clone(), port);
        let host = self.shared.host.name.clone();
        self.dialling.push(Box::pin(async move {
            let dialled = dialling.await.map_err(|error| match error {
                NoWay::Failed(reason) => reason,
                NoWay::Refused(why) => Error::new(
                    ErrorKind::ConnectFailed,
                    "connect",
                    format!("{host} cannot connect to {name} port {port}: {why}"),
                ),
            });
            // Nobody waits any more: the way is cut again.
            let _ = wanted.send(dialled);
        }));
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
