//! Streams that a client passed, each with a thread of its own.
//!
//! A thread, because a terminal, a pipe and a file are then read and written alike, and because
//! setting `O_NONBLOCK` on a passed stream sets it for the client and all who share it with it, for
//! good if this process is killed. A stream that nobody reads stalls its own thread alone.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};

/// The largest piece read at once.
const PIECE: usize = 64 << 10;
/// Pieces between a thread and the other side.
const QUEUE: usize = 4;

/// Reads a passed stream. Dropping it ends the reading.
#[derive(Debug)]
pub(super) struct Reader {
    pieces: mpsc::Receiver<Bytes>,
    /// Its end wakes the thread.
    _bell: PipeWriter,
}

impl Reader {
    /// Begins to read.
    pub(super) fn start(source: OwnedFd) -> io::Result<Self> {
        let (heard, bell) = io::pipe()?;
        let (pieces, received) = mpsc::channel(QUEUE);
        spawn("control-in", move || {
            let mut buffer = vec![0; PIECE];
            while let Some(length) = read_piece(&source, &heard, &mut buffer) {
                let piece = Bytes::copy_from_slice(&buffer[..length]);
                if pieces.blocking_send(piece).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            pieces: received,
            _bell: bell,
        })
    }

    /// The next piece; none at the end, and where reading fails.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.pieces.recv().await
    }
}

/// The length of the next piece, or `None` at the end.
fn read_piece(source: &OwnedFd, heard: &PipeReader, buffer: &mut [u8]) -> Option<usize> {
    loop {
        let mut waited_for = [
            PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(heard.as_fd(), PollFlags::IN),
        ];
        match poll(&mut waited_for, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        if !waited_for[1].revents().is_empty() {
            return None;
        }
        match rustix::io::read(source, &mut *buffer) {
            Ok(0) => return None,
            Ok(length) => return Some(length),
            // The client, or who shares the stream with it, may have made it non-blocking.
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return None,
        }
    }
}

/// Writes a passed stream. What it was given is written even where it is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    pieces: mpsc::Sender<Bytes>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Writer {
    /// Begins to write.
    pub(super) fn start(target: OwnedFd) -> io::Result<Self> {
        let (pieces, mut received) = mpsc::channel::<Bytes>(QUEUE);
        let (end, ended) = oneshot::channel();
        spawn("control-out", move || {
            let mut outcome = Ok(());
            while let Some(piece) = received.blocking_recv() {
                outcome = write_all(target.as_fd(), &piece);
                if outcome.is_err() {
                    break;
                }
            }
            drop(received);
            // Whoever reads the other end sees it before the client does.
            drop(target);
            let _ = end.send(outcome);
        })?;
        Ok(Self { pieces, ended })
    }

    /// Gives a piece to write; waits while earlier ones are not written. False where nobody reads
    /// any more.
    pub(super) async fn write(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Waits until all is written. False where not all could be.
    pub(super) async fn finish(self) -> bool {
        drop(self.pieces);
        matches!(self.ended.await, Ok(Ok(())))
    }
}

fn write_all(target: BorrowedFd<'_>, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match rustix::io::write(target, data) {
            Ok(length) => data = &data[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut target = [PollFd::from_borrowed_fd(target, PollFlags::OUT)];
                match poll(&mut target, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    // Nothing deep is done there.
    thread.stack_size(128 << 10).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_is_read_to_its_end_and_dropping_ends_the_reading() {
        let (ours, mut theirs) = io::pipe().unwrap();
        let mut reader = Reader::start(ours.into()).unwrap();
        theirs.write_all(b"one").unwrap();
        assert_eq!(reader.next().await.as_deref(), Some(&b"one"[..]));
        drop(theirs);
        assert_eq!(reader.next().await, None);

        let (ours, mut theirs) = io::pipe().unwrap();
        drop(Reader::start(ours.into()).unwrap());
        // The thread lets go of its end, whatever it was doing.
        while theirs.write_all(b"x").is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn what_was_given_is_written_before_the_end_and_a_lost_reader_is_told() {
        let (mut ours, theirs) = io::pipe().unwrap();
        let writer = Writer::start(theirs.into()).unwrap();
        assert!(writer.write(Bytes::from_static(b"one ")).await);
        assert!(writer.write(Bytes::from_static(b"two")).await);
        assert!(writer.finish().await);
        let mut read = String::new();
        io::Read::read_to_string(&mut ours, &mut read).unwrap();
        assert_eq!(read, "one two");

        let (ours, theirs) = io::pipe().unwrap();
        drop(ours);
        let writer = Writer::start(theirs.into()).unwrap();
        while writer.write(Bytes::from_static(b"x")).await {}
        assert!(!writer.finish().await);
    }
}
