//! Connects, runs the command with this process' streams and terminal, and tells how it ended.
//!
//! Must not know how arguments are written.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmux_core::{
    Child, ChildStdin, Command, Error, ExitStatus, Pty, Session, SessionEvent, Stdio, WhenFull,
};
use rustix::termios::{isatty, tcgetwinsize};
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::SignalKind;

use super::FAILED;
use super::args::{Args, Terminal};
use super::streams::{self, Writer};
use crate::prompt::TerminalPrompter;
use crate::signals::{Endings, window_changes};
use crate::{message, terminal};

/// How long the server is given to hear that the connection is closed.
const GOODBYE: Duration = Duration::from_millis(500);

/// How rmux shall end.
#[derive(Debug)]
pub(crate) enum Outcome {
    Exit(u8),
    /// By this signal, as if rmux had not listened to it.
    DieBy(SignalKind),
}

/// Why a conversation ended early.
enum Broken {
    Remote(Error),
    /// Nobody reads what the command writes.
    NoReader,
    Local(&'static str, io::Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Remote(error)
    }
}

/// Does all that `args` ask for. Every message has been printed when it returns.
pub(crate) async fn run(args: &Args) -> Outcome {
    if args.print_settings {
        return print_settings(args).await;
    }
    let mut endings = match Endings::listen() {
        Ok(endings) => endings,
        Err(error) => return failed(format_args!("cannot listen to signals: {error}")),
    };
    let session = tokio::select! {
        session = connect(args) => session,
        // Nothing runs yet: whoever started rmux sees the signal.
        kind = endings.next() => return Outcome::DieBy(kind),
    };
    let session = match session {
        Ok(session) => session,
        Err(error) => return failed(error),
    };
    let with_terminal = wants_terminal(args);
    let ended = tokio::select! {
        ended = converse(&session, args, with_terminal) => ended,
        kind = endings.next() => {
            terminal::restore();
            if args.verbose > 0 {
                message::note(format_args!("ended by signal {}", kind.as_raw_value()));
            }
            close(&session, args).await;
            return Outcome::Exit(FAILED);
        }
    };
    terminal::restore();
    let in_order = ended.is_ok();
    let outcome = match ended {
        Ok(status) => Outcome::Exit(exit_code(&status, args)),
        Err(Broken::Remote(error)) => failed(error),
        Err(Broken::NoReader) => Outcome::Exit(FAILED),
        Err(Broken::Local(what, error)) => failed(format_args!("cannot write {what}: {error}")),
    };
    close(&session, args).await;
    if with_terminal && !args.quiet && in_order {
        let host = &session.host().hostname;
        message::line(format_args!("Connection to {host} closed."));
    }
    outcome
}

async fn print_settings(args: &Args) -> Outcome {
    let resolved = match rmux_core::resolve(&args.destination, &args.all_settings()).await {
        Ok(resolved) => resolved,
        Err(error) => return failed(error),
    };
    let writer = Writer::stdout();
    writer.write(resolved.render().into()).await;
    match writer.finish().await {
        Ok(()) => Outcome::Exit(0),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Exit(FAILED),
        Err(error) => failed(format_args!("cannot write standard output: {error}")),
    }
}

async fn connect(args: &Args) -> Result<Session, Error> {
    let (verbose, quiet) = (args.verbose > 0, args.quiet);
    let mut config = args
        .config()
        // One command has the connection for itself, so the server may be made to wait; a slow
        // reader of the output then costs no room here.
        .when_full(WhenFull::Wait)
        .on_event(move |event| tell(&event, verbose, quiet));
    if let Some(prompter) = TerminalPrompter::new() {
        config = config.prompter(Arc::new(prompter));
    }
    Session::connect_to(&args.destination, config).await
}

/// Tells a person of an event of the session.
fn tell(event: &SessionEvent, verbose: bool, quiet: bool) {
    match event {
        SessionEvent::Banner { text } if !quiet => message::text(text),
        _ if !verbose => {}
        SessionEvent::Connecting { host } => {
            message::note(format_args!(
                "connecting to {}: {}@{} port {}",
                host.name, host.user, host.hostname, host.port
            ));
            for setting in &host.ignored {
                message::note(setting);
            }
        }
        SessionEvent::Connected { address } => {
            message::note(format_args!("connected to {address}"));
        }
        SessionEvent::Authenticated { user, method } => {
            message::note(format_args!("logged in as {user} by {method}"));
        }
        SessionEvent::Ready => message::note("ready"),
        _ => {}
    }
}

/// Whether the command gets a terminal.
fn wants_terminal(args: &Args) -> bool {
    let wanted = match args.terminal {
        Terminal::Forced => return true,
        Terminal::Never => false,
        Terminal::Wanted => true,
        Terminal::Auto => args.command.is_none(),
    };
    if !wanted {
        return false;
    }
    if !args.no_input && isatty(rustix::stdio::stdin()) {
        return true;
    }
    if !args.quiet {
        message::line(
            "rmux: no terminal is allocated because standard input is not one (-tt insists)",
        );
    }
    false
}

fn command(session: &Session, args: &Args, with_terminal: bool) -> Command {
    let mut command = match &args.command {
        Some(line) => session.shell(line),
        None => session.login_shell(),
    };
    command.stdin(if args.no_input {
        Stdio::null()
    } else {
        Stdio::piped()
    });
    if with_terminal {
        let term = std::env::var("TERM").unwrap_or_default();
        let pty = Pty::like(rustix::stdio::stdin(), term.as_str())
            // As ssh: without a terminal here, the remote one has neither size nor modes.
            .unwrap_or_else(|_| Pty::new(term).size(0, 0));
        command.pty(pty);
    }
    command
}

/// Runs the command and passes everything on, until it has ended and all it wrote is written.
async fn converse(
    session: &Session,
    args: &Args,
    with_terminal: bool,
) -> Result<ExitStatus, Broken> {
    let mut resized = window_changes().map_err(|error| Broken::Local("signals", error))?;
    let mut child = command(session, args, with_terminal).spawn().await?;
    // Undone by whoever ends rmux: dropped here, the last output could still be on its way.
    let raw = with_terminal
        .then(|| terminal::raw(rustix::stdio::stdin()).ok())
        .flatten();
    let feed = child.stdin.take().map(|stdin| tokio::spawn(feed(stdin)));
    let done = converse_until_end(&mut child, &mut resized, with_terminal).await;
    if let Some(feed) = feed {
        feed.abort();
    }
    drop(raw);
    done
}

async fn converse_until_end(
    child: &mut Child,
    resized: &mut tokio::signal::unix::Signal,
    with_terminal: bool,
) -> Result<ExitStatus, Broken> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async {
        let (Some(mut stdout), Some(mut stderr)) = (stdout, stderr) else {
            return Ok(());
        };
        let output = copy(
            async || stdout.chunk().await,
            Writer::stdout(),
            "standard output",
        );
        let errors = copy(
            async || stderr.chunk().await,
            Writer::stderr(),
            "standard error",
        );
        tokio::try_join!(output, errors).map(drop)
    };
    let mut output = std::pin::pin!(output);
    let mut copied = false;
    loop {
        tokio::select! {
            all = &mut output, if !copied => {
                all?;
                copied = true;
            }
            status = child.wait(), if copied => return Ok(status?),
            Some(()) = resized.recv(), if with_terminal => {
                if let Ok(size) = tcgetwinsize(rustix::stdio::stdin()) {
                    child.resize_pixels(
                        size.ws_col.into(),
                        size.ws_row.into(),
                        size.ws_xpixel.into(),
                        size.ws_ypixel.into(),
                    );
                }
            }
        }
    }
}

/// Sends standard input, and its end.
async fn feed(mut stdin: ChildStdin) {
    let mut pieces = streams::input();
    while let Some(piece) = pieces.recv().await {
        // A command that takes no more input is no failure.
        if stdin.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _ = stdin.shutdown().await;
}

/// Writes a stream of the command to one of ours, piece by piece as it comes. All of it is written
/// when this returns, also what came before an error.
async fn copy(
    mut next: impl AsyncFnMut() -> Result<Option<Bytes>, Error>,
    writer: Writer,
    what: &'static str,
) -> Result<(), Broken> {
    let read = loop {
        match next().await {
            Ok(Some(piece)) => {
                if !writer.write(piece).await {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    match writer.finish().await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Broken::NoReader),
        Err(error) => return Err(Broken::Local(what, error)),
    }
    Ok(read?)
}

fn exit_code(status: &ExitStatus, args: &Args) -> u8 {
    match status.code() {
        // As exit(3) does.
        Some(code) => (code & 0xff) as u8,
        None => {
            if args.verbose > 0 {
                message::note(format_args!("the command was {status}"));
            }
            FAILED
        }
    }
}

async fn close(session: &Session, args: &Args) {
    let lost = session.is_closed();
    let _ = tokio::time::timeout(GOODBYE, session.close()).await;
    if args.verbose > 0 && !lost {
        message::note("the connection is closed");
    }
}

fn failed(why: impl std::fmt::Display) -> Outcome {
    message::error(why);
    Outcome::Exit(FAILED)
}
