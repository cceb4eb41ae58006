//! What a shell would keep from one command to the next, kept here: each command has a shell and a
//! channel of its own, begins with what the one before left, and tells what it leaves.
//!
//! Knows nothing of channels but how records are asked of one. How a shell is told the state, and how
//! it tells it, is in [`script`].

mod script;
mod state;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::Session;
use super::command::Command;
use super::exit::ExitStatus;
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Flaw, Inbox};
use state::Left;
pub(super) use state::State;

/// How many bytes a shell may tell of its state, and how many of it are kept.
const LIMIT: usize = 16 << 20;
/// How long what a shell tells may take behind the news of its end: it was written before, and so
/// is on its way, but behind all that the command wrote.
const LATE: Duration = Duration::from_secs(10);

/// A persistent shell context: the working directory, the exported variables and the `umask`, kept
/// from one command to the next as a shell would keep them, for scripts and agents.
///
/// ```no_run
/// # async fn example(session: rmux_core::Session) -> rmux_core::Result<()> {
/// let context = session.context();
/// context.shell("cd /srv/app && export STAGE=test").output().await?;
/// let listing = context.shell("echo $STAGE; ls").output().await?; // in /srv/app
/// assert_eq!(context.cwd().as_deref(), Some("/srv/app".as_ref()));
/// # Ok(()) }
/// ```
///
/// Its commands are ordinary ones: input, timeouts, limits and streams are as anywhere. They have no
/// terminal and are not [`verbatim`](Command::verbatim). Each runs on a channel of its own, and
/// nothing of the context lives on the remote in between.
///
/// - **Lines** are run by the remote's `sh`, whatever the account's shell is, or by the
///   [interpreter](Self::interpreter) that was chosen. What a line leaves is kept however it ends:
///   by a failure, by `exit`, by `set -e` or a syntax error. **Programs** only begin with the state.
/// - **Kept** are the directory, the one before (`cd -`), exported variables and those that were unset, and
///   the `umask`. Other variables, functions, aliases and options end with their line. Variables that
///   no line changes stay what the server gives each command.
/// - **As it was before** the state stays where a command was ended by a timeout, a limit, a signal
///   or a lost connection, where its [`Child`](crate::Child) was not waited for, and where
///   the line's shell cannot tell: it was replaced by `exec PROGRAM`, or calls `exit` behind a
///   `trap ... EXIT` of its own.
/// - **One at a time**: a command begins when the one before has ended. While a child that was
///   [spawned](Command::spawn) has not been waited for, no other can be begun; a
///   [fork](Self::fork) can.
/// - [`Command::current_dir`], which may be relative to the context's, and [`Command::env`] hold for
///   their command alone.
/// - Values travel with the input, in both directions unseen by other accounts' `ps`, and may be of
///   any size that the remote can run programs with; altogether up to 16 MiB. What a background
///   process writes to standard error at the very end of the line does no harm to up to 32 KiB; more
///   may be torn by it, and is then refused with
///   [`ErrorKind::ProtocolViolation`](crate::ErrorKind::ProtocolViolation).
///
/// Clones are handles of the same context. It keeps its session's connection open.
#[derive(Clone)]
pub struct ShellContext {
    session: Session,
    kept: Arc<Kept>,
}

/// What is kept, and whose turn it is.
#[derive(Default)]
pub(super) struct Kept {
    state: Mutex<State>,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether a child has the turn that its caller sees to.
    child: AtomicBool,
}

impl std::fmt::Debug for ShellContext {
    /// Without the values of variables, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.kept.state();
        f.debug_struct("ShellContext")
            .field("session", &self.session)
            .field("interpreter", &state.interpreter())
            .field("cwd", &state.directory)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A context that begins as any command does: at the account's home, with its environment.
    pub fn context(&self) -> ShellContext {
        ShellContext {
            session: self.clone(),
            kept: Arc::default(),
        }
    }
}

impl ShellContext {
    /// A line to run in the context.
    pub fn shell(&self, line: impl AsRef<OsStr>) -> Command {
        self.own(self.session.shell(line))
    }

    /// A program to run in the context, with exactly its arguments. It changes nothing of it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.own(self.session.command(program))
    }

    fn own(&self, mut command: Command) -> Command {
        command.context = Some(Arc::clone(&self.kept));
        command
    }

    /// Which of the remote's programs runs lines, from the next one on: a shell that takes `-c` and
    /// knows the language of POSIX, such as `bash`. Default: `sh`.
    pub fn interpreter(&self, program: impl AsRef<OsStr>) -> &Self {
        self.kept.state().interpreter = Some(program.as_ref().to_owned());
        self
    }

    /// Changes the directory of the commands that are begun from now on. A relative one begins at the
    /// account's home. One that cannot be entered is found out by the next command, which then does
    /// not run: its shell says so on standard error, and its status is not 0.
    pub fn current_dir(&self, directory: impl AsRef<OsStr>) -> &Self {
        let directory = directory.as_ref().as_bytes().to_vec();
        self.kept.state().directory = Some(directory);
        self
    }

    /// Sets a variable for the commands that are begun from now on.
    pub fn env(&self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &Self {
        let value = value.as_ref().as_bytes().to_vec();
        self.change(name.as_ref(), Some(value));
        self
    }

    /// Unsets a variable for the commands that are begun from now on.
    pub fn env_remove(&self, name: impl AsRef<OsStr>) -> &Self {
        self.change(name.as_ref(), None);
        self
    }

    fn change(&self, name: &OsStr, value: Option<Vec<u8>>) {
        let name = name.as_bytes().to_vec();
        self.kept.state().variables.insert(name, value);
    }

    /// The directory of the next command: an absolute path once a line has run, what was set before
    /// that, and `None` for the account's home.
    pub fn cwd(&self) -> Option<OsString> {
        let directory = self.kept.state().directory.clone();
        directory.map(OsString::from_vec)
    }

    /// What the next command finds changed in its environment: variables and their values, `None` for
    /// those that are unset.
    pub fn variables(&self) -> Vec<(OsString, Option<OsString>)> {
        let state = self.kept.state();
        let changes = state.variables.iter().map(|(name, value)| {
            let value = value.clone().map(OsString::from_vec);
            (OsString::from_vec(name.clone()), value)
        });
        changes.collect()
    }

    /// Another context that begins with the state as it is now. From then on neither sees what the
    /// other changes.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.fork_on(&self.session)
    }

    /// As [`fork`](Self::fork), on another session: where the connection was lost, on one that was
    /// made anew.
    #[must_use]
    pub fn fork_on(&self, session: &Session) -> Self {
        let kept = Kept {
            state: Mutex::new(self.kept.state().clone()),
            ..Kept::default()
        };
        Self {
            session: session.clone(),
            kept: Arc::new(kept),
        }
    }
}

impl Kept {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Only whole changes are made under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of one more command; `spawned` if its caller sees to its end.
    pub(super) async fn turn(self: &Arc<Self>, spawned: bool) -> Result<Turn> {
        if self.child.load(Ordering::Relaxed) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "run",
                "a command that was spawned in this context was not waited for yet: wait for it, \
                 or run this one in a fork of the context",
            ));
        }
        let held = Arc::clone(&self.turn).lock_owned().await;
        self.child.store(spawned, Ordering::Relaxed);
        Ok(Turn {
            kept: Arc::clone(self),
            token: format!("rmux-state-{:032x}", rand::random::<u128>()),
            tells: false,
            moved: false,
            _held: held,
        })
    }
}

/// Waits for what the shell of a command that has ended tells.
///
/// # Cancel safety
/// Cancel safe.
pub(super) async fn told(inbox: &Inbox) {
    let _ = tokio::time::timeout(LATE, inbox.until_recorded()).await;
}

/// One command's turn.
#[derive(Debug)]
pub(super) struct Turn {
    kept: Arc<Kept>,
    /// What its shell's records begin with.
    token: String,
    /// Whether its shell tells what it leaves.
    tells: bool,
    /// Whether it was given another directory than the context's.
    moved: bool,
    _held: OwnedMutexGuard<()>,
}

impl Turn {
    /// Whether the shell of a command that has ended so tells what it leaves.
    pub(super) fn tells(&self, status: &ExitStatus) -> bool {
        self.tells && status.signal().is_none()
    }

    /// What the shell tells is not to be kept.
    pub(super) fn give_up(&mut self) {
        self.tells = false;
    }

    /// Keeps what the shell has told, where it does.
    pub(super) fn keep(self, inbox: &Inbox, status: &ExitStatus) -> Result<()> {
        let told = self.tells(status).then(|| inbox.take_records());
        let Some(records) = told.flatten() else {
            return Ok(());
        };
        let refuse = |kind, why: &str| {
            let what = format!(
                "the command has ended ({status}), but what its shell leaves cannot be kept: {why}; \
                 the context is as it was before"
            );
            Err(Error::new(kind, "run", what))
        };
        let too_long = || {
            let why = format!("it is more than {LIMIT} bytes");
            refuse(ErrorKind::LimitExceeded, &why)
        };
        let torn = || {
            let why = "something else came between, or it was not spelled as a shell does";
            refuse(ErrorKind::ProtocolViolation, why)
        };
        match records.flaw {
            None => {}
            Some(Flaw::TooLong) => return too_long(),
            Some(Flaw::Torn) => return torn(),
        }
        let Some(left) = Left::read(&records, &self.token) else {
            return torn();
        };
        let mut state = self.kept.state();
        let next = state.after(left, self.moved);
        if next.size() > LIMIT {
            return too_long();
        }
        *state = next;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Before the turn is given on.
        self.kept.child.store(false, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
