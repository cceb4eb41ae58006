//! This process' standard input, read by a thread of its own, which can be made to stand still.
//!
//! A thread, because a terminal, a pipe and a file are then read alike, without setting `O_NONBLOCK`
//! on what other processes share, and because no one need wait for a read that never returns: the
//! thread ends with the process. Must not know what the input is for.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

/// The largest piece read at once.
const PIECE: usize = 64 << 10;
/// Pieces between the thread and the other side.
const QUEUE: usize = 4;

/// Who makes the thread stand still.
struct Gate {
    closed_by: Mutex<usize>,
    changed: Condvar,
    /// A byte in it wakes the thread.
    bell: OnceLock<(PipeReader, PipeWriter)>,
}

static GATE: Gate = Gate {
    closed_by: Mutex::new(0),
    changed: Condvar::new(),
    bell: OnceLock::new(),
};

impl Gate {
    fn closed_by(&self) -> MutexGuard<'_, usize> {
        self.closed_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Both ends; `None` where there is no room for a pipe, and nothing can stand still then.
    fn bell(&self) -> Option<(&PipeReader, &PipeWriter)> {
        if self.bell.get().is_none() {
            let pipe = std::io::pipe().ok()?;
            // Another thread may have been first.
            let _ = self.bell.set(pipe);
        }
        self.bell.get().map(|(heard, rung)| (heard, rung))
    }

    fn wait_until_open(&self) {
        let mut closed_by = self.closed_by();
        while *closed_by > 0 {
            closed_by = self
                .changed
                .wait(closed_by)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// While it lives nothing is read: what is typed is for somebody else.
#[derive(Debug)]
#[must_use]
pub(crate) struct StandingStill(());

/// Makes the thread stand still.
pub(crate) fn stand_still() -> StandingStill {
    *GATE.closed_by() += 1;
    if let Some((_, rung)) = GATE.bell() {
        let _ = rustix::io::write(rung, b"!");
    }
    StandingStill(())
}

impl Drop for StandingStill {
    fn drop(&mut self) {
        *GATE.closed_by() -= 1;
        GATE.changed.notify_all();
    }
}

/// Reads standard input until its end, a piece at a time as it comes. A failed read ends it too.
pub(crate) fn read() -> mpsc::Receiver<Bytes> {
    let (pieces, received) = mpsc::channel(QUEUE);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut buffer = vec![0; PIECE];
            while let Some(length) = read_piece(&mut buffer) {
                let piece = Bytes::copy_from_slice(&buffer[..length]);
                if pieces.blocking_send(piece).is_err() {
                    return;
                }
            }
        })
        .expect("the system has room for a thread");
    received
}

/// The length of the next piece, or `None` at the end.
fn read_piece(buffer: &mut [u8]) -> Option<usize> {
    let stdin = rustix::stdio::stdin();
    loop {
        if !wait_for_input() {
            continue;
        }
        match rustix::io::read(stdin, &mut *buffer) {
            Ok(0) => return None,
            Ok(length) => return Some(length),
            // Some other process may have made a shared stream non-blocking.
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return None,
        }
    }
}

/// Whether a read will not wait, and may be done.
fn wait_for_input() -> bool {
    let stdin = rustix::stdio::stdin();
    let mut waited_for = vec![PollFd::from_borrowed_fd(stdin, PollFlags::IN)];
    let bell = GATE.bell();
    if let Some((heard, _)) = bell {
        waited_for.push(PollFd::from_borrowed_fd(heard.as_fd(), PollFlags::IN));
    }
    match poll(&mut waited_for, None) {
        Ok(_) => {}
        Err(Errno::INTR) => return false,
        // What cannot be waited for is read at once.
        Err(_) => return true,
    }
    if let (Some((heard, _)), Some(bell)) = (bell, waited_for.get(1))
        && !bell.revents().is_empty()
    {
        let _ = rustix::io::read(heard, &mut [0; 16]);
        GATE.wait_until_open();
        return false;
    }
    GATE.wait_until_open();
    true
}
