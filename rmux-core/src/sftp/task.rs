//! The task that owns a channel to an SFTP server: it sends what is asked and hands out the replies.
//!
//! It never waits for a caller: who has gone away gets nothing, and a handle that nobody takes is
//! closed. It takes no further request while the channel has no room, and goes on reading replies.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmux_proto::sftp::{
    Frame, Frames, Limits, Outgoing, Pace, Reply, Requests, StatusCode, Violation,
};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::answer::{Failed, Given, Handle};
use super::client::Way;
use super::facts::{Facts, MOST_UNDER_WAY};
use crate::error::{Error, ErrorKind};
use crate::link::{Channel, Exit, Stream};
use crate::printable::printable;

/// How much of what the server's program writes to standard error is kept for the error.
const MAX_SAID: usize = 1 << 10;
/// How long the channel of a program that has ended may take to tell how it did.
const ENDING_LIMIT: Duration = Duration::from_secs(2);
/// How often it is seen whether the channel is used.
const IDLE_LOOK: Duration = Duration::from_secs(15);
/// The same, while others wait for a channel.
const WANTED_LOOK: Duration = Duration::from_millis(20);

/// A request on its way to the task.
pub(super) struct Ask {
    request: Outgoing,
    waiter: Waiter,
    /// Whether it is sent although nobody waits for it any more: it changes something.
    is_owed: bool,
    /// How many bytes it reads or writes.
    bytes: usize,
}

impl Ask {
    pub(super) fn new(request: Outgoing, waiter: Waiter, is_owed: bool) -> Self {
        Self {
            request,
            waiter,
            is_owed,
            bytes: 0,
        }
    }

    pub(super) fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Who waits for a reply.
pub(super) enum Waiter {
    Nobody,
    /// The task itself: the server's limits.
    Limits,
    Answer(oneshot::Sender<Result<Given, Failed>>),
    /// Somebody who wants a handle, which has to know how it is closed.
    Handle(oneshot::Sender<Result<Given, Failed>>, Way, Arc<Facts>),
}

impl Waiter {
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Nobody | Self::Limits => false,
            Self::Answer(reply) | Self::Handle(reply, ..) => reply.is_closed(),
        }
    }

    /// Waits until nobody waits any more, for ever where nobody ever has.
    pub(super) async fn gone(&mut self) {
        match self {
            Self::Nobody | Self::Limits => std::future::pending().await,
            Self::Answer(reply) | Self::Handle(reply, ..) => reply.closed().await,
        }
    }

    pub(super) fn fail(self, failed: Failed) {
        if let Self::Answer(reply) | Self::Handle(reply, ..) = self {
            let _ = reply.send(Err(failed));
        }
    }

    /// Hands out what has come.
    pub(super) fn settle(self, outcome: Result<Reply, Failed>) {
        let reply = match outcome {
            Ok(Reply::Status(status)) if status.code != StatusCode::Ok => {
                return self.fail(Failed::Status(status));
            }
            Ok(reply) => reply,
            Err(failed) => return self.fail(failed),
        };
        match (self, reply) {
            (Self::Nobody | Self::Limits, _) => {}
            (Self::Handle(waiting, way, facts), Reply::Handle(name)) => {
                facts.handle_opened();
                let handle = Handle::new(name, way, facts);
                // Where nobody waits any more it is dropped here, which closes it.
                let _ = waiting.send(Ok(Given::Handle(handle)));
            }
            (Self::Answer(waiting) | Self::Handle(waiting, ..), reply) => {
                let _ = waiting.send(Ok(Given::Reply(reply)));
            }
        }
    }
}

struct UnderWay {
    waiter: Waiter,
    sent: Instant,
    bytes: usize,
}

/// Tells whether the channel may be given up, now that it is not used; if so, it has been forgotten.
pub(crate) type Retire = Box<dyn Fn() -> bool + Send>;

pub(super) struct Task {
    channel: Arc<Channel>,
    facts: Arc<Facts>,
    frames: Frames,
    requests: Requests<UnderWay>,
    /// Pieces of a request for which the channel has had no room.
    outgoing: VecDeque<Bytes>,
    pace: Pace,
    /// The end of what came on standard error.
    said: Vec<u8>,
    retire: Retire,
    /// Whether anything was asked since the last look.
    used: bool,
    short: Arc<Notify>,
    /// Others wait for a channel: this one goes as soon as it is not used.
    is_wanted: bool,
}

impl Task {
    pub(super) fn new(
        channel: Arc<Channel>,
        facts: Arc<Facts>,
        frames: Frames,
        retire: Retire,
        short: Arc<Notify>,
    ) -> Self {
        Self {
            channel,
            facts,
            frames,
            requests: Requests::new(),
            outgoing: VecDeque::new(),
            pace: Pace::new(MOST_UNDER_WAY),
            said: Vec::new(),
            retire,
            used: true,
            short,
            is_wanted: false,
        }
    }

    /// Runs until nobody holds the client and its handles any more, or the channel has ended.
    /// `left` is what came behind the server's first packet.
    pub(super) async fn run(mut self, mut asks: mpsc::UnboundedReceiver<Ask>, left: Bytes) {
        let served = match self.take(left) {
            Ok(()) => self.serve(&mut asks).await,
            Err(violation) => Err(self.broken(&violation)),
        };
        let Err(reason) = served else { return };
        // Before the door is closed: who finds it closed wants to know why.
        let reason = self.facts.ended.get_or_init(|| reason).clone();
        asks.close();
        for under_way in self.requests.drain() {
            under_way.waiter.fail(Failed::Error(reason.clone()));
        }
        while let Ok(ask) = asks.try_recv() {
            ask.waiter.fail(Failed::Error(reason.clone()));
        }
    }

    async fn serve(&mut self, asks: &mut mpsc::UnboundedReceiver<Ask>) -> Result<(), Error> {
        let channel = Arc::clone(&self.channel);
        let short = Arc::clone(&self.short);
        let mut listens = true;
        let mut look = tokio::time::interval(IDLE_LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                piece = next(&channel, Stream::Stdout) => match piece {
                    Ok(Some(piece)) => {
                        self.take(piece).map_err(|violation| self.broken(&violation))?;
                    }
                    Ok(None) => return Err(self.server_ended().await),
                    Err(error) => return Err(error.with_host(&self.facts.host)),
                },
                piece = next(&channel, Stream::Stderr), if listens => match piece {
                    Ok(Some(piece)) => self.hear(&piece),
                    _ => listens = false,
                },
                ask = asks.recv(), if self.outgoing.is_empty() => {
                    let Some(ask) = ask else { return Ok(()) };
                    self.send(ask);
                    while self.outgoing.is_empty() && let Ok(ask) = asks.try_recv() {
                        self.send(ask);
                    }
                }
                // A broken channel says more when it is read.
                Ok(()) = channel.outbox().room(), if !self.outgoing.is_empty() => self.push(),
                _ = look.tick() => {
                    let was_used = std::mem::take(&mut self.used);
                    if !was_used && self.is_idle() {
                        (self.retire)();
                    }
                }
                () = short.notified() => self.is_wanted = true,
                // Who has got the last answer may still hold the client for a moment.
                () = tokio::time::sleep(WANTED_LOOK), if self.is_wanted && self.is_idle() => {
                    (self.retire)();
                }
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.outgoing.is_empty()
    }

    fn send(&mut self, ask: Ask) {
        self.used = true;
        let Ask {
            mut request,
            waiter,
            is_owed,
            bytes,
        } = ask;
        if !is_owed && waiter.is_gone() {
            return;
        }
        let sent = Instant::now();
        let expect = request.expect();
        let id = self.requests.insert(
            expect,
            UnderWay {
                waiter,
                sent,
                bytes,
            },
        );
        request.set_id(id);
        let (head, data) = request.into_parts();
        self.outgoing.push_back(head.into());
        if !data.is_empty() {
            self.outgoing.push_back(data);
        }
        self.push();
    }

    /// Gives the channel what it has room for.
    fn push(&mut self) {
        let outbox = self.channel.outbox();
        while !self.outgoing.is_empty() && outbox.has_room() {
            if let Some(piece) = self.outgoing.pop_front() {
                outbox.push(piece);
            }
        }
    }

    fn take(&mut self, mut piece: Bytes) -> Result<(), Violation> {
        while let Some(frame) = self.frames.next(&mut piece)? {
            self.answer(frame)?;
        }
        Ok(())
    }

    fn answer(&mut self, frame: Frame) -> Result<(), Violation> {
        let (under_way, reply) = self.requests.answer(frame)?;
        let UnderWay {
            waiter,
            sent,
            bytes,
        } = under_way;
        self.pace.answered(bytes, sent.elapsed());
        self.facts.set_pace(&self.pace);
        match (waiter, reply) {
            (Waiter::Limits, Reply::Extended(body)) => self.facts.learn(Limits::decode(&body)?),
            (waiter, reply) => waiter.settle(Ok(reply)),
        }
        Ok(())
    }

    fn hear(&mut self, piece: &[u8]) {
        self.said.extend_from_slice(piece);
        let surplus = self.said.len().saturating_sub(MAX_SAID);
        self.said.drain(..surplus);
    }

    /// The server's program has ended although the session goes on.
    async fn server_ended(&mut self) -> Error {
        let channel = Arc::clone(&self.channel);
        let how = how_it_ended(&channel, std::mem::take(&mut self.said)).await;
        let what = format!("the SFTP server ended{how}");
        Error::new(ErrorKind::Disconnected, "files", what).with_host(&self.facts.host)
    }

    fn broken(&self, violation: &Violation) -> Error {
        violated(violation).with_host(&self.facts.host)
    }
}

/// The next piece of a stream of the channel.
pub(super) async fn next(channel: &Channel, stream: Stream) -> Result<Option<Bytes>, Error> {
    poll_fn(|context| channel.inbox().poll_read(stream, context)).await
}

/// How a program ended whose output has, and what it wrote to standard error at last, to stand in a
/// message. OpenSSH does not hand on what a subsystem writes there.
pub(super) async fn how_it_ended(channel: &Channel, mut said: Vec<u8>) -> String {
    let listen = async {
        while let Ok(Some(piece)) = next(channel, Stream::Stderr).await {
            said.extend_from_slice(&piece[piece.len().saturating_sub(MAX_SAID)..]);
            said.drain(..said.len().saturating_sub(MAX_SAID));
        }
        channel.inbox().exit().await
    };
    let exit = tokio::time::timeout(ENDING_LIMIT, listen).await;
    let mut how = match exit {
        Ok(Ok(Some(Exit::Status(status)))) => format!(" with status {status}"),
        Ok(Ok(Some(Exit::Signal { name, .. }))) => format!(" by signal {}", printable(&name)),
        _ => String::new(),
    };
    let text = printable(String::from_utf8_lossy(&said).trim());
    if !text.is_empty() {
        how += &format!("; it said: {text}");
    }
    how
}

pub(super) fn violated(violation: &Violation) -> Error {
    let what = match violation {
        Violation::TooLong { bytes, .. }
            if bytes
                .iter()
                .all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x1b)) =>
        {
            format!(
                "text came where SFTP should be, which begins with \"{}\": do the account's \
                 start-up files print something?",
                bytes.escape_ascii()
            )
        }
        other => format!("the SFTP server broke the protocol: {other}"),
    };
    Error::new(ErrorKind::ProtocolViolation, "files", what)
}
