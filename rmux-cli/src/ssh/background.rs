//! `-f`: rmux goes on in the background once it is let in, and whoever started it goes on too.
//!
//! A process with threads cannot be forked, so the whole connection is made by a child of the same
//! arguments from the beginning. It has the terminal for its questions; when it is let in it leaves
//! the terminal's session and says so through a socket, and the parent, which only waits, is done.
//! If it fails before, the parent's exit status is the child's. Must not know what is run.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::FileType;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::SignalKind;

use super::FAILED;
use super::run::Outcome;
use crate::signals::Endings;

/// The child's first word, in front of the parent's process id. No variable: what the child starts
/// would inherit it.
const WORD: &str = "--child-of=";

/// The child's side: what its parent waits for.
#[derive(Debug)]
pub(super) struct Parent(UnixStream);

impl Parent {
    /// The parent that waits for this process, if it was started for the background: the first word
    /// says so, and is taken away. From then on standard input is empty.
    pub(super) fn waiting(words: &mut Vec<OsString>) -> io::Result<Option<Self>> {
        let parent = rustix::process::getppid().map(|pid| word(pid.as_raw_nonzero().get()));
        if words.first() != parent.as_ref() || parent.is_none() {
            return Ok(None);
        }
        let stdin = rustix::stdio::stdin();
        // Whoever writes the word by hand has no such standard input.
        let kind = FileType::from_raw_mode(rustix::fs::fstat(stdin)?.st_mode);
        if kind != FileType::Socket {
            return Ok(None);
        }
        words.remove(0);
        let socket: OwnedFd = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(nothing)?;
        Ok(Some(Self(UnixStream::from(socket))))
    }

    /// Leaves the terminal's session and lets the parent go.
    pub(super) fn let_go(mut self) -> io::Result<()> {
        rustix::process::setsid()?;
        self.0.write_all(b"+")
    }
}

/// Starts the child and waits until it is in the background or has ended.
pub(super) async fn start(endings: &mut Endings) -> Outcome {
    match wait(endings).await {
        Ok(outcome) => outcome,
        Err(error) => {
            crate::message::error(format_args!("cannot go to the background: {error}"));
            Outcome::Exit(FAILED)
        }
    }
}

async fn wait(endings: &mut Endings) -> io::Result<Outcome> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let subcommand = arguments.next().unwrap_or_default();
    let mut child = Command::new(std::env::current_exe()?)
        .arg0(name)
        .arg(subcommand)
        .arg(word(std::process::id()))
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    ours.set_nonblocking(true)?;
    let mut ours = tokio::net::UnixStream::from_std(ours)?;
    let mut said = [0];
    tokio::select! {
        length = ours.read(&mut said) => {
            if matches!(length, Ok(1)) {
                return Ok(Outcome::Exit(0));
            }
            // The socket is closed, so it ends now.
            Ok(outcome(child.wait()?))
        }
        kind = endings.next() => {
            // From the terminal both got it; from elsewhere only this process did.
            if let Some(signal) = Signal::from_named_raw(kind.as_raw_value()) {
                let _ = kill_process(Pid::from_child(&child), signal);
            }
            child.wait()?;
            Ok(Outcome::DieBy(kind))
        }
    }
}

fn word(parent: impl std::fmt::Display) -> OsString {
    format!("{WORD}{parent}").into()
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exit((code & 0xff) as u8),
        (None, Some(signal)) => Outcome::DieBy(SignalKind::from_raw(signal)),
        (None, None) => Outcome::Exit(FAILED),
    }
}
