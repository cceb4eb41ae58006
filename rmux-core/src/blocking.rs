//! The sync twin: the same sessions, commands and children for programs without a runtime.
//!
//! One runtime, started at the first use, serves the whole process. A process that forks after
//! that has no runtime any more: every call there fails at once and says so.
//!
//! # Panics
//! Every call that waits panics inside of an async runtime, whose thread must not be blocked.

mod context;
mod files;
mod forward;
mod transfer;

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

pub use context::ShellContext;
pub use files::{File, Files, ReadDir, Walk};
pub use forward::{Forward, RemoteListener, RemoteStream};
pub use transfer::{Dropped, Transfer};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::fan_out::{self, FanOut, HostEvent, HostOutput};
use crate::files::Capabilities;
use crate::host::{Host, HostSpec};
use crate::pool::{self, PoolStats};
use crate::session::{
    self, CloseReason, CutOff, ExitStatus, Output, SessionStats, Signal, Stopped,
};
use crate::ssh_config::Resolved;

/// The runtime that serves the blocking API, and the process that started it.
static RUNTIME: OnceLock<(Runtime, u32)> = OnceLock::new();

/// The process-wide runtime, started at the first call.
///
/// # Errors
/// [`ErrorKind::Unsupported`] in a process that was forked after the runtime was started: its
/// threads exist in the parent only. [`ErrorKind::Io`] where it cannot be started.
pub fn runtime() -> Result<&'static Runtime> {
    if RUNTIME.get().is_none() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("rmux")
            .build()
            .map_err(|error| Error::io("start", "cannot start the runtime", error))?;
        // Another thread may have been faster: then this one is dropped unused.
        if let Err((unused, _)) = RUNTIME.set((runtime, std::process::id())) {
            unused.shutdown_background();
        }
    }
    let (runtime, pid) = RUNTIME.get().expect("set above");
    if *pid != std::process::id() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "use after fork",
            "this process was forked after rmux was first used; connect in the child, before the \
             parent's first use, or start the child by exec (Python: the \"spawn\" method)",
        ));
    }
    Ok(runtime)
}

/// As [`resolve`](crate::resolve).
///
/// # Errors
/// As there, and those of [`runtime`].
pub fn resolve(spec: &HostSpec, config: &Config) -> Result<Resolved> {
    runtime()?.block_on(session::resolve(spec, config))
}

/// As [`close_all`](crate::close_all). Where nothing was ever begun there is nothing to close.
///
/// # Errors
/// Those of [`runtime`].
pub fn close_all(limit: Duration) -> Result<()> {
    if RUNTIME.get().is_some() {
        runtime()?.block_on(pool::close_all(limit));
    }
    Ok(())
}

/// A [`Pool`](crate::Pool) for blocking code.
#[derive(Debug, Clone)]
pub struct Pool(pool::Pool);

impl Pool {
    /// As [`Pool::new`](crate::Pool::new).
    pub fn new(config: Config) -> Self {
        Self(pool::Pool::new(config))
    }

    /// As [`Pool::session`](crate::Pool::session). Threads that ask at the same time share one
    /// connect.
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn session(&self, destination: &str) -> Result<Session> {
        let session = runtime()?.block_on(self.0.session(destination))?;
        Ok(Session(session))
    }

    /// As [`Pool::sessions`](crate::Pool::sessions).
    pub fn sessions(&self) -> Vec<Session> {
        self.0.sessions().into_iter().map(Session).collect()
    }

    /// As [`Pool::fan_out`](crate::Pool::fan_out). What it makes is waited for by
    /// [`HostOutputs::from`] or [`HostEvents::from`].
    ///
    /// ```no_run
    /// # fn example() -> rmux_core::Result<()> {
    /// use rmux_core::Config;
    /// use rmux_core::blocking::{HostOutputs, Pool};
    ///
    /// let pool = Pool::new(Config::new());
    /// let fan_out = pool.fan_out(["web1", "web2"]).fail_fast(true);
    /// for output in HostOutputs::from(fan_out.run(|session| session.command("uptime"))) {
    ///     let output = output?;
    ///     println!("{}: {}", output.host, output.result?.status);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn fan_out<H: Into<String>>(&self, hosts: impl IntoIterator<Item = H>) -> FanOut {
        self.0.fan_out(hosts)
    }

    /// As [`Pool::close`](crate::Pool::close).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn close(&self) -> Result<()> {
        runtime()?.block_on(self.0.close());
        Ok(())
    }

    /// As [`Pool::shutdown`](crate::Pool::shutdown).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn shutdown(&self, limit: Duration) -> Result<Vec<CutOff>> {
        Ok(runtime()?.block_on(self.0.shutdown(limit)))
    }

    /// As [`Pool::stats`](crate::Pool::stats).
    pub fn stats(&self) -> PoolStats {
        self.0.stats()
    }
}

/// A stream of a [`FanOut`], for blocking code.
macro_rules! host_iterator {
    ($name:ident, $item:ty) => {
        #[doc = concat!("[`", stringify!($name), "`](crate::", stringify!($name), ") for blocking")]
        /// code: an iterator. Its items are errors only where [`runtime`] fails, and that one is then
        /// the last.
        #[derive(Debug)]
        pub struct $name(Option<fan_out::$name>);

        impl $name {
            /// Gives all up, without waiting: what was begun or was not is then told as cancelled.
            pub fn cancel(&self) {
                if let Some(stream) = &self.0 {
                    stream.cancel();
                }
            }

            /// Gives all up, and waits for its end.
            ///
            /// # Errors
            /// Those of [`runtime`].
            pub fn close(mut self) -> Result<()> {
                if let Some(stream) = self.0.take() {
                    runtime()?.block_on(stream.close());
                }
                Ok(())
            }
        }

        impl From<fan_out::$name> for $name {
            fn from(stream: fan_out::$name) -> Self {
                Self(Some(stream))
            }
        }

        impl Iterator for $name {
            type Item = Result<$item>;

            fn next(&mut self) -> Option<Self::Item> {
                let stream = self.0.as_mut()?;
                match runtime() {
                    Ok(runtime) => runtime.block_on(stream.next()).map(Ok),
                    Err(error) => {
                        self.0 = None;
                        Some(Err(error))
                    }
                }
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.as_ref().map_or((0, Some(0)), Stream::size_hint)
            }
        }
    };
}

host_iterator!(HostOutputs, HostOutput);
host_iterator!(HostEvents, HostEvent);

/// A [`Session`](crate::Session) for blocking code.
#[derive(Debug, Clone)]
pub struct Session(session::Session);

impl Session {
    /// As [`Session::connect`](crate::Session::connect).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn connect(destination: &str, config: Config) -> Result<Self> {
        runtime()?
            .block_on(session::Session::connect(destination, config))
            .map(Self)
    }

    /// What the destination resolved to.
    pub fn host(&self) -> &Host {
        self.0.host()
    }

    /// A program to run; see [`Session::command`](crate::Session::command).
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command(self.0.command(program))
    }

    /// A line for the account's own shell.
    pub fn shell(&self, line: impl AsRef<OsStr>) -> Command {
        Command(self.0.shell(line))
    }

    /// The account's login shell.
    pub fn login_shell(&self) -> Command {
        Command(self.0.login_shell())
    }

    /// A subsystem of the server; see [`Session::subsystem`](crate::Session::subsystem).
    pub fn subsystem(&self, name: impl Into<String>) -> Command {
        Command(self.0.subsystem(name))
    }

    /// The files of the host; see [`Session::files`](crate::Session::files).
    pub fn files(&self) -> Files {
        Files::new(self.0.files())
    }

    /// What the host can do; see [`Session::capabilities`](crate::Session::capabilities).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn capabilities(&self) -> Result<Capabilities> {
        runtime()?.block_on(self.0.capabilities())
    }

    /// What a shell would keep from one command to the next; see
    /// [`Session::context`](crate::Session::context).
    pub fn context(&self) -> ShellContext {
        ShellContext::new(self.0.context())
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn close(&self) -> Result<()> {
        runtime()?.block_on(self.0.close());
        Ok(())
    }

    /// As [`Session::shutdown`](crate::Session::shutdown).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn shutdown(&self, limit: Duration) -> Result<Vec<CutOff>> {
        Ok(runtime()?.block_on(self.0.shutdown(limit)))
    }

    /// As [`Session::stats`](crate::Session::stats).
    pub fn stats(&self) -> SessionStats {
        self.0.stats()
    }

    /// Waits for the end of the session.
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn closed(&self) -> Result<CloseReason> {
        Ok(runtime()?.block_on(self.0.closed()))
    }
}

/// A [`Command`](crate::Command) for blocking code. Build it with the methods of the async one,
/// which [`as_mut`](AsMut::as_mut) gives.
#[derive(Debug, Clone)]
pub struct Command(session::Command);

impl AsMut<session::Command> for Command {
    fn as_mut(&mut self) -> &mut session::Command {
        &mut self.0
    }
}

impl Command {
    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.0.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        self.0.args(args);
        self
    }

    /// Starts the command; see [`Command::spawn`](crate::Command::spawn).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn spawn(&self) -> Result<Child> {
        let child = runtime()?.block_on(self.0.spawn())?;
        Ok(Child(child))
    }

    /// Runs the command and collects what it writes; see
    /// [`Command::output`](crate::Command::output).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn output(&self) -> Result<Output> {
        runtime()?.block_on(self.0.output())
    }

    /// Runs the command with this process' streams; see
    /// [`Command::status`](crate::Command::status).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn status(&self) -> Result<ExitStatus> {
        runtime()?.block_on(self.0.status())
    }
}

/// A [`Child`](crate::Child) for blocking code.
#[derive(Debug)]
pub struct Child(session::Child);

impl Child {
    /// The command's standard input, once.
    pub fn take_stdin(&mut self) -> Option<impl Write + Send + use<>> {
        self.0.stdin.take().map(Blocking)
    }

    /// The command's standard output, once.
    pub fn take_stdout(&mut self) -> Option<impl Read + Send + use<>> {
        self.0.stdout.take().map(Blocking)
    }

    /// The command's standard error, once.
    pub fn take_stderr(&mut self) -> Option<impl Read + Send + use<>> {
        self.0.stderr.take().map(Blocking)
    }

    /// Waits for the command to end; see [`Child::wait`](crate::Child::wait).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn wait(&mut self) -> Result<ExitStatus> {
        runtime()?.block_on(self.0.wait())
    }

    /// Waits for the end and leaves standard input as it is; see
    /// [`Child::ended`](crate::Child::ended).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn ended(&self) -> Result<ExitStatus> {
        runtime()?.block_on(self.0.ended())
    }

    /// Reads both outputs to their ends; see
    /// [`Child::wait_with_output`](crate::Child::wait_with_output).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn wait_with_output(self) -> Result<Output> {
        runtime()?.block_on(self.0.wait_with_output())
    }

    /// Asks the server to send the command a signal.
    pub fn signal(&self, signal: &Signal) {
        self.0.signal(signal);
    }

    /// Ends the command and says whether that was confirmed; see
    /// [`Child::stop`](crate::Child::stop).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn stop(&self, grace: Duration) -> Result<Stopped> {
        runtime()?.block_on(self.0.stop(grace))
    }

    /// Kills the command and waits for its end; see [`Child::kill`](crate::Child::kill).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn kill(&mut self) -> Result<ExitStatus> {
        runtime()?.block_on(self.0.kill())
    }
}

/// A stream of the async API, read or written by waiting.
struct Blocking<T>(T);

impl<T: tokio::io::AsyncRead + Unpin> Read for Blocking<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        runtime()?.block_on(self.0.read(buffer))
    }
}

impl<T: tokio::io::AsyncWrite + Unpin> Write for Blocking<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        runtime()?.block_on(self.0.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        runtime()?.block_on(self.0.flush())
    }
}
