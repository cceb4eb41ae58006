//! The life of one channel with a program behind it: input to the program, output within the
//! client's window, signals, the exit status, the end.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelWriteHalf, Sig};
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::backlog::Backlog;
use super::program::{End, Group, Program};
use super::terminal::{Size, Terminal};

/// How long a terminal whose program has ended, but on which others still run, may be silent;
/// then it hangs up.
const LINGER: Duration = Duration::from_millis(200);

/// Largest piece of output sent at once: a packet.
const PIECE: usize = 32 << 10;

/// What a client sends to a running program. The end of the messages is the end of the channel.
pub(super) enum Input {
    Data(Bytes),
    Eof,
    Signal(Signal),
    Resize(Size),
}

/// Room for messages between the connection and the channel, which never waits for anything
/// else before it takes one.
pub(super) const INBOX: usize = 16;

/// Runs until the program has ended and its output is sent; or until the client closes the
/// channel or loses the connection, when the program is ended.
pub(super) async fn run(
    program: Program,
    channel: ChannelWriteHalf<Msg>,
    handle: Handle,
    mut inbox: mpsc::Receiver<Input>,
) {
    let id = channel.id();
    let Program {
        stdin,
        stdout,
        stderr,
        terminal,
        mut process,
    } = program;
    let mut feed = Feed {
        stdin: Some(stdin),
        backlog: Backlog::default(),
        is_at_end: false,
        // A terminal has no end of input that a client could cause.
        has_end: terminal.is_none(),
    };
    let group = process.as_ref().map(|process| process.group());
    let is_abandoned = {
        let flow = Flow::default();
        let output = async {
            let copy_stderr = async {
                if let Some(stderr) = stderr {
                    copy(stderr, channel.make_writer_ext(Some(1)), &flow).await;
                }
            };
            tokio::join!(copy(stdout, channel.make_writer(), &flow), copy_stderr);
        };
        let exit = async {
            if let Some(process) = &mut process {
                let end = process.wait().await;
                report(&handle, id, end).await;
            }
        };
        let linger = flow.silence();
        tokio::pin!(output, exit, linger);
        let (mut is_silent, mut is_ended) = (false, false);
        loop {
            if is_ended && is_silent {
                break false;
            }
            tokio::select! {
                input = inbox.recv() => match input {
                    Some(input) => {
                        if let Err(error) = feed.take(input, group.as_ref(), terminal.as_ref()) {
                            tracing::warn!(%error, "embedded server: a channel is closed");
                            break true;
                        }
                    }
                    None => break true,
                },
                result = feed.write() => if let Err(error) = result {
                    tracing::warn!(%error, "embedded server: a channel is closed");
                    break true;
                },
                () = &mut exit, if !is_ended => is_ended = true,
                () = &mut output, if !is_silent => is_silent = true,
                () = &mut linger, if is_ended && !is_silent && terminal.is_some() => {
                    is_silent = true;
                }
            }
        }
    };
    // Before anything is awaited that the connection has to do: it may be waiting for room.
    drop((inbox, feed, terminal));
    if let Some(process) = process.filter(|_| is_abandoned) {
        process.end().await;
    }
    let _ = handle.eof(id).await;
    let _ = handle.close(id).await;
}

/// The way of the client's input to the program.
struct Feed {
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    backlog: Backlog,
    is_at_end: bool,
    has_end: bool,
}

impl Feed {
    fn take(
        &mut self,
        input: Input,
        group: Option<&Group>,
        terminal: Option<&Terminal>,
    ) -> io::Result<()> {
        match input {
            // What a program that reads no more is sent is discarded, as by a closed pipe.
            Input::Data(data) if self.stdin.is_some() => self.backlog.push(data)?,
            Input::Data(_) => {}
            Input::Eof => {
                self.is_at_end = true;
                self.close_at_end();
            }
            Input::Signal(signal) => group.into_iter().for_each(|group| group.signal(signal)),
            Input::Resize(size) => {
                if let Some(terminal) = terminal {
                    terminal.resize(size)?;
                }
            }
        }
        Ok(())
    }

    /// Writes some of the backlog; waits for ever when there is none. Cancel safe.
    async fn write(&mut self) -> io::Result<()> {
        let (Some(stdin), false) = (&mut self.stdin, self.backlog.is_empty()) else {
            return std::future::pending().await;
        };
        match stdin.write(self.backlog.front()?).await {
            Ok(count) => {
                self.backlog.consume(count);
                self.close_at_end();
            }
            Err(_) => {
                self.stdin = None;
                self.backlog.clear();
            }
        }
        Ok(())
    }

    fn close_at_end(&mut self) {
        if self.is_at_end && self.has_end && self.backlog.is_empty() {
            self.stdin = None;
        }
    }
}

/// What is known of a program's output.
#[derive(Default)]
struct Flow {
    sent: AtomicU64,
    /// All that came is sent, and more is waited for.
    is_waiting: AtomicBool,
}

impl Flow {
    /// Returns when nothing has come for a while.
    async fn silence(&self) {
        loop {
            let before = self.sent.load(Ordering::Relaxed);
            tokio::time::sleep(LINGER).await;
            // A client that does not read is no silence.
            if self.is_waiting.load(Ordering::Relaxed)
                && self.sent.load(Ordering::Relaxed) == before
            {
                return;
            }
        }
    }
}

/// Sends all of `from`, no faster than the client's window opens.
async fn copy(mut from: impl AsyncRead + Unpin, to: impl AsyncWrite, flow: &Flow) {
    tokio::pin!(to);
    let mut piece = vec![0; PIECE];
    loop {
        flow.is_waiting.store(true, Ordering::Relaxed);
        let count = from.read(&mut piece).await.unwrap_or(0);
        flow.is_waiting.store(false, Ordering::Relaxed);
        // It fails when the channel is gone, which the channel's loop learns by itself.
        if count == 0 || to.write_all(&piece[..count]).await.is_err() {
            return;
        }
        flow.sent.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Tells the client how the program ended.
async fn report(handle: &Handle, id: ChannelId, end: io::Result<End>) {
    let _ = match end {
        Ok(End::Code(code)) => handle.exit_status_request(id, code).await,
        Ok(End::Signal { name, core_dumped }) => {
            let name = sig(&name);
            handle
                .exit_signal_request(id, name, core_dumped, String::new(), String::new())
                .await
        }
        Err(_) => Ok(()),
    };
}

fn sig(name: &str) -> Sig {
    match name {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        other => Sig::Custom(other.to_owned()),
    }
}
