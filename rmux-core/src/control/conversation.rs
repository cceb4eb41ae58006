//! A command that runs for a client: on the descriptors that it passed, with its terminal's size and
//! its escapes.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use rmux_proto::mux::SessionRequest;
use rustix::termios::tcgetwinsize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, watch};

use super::passed::{Reader, Writer};
use crate::escape::{Audience, Escape, Escapes, Typed, help, printed};
use crate::session::{Child, ChildStdin, Command, Pty, Session};

/// How many typed bytes may wait for a remote that takes none.
const MOST_WAITING: usize = 64 << 10;
/// How long a client's terminal may take to show that its user has ended the conversation.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The course of a conversation, which ends with the command's exit status once all of its output is
/// written; with none where it had none.
pub(super) type Conversation = Pin<Box<dyn Future<Output = Option<u32>> + Send>>;

/// What a client wants to run. The terminal is like the one behind `stdin`, as it is now: a client
/// changes its modes once it is answered.
pub(super) fn command(session: &Session, wanted: &SessionRequest, stdin: &OwnedFd) -> Command {
    let line = OsString::from_vec(wanted.command.clone());
    let mut command = if wanted.subsystem {
        session.subsystem(String::from_utf8_lossy(&wanted.command))
    } else if line.is_empty() {
        session.login_shell()
    } else {
        session.shell(line)
    };
    command
        .verbatim(true)
        .lend_agent(wanted.agent)
        .environment_of(wanted.env.iter().filter_map(|pair| variable(pair)));
    if wanted.tty {
        let term = String::from_utf8_lossy(&wanted.term).into_owned();
        let pty = Pty::like(stdin, term.as_str())
            // As OpenSSH: without a terminal there, the remote one has neither size nor modes.
            .unwrap_or_else(|_| Pty::new(term).size(0, 0));
        command.pty(pty.optional());
    }
    command
}

/// A variable that can be sent.
fn variable(pair: &[u8]) -> Option<(String, String)> {
    let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

/// Passes everything on between the command and the client's streams.
///
/// # Errors
/// Where the system has no room for the threads. Nothing was read by then.
pub(super) fn begin(
    child: Child,
    wanted: &SessionRequest,
    [stdin, stdout, stderr]: [OwnedFd; 3],
    host: &str,
    resized: watch::Receiver<()>,
) -> std::io::Result<Conversation> {
    let terminal = child.has_pty().then(|| stdin.try_clone()).transpose()?;
    let (stdout, stderr) = (Writer::start(stdout)?, Writer::start(stderr)?);
    let talk = Talk {
        no_terminal: wanted.tty && !child.has_pty(),
        escape: wanted.escape.filter(|_| wanted.tty),
        host: host.to_owned(),
        terminal,
        resized,
        stdin: Reader::start(stdin)?,
        stderr,
    };
    Ok(Box::pin(talk.run(child, stdout)))
}

/// What a conversation has of the client's.
struct Talk {
    /// One was wanted, and the server gave none.
    no_terminal: bool,
    escape: Option<u8>,
    host: String,
    /// The client's, where the command has one too.
    terminal: Option<OwnedFd>,
    resized: watch::Receiver<()>,
    stdin: Reader,
    stderr: Writer,
}

impl Talk {
    async fn run(self, mut child: Child, stdout: Writer) -> Option<u32> {
        let Self {
            no_terminal,
            escape,
            host,
            terminal,
            mut resized,
            stdin,
            stderr,
        } = self;
        if no_terminal {
            say(&stderr, "PTY allocation request failed").await;
        }
        let (mut output, mut errors) = (child.stdout.take()?, child.stderr.take()?);
        let (typed, mut escapes) = mpsc::channel(1);
        let feed = feed(child.stdin.take()?, stdin, escape.map(Escapes::new), typed);
        // Its end is none of the command's.
        let mut feed = std::pin::pin!(async {
            feed.await;
            std::future::pending::<()>().await;
        });
        let mut is_over = false;
        let all = {
            let output = async {
                let mut is_read = true;
                while is_read && let Ok(Some(piece)) = output.chunk().await {
                    is_read = stdout.write(piece).await;
                }
                stdout.finish().await && is_read
            };
            // As with ssh, nobody needs to read standard error.
            let errors = async {
                let mut is_read = true;
                while let Ok(Some(piece)) = errors.chunk().await {
                    is_read = is_read && stderr.write(piece).await;
                }
            };
            let (mut output, mut errors) = (std::pin::pin!(output), std::pin::pin!(errors));
            let (mut written, mut errors_written) = (false, false);
            loop {
                tokio::select! {
                    all = &mut output, if !written => match all {
                        true => written = true,
                        false => break false,
                    },
                    () = &mut errors, if !errors_written => errors_written = true,
                    () = &mut feed => {}
                    Ok(()) = resized.changed(), if terminal.is_some() => {
                        pass_size(terminal.as_ref(), &child);
                    }
                    Some(pressed) = escapes.recv() => {
                        for line in reply(pressed, escape.unwrap_or_default(), &host) {
                            say(&stderr, &line).await;
                        }
                        if pressed == Escape::End {
                            is_over = true;
                            break false;
                        }
                    }
                }
                if written && errors_written {
                    break true;
                }
            }
        };
        if is_over {
            // The client is gone as soon as it hears of the end, and its terminal put back.
            let _ = tokio::time::timeout(LAST_WORDS, stderr.finish()).await;
            return None;
        }
        if !all {
            // Nobody reads the output: the command is let go of, and hears of it when it writes.
            return None;
        }
        let status = child.wait().await;
        let _ = stderr.finish().await;
        status.ok()?.code().map(|code| code as u32)
    }
}

fn pass_size(terminal: Option<&OwnedFd>, child: &Child) {
    let size = terminal.and_then(|terminal| tcgetwinsize(terminal).ok());
    if let Some(size) = size {
        child.resize_pixels(
            size.ws_col.into(),
            size.ws_row.into(),
            size.ws_xpixel.into(),
            size.ws_ypixel.into(),
        );
    }
}

/// What is shown for an escape.
fn reply(escape: Escape, character: u8, host: &str) -> Vec<String> {
    let c = printed(character);
    let cannot = |letter: &str, what: &str| vec![format!("{c}{letter} [{what}]")];
    let apart = "not available over a shared connection";
    match escape {
        Escape::End => vec![format!("{c}.")],
        Escape::Help => {
            let mut lines = vec![format!("{c}?")];
            lines.extend(help(character, Audience::Client));
            lines
        }
        Escape::List => vec![
            format!("{c}#"),
            "The following connections are open:".to_owned(),
            format!("  #0 client-session ({host}, shared)"),
        ],
        Escape::Suspend => cannot("^Z", apart),
        Escape::Background => cannot("&", apart),
        Escape::CommandLine => cannot("C", apart),
        Escape::Louder => cannot("v", apart),
        Escape::Quieter => cannot("V", apart),
        Escape::Break => cannot("B", "a BREAK is not supported"),
        Escape::Rekey => cannot("R", "renewing the keys is not supported"),
    }
}

/// One line for the client's terminal, which is raw.
async fn say(stderr: &Writer, line: &str) {
    stderr.write(Bytes::from(format!("{line}\r\n"))).await;
}

/// Sends what the client's standard input gives, and its end. Escapes go to `typed`, also while a
/// remote that hangs takes no input.
async fn feed(
    mut stdin: ChildStdin,
    mut source: Reader,
    mut escapes: Option<Escapes>,
    typed: mpsc::Sender<Escape>,
) {
    let mut waiting = BytesMut::new();
    let (mut more_comes, mut is_taken) = (true, true);
    // Where there are no escapes, input that is not taken need not be read.
    let most = if escapes.is_some() { MOST_WAITING } else { 1 };
    while more_comes || !waiting.is_empty() {
        tokio::select! {
            piece = source.next(), if more_comes && waiting.len() < most => {
                more_comes = piece.is_some();
                let piece = piece.unwrap_or_default();
                let found = match &mut escapes {
                    Some(escapes) => escapes.feed(&piece),
                    None => vec![Typed::Bytes(piece.to_vec())],
                };
                for found in found {
                    match found {
                        // A command that takes no more input is no failure.
                        Typed::Bytes(bytes) if is_taken => waiting.extend_from_slice(&bytes),
                        Typed::Bytes(_) => {}
                        Typed::Escape(escape) => {
                            if typed.send(escape).await.is_err() {
                                return;
                            }
                        }
                    }
                }
            }
            written = stdin.write(&waiting), if !waiting.is_empty() => match written {
                Ok(length) => waiting.advance(length),
                Err(_) => {
                    is_taken = false;
                    waiting.clear();
                    if escapes.is_none() {
                        return;
                    }
                }
            },
        }
    }
    let _ = stdin.shutdown().await;
}
