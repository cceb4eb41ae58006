//! A command to run on the remote, in the shape of `std::process::Command`.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::Session;
use super::child::Child;
use super::exit::{ExitStatus, Output};
use super::stdio::Stdio;
use super::terminal::Pty;
use crate::error::{Error, ErrorKind, Result};

/// What the server is asked to run.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A program, and exactly its arguments, whatever the account's shell is.
    Program(OsString),
    /// A line for the account's shell.
    Line(OsString),
    /// The account's login shell itself.
    Login,
    /// A subsystem of the server, by its name.
    Subsystem(String),
}

/// A command to run on a [`Session`]'s host.
///
/// The differences from `std::process::Command`:
/// - The program is looked up by the remote. One that does not exist is no error here: the remote
///   shell reports it with exit status 127 (csh: 1).
/// - Standard streams default to [`Stdio::Piped`] in [`output`](Self::output) and
///   [`spawn`](Self::spawn), but input to [`Stdio::Null`] in [`output`](Self::output), and all to
///   [`Stdio::Inherit`] in [`status`](Self::status).
/// - The environment is the remote account's, and [`env`](Self::env) adds to it.
/// - Arguments and environment must not hold NUL, as anywhere on POSIX.
#[derive(Clone)]
pub struct Command {
    pub(super) session: Session,
    pub(super) what: What,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) current_dir: Option<OsString>,
    pub(super) stdin: Option<Stdio>,
    pub(super) stdout: Option<Stdio>,
    pub(super) stderr: Option<Stdio>,
    pub(super) pty: Option<Pty>,
    pub(super) input: Bytes,
    pub(super) timeout: Option<Duration>,
    pub(super) kill_on_drop: bool,
}

impl std::fmt::Debug for Command {
    /// Without the environment and the input, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&OsString> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Command")
            .field("session", &self.session)
            .field("what", &self.what)
            .field("args", &self.args)
            .field("env", &names)
            .field("current_dir", &self.current_dir)
            .field("pty", &self.pty.is_some())
            .field("kill_on_drop", &self.kill_on_drop)
            .finish_non_exhaustive()
    }
}

impl Command {
    pub(super) fn program(session: Session, program: OsString) -> Self {
        Self::new(session, What::Program(program))
    }

    pub(super) fn line(session: Session, line: OsString) -> Self {
        Self::new(session, What::Line(line))
    }

    pub(super) fn login(session: Session) -> Self {
        Self::new(session, What::Login)
    }

    pub(super) fn subsystem(session: Session, name: String) -> Self {
        Self::new(session, What::Subsystem(name))
    }

    fn new(session: Session, what: What) -> Self {
        Self {
            session,
            what,
            args: Vec::new(),
            env: Vec::new(),
            current_dir: None,
            stdin: None,
            stdout: None,
            stderr: None,
            pty: None,
            input: Bytes::new(),
            timeout: None,
            kill_on_drop: false,
        }
    }

    /// Adds an argument. Only a program takes arguments; a shell line or a login shell that was
    /// given one is refused when it is started.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        for arg in args {
            self.arg(arg);
        }
        self
    }

    /// Sets an environment variable.
    ///
    /// It is sent as an `env` request (RFC 4254, section 6.4). Where the server refuses the name,
    /// which OpenSSH does unless `AcceptEnv` lists it, it is put in front of the command instead,
    /// where it can be seen in the remote's process list for as long as the command starts. Which
    /// of the two is asked once a name and session, which costs one round trip.
    ///
    /// What the user's `SendEnv` and `SetEnv` say is sent as well, as `ssh` does it: before, and
    /// without learning whether the server takes it.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let name = name.as_ref();
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets environment variables.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Runs it in this directory of the remote. A relative one begins at the account's home. If it
    /// cannot be entered, the remote's `sh` says so on standard error and the status is not 0.
    pub fn current_dir(&mut self, directory: impl AsRef<OsStr>) -> &mut Self {
        self.current_dir = Some(directory.as_ref().to_owned());
        self
    }

    /// What standard input is connected to.
    pub fn stdin(&mut self, stdio: Stdio) -> &mut Self {
        self.stdin = Some(stdio);
        self
    }

    /// What standard output is connected to.
    pub fn stdout(&mut self, stdio: Stdio) -> &mut Self {
        self.stdout = Some(stdio);
        self
    }

    /// What standard error is connected to.
    pub fn stderr(&mut self, stdio: Stdio) -> &mut Self {
        self.stderr = Some(stdio);
        self
    }

    /// Runs it in a pseudo-terminal, where standard error is part of standard output.
    pub fn pty(&mut self, pty: Pty) -> &mut Self {
        self.pty = Some(pty);
        self
    }

    /// Whether dropping the [`Child`] kills the command's process group. Default: no; then the
    /// command goes on without input, and its piped output goes nowhere.
    ///
    /// Where the server ignores signals, this takes one more channel for a moment; while such
    /// commands run, one of those that the server grants is kept back for it.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// What [`output`](Self::output) sends as standard input, followed by its end. Default:
    /// nothing.
    pub fn input(&mut self, input: impl Into<Bytes>) -> &mut Self {
        self.input = input.into();
        self
    }

    /// How long [`output`](Self::output) and [`status`](Self::status) take at most, the wait for a
    /// free channel included. After that the command's process group, if it was started, is killed,
    /// and they fail with [`ErrorKind::TimedOut`]. Default: for ever.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = Some(timeout);
        self
    }

    /// Starts the command.
    ///
    /// # Errors
    /// [`ErrorKind::ChannelRefused`] where the server does not run it, [`ErrorKind::Disconnected`]
    /// or [`ErrorKind::Closed`] where the session is gone, [`ErrorKind::InvalidInput`] where an
    /// argument cannot be sent.
    ///
    /// # Cancel safety
    /// Cancel safe in that nothing leaks. Whether the command was started is then unknown; with
    /// [`kill_on_drop`](Self::kill_on_drop) it is killed if it was.
    pub async fn spawn(&self) -> Result<Child> {
        self.start([Stdio::Piped; 3]).await
    }

    /// Runs the command with this process' streams and waits for its end.
    ///
    /// Reading this process' standard input cannot be taken back: what is typed until the next line
    /// may be lost to whoever reads it afterwards.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait`], and [`ErrorKind::TimedOut`]. A status other
    /// than 0 is no error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the [`Child`].
    pub async fn status(&self) -> Result<ExitStatus> {
        self.in_time(async {
            let mut child = self.start([Stdio::Inherit; 3]).await?;
            child.wait().await
        })
        .await
    }

    /// Runs the command, sends it its [`input`](Self::input) and collects what it writes.
    ///
    /// A command that ends without reading all of its input is no error.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait_with_output`], and [`ErrorKind::TimedOut`]. A
    /// status other than 0 is no error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the [`Child`].
    pub async fn output(&self) -> Result<Output> {
        let stdin = if self.input.is_empty() {
            Stdio::Null
        } else {
            Stdio::Piped
        };
        self.in_time(async {
            let mut child = self.start([stdin, Stdio::Piped, Stdio::Piped]).await?;
            let feed = child.stdin.take().map(|mut stdin| async move {
                // A command that has enough closes its input: how it ended is what counts.
                let _ = stdin.write_all(&self.input).await;
                let _ = stdin.shutdown().await;
            });
            let feed = futures_util::future::OptionFuture::from(feed);
            let mut collect = std::pin::pin!(child.wait_with_output());
            tokio::select! {
                biased;
                output = &mut collect => output,
                _ = feed => collect.await,
            }
        })
        .await
    }

    /// Waits for `work`, which owns the child, no longer than the timeout.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(timeout) = self.timeout else {
            return work.await;
        };
        match tokio::time::timeout(timeout, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::new(
                ErrorKind::TimedOut,
                "run",
                format!(
                    "the command did not end within {timeout:?}; it is killed if it was started"
                ),
            )
            .with_host(&self.session.host().name)),
        }
    }

    /// Whether losing the child must end the command.
    pub(super) fn kills(&self) -> bool {
        self.kill_on_drop || self.timeout.is_some()
    }

    async fn start(&self, defaults: [Stdio; 3]) -> Result<Child> {
        self.start_on_ready(defaults)
            .await
            .map_err(|error| error.with_host(&self.session.host().name))
    }
}
