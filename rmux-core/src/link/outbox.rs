//! What waits to be sent as a channel's standard input.
//!
//! The writer's side accepts bytes or does not; what it accepted is sent, in order, by the
//! channel's sender task, which nothing cancels. So a cancelled write has either taken bytes or
//! not, and never sends others.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// How many bytes may wait for the server's window.
const BUDGET: usize = 1 << 20;

/// The most that one write takes: OpenSSH's largest packet, which the engine then need not cut.
const PIECE: usize = 32 << 10;
/// A writer that found no room is woken when there is this much, so that it and the sender do not
/// take turns at every packet.
const ROOM: usize = BUDGET / 4;

/// Shared by the writer and the channel's sender task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    pool: Pool,
    /// Accepted and not yet handed to the engine, the piece in flight included.
    waiting: usize,
    eof: bool,
    broken: bool,
    writer: Option<Waker>,
    sender: Option<Waker>,
}

/// What the sender task has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Data(Bytes),
    Eof,
}

/// The channel takes no more input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Accepts as much of `data` as there is room for, but no more than a packet.
    pub(crate) fn poll_write(
        &self,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, Broken>> {
        let mut state = self.state();
        if state.broken || state.eof {
            return Poll::Ready(Err(Broken));
        }
        // More than the budget may wait where it was pushed.
        let room = BUDGET.saturating_sub(state.waiting);
        let accepted = data.len().min(PIECE).min(room);
        if accepted == 0 && !data.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        if accepted > 0 {
            let piece = state.pool.copy(&data[..accepted]);
            state.queue.push_back(piece);
            state.waiting += accepted;
            wake(&mut state.sender);
        }
        Poll::Ready(Ok(accepted))
    }

    /// Waits until [`push`](Self::push) may be called, or tells that nothing is taken any more.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn room(&self) -> Result<(), Broken> {
        poll_fn(|context| {
            let mut state = self.state();
            if state.broken || state.eof {
                return Poll::Ready(Err(Broken));
            }
            if state.waiting < BUDGET {
                return Poll::Ready(Ok(()));
            }
            state.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Whether there is room now.
    pub(crate) fn has_room(&self) -> bool {
        self.state().waiting < BUDGET
    }

    /// Accepts a piece as it is, without copying it and whatever its size. Who pushes waits for
    /// [`room`](Self::room) before, so that no more than one piece is beyond the budget. On a broken
    /// channel it is lost.
    pub(crate) fn push(&self, data: Bytes) {
        let mut state = self.state();
        if state.broken || state.eof || data.is_empty() {
            return;
        }
        state.waiting += data.len();
        state.queue.push_back(data);
        wake(&mut state.sender);
    }

    /// Ready once everything accepted is with the engine.
    pub(crate) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let mut state = self.state();
        if state.broken {
            return Poll::Ready(if state.waiting == 0 {
                Ok(())
            } else {
                Err(Broken)
            });
        }
        if state.waiting == 0 {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// No more input: EOF follows what was accepted, unless that is lost already.
    pub(crate) fn close(&self) -> Result<(), Broken> {
        let mut state = self.state();
        state.eof = true;
        wake(&mut state.sender);
        if state.broken && state.waiting > 0 {
            return Err(Broken);
        }
        Ok(())
    }

    /// The channel is gone: what waits is dropped and writes fail.
    pub(crate) fn break_off(&self) {
        let mut state = self.state();
        state.broken = true;
        state.queue.clear();
        wake(&mut state.writer);
    }

    /// What to send next. Cancelling it takes nothing.
    pub(crate) async fn next(&self) -> Next {
        poll_fn(|context| {
            let mut state = self.state();
            if let Some(data) = state.queue.pop_front() {
                return Poll::Ready(Next::Data(data));
            }
            if state.eof {
                return Poll::Ready(Next::Eof);
            }
            state.sender = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// `length` bytes are with the engine now.
    pub(crate) fn sent(&self, length: usize) {
        let mut state = self.state();
        state.waiting -= length;
        if state.waiting <= BUDGET - ROOM {
            wake(&mut state.writer);
        }
    }
}

/// Buffers that were sent and are filled again. Fresh ones cost more than the copy into them: the
/// allocator gives so much memory back to the system, whose pages then have to be made anew.
#[derive(Debug, Clone, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn copy(&self, data: &[u8]) -> Bytes {
        if data.len() < PIECE / 4 {
            return Bytes::copy_from_slice(data);
        }
        let reused = self.free().pop();
        let mut buffer = reused.unwrap_or_else(|| Vec::with_capacity(PIECE));
        buffer.clear();
        buffer.extend_from_slice(data);
        let pool = self.clone();
        Bytes::from_owner(Lent { buffer, pool })
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A buffer that goes back to its pool when the engine has sent it.
struct Lent {
    buffer: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.free().push(std::mem::take(&mut self.buffer));
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_that_was_not_accepted_leaves_nothing_behind() {
        let outbox = Outbox::default();
        let mut context = Context::from_waker(Waker::noop());
        let full = vec![b'A'; PIECE];
        for _ in 0..BUDGET / PIECE {
            assert_eq!(
                outbox.poll_write(&mut context, &full),
                Poll::Ready(Ok(PIECE))
            );
        }
        assert_eq!(outbox.poll_write(&mut context, b"lost"), Poll::Pending);
        // The pending write is cancelled here; another one follows.
        for _ in 0..BUDGET / PIECE {
            let Next::Data(sent) = outbox.next().await else {
                panic!("no data")
            };
            assert_eq!(sent, full);
            outbox.sent(sent.len());
        }
        assert_eq!(outbox.poll_write(&mut context, b"BB"), Poll::Ready(Ok(2)));
        outbox.close().unwrap();
        assert_eq!(outbox.next().await, Next::Data(Bytes::from_static(b"BB")));
        assert_eq!(outbox.next().await, Next::Eof);
    }

    #[tokio::test]
    async fn a_buffer_that_was_sent_is_filled_again_with_nothing_left_of_before() {
        let outbox = Outbox::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut places = Vec::new();
        for (byte, length) in [(b'A', PIECE), (b'B', PIECE / 2), (b'C', PIECE)] {
            let data = vec![byte; length];
            assert_eq!(
                outbox.poll_write(&mut context, &data),
                Poll::Ready(Ok(length))
            );
            let Next::Data(sent) = outbox.next().await else {
                panic!("no data")
            };
            assert_eq!(sent, data);
            places.push(sent.as_ptr());
            outbox.sent(length);
        }
        assert_eq!(places, [places[0]; 3]);
    }

    #[tokio::test]
    async fn a_piece_is_pushed_as_it_is_and_room_comes_back_when_it_is_sent() {
        let outbox = Outbox::default();
        let piece = Bytes::from(vec![b'A'; BUDGET + 1]);
        outbox.room().await.unwrap();
        outbox.push(piece.clone());
        assert!(!outbox.has_room());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(outbox.poll_write(&mut context, b"x"), Poll::Pending);
        let Next::Data(sent) = outbox.next().await else {
            panic!("no data")
        };
        assert_eq!(sent.as_ptr(), piece.as_ptr());
        outbox.sent(sent.len());
        outbox.room().await.unwrap();
        outbox.break_off();
        assert_eq!(outbox.room().await, Err(Broken));
    }

    #[test]
    fn a_broken_channel_ends_writers() {
        let outbox = Outbox::default();
        let mut context = Context::from_waker(Waker::noop());
        outbox.break_off();
        assert_eq!(
            outbox.poll_write(&mut context, b"x"),
            Poll::Ready(Err(Broken))
        );
        assert_eq!(outbox.poll_flush(&mut context), Poll::Ready(Ok(())));
    }
}
