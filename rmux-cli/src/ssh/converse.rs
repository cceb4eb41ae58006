//! One command's conversation: its output and input pass through this process' streams, and what is
//! typed at the terminal may be an escape.
//!
//! Must not know how arguments are written or how the connection was made.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use rmux_core::escape::{Audience, Escape, Escapes, Typed, help, printed};
use rmux_core::{Child, ChildStdin, Command, Error, ExitStatus, Pty, Session, Stdio};
use rustix::termios::tcgetwinsize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, watch};

use super::command_line::Line;
use super::forwards::Forwards;
use super::plan::{Plan, Work};
use super::streams::Writer;
use crate::log::{self, Level};
use crate::signals::{stop_self, window_changes};
use crate::terminal::{self, Changed};
use crate::{input, message};

/// How many typed bytes may wait for a remote that takes none.
const MOST_WAITING: usize = 64 << 10;

/// How a conversation ended in order.
#[derive(Debug)]
pub(super) enum Ended {
    /// With the command.
    Status(ExitStatus),
    /// By the escape that ends the connection.
    ByEscape,
    /// All that was to be carried is.
    Carried,
}

/// Why it ended early.
#[derive(Debug)]
pub(super) enum Broken {
    Remote(Error),
    /// What standard input and output are for cannot be reached.
    Unreached(Error),
    /// Nobody reads the command's standard output.
    NoReader,
    Local(&'static str, io::Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Remote(error)
    }
}

/// Runs the command and passes everything on, until it has ended and all it wrote is written.
pub(super) async fn converse(
    session: &Session,
    plan: &Plan,
    forwards: &mut Forwards,
) -> Result<Ended, Broken> {
    let mut resized = window_changes().map_err(|error| Broken::Local("signals", error))?;
    let mut child = command(session, plan).spawn().await?;
    if plan.terminal && !child.has_pty() {
        message::remark("the server refused a terminal; the command runs without one");
    }
    let mut screen = Screen {
        // Undone by whoever ends rmux: dropped here, the last output could still be on its way.
        raw: child.has_pty().then(raw).flatten(),
        has_pty: child.has_pty(),
        session,
        forwards,
        escape: plan.escape.unwrap_or_default(),
    };
    let (typed, mut escapes) = mpsc::channel(1);
    let feed = child
        .stdin
        .take()
        .map(|stdin| match plan.escape.map(Escapes::new) {
            Some(escapes) => {
                let command_line = session.host().enable_escape_commandline;
                tokio::spawn(feed_typed(stdin, escapes, command_line, typed))
            }
            None => tokio::spawn(feed(stdin)),
        });
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async {
        let (Some(mut stdout), Some(mut stderr)) = (stdout, stderr) else {
            return Ok(());
        };
        let stop = watch::Sender::new(false);
        let output = Copy {
            writer: Writer::stdout(),
            what: "standard output",
            may_be_unread: false,
            stop: &stop,
        };
        let errors = Copy {
            writer: Writer::stderr(),
            what: "standard error",
            // As ssh: nobody needs to read it.
            may_be_unread: true,
            stop: &stop,
        };
        // Not the first error alone: what the other one has is written too.
        let (output, errors) = tokio::join!(
            output.run(async || stdout.chunk().await),
            errors.run(async || stderr.chunk().await),
        );
        output.and(errors)
    };
    let mut output = std::pin::pin!(output);
    let mut copied = false;
    let ended = loop {
        tokio::select! {
            all = &mut output, if !copied => match all {
                Ok(()) => copied = true,
                Err(broken) => break Err(broken),
            },
            status = child.wait(), if copied => break Ok(Ended::Status(status?)),
            Some(()) = resized.recv(), if screen.has_pty => screen.pass_size(&child),
            Some(said) = escapes.recv() => match said {
                Said::Escape(escape) => if screen.act_on(escape, &child).await {
                    break Ok(Ended::ByEscape);
                },
                Said::Line(line) => screen.forwards.command_line(session, &line).await,
            }
        }
    };
    if let Some(feed) = feed {
        feed.abort();
    }
    ended
}

fn command(session: &Session, plan: &Plan) -> Command {
    let mut command = match &plan.work {
        Work::Line(line) => session.shell(line),
        Work::Subsystem(name) => session.subsystem(name),
        Work::Shell | Work::Nothing | Work::Stdio(_) => session.login_shell(),
    };
    // The output is what ssh's would be, noise and all.
    command.verbatim(true).stdin(if plan.no_input {
        Stdio::null()
    } else {
        Stdio::piped()
    });
    if plan.terminal {
        let term = std::env::var("TERM").unwrap_or_default();
        let pty = Pty::like(rustix::stdio::stdin(), term.as_str())
            // As ssh: without a terminal here, the remote one has neither size nor modes.
            .unwrap_or_else(|_| Pty::new(term).size(0, 0));
        // As ssh: who asks for a terminal is not given less, and a shell that gets none may still be
        // worth having, as with servers that only greet.
        command.pty(if plan.insists { pty } else { pty.optional() });
    }
    command
}

fn raw() -> Option<Changed> {
    terminal::raw(rustix::stdio::stdin()).ok()
}

/// The local terminal while the command has one.
struct Screen<'a> {
    raw: Option<Changed>,
    has_pty: bool,
    session: &'a Session,
    forwards: &'a mut Forwards,
    escape: u8,
}

impl Screen<'_> {
    fn pass_size(&self, child: &Child) {
        if let Ok(size) = tcgetwinsize(rustix::stdio::stdin()) {
            child.resize_pixels(
                size.ws_col.into(),
                size.ws_row.into(),
                size.ws_xpixel.into(),
                size.ws_ypixel.into(),
            );
        }
    }

    /// Does what the escape asks for. True if that is to end the connection.
    async fn act_on(&mut self, escape: Escape, child: &Child) -> bool {
        let c = printed(self.escape);
        let missing = |letter: &str, what: &str| {
            message::line(format_args!("{c}{letter} [{what} is not supported]"));
        };
        match escape {
            Escape::End => {
                message::line(format_args!("{c}."));
                return true;
            }
            Escape::Help => {
                message::line(format_args!("{c}?"));
                for line in help(self.escape, Audience::Own) {
                    message::line(line);
                }
            }
            Escape::List => {
                message::line(format_args!("{c}#"));
                message::line("The following connections are open:");
                let host = self.session.host();
                message::line(format_args!(
                    "  #0 client-session ({}@{} port {})",
                    host.user, host.hostname, host.port
                ));
                self.forwards.list().iter().for_each(message::line);
            }
            Escape::Suspend => self.suspend(&c, child).await,
            Escape::Louder => self.change_level(&c, 'v', Level::louder),
            Escape::Quieter => self.change_level(&c, 'V', Level::quieter),
            // Where it is enabled, a line comes instead.
            Escape::CommandLine => message::line("commandline disabled"),
            Escape::Background => missing("&", "going to the background"),
            Escape::Break => missing("B", "a BREAK"),
            Escape::Rekey => missing("R", "renewing the keys"),
        }
        false
    }

    fn change_level(&self, c: &str, letter: char, change: fn(Level) -> Level) {
        if log::is_on_stderr() {
            log::set_level(change(log::level()));
            let name = log::level().name();
            message::line(format_args!("{c}{letter} [LogLevel {name}]"));
        } else {
            message::line(format_args!("{c}{letter} [the log goes elsewhere]"));
        }
    }

    /// Stops rmux, with the terminal as it was before; goes on when it is continued.
    async fn suspend(&mut self, c: &str, child: &Child) {
        message::line(format_args!("{c}^Z [suspend rmux]"));
        let was_raw = self.raw.take().is_some();
        stop_self().await;
        if was_raw {
            self.raw = raw();
        }
        if self.has_pty {
            // Whoever had the terminal meanwhile may have changed it.
            self.pass_size(child);
        }
    }
}

/// Sends standard input, and its end.
async fn feed(mut stdin: ChildStdin) {
    let mut pieces = input::read();
    while let Some(piece) = pieces.recv().await {
        // A command that takes no more input is no failure.
        if stdin.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _ = stdin.shutdown().await;
}

/// What was typed for rmux itself.
#[derive(Debug)]
enum Said {
    Escape(Escape),
    /// A whole line behind the escape for the command line.
    Line(String),
}

/// The same for a terminal; escapes go to `typed`, also while a remote that hangs takes no input.
async fn feed_typed(
    mut stdin: ChildStdin,
    mut escapes: Escapes,
    command_line: bool,
    typed: mpsc::Sender<Said>,
) {
    let mut pieces = input::read();
    let mut waiting = BytesMut::new();
    let mut line: Option<Line> = None;
    let (mut more_comes, mut is_taken) = (true, true);
    while more_comes || !waiting.is_empty() {
        tokio::select! {
            piece = pieces.recv(), if more_comes && waiting.len() < MOST_WAITING => {
                more_comes = piece.is_some();
                for found in escapes.feed(&piece.unwrap_or_default()) {
                    let said = match found {
                        Typed::Escape(Escape::CommandLine) if command_line => {
                            line = Some(Line::default());
                            message::text("\nssh> ");
                            continue;
                        }
                        Typed::Escape(escape) => Said::Escape(escape),
                        Typed::Bytes(bytes) => {
                            let (said, rest) = split_line(&mut line, bytes);
                            // A command that takes no more input is no failure.
                            if is_taken {
                                waiting.extend_from_slice(&rest);
                            }
                            match said {
                                Some(said) => Said::Line(said),
                                None => continue,
                            }
                        }
                    };
                    if typed.send(said).await.is_err() {
                        return;
                    }
                }
            }
            written = stdin.write(&waiting), if !waiting.is_empty() => match written {
                Ok(length) => waiting.advance(length),
                Err(_) => {
                    is_taken = false;
                    waiting.clear();
                }
            },
        }
    }
    let _ = stdin.shutdown().await;
}

/// What of these bytes belongs to the line that is being typed, if it is whole then; and the rest,
/// which is for the remote.
fn split_line(line: &mut Option<Line>, bytes: Vec<u8>) -> (Option<String>, Vec<u8>) {
    let Some(typing) = line.as_mut().map(|line| line.feed(&bytes)) else {
        return (None, bytes);
    };
    message::echo(&typing.echo);
    if typing.line.is_some() {
        *line = None;
    }
    (typing.line, typing.rest)
}

/// Writes a stream of the command to one of ours, piece by piece as it comes.
struct Copy<'a> {
    writer: Writer,
    what: &'static str,
    /// Whether the command goes on if nobody reads this.
    may_be_unread: bool,
    /// Ends the copying of both streams.
    stop: &'a watch::Sender<bool>,
}

impl Copy<'_> {
    /// All of it is written when this returns, also what came before an error.
    async fn run(
        self,
        mut next: impl AsyncFnMut() -> Result<Option<Bytes>, Error>,
    ) -> Result<(), Broken> {
        let mut stopped = self.stop.subscribe();
        let mut is_taken = true;
        let mut read = loop {
            match next_unless(&mut next, &mut stopped).await {
                Ok(Some(piece)) => {
                    is_taken = self.writer.write(piece).await;
                    if !is_taken {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match self.writer.finish().await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.may_be_unread => {
                while !is_taken && read.is_ok() {
                    match next_unless(&mut next, &mut stopped).await {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(error) => read = Err(error),
                    }
                }
            }
            Err(error) => {
                self.stop.send_replace(true);
                return Err(match error.kind() {
                    io::ErrorKind::BrokenPipe => Broken::NoReader,
                    _ => Broken::Local(self.what, error),
                });
            }
        }
        Ok(read?)
    }
}

/// The next piece, or none if that is to stop.
async fn next_unless(
    next: &mut impl AsyncFnMut() -> Result<Option<Bytes>, Error>,
    stopped: &mut watch::Receiver<bool>,
) -> Result<Option<Bytes>, Error> {
    tokio::select! {
        piece = next() => piece,
        _ = stopped.wait_for(|stopped| *stopped) => Ok(None),
    }
}
