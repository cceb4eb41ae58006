//! A remote command that runs.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::Session;
use super::exit::{ExitStatus, Output, Signal};
use super::running::Running;
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Request, WindowSize};

/// A remote command that runs. Dropping it does not wait and does not block: with
/// [`kill_on_drop`](crate::Command::kill_on_drop) the command's process group is killed, otherwise
/// it goes on with its input at an end and its piped output going nowhere. Dropping is safe in and
/// outside of a runtime, from any thread.
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
    /// where the server closed the channel without saying how the command ended.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        let exit = self.exit().await;
        self.copies.finish().await;
        exit
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

    /// Closes standard input, reads both outputs to their ends and waits for the command.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`ErrorKind::LimitExceeded`] where more was left unread than
    /// the session's limits allow.
    ///
    /// # Cancel safety
    /// Dropping the future drops the child.
    pub async fn wait_with_output(mut self) -> Result<Output> {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = futures_util::future::try_join(
            async {
                let mut all = Vec::new();
                if let Some(mut stdout) = stdout {
                    while let Some(piece) = stdout.chunk().await? {
                        all.extend_from_slice(&piece);
                    }
                }
                Ok::<_, Error>(all)
            },
            async {
                let mut all = Vec::new();
                if let Some(mut stderr) = stderr {
                    while let Some(piece) = stderr.chunk().await? {
                        all.extend_from_slice(&piece);
                    }
                }
                Ok(all)
            },
        )
        .await
        .map_err(|error| error.with_host(&self.session.host().name))?;
        let status = self.wait().await?;
        Ok(Output {
            status,
            stdout,
            stderr,
            host: self.session.host().name.as_str().into(),
        })
    }

    /// Sends the command a signal; does not wait.
    ///
    /// Where the command was started with [`kill_on_drop`](crate::Command::kill_on_drop) or a
    /// timeout, its whole process group gets it, by `kill` on another channel. Otherwise the server
    /// is asked to send it, which it may ignore without a word; see [`Signal`].
    pub fn signal(&self, signal: &Signal) {
        self.running.signal(signal);
    }

    /// Kills the command: by signal, and where it was started with
    /// [`kill_on_drop`](crate::Command::kill_on_drop), its whole process group by way of another
    /// channel, which works on servers that ignore signals too. Does not wait.
    pub fn start_kill(&self) {
        self.running.kill();
    }

    /// Kills the command, as [`start_kill`](Self::start_kill), and waits for its end.
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
    outputs: Vec<JoinHandle<()>>,
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
        self.outputs.push(tokio::spawn(async move {
            let _ = tokio::io::copy(&mut remote, &mut local).await;
            let _ = local.flush().await;
        }));
    }

    /// Waits until all output is written. Nobody reads the input any more.
    async fn finish(&mut self) {
        while let Some(output) = self.outputs.last_mut() {
            let _ = output.await;
            self.outputs.pop();
        }
        self.stop_input();
    }

    fn stop_input(&mut self) {
        if let Some(input) = self.input.take() {
            input.abort();
        }
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.stop_input();
    }
}
