//! This process' standard output and standard error, each with a thread of its own.
//!
//! A thread, because a terminal, a pipe and a file are then written alike, without setting
//! `O_NONBLOCK` on what other processes share. Must not know of sessions.

use std::io;
use std::os::fd::BorrowedFd;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};

/// Pieces between a thread and the other side.
const QUEUE: usize = 4;

/// Writes to standard output or standard error.
#[derive(Debug)]
pub(crate) struct Writer {
    pieces: mpsc::Sender<Bytes>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Writer {
    /// Of standard output.
    pub(crate) fn stdout() -> Self {
        Self::start("stdout", rustix::stdio::stdout())
    }

    /// Of standard error.
    pub(crate) fn stderr() -> Self {
        Self::start("stderr", rustix::stdio::stderr())
    }

    fn start(name: &str, target: BorrowedFd<'static>) -> Self {
        let (pieces, mut received) = mpsc::channel::<Bytes>(QUEUE);
        let (end, ended) = oneshot::channel();
        spawn(name, move || {
            let mut outcome = Ok(());
            while let Some(piece) = received.blocking_recv() {
                outcome = write_all(target, &piece);
                if outcome.is_err() {
                    break;
                }
            }
            drop(received);
            let _ = end.send(outcome);
        });
        Self { pieces, ended }
    }

    /// Gives a piece to write; waits while earlier ones are not written. False after an error,
    /// which [`finish`](Self::finish) tells.
    pub(crate) async fn write(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Waits until all is written.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.pieces);
        self.ended
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the writing thread ended early")))
    }
}

fn write_all(target: BorrowedFd<'_>, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match rustix::io::write(target, data) {
            Ok(length) => data = &data[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if wait_for(target, PollFlags::OUT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Some other process may have made a shared stream non-blocking.
fn wait_for(stream: BorrowedFd<'_>, what: PollFlags) -> bool {
    let mut streams = [PollFd::from_borrowed_fd(stream, what)];
    matches!(poll(&mut streams, None), Ok(_) | Err(Errno::INTR))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .expect("the system has room for a thread");
}
