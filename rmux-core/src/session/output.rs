//! Running a command to its end: what it writes, how long it may take, and how it is ended when it
//! takes longer or nobody wants it any more.

use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use super::child::Child;
use super::command::Command;
use super::exit::{ExitStatus, Output};
use super::stdio::Stdio;
use crate::error::{Error, ErrorKind, RemoteEnd, Result};

/// How long it may take to see a command ended whose start was given up, beyond its grace.
const CONFIRM_LIMIT: Duration = Duration::from_secs(10);
/// How long output may be under way when nobody is left who could write any.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Why a command is not waited for any longer.
#[derive(Debug, Clone, Copy)]
enum Over {
    /// It has taken longer than this.
    TimedOut(Duration),
    Cancelled,
}

impl Over {
    /// The error, for a command that was ended like this; `None` if it was not started.
    fn error(self, end: Option<RemoteEnd>, host: &str) -> Error {
        let (kind, why) = match self {
            Self::TimedOut(limit) => (
                ErrorKind::TimedOut,
                format!("the command did not end within {limit:?}"),
            ),
            Self::Cancelled => (ErrorKind::Cancelled, "the command was cancelled".to_owned()),
        };
        let what = match end {
            None => "it was not started",
            Some(RemoteEnd::Confirmed) => "it was ended, and nothing of its process group is left",
            Some(RemoteEnd::Unconfirmed) => "it was told to end, and may still run",
        };
        let error = Error::new(kind, "run", format!("{why}; {what}")).with_host(host);
        match end {
            Some(end) => error.with_remote_end(end),
            None => error,
        }
    }
}

impl Command {
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
        let mut over = std::pin::pin!(self.over(std::future::pending()));
        let mut child = self.start_until(over.as_mut(), [Stdio::Inherit; 3]).await?;
        let why = tokio::select! {
            biased;
            status = child.wait() => return status,
            why = over => why,
        };
        let end = child.end().await;
        Err(why.error(Some(end), self.host_name()))
    }

    /// Runs the command, sends it its [`input`](Self::input) and collects what it writes, up to its
    /// [limit](Self::output_limit).
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
        self.collect(std::future::pending()).await
    }

    /// As [`output`](Self::output), until `cancelled` is ready. Then the command is ended as after
    /// a [timeout](Self::timeout), and the error says what came of it: dropping the future of
    /// [`output`](Self::output) ends a command just so, but has nobody to tell.
    ///
    /// # Errors
    /// As [`output`](Self::output), and [`ErrorKind::Cancelled`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the [`Child`], which ends the command.
    pub async fn output_until(&self, cancelled: impl Future<Output = ()>) -> Result<Output> {
        let mut command = self.clone();
        command.kill_on_drop(true).collect(cancelled).await
    }

    async fn collect(&self, cancelled: impl Future<Output = ()>) -> Result<Output> {
        let mut over = std::pin::pin!(self.over(cancelled));
        let stdin = if self.input.is_empty() {
            Stdio::Null
        } else {
            Stdio::Piped
        };
        let defaults = [stdin, Stdio::Piped, Stdio::Piped];
        let mut child = self.start_until(over.as_mut(), defaults).await?;
        let feed = child.stdin.take().map(|mut stdin| async move {
            // A command that has enough closes its input: how it ended is what counts.
            let _ = stdin.write_all(&self.input).await;
            let _ = stdin.shutdown().await;
        });
        let feed = futures_util::future::OptionFuture::from(feed);
        let mut captures = child.captures();
        let done = {
            let mut filling = std::pin::pin!(child.fill(&mut captures));
            let work = async {
                tokio::select! {
                    biased;
                    done = &mut filling => done,
                    _ = feed => filling.await,
                }
            };
            tokio::select! {
                biased;
                done = work => Ok(done),
                why = over => Err(why),
            }
        };
        let why = match done {
            Ok(Ok(status)) => {
                let kept = captures.finish();
                let kept = kept.map_err(|error| error.with_host(self.host_name()))?;
                return Ok(Output::new(status, kept, self.host_name()));
            }
            Ok(Err(error)) => return Err(child.fail(error, captures).await),
            Err(why) => why,
        };
        // What it still writes is wanted, too.
        let end = {
            let mut ending = std::pin::pin!(child.end());
            tokio::select! {
                end = &mut ending => end,
                _ = captures.fill() => ending.await,
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, captures.fill()).await;
        let (stdout, stderr) = captures.partial();
        let error = why.error(Some(end), self.host_name());
        Err(error.with_partial(stdout, stderr))
    }

    /// Waits for the reason to wait no longer.
    async fn over(&self, cancelled: impl Future<Output = ()>) -> Over {
        let too_long = async {
            match self.timeout {
                Some(timeout) => {
                    tokio::time::sleep(timeout).await;
                    timeout
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled => Over::Cancelled,
            timeout = too_long => Over::TimedOut(timeout),
        }
    }

    /// Starts it, unless it is over before. What was begun by then is ended.
    async fn start_until(
        &self,
        mut over: Pin<&mut impl Future<Output = Over>>,
        defaults: [Stdio; 3],
    ) -> Result<Child> {
        let host = self.host_name();
        let ready = tokio::select! {
            biased;
            ready = self.ready(false) => ready,
            why = &mut over => return Err(why.error(None, host)),
        };
        let mut ready = ready.map_err(|error| error.with_host(host))?;
        let end = ready.hear_of_end();
        let why = tokio::select! {
            biased;
            started = self.start_on(ready, defaults) => {
                return started.map_err(|error| error.with_host(host));
            }
            why = over => why,
        };
        Err(why.error(Some(self.end_of_start(end).await), host))
    }

    /// What comes of a command whose start was given up.
    async fn end_of_start(&self, end: oneshot::Receiver<RemoteEnd>) -> RemoteEnd {
        let limit = self.kill_grace.saturating_add(CONFIRM_LIMIT);
        match tokio::time::timeout(limit, end).await {
            Ok(Ok(end)) => end,
            _ => RemoteEnd::Unconfirmed,
        }
    }

    fn host_name(&self) -> &str {
        &self.session.host().name
    }
}
