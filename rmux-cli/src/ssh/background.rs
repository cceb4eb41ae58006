//! `-f`: rmux goes on in the background once it is let in, and whoever started it goes on too. A master
//! that outlives its first command (`ControlPersist`) is made in the same way.
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

/// What the child is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// All that was asked for.
    Command,
    /// A shared connection; the parent uses it.
    Master,
}

impl Role {
    /// The child's first word, in front of the parent's process id. No variable: what the child
    /// starts would inherit it.
    fn word(self) -> &'static str {
        match self {
            Self::Command => "--child-of=",
            Self::Master => "--master-of=",
        }
    }
}

/// What came of starting a child.
#[derive(Debug)]
pub(super) enum Started {
    /// It is in the background.
    There,
    /// It has a connection that cannot be shared, and has closed it.
    NotShared,
    /// It, or this process, is to end like this.
    Ended(Outcome),
}

/// The child's side: what its parent waits for.
#[derive(Debug)]
pub(super) struct Parent {
    socket: UnixStream,
    role: Role,
}

impl Parent {
    /// The parent that waits for this process, if it was started for the background: the first word
    /// says so, and is taken away. From then on standard input is empty.
    pub(super) fn waiting(words: &mut Vec<OsString>) -> io::Result<Option<Self>> {
        let Some(parent) = rustix::process::getppid() else {
            return Ok(None);
        };
        let is_said =
            |role: &Role| words.first() == Some(&word(*role, parent.as_raw_nonzero().get()));
        let Some(role) = [Role::Command, Role::Master].into_iter().find(is_said) else {
            return Ok(None);
        };
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
        Ok(Some(Self {
            socket: UnixStream::from(socket),
            role,
        }))
    }

    /// What this process is for.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Leaves the terminal's session and lets the parent go.
    pub(super) fn let_go(mut self) -> io::Result<()> {
        rustix::process::setsid()?;
        if self.role == Role::Master {
            // Whoever reads the parent's output must see its end.
            let nothing = std::fs::File::options().write(true).open("/dev/null")?;
            rustix::stdio::dup2_stdout(&nothing)?;
            rustix::stdio::dup2_stderr(&nothing)?;
        }
        self.socket.write_all(b"+")
    }

    /// Tells the parent that nothing is shared.
    pub(super) fn not_shared(mut self) {
        // A parent that has gone needs not know.
        let _ = self.socket.write_all(b"-");
    }
}

/// Starts the child and waits until it is in the background or has ended.
pub(super) async fn start(role: Role, endings: &mut Endings) -> Started {
    match wait(role, endings).await {
        Ok(started) => started,
        Err(error) => {
            crate::message::error(format_args!("cannot go to the background: {error}"));
            Started::Ended(Outcome::Exit(FAILED))
        }
    }
}

impl Started {
    /// How this process ends where the child does all that was asked for.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::There => Outcome::Exit(0),
            Self::NotShared => Outcome::Exit(FAILED),
            Self::Ended(outcome) => outcome,
        }
    }
}

async fn wait(role: Role, endings: &mut Endings) -> io::Result<Started> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let subcommand = arguments.next().unwrap_or_default();
    let own = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    let own = own.map(|parent| word(Role::Command, parent));
    // This process may be a child itself.
    let arguments = arguments.filter(|argument| Some(argument) != own.as_ref());
    let mut child = Command::new(std::env::current_exe()?)
        .arg0(name)
        .arg(subcommand)
        .arg(word(role, std::process::id()))
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    ours.set_nonblocking(true)?;
    let mut ours = tokio::net::UnixStream::from_std(ours)?;
    let mut said = [0];
    tokio::select! {
        length = ours.read(&mut said) => {
            match (length, said) {
                (Ok(1), [b'+']) => return Ok(Started::There),
                (Ok(1), _) => {
                    child.wait()?;
                    return Ok(Started::NotShared);
                }
                _ => {}
            }
            // The socket is closed, so it ends now.
            Ok(Started::Ended(outcome(child.wait()?)))
        }
        kind = endings.next() => {
            // From the terminal both got it; from elsewhere only this process did.
            if let Some(signal) = Signal::from_named_raw(kind.as_raw_value()) {
                let _ = kill_process(Pid::from_child(&child), signal);
            }
            child.wait()?;
            Ok(Started::Ended(Outcome::DieBy(kind)))
        }
    }
}

fn word(role: Role, parent: impl std::fmt::Display) -> OsString {
    format!("{}{parent}", role.word()).into()
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exit((code & 0xff) as u8),
        (None, Some(signal)) => Outcome::DieBy(SignalKind::from_raw(signal)),
        (None, None) => Outcome::Exit(FAILED),
    }
}
