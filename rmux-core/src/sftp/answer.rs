//! What comes back for a request, and the handles of open files.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use rmux_proto::sftp::{Reply, Request, Status, StatusCode};
use tokio::sync::oneshot;

use super::client::Way;
use super::facts::Facts;
use super::task::Waiter;
use crate::error::{Error, ErrorKind};

/// Why a request did not give what was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Failed {
    /// The server says so.
    Status(Status),
    /// No answer will come, or none can be made sense of.
    Error(Error),
}

impl Failed {
    /// What the server would say if it did not know an extension.
    pub(super) fn unsupported() -> Self {
        Self::Status(Status::new(StatusCode::OpUnsupported, ""))
    }

    /// The code, where the server gave one.
    pub(crate) fn code(&self) -> Option<StatusCode> {
        match self {
            Self::Status(status) => Some(status.code),
            Self::Error(_) => None,
        }
    }

    /// Whether the server says that there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        self.code() == Some(StatusCode::NoSuchFile)
    }

    /// Whether it is the end of a file or of a listing.
    pub(crate) fn is_end(&self) -> bool {
        self.code() == Some(StatusCode::Eof)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a request gave.
pub(super) enum Given {
    Reply(Reply),
    Handle(Handle),
}

/// The answer to a request that has been sent. Dropping it takes nothing back; what comes later goes
/// nowhere, and a handle that comes later is closed.
pub(crate) struct Answer<T> {
    reply: oneshot::Receiver<Result<Given, Failed>>,
    read: fn(Given) -> Option<T>,
    facts: Arc<Facts>,
}

impl<T> Answer<T> {
    pub(super) fn new(
        reply: oneshot::Receiver<Result<Given, Failed>>,
        read: fn(Given) -> Option<T>,
        facts: Arc<Facts>,
    ) -> Self {
        Self { reply, read, facts }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let given = std::task::ready!(Pin::new(&mut self.reply).poll(context));
        Poll::Ready(match given {
            Ok(Ok(given)) => (self.read)(given).ok_or_else(|| {
                let what = "the SFTP server's answer to an extension cannot be read";
                Failed::Error(
                    Error::new(ErrorKind::ProtocolViolation, "files", what)
                        .with_host(&self.facts.host),
                )
            }),
            Ok(Err(failed)) => Err(failed),
            // The task is gone, and has said why.
            Err(_) => Err(Failed::Error(self.facts.why_ended())),
        })
    }
}

/// A file or directory that is open on the server. It is closed when it is dropped, behind all
/// requests about it that were made before.
pub(crate) struct Handle {
    name: Bytes,
    way: Way,
    facts: Arc<Facts>,
    closed: bool,
    /// Whether its names were asked for.
    listed: AtomicBool,
}

impl Handle {
    pub(super) fn new(name: Bytes, way: Way, facts: Arc<Facts>) -> Self {
        Self {
            name,
            way,
            facts,
            closed: false,
            listed: AtomicBool::new(false),
        }
    }

    /// Whether its names have been asked for before; from now on they have.
    pub(super) fn has_been_listed(&self) -> bool {
        self.listed.swap(true, Ordering::Relaxed)
    }

    /// What the server calls it.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Closes it, and learns whether that went well. Dropping the answer closes it all the same.
    pub(crate) fn close(mut self) -> Answer<()> {
        self.closed = true;
        let (reply, answer) = oneshot::channel();
        self.ask_to_close(Waiter::Answer(reply));
        Answer::new(answer, |_| Some(()), Arc::clone(&self.facts))
    }

    fn ask_to_close(&self, waiter: Waiter) {
        self.facts.handle_closed();
        match &self.way {
            // Nothing is open.
            Way::Tools(_) => waiter.settle(Ok(Reply::Status(Status::new(StatusCode::Ok, "")))),
            way => way.send(Request::Close { handle: &self.name }, waiter, true, 0),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.closed {
            self.ask_to_close(Waiter::Nobody);
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
