//! A command to run on the remote, in the shape of `std::process::Command`.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::capture::OutputLimit;
use super::child::Child;
use super::context::Kept;
use super::lane::Lane;
use super::local::environment;
use super::stdio::Stdio;
use super::terminal::Pty;
use crate::error::Result;

/// How long a command has from `TERM` to `KILL`, unless it is told otherwise.
const KILL_GRACE: Duration = Duration::from_secs(2);

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
    pub(super) kill_grace: Duration,
    /// None where the caller left it to the default.
    pub(super) output_limit: Option<OutputLimit>,
    pub(super) lane: Lane,
    pub(super) verbatim: bool,
    /// What goes to the server as `SendEnv` and `SetEnv` say; none where the session's does.
    pub(super) settings_env: Option<Vec<(String, String)>>,
    /// Whether it may use the agent, where the session lends it at all.
    pub(super) lend_agent: bool,
    /// What it begins with, and what it leaves.
    pub(super) context: Option<Arc<Kept>>,
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
            kill_grace: KILL_GRACE,
            output_limit: None,
            lane: Lane::Interactive,
            verbatim: false,
            settings_env: None,
            lend_agent: true,
            context: None,
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
    /// cannot be entered, a shell of the remote says so on standard error and the status is not 0.
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

    /// Whether dropping the [`Child`] ends the command's process group: it gets `TERM`, and `KILL`
    /// when the [grace](Self::kill_grace) has passed. Default: no; then the command goes on without
    /// input, and its piped output goes nowhere.
    ///
    /// Processes that left the group, as with `setsid`, are out of reach.
    ///
    /// Where the server ignores signals, this takes one more channel for a moment; while such
    /// commands run, one of those that the server grants is kept back for it.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// How long the command's process group has to end in order before it is killed, where it is
    /// ended from here: by a timeout, by dropping its [`Child`] or a call that runs it, or because
    /// it wrote too much. Default: 2 s, which is time to clean up and short enough to wait for.
    /// Zero kills at once.
    pub fn kill_grace(&mut self, grace: Duration) -> &mut Self {
        self.kill_grace = grace;
        self
    }

    /// How much of what the command writes [`output`](Self::output) and
    /// [`Child::wait_with_output`] keep, and what becomes of the rest. Default: an error beyond
    /// 1 GiB.
    ///
    /// Streams that the caller reads have none: what is not read yet is bounded by
    /// [`Config::memory_budget`](crate::Config::memory_budget) and
    /// [`Config::spill_limit`](crate::Config::spill_limit), and what is read is the caller's.
    ///
    /// A limit that was set here and may end the command has it started so that its process group
    /// can be ended on any server, as [`kill_on_drop`](Self::kill_on_drop) does.
    pub fn output_limit(&mut self, limit: OutputLimit) -> &mut Self {
        self.output_limit = Some(limit);
        self
    }

    /// Whether it moves so much data that other commands should not wait behind it. Default:
    /// [`Lane::Interactive`], for commands that do not.
    pub fn lane(&mut self, lane: Lane) -> &mut Self {
        self.lane = lane;
        self
    }

    /// Whether the server is sent the command and nothing else, and all that comes from it is output,
    /// as with `ssh`. Default: no; then what the account's start-up files print before the command is
    /// cut off, where nobody asked for a terminal, and a line too long for the server to pass on
    /// travels in front of the input.
    ///
    /// For servers that run something else than a shell: forced commands that look at what was asked
    /// for, appliances, Windows. With [`kill_on_drop`](Self::kill_on_drop) such a command is ended by
    /// the `signal` request alone.
    pub fn verbatim(&mut self, verbatim: bool) -> &mut Self {
        self.verbatim = verbatim;
        self
    }

    /// What [`output`](Self::output) sends as standard input, followed by its end. Default:
    /// nothing.
    pub fn input(&mut self, input: impl Into<Bytes>) -> &mut Self {
        self.input = input.into();
        self
    }

    /// How long [`output`](Self::output) and [`status`](Self::status) take at most, the wait for a
    /// free channel included. Then they fail with [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut), after the command's
    /// process group, if it was started, was ended: that takes up to the
    /// [grace](Self::kill_grace) and 10 s more. The error says whether it was
    /// [confirmed](crate::Error::remote_end) and holds what the command had
    /// [written](crate::Error::partial_stdout). Default: for ever.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = Some(timeout);
        self
    }

    /// Starts the command.
    ///
    /// # Errors
    /// [`ErrorKind::ChannelRefused`](crate::ErrorKind::ChannelRefused) where the server does not run it, [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected)
    /// or [`ErrorKind::Closed`](crate::ErrorKind::Closed) where the session is gone, [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where an
    /// argument cannot be sent.
    ///
    /// # Cancel safety
    /// Cancel safe in that nothing leaks. Whether the command was started is then unknown; with
    /// [`kill_on_drop`](Self::kill_on_drop) it is killed if it was.
    pub async fn spawn(&self) -> Result<Child> {
        self.start([Stdio::Piped; 3]).await
    }

    /// Takes the variables that the user's `SendEnv` picks from, which are this process' otherwise.
    pub(crate) fn environment_of(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> &mut Self {
        self.settings_env = Some(environment(self.session.host(), variables));
        self
    }

    /// Whether it may use the agent, where the session lends it at all. Default: yes.
    pub(crate) fn lend_agent(&mut self, lend: bool) -> &mut Self {
        self.lend_agent = lend;
        self
    }

    /// What is to be sent as standard input.
    pub(crate) fn given_input(&self) -> Bytes {
        self.input.clone()
    }

    /// How long it has from `TERM` to `KILL`.
    pub(crate) fn given_grace(&self) -> Duration {
        self.kill_grace
    }

    /// Whether losing the child must end the command.
    pub(super) fn kills(&self) -> bool {
        self.kill_on_drop
            || self.timeout.is_some()
            || self.output_limit.is_some_and(OutputLimit::may_end)
    }

    async fn start(&self, defaults: [Stdio; 3]) -> Result<Child> {
        self.start_on_ready(defaults)
            .await
            .map_err(|error| error.with_host(&self.session.host().name))
    }
}
