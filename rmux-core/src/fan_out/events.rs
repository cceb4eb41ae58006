//! What the commands write, while they write it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::plan::{GivenUp, Plan};
use super::window::Window;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Command, ExitStatus, Stdio};

/// How many events wait until they are taken. Past that the hosts' tasks wait, and the sessions keep
/// what comes in within their own limits.
const AHEAD: usize = 64;

/// A step of one host.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct HostEvent {
    /// Which of the hosts it is, counted from 0.
    pub index: usize,
    /// The host as it was named.
    pub host: Arc<str>,
    /// What happened.
    pub step: HostStep,
}

/// What happens on a host, in this order.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum HostStep {
    /// The host was reached, and the server runs the command.
    Started,
    /// The command wrote to standard output.
    Stdout(Bytes),
    /// The command wrote to standard error.
    Stderr(Bytes),
    /// The command ended, or there is nothing of it. Every host has this step once, as its last. A
    /// status other than 0 is no error.
    Finished(Result<ExitStatus>),
}

/// The events of a [`FanOut`](super::FanOut), those of all hosts mixed: a stream.
///
/// As [`HostOutputs`](super::HostOutputs): it begins when it is first polled, inside of a Tokio
/// runtime, and dropping it ends all.
///
/// # Panics
/// It panics with what the function that makes the commands has panicked with.
pub struct HostEvents {
    window: Window<ExitStatus>,
    events: mpsc::Receiver<HostEvent>,
    /// The tasks have ended: what is still in the queue is the rest.
    over: bool,
}

impl HostEvents {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let (sender, events) = mpsc::channel(AHEAD);
        let shared = Arc::clone(&plan);
        let begin = Box::new(move |index: usize| {
            let plan = Arc::clone(&shared);
            let teller = Teller {
                index,
                host: Arc::clone(&plan.hosts[index]),
                sender: sender.clone(),
            };
            let work = async move {
                let talk = |command, given_up| talk(command, given_up, &teller);
                let result = plan.on_host(&teller.host, talk, ExitStatus::success).await;
                teller.tell(HostStep::Finished(result.clone())).await;
                result
            };
            Box::pin(work) as _
        });
        Self {
            window: Window::new(plan, begin),
            events,
            over: false,
        }
    }

    /// As [`HostOutputs::cancel`](super::HostOutputs::cancel).
    pub fn cancel(&self) {
        self.window.plan.cancel();
    }

    /// As [`HostOutputs::close`](super::HostOutputs::close).
    ///
    /// # Cancel safety
    /// Cancel safe in that dropping the future drops this.
    pub async fn close(mut self) {
        self.cancel();
        while self.next().await.is_some() {}
    }
}

impl Stream for HostEvents {
    type Item = HostEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<HostEvent>> {
        while !self.over {
            match self.window.poll_next(context) {
                // A host that was begun tells of its end itself, behind all else that it tells.
                Poll::Ready(Some(done)) if done.begun => {}
                Poll::Ready(Some(done)) => {
                    return Poll::Ready(Some(HostEvent {
                        index: done.index,
                        host: Arc::clone(&self.window.plan.hosts[done.index]),
                        step: HostStep::Finished(done.result),
                    }));
                }
                Poll::Ready(None) => self.over = true,
                Poll::Pending => break,
            }
        }
        match self.events.poll_recv(context) {
            // The window holds a sender, so this is never the queue's own end.
            Poll::Pending if self.over => Poll::Ready(None),
            next => next,
        }
    }
}

impl fmt::Debug for HostEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostEvents")
            .field("left", &self.window.left())
            .finish_non_exhaustive()
    }
}

/// Tells of one host.
struct Teller {
    index: usize,
    host: Arc<str>,
    sender: mpsc::Sender<HostEvent>,
}

impl Teller {
    async fn tell(&self, step: HostStep) {
        let event = HostEvent {
            index: self.index,
            host: Arc::clone(&self.host),
            step,
        };
        // Where nobody listens any more this task is about to be ended.
        let _ = self.sender.send(event).await;
    }
}

/// Runs the command and tells what it writes, until it is given up: then ends it.
async fn talk(mut command: Command, mut given_up: GivenUp, teller: &Teller) -> Result<ExitStatus> {
    let input = command.given_input();
    if input.is_empty() {
        command.stdin(Stdio::Null);
    }
    command.stdout(Stdio::Piped).stderr(Stdio::Piped);
    let cancelled = |what: &str| Error::new(ErrorKind::Cancelled, "run", what);
    let mut child = tokio::select! {
        biased;
        child = command.spawn() => child?,
        // One that was begun at that moment is ended by letting go of it.
        () = &mut given_up => return Err(cancelled("given up before it was known to have begun")),
    };
    let feed = child.stdin.take().map(|mut stdin| async move {
        // A command that has enough closes its input: how it ended is what counts.
        let _ = stdin.write_all(&input).await;
        let _ = stdin.shutdown().await;
    });
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let listening = async {
        teller.tell(HostStep::Started).await;
        let out = async {
            while let Some(stdout) = &mut stdout
                && let Some(piece) = stdout.chunk().await?
            {
                teller.tell(HostStep::Stdout(piece)).await;
            }
            Ok(())
        };
        let err = async {
            while let Some(stderr) = &mut stderr
                && let Some(piece) = stderr.chunk().await?
            {
                teller.tell(HostStep::Stderr(piece)).await;
            }
            Ok(())
        };
        futures_util::future::try_join(out, err).await?;
        child.wait().await
    };
    {
        let mut listening = std::pin::pin!(listening);
        let feed = futures_util::future::OptionFuture::from(feed);
        let work = async {
            tokio::select! {
                biased;
                ended = &mut listening => ended,
                _ = feed => listening.await,
            }
        };
        tokio::select! {
            biased;
            ended = work => return ended,
            () = given_up => {}
        }
    }
    Err(cancelled("given up").with_remote_end(child.end().await))
}
