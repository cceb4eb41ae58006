//! One channel: a task that always drains it, and a task that sends on it and is never cancelled.
//!
//! The drain never sends and never waits for a reader: the engine's connection task hands each
//! channel its messages through a bounded queue and stops for everyone while that queue is full.
//! The sender never drops a half-sent piece: a cancelled send would leak window credit.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty, Sig};
use tokio::sync::{mpsc, oneshot};

use super::Lost;
use super::answers::Answers;
use super::counters::Open;
use super::inbox::{Exit, Inbox, Stream};
use super::outbox::{Next, Outbox};
use super::service::Service;
use crate::error::{Error, ErrorKind, Result};

/// How long a channel that nobody holds any more may take to end by itself after EOF (and after
/// `KILL`, if it is to be ended) before it is closed from this side. The engine keeps a few KiB
/// for each channel closed from this side, so that is the last resort.
const RELEASE_GRACE: Duration = Duration::from_secs(2);
const KILL_GRACE: Duration = Duration::from_secs(10);

/// How long bytes are held for the mark in front of a command's output: start-up files that have
/// begun to print may take their time, and a server that runs something else must not be silent.
const MARK_PATIENCE: Duration = Duration::from_secs(10);

/// A terminal to ask for (RFC 4254, section 6.2).
#[derive(Debug, Clone)]
pub(crate) struct PtyRequest {
    pub(crate) term: String,
    pub(crate) size: WindowSize,
    /// Opcodes and values of RFC 4254, section 8.
    pub(crate) modes: Vec<(u8, u32)>,
}

/// A terminal's size in characters and in pixels; pixels may be 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WindowSize {
    pub(crate) columns: u32,
    pub(crate) rows: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// What may be asked of a session channel.
#[derive(Debug)]
pub(crate) enum Request {
    Env {
        name: String,
        value: String,
    },
    Pty(PtyRequest),
    Exec(Vec<u8>),
    Shell,
    Subsystem(String),
    /// The remote may use the agent of this side (OpenSSH's `auth-agent-req@openssh.com`).
    ForwardAgent,
    Signal(String),
    Resize(WindowSize),
}

impl Request {
    /// In words.
    fn what(&self) -> &'static str {
        match self {
            Self::Env { .. } => "the request to set a variable",
            Self::Pty(_) => "the request for a terminal",
            // It may have begun all the same.
            Self::Exec(_) | Self::Shell => "the request to run the command, which may run or not,",
            Self::Subsystem(_) => "the request for the subsystem",
            Self::ForwardAgent | Self::Signal(_) | Self::Resize(_) => "a request",
        }
    }
}

/// How a command is ended by way of its own channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// How long it may take until it gets `KILL`.
    pub(crate) grace: Duration,
    /// Whether it gets `TERM` before; if not, somebody else sees to that.
    pub(crate) ask: bool,
}

/// Settles, with an error, when the channel has ended.
pub(crate) type End = oneshot::Receiver<()>;

#[derive(Debug)]
enum Control {
    Request(Request, Option<oneshot::Sender<bool>>),
    /// End the command.
    Stop(Ending),
    /// Nobody holds the channel any more. What runs on it is ended first, if this says how.
    Release(Option<Ending>),
    /// The remote closed the channel, or the link is gone.
    Ended,
}

type Replies = Arc<Mutex<VecDeque<oneshot::Sender<bool>>>>;

/// A session channel. Dropping it lets go of the remote: standard input ends, and the channel is
/// closed. Each stream of a command holds it, so that it lasts as long as anybody reads or writes.
#[derive(Debug)]
pub(crate) struct Channel {
    control: mpsc::UnboundedSender<Control>,
    inbox: Inbox,
    outbox: Outbox,
    on_drop: Arc<OnceLock<Ending>>,
    /// How long requests may stay unanswered, where they may not for ever.
    answers: Option<Answers>,
}

impl Channel {
    /// Starts the two tasks of a channel the server has confirmed. `started`: whether it takes data
    /// already, as one that is no session does.
    pub(super) fn start(
        channel: russh::Channel<Msg>,
        inbox: Inbox,
        lost: Lost,
        service: Arc<Service>,
        started: bool,
    ) -> (Self, End) {
        let (alive, end) = oneshot::channel();
        let (read, write) = channel.split();
        let (control, controls) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let replies = Replies::default();
        let outbox = Outbox::default();
        let on_drop = Arc::<OnceLock<Ending>>::default();
        let drain = Drain {
            inbox: inbox.clone(),
            outbox: outbox.clone(),
            replies: replies.clone(),
            control: control.clone(),
            on_drop: Arc::clone(&on_drop),
            lost,
            _open: inbox.counters().open(),
        };
        tokio::spawn(async move {
            drain.run(read, stopped).await;
            drop(alive);
        });
        let sender = Sender {
            write: Arc::new(write),
            inbox: inbox.clone(),
            replies,
            outbox: outbox.clone(),
            service,
            started,
            eof_sent: false,
        };
        tokio::spawn(sender.run(controls, stop));
        let channel = Self {
            control,
            inbox,
            outbox,
            on_drop,
            answers: None,
        };
        (channel, end)
    }

    /// The same, with requests that the server must answer in time.
    pub(super) fn answered_within(mut self, answers: Answers) -> Self {
        self.answers = Some(answers);
        self
    }

    /// Sends `request` and waits for the server's answer: whether it was granted.
    ///
    /// An error, or dropping the future, does not take the request back.
    pub(crate) async fn ask(&self, request: Request) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        let what = request.what();
        let _ = self.control.send(Control::Request(request, Some(reply)));
        let answer = match &self.answers {
            Some(answers) => answers.within(answer).await,
            None => Ok(answer.await),
        };
        match answer {
            Ok(Ok(granted)) => Ok(granted),
            Ok(Err(_)) => Err(self.ended_early().await),
            Err(unanswered) => Err(unanswered.error("run", what)),
        }
    }

    /// Sends `request` without asking for an answer.
    pub(crate) fn tell(&self, request: Request) {
        let _ = self.control.send(Control::Request(request, None));
    }

    async fn ended_early(&self) -> Error {
        match self.inbox.exit().await {
            Err(error) => error,
            Ok(_) => Error::new(
                ErrorKind::ChannelRefused,
                "run",
                "the server closed the channel before it answered",
            ),
        }
    }

    /// Ends it at once for who reads and writes here, and lets go of the remote.
    pub(super) fn abandon(&self) {
        self.inbox.finish(Err(Error::new(
            ErrorKind::Disconnected,
            "session",
            "the connection was cut",
        )));
        self.outbox.break_off();
        let _ = self.control.send(Control::Release(None));
    }

    /// What comes in.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// What goes out.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Dropping the channel ends the remote command in this way. The first call counts.
    pub(crate) fn end_on_drop(&self, how: Ending) {
        let _ = self.on_drop.set(how);
    }

    /// Ends the command. Does not wait. A later call may only hasten it.
    pub(crate) fn stop(&self, how: Ending) {
        let _ = self.control.send(Control::Stop(how));
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let how = self.on_drop.get().copied();
        let _ = self.control.send(Control::Release(how));
    }
}

struct Drain {
    inbox: Inbox,
    outbox: Outbox,
    replies: Replies,
    control: mpsc::UnboundedSender<Control>,
    on_drop: Arc<OnceLock<Ending>>,
    lost: Lost,
    _open: Open,
}

impl Drain {
    async fn run(self, mut read: ChannelReadHalf, mut stopped: oneshot::Receiver<()>) {
        // Runs while bytes are held for a mark.
        let mut patience = None;
        let end = loop {
            let message = tokio::select! {
                biased;
                message = read.wait() => message,
                () = expired(&mut patience) => {
                    patience = None;
                    self.settle(self.inbox.give_up_marks().map(|()| false));
                    continue;
                }
                _ = &mut stopped => break Err(Error::new(
                    ErrorKind::Cancelled,
                    "run",
                    "the channel was let go",
                )),
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    self.take(Stream::Stdout, data, &mut patience);
                    self.room(&mut stopped).await;
                }
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                    self.take(Stream::Stderr, data, &mut patience);
                    self.room(&mut stopped).await;
                }
                Some(ChannelMsg::Eof) => self.inbox.eof(),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    self.inbox.set_exit(Exit::Status(exit_status));
                }
                Some(ChannelMsg::ExitSignal {
                    signal_name,
                    core_dumped,
                    error_message,
                    ..
                }) => self.inbox.set_exit(Exit::Signal {
                    name: signal_text(&signal_name),
                    core_dumped,
                    message: error_message,
                }),
                Some(ChannelMsg::Success) => self.reply(true),
                Some(ChannelMsg::Failure) => self.reply(false),
                Some(ChannelMsg::Close) => break Ok(()),
                Some(_) => {}
                None => break Err(self.lost.reason()),
            }
        };
        self.inbox.finish(end);
        self.outbox.break_off();
        // Whoever waits for an answer learns that none will come.
        self.replies
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .clear();
        let _ = self.control.send(Control::Ended);
    }

    /// Takes in what came. `patience` runs as long as any of it is held.
    fn take(&self, stream: Stream, data: bytes::Bytes, patience: &mut Timer) {
        if !self.settle(self.inbox.push(stream, data)) {
            *patience = None;
        } else if patience.is_none() {
            *patience = Some(Box::pin(tokio::time::sleep(MARK_PATIENCE)));
        }
    }

    /// Sees to a channel that cannot take in what came; else, whether bytes are held for a mark.
    fn settle(&self, taken: Result<bool>) -> bool {
        taken.unwrap_or_else(|error| {
            // The channel has failed, but it must be drained until the remote has closed it.
            self.inbox.fail(error);
            let how = self.on_drop.get().copied();
            let _ = self.control.send(Control::Release(how));
            false
        })
    }

    /// Waits for the reader where the session was set up to, but not past the session's end: the
    /// engine, which waits too, could not even say good-bye.
    async fn room(&self, stopped: &mut oneshot::Receiver<()>) {
        let mut lost = self.lost.clone();
        tokio::select! {
            biased;
            () = self.inbox.room() => {}
            _ = lost.wait() => {}
            // The loop sees it too.
            _ = stopped => {}
        }
    }

    fn reply(&self, granted: bool) {
        let waiting = self
            .replies
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .pop_front();
        if let Some(waiting) = waiting {
            let _ = waiting.send(granted);
        }
    }
}

struct Sender {
    write: Arc<ChannelWriteHalf<Msg>>,
    inbox: Inbox,
    replies: Replies,
    outbox: Outbox,
    service: Arc<Service>,
    /// Whether a command runs: input sent before would wait for ever for window credit.
    started: bool,
    eof_sent: bool,
}

type Timer = Option<Pin<Box<tokio::time::Sleep>>>;
type InFlight = Pin<Box<dyn Future<Output = usize> + Send>>;

/// How far the ending of the command has come.
#[derive(Default)]
struct Stopping {
    begun: bool,
    killed: bool,
    /// When it gets `KILL`.
    kill: Timer,
}

impl Stopping {
    /// What to send at once.
    fn begin(&mut self, how: Ending) -> Option<&'static str> {
        if self.killed {
            return None;
        }
        if how.grace.is_zero() {
            (self.begun, self.killed, self.kill) = (true, true, None);
            return Some("KILL");
        }
        // One that is longer than can be counted is for ever.
        let at = tokio::time::Instant::now().checked_add(how.grace);
        match (&mut self.kill, at) {
            (_, None) => {}
            (Some(kill), Some(at)) if kill.deadline() <= at => {}
            (kill, Some(at)) => *kill = Some(Box::pin(tokio::time::sleep_until(at))),
        }
        // Programs may take a second `TERM` for impatience.
        let first = !std::mem::replace(&mut self.begun, true);
        (first && how.ask).then_some("TERM")
    }
}

impl Sender {
    async fn run(
        mut self,
        mut controls: mpsc::UnboundedReceiver<Control>,
        stop: oneshot::Sender<()>,
    ) {
        let mut in_flight: Option<InFlight> = None;
        // Set once nobody holds the channel: how long it may still take to end by itself.
        let mut grace: Timer = None;
        let mut stopping = Stopping::default();
        loop {
            let may_send =
                in_flight.is_none() && !self.eof_sent && (self.started || grace.is_some());
            tokio::select! {
                biased;
                control = controls.recv() => match control {
                    Some(Control::Request(request, reply)) => {
                        self.send(request, reply, &mut in_flight).await;
                    }
                    Some(Control::Stop(how)) => {
                        if let Some(signal) = stopping.begin(how) {
                            self.signal(signal, &mut in_flight).await;
                        }
                    }
                    Some(Control::Release(how)) if grace.is_none() => {
                        if let Some(signal) = how.and_then(|how| stopping.begin(how)) {
                            self.signal(signal, &mut in_flight).await;
                        }
                        // What was accepted before still goes out, as through a pipe.
                        let _ = self.outbox.close();
                        let patience = how.map_or(RELEASE_GRACE, |how| how.grace.saturating_add(KILL_GRACE));
                        grace = Some(Box::pin(tokio::time::sleep(patience)));
                    }
                    Some(Control::Release(_)) => {}
                    Some(Control::Ended) | None => return,
                },
                () = expired(&mut stopping.kill) => {
                    (stopping.kill, stopping.killed) = (None, true);
                    self.signal("KILL", &mut in_flight).await;
                }
                length = finish(&mut in_flight) => {
                    in_flight = None;
                    self.outbox.sent(length);
                }
                next = self.outbox.next(), if may_send => match next {
                    Next::Data(data) => in_flight = Some(self.data(data)),
                    Next::Eof => {
                        self.eof_sent = true;
                        let _ = self.write.eof().await;
                    }
                },
                () = expired(&mut grace) => break,
            }
        }
        let _ = self.write.close().await;
        // The engine ignores the answer to a close that came from here: end the drain by hand.
        let _ = stop.send(());
    }

    async fn signal(&mut self, name: &str, in_flight: &mut Option<InFlight>) {
        self.send(Request::Signal(name.to_owned()), None, in_flight)
            .await;
    }

    fn data(&self, data: bytes::Bytes) -> InFlight {
        let (write, inbox) = (Arc::clone(&self.write), self.inbox.clone());
        Box::pin(async move {
            let length = data.len();
            // An error means that the link is gone: the drain says so.
            if write.data_bytes(data).await.is_ok() {
                inbox.counters().count_sent(length);
            }
            length
        })
    }

    /// Hands one request to the engine, and goes on with the piece in flight meanwhile: it may hold
    /// a place in the engine's queue, and enough pieces that nobody goes on with stop the engine.
    async fn send(
        &mut self,
        request: Request,
        reply: Option<oneshot::Sender<bool>>,
        in_flight: &mut Option<InFlight>,
    ) {
        self.started |= matches!(
            request,
            Request::Exec(_) | Request::Shell | Request::Subsystem(_)
        );
        if matches!(request, Request::Pty(_)) {
            self.service.terminal();
        }
        let sending = Self::hand_over(&self.write, &self.replies, request, reply);
        let mut sending = std::pin::pin!(sending);
        loop {
            tokio::select! {
                biased;
                length = finish(in_flight) => {
                    *in_flight = None;
                    self.outbox.sent(length);
                }
                () = &mut sending => return,
            }
        }
    }

    /// Errors mean that the link is gone; the drain reports it.
    async fn hand_over(
        write: &ChannelWriteHalf<Msg>,
        replies: &Replies,
        request: Request,
        reply: Option<oneshot::Sender<bool>>,
    ) {
        let want_reply = reply.is_some();
        if let Some(reply) = reply {
            let mut replies = replies.lock().unwrap_or_else(|p| p.into_inner());
            replies.push_back(reply);
        }
        let _ = match request {
            Request::Env { name, value } => write.set_env(want_reply, name, value).await,
            Request::Pty(pty) => {
                let modes: Vec<_> = pty
                    .modes
                    .iter()
                    .filter_map(|(opcode, value)| Some((Pty::from_u8(*opcode)?, *value)))
                    .collect();
                let WindowSize {
                    columns,
                    rows,
                    width,
                    height,
                } = pty.size;
                write
                    .request_pty(want_reply, &pty.term, columns, rows, width, height, &modes)
                    .await
            }
            Request::Exec(command) => write.exec(want_reply, command).await,
            Request::Shell => write.request_shell(want_reply).await,
            Request::Subsystem(name) => write.request_subsystem(want_reply, name).await,
            Request::ForwardAgent => write.agent_forward(want_reply).await,
            Request::Signal(name) => write.signal(Sig::Custom(name)).await,
            Request::Resize(size) => {
                write
                    .window_change(size.columns, size.rows, size.width, size.height)
                    .await
            }
        };
    }
}

async fn finish(in_flight: &mut Option<InFlight>) -> usize {
    match in_flight {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

async fn expired(timer: &mut Timer) {
    match timer {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(other) => other,
    }
    .to_owned()
}
