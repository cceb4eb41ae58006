//! A remote command that runs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::Session;
use super::capture::{Captures, OutputLimit};
use super::context::{self, Turn};
use super::exit::{ExitStatus, Output, Signal, Stopped};
use super::running::Running;
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use crate::error::{Error, ErrorKind, RemoteEnd, Result};
use crate::link::{Request, WindowSize};

/// How long it may take, from the end of its grace, until a command is known to have ended.
const CONFIRM_LIMIT: Duration = Duration::from_secs(10);

/// A remote command that runs. Dropping it does not wait and does not block: with
/// [`kill_on_drop`](crate::Command::kill_on_drop) the command's process group is ended, otherwise
/// it goes on with its input at an end and its piped output going nowhere. Dropping is safe in and
/// outside of a runtime, from any thread. What comes of it is logged, with the target
/// `rmux_core`; [`stop`](Self::stop) returns it.
///
/// It keeps its session's connection open.
#[derive(Debug)]
pub struct Child {
    /// The command's standard input, if it is piped and was not taken.
    pub stdin: Option<ChildStdin>,
    /// The command's standard output, if it is piped and was not taken.
    pub stdout: Option<ChildStdout>,
    /// The command's standard error, if it is piped and was not taken.
    pub stderr: Option<ChildStderr>,
    /// Before the session: it still has a word to say to its driver when it is dropped.
    pub(super) running: Running,
    pub(super) has_pty: bool,
    pub(super) session: Session,
    pub(super) copies: Copies,
    pub(super) limit: OutputLimit,
    /// Where it runs in a context, until it was waited for.
    pub(super) turn: Mutex<Option<Turn>>,
}

impl Child {
    /// Whether the command has the terminal that was asked for.
    pub fn has_pty(&self) -> bool {
        self.has_pty
    }

    /// Waits for the command to end. Standard input is closed first, so that a command that reads
    /// to the end does not wait for us; take it out of the child to keep it open.
    ///
    /// May be called again: the answer stays.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] where the session was lost, and [`ErrorKind::OutcomeUnknown`]
    /// where the server closed the channel without saying how the command ended. In a
    /// [context](crate::ShellContext), the first time, [`ErrorKind::ProtocolViolation`] and
    /// [`ErrorKind::LimitExceeded`] where the state that its shell leaves cannot be kept.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        self.ended().await
    }

    /// Waits for the end as [`wait`](Self::wait) does, but leaves standard input as it is. Others may
    /// signal, stop or resize the command meanwhile.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn ended(&self) -> Result<ExitStatus> {
        let exit = self.exit().await;
        let kept = match &exit {
            Ok(status) => self.keep_state(status).await,
            Err(_) => Ok(()),
        };
        self.copies.finish().await;
        kept.and(exit)
    }

    /// Gives its context what its shell tells, and the turn to the next command.
    async fn keep_state(&self, status: &ExitStatus) -> Result<()> {
        let inbox = self.running.channel.inbox();
        let tells = (self.turn().as_ref()).is_some_and(|turn| turn.tells(status));
        if tells {
            context::told(inbox).await;
        }
        // One of those who wait finds it, and it may have been stopped meanwhile.
        let Some(turn) = self.turn().take() else {
            return Ok(());
        };
        let kept = turn.keep(inbox, status);
        kept.map_err(|error| error.with_host(&self.session.host().name))
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exit(&self) -> Result<ExitStatus> {
        let host = &self.session.host().name;
        match self.running.channel.inbox().exit().await {
            Ok(Some(exit)) => Ok(ExitStatus::from_exit(exit)),
            Ok(None) => Err(Error::new(
                ErrorKind::OutcomeUnknown,
                "run",
                "the server closed the channel without telling how the command ended",
            )
            .with_host(host)),
            Err(error) => Err(error.with_host(host)),
        }
    }

    /// Closes standard input, reads both outputs to their ends and waits for the command. The
    /// command's [limit](crate::Command::output_limit) holds.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`ErrorKind::LimitExceeded`] where it wrote more than the limit
    /// allows, or more was left unread than the session's limits allow.
    ///
    /// # Cancel safety
    /// Dropping the future drops the child.
    pub async fn wait_with_output(mut self) -> Result<Output> {
        drop(self.stdin.take());
        let mut captures = self.captures();
        match self.fill(&mut captures).await {
            Ok(status) => {
                let kept = captures.finish();
                let host = &self.session.host().name;
                Ok(Output::new(
                    status,
                    kept.map_err(|error| error.with_host(host))?,
                    host,
                ))
            }
            Err(error) => Err(self.fail(error, captures).await),
        }
    }

    /// Takes its outputs, to be collected.
    pub(super) fn captures(&mut self) -> Captures {
        let streams = (self.stdout.take(), self.stderr.take());
        let most_in_file = self.running.channel.inbox().spill_limit();
        Captures::new(streams, self.limit, most_in_file)
    }

    /// Collects what it writes and waits for its end.
    pub(super) async fn fill(&mut self, captures: &mut Captures) -> Result<ExitStatus> {
        let filled = captures.fill().await;
        filled.map_err(|error| error.with_host(&self.session.host().name))?;
        self.wait().await
    }

    /// The error of collecting what it writes, with what there is. Where that is too much, the
    /// command is ended.
    pub(super) async fn fail(&mut self, mut error: Error, mut captures: Captures) -> Error {
        if error.kind() == ErrorKind::LimitExceeded {
            captures.stop_reading();
            error = error.with_remote_end(self.end().await);
        }
        let (stdout, stderr) = captures.partial();
        error.with_partial(stdout, stderr)
    }

    /// Ends it as dropping it would, and waits for what comes of it.
    pub(crate) async fn end(&self) -> RemoteEnd {
        match self.stop(self.running.grace()).await {
            Ok(stopped) => stopped.remote_end,
            Err(error) => error.remote_end().unwrap_or(RemoteEnd::Unconfirmed),
        }
    }

    /// Sends the command a signal; does not wait.
    ///
    /// Where the command was started with [`kill_on_drop`](crate::Command::kill_on_drop) or a
    /// timeout, its whole process group gets it, by `kill` on another channel. Otherwise the server
    /// is asked to send it, which it may ignore without a word; see [`Signal`].
    pub fn signal(&self, signal: &Signal) {
        self.running.signal(signal);
    }

    /// Ends the command and says whether that was confirmed: its process group gets `TERM`, and
    /// `KILL` if something of it is left when the grace has passed. Then the remote is asked
    /// whether the group is gone.
    ///
    /// That takes a command that was started with [`kill_on_drop`](crate::Command::kill_on_drop) or
    /// a timeout, without a terminal, and one more channel for a moment; on a server that grants
    /// none the command is signalled by its own channel. Any other command is signalled by its own
    /// channel only, and its end is [`Unconfirmed`](RemoteEnd::Unconfirmed): that the command
    /// itself ended proves nothing of what it has started.
    ///
    /// Processes that left the group, as with `setsid`, are out of reach and are not counted.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`ErrorKind::TimedOut`] where the command has not ended 10 s
    /// after its grace. [`Error::remote_end`] says what is known.
    ///
    /// # Cancel safety
    /// Cancel safe: the command is ended all the same.
    pub async fn stop(&self, grace: Duration) -> Result<Stopped> {
        // What it leaves is not kept, whoever waits for its end.
        if let Some(turn) = &mut *self.turn() {
            turn.give_up();
        }
        let verdict = self.running.stop(grace);
        let limit = grace.saturating_add(CONFIRM_LIMIT);
        let (exit, verdict) = futures_util::future::join(
            tokio::time::timeout(limit, self.exit()),
            tokio::time::timeout(limit, verdict),
        )
        .await;
        // Nobody tells where the session has ended meanwhile.
        let remote_end = match verdict {
            Ok(Ok(end)) => end,
            _ => RemoteEnd::Unconfirmed,
        };
        match exit {
            Ok(Ok(status)) => {
                // The next may begin.
                drop(self.turn().take());
                Ok(Stopped { status, remote_end })
            }
            Ok(Err(error)) => Err(error.with_remote_end(remote_end)),
            Err(_) => Err(Error::new(
                ErrorKind::TimedOut,
                "stop",
                format!("the command has not ended within {limit:?}"),
            )
            .with_host(&self.session.host().name)
            .with_remote_end(remote_end)),
        }
    }

    /// Kills the command at once: by signal, and where it was started with
    /// [`kill_on_drop`](crate::Command::kill_on_drop), its whole process group by way of another
    /// channel, which works on servers that ignore signals too. Does not wait.
    pub fn start_kill(&self) {
        drop(self.running.stop(Duration::ZERO));
    }

    /// Kills the command, as [`start_kill`](Self::start_kill), and waits for its end. Whether all of
    /// its group is gone is told by [`stop`](Self::stop), which kills at once where its grace is
    /// zero.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.start_kill();
        self.wait().await
    }

    /// Tells the command's terminal its new size, in characters.
    pub fn resize(&self, columns: u32, rows: u32) {
        self.resize_pixels(columns, rows, 0, 0);
    }

    /// Tells the command's terminal its new size, in characters and in pixels.
    pub fn resize_pixels(&self, columns: u32, rows: u32, width: u32, height: u32) {
        self.running.channel.tell(Request::Resize(WindowSize {
            columns,
            rows,
            width,
            height,
        }));
    }
}

/// The tasks that copy between this process' streams and the command's.
#[derive(Debug, Default)]
pub(super) struct Copies {
    input: Option<JoinHandle<()>>,
    outputs: Vec<Shared<BoxFuture<'static, ()>>>,
}

impl Copies {
    pub(super) fn input(&mut self, mut remote: ChildStdin) {
        self.input = Some(tokio::spawn(async move {
            // An error means that either side is gone; both ends of the copy close then.
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut remote).await;
            let _ = remote.shutdown().await;
        }));
    }

    pub(super) fn output(
        &mut self,
        mut remote: impl AsyncRead + Unpin + Send + 'static,
        mut local: impl AsyncWrite + Unpin + Send + 'static,
    ) {
        let copying = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut remote, &mut local).await;
            let _ = local.flush().await;
        });
        self.outputs.push(copying.map(drop).boxed().shared());
    }

    /// Waits until all output is written. Nobody reads the input any more.
    async fn finish(&self) {
        for output in &self.outputs {
            output.clone().await;
        }
        self.stop_input();
    }

    fn stop_input(&self) {
        if let Some(input) = &self.input {
            input.abort();
        }
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.stop_input();
    }
}
