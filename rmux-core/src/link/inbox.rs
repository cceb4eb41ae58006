//! What has come in on one channel and nobody has read yet.
//!
//! The engine returns window credit when a message arrives, not when it is read, and stops the
//! whole connection when a channel's queue is full. So the pump always puts what comes here: up to
//! a budget in memory, then in an unlinked temporary file a stream, and past a limit the channel
//! (and it alone) fails.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::marker::{MarkerScan, Scanned};
use crate::error::{Error, ErrorKind, Result};

/// Which of a channel's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// How a remote command ended, as the server reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(u32),
    Signal {
        name: String,
        core_dumped: bool,
        message: String,
    },
}

/// The largest piece read back from a spill file at once.
const SPILL_READ: usize = 256 << 10;

/// How much may be left unread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes in memory.
    pub(crate) memory: usize,
    /// Bytes in temporary files.
    pub(crate) spill: u64,
    /// Whether the pump waits when the memory is full, instead of spilling.
    pub(crate) wait: bool,
}

/// Shared by the pump, which fills it, and the readers of the two streams.
#[derive(Debug, Clone)]
pub(crate) struct Inbox(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    streams: [Queue; 2],
    limits: Limits,
    in_memory: usize,
    spilled: u64,
    /// Looks for the wrapper's line at the start of standard error.
    marker: Option<MarkerScan>,
    pid: Option<u32>,
    exit: Option<Exit>,
    /// Set once nothing more will come; `Err` where the channel did not end in order.
    end: Option<Result<()>>,
    waiters: Vec<Waker>,
    pump: Option<Waker>,
}

#[derive(Debug, Default)]
struct Queue {
    memory: VecDeque<Bytes>,
    spill: Option<Spill>,
    eof: bool,
    discard: bool,
    waker: Option<Waker>,
}

/// Bytes `read..written` of an unlinked file, later than everything in memory.
#[derive(Debug)]
struct Spill {
    file: File,
    read: u64,
    written: u64,
}

impl Inbox {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(State {
            streams: Default::default(),
            limits,
            in_memory: 0,
            spilled: 0,
            marker: None,
            pid: None,
            exit: None,
            end: None,
            waiters: Vec::new(),
            pump: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves whole values only.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes the line with `token` and the process id out of standard error.
    pub(crate) fn expect_marker(&self, token: String) {
        self.state().marker = Some(MarkerScan::new(token));
    }

    /// The process id that the wrapper tells, once it has; `None` if it will not come.
    pub(crate) fn poll_pid(&self, context: &mut Context<'_>) -> Poll<Option<u32>> {
        let mut state = self.state();
        if state.pid.is_some() || state.marker.is_none() {
            return Poll::Ready(state.pid);
        }
        state.wait(context);
        Poll::Pending
    }

    /// Takes in what came for `stream`. Never waits for a reader.
    pub(crate) fn push(&self, stream: Stream, data: Bytes) -> Result<()> {
        let mut state = self.state();
        if stream == Stream::Stderr
            && let Some(marker) = &mut state.marker
        {
            let rest = match marker.feed(&data) {
                Scanned::Held => return Ok(()),
                Scanned::Found { pid, rest } => {
                    state.pid = Some(pid);
                    rest
                }
                Scanned::Absent(all) => all,
            };
            state.marker = None;
            state.wake_waiters();
            return state.push(stream, rest);
        }
        state.push(stream, data)
    }

    /// Ready when the pump may take more in; it waits only where the limits say so.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.limits.wait || state.in_memory <= state.limits.memory {
            return Poll::Ready(());
        }
        state.pump = Some(context.waker().clone());
        Poll::Pending
    }

    /// Both streams have ended.
    pub(crate) fn eof(&self) {
        let mut state = self.state();
        state.give_up_marker();
        for queue in &mut state.streams {
            queue.eof = true;
            queue.wake();
        }
    }

    /// How the command ended. The first report counts.
    pub(crate) fn set_exit(&self, exit: Exit) {
        let mut state = self.state();
        state.exit.get_or_insert(exit);
        state.wake_waiters();
    }

    /// Nothing more will come. The first end counts.
    pub(crate) fn finish(&self, end: Result<()>) {
        let mut state = self.state();
        state.give_up_marker();
        state.end.get_or_insert(end);
        state.streams.iter_mut().for_each(Queue::wake);
        state.wake_waiters();
    }

    /// Whether [`Inbox::finish`] was called.
    pub(crate) fn is_finished(&self) -> bool {
        self.state().end.is_some()
    }

    /// Whether the command is known to have ended.
    pub(crate) fn has_exited(&self) -> bool {
        let state = self.state();
        state.exit.is_some() || state.end.is_some()
    }

    /// Drops what is there and what will come for `stream`: its reader is gone.
    pub(crate) fn discard(&self, stream: Stream) {
        let mut state = self.state();
        let state = &mut *state;
        let queue = &mut state.streams[stream as usize];
        queue.discard = true;
        state.in_memory -= queue.memory.drain(..).map(|data| data.len()).sum::<usize>();
        if let Some(spill) = queue.spill.take() {
            state.spilled -= spill.written - spill.read;
        }
    }

    /// The next piece of `stream`: `None` at its end, an error if the channel broke before.
    pub(crate) fn poll_read(
        &self,
        stream: Stream,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>>> {
        let mut state = self.state();
        let state = &mut *state;
        let queue = &mut state.streams[stream as usize];
        if let Some(data) = queue.memory.pop_front() {
            state.in_memory -= data.len();
            wake(&mut state.pump);
            return Poll::Ready(Ok(Some(data)));
        }
        match queue.unspill() {
            Ok(Some(data)) => {
                state.spilled -= data.len() as u64;
                return Poll::Ready(Ok(Some(data)));
            }
            Ok(None) => {}
            Err(error) => {
                return Poll::Ready(Err(Error::io(
                    "read",
                    "cannot read unread output back from its temporary file",
                    error,
                )));
            }
        }
        match &state.end {
            // A stream that ended by itself is whole, whatever became of the channel later.
            _ if queue.eof => return Poll::Ready(Ok(None)),
            Some(Ok(())) => return Poll::Ready(Ok(None)),
            Some(Err(error)) => return Poll::Ready(Err(error.clone())),
            None => {}
        }
        queue.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// How the command ended, once that is known; `None` if the channel ended in order without a
    /// report.
    pub(crate) fn poll_exit(&self, context: &mut Context<'_>) -> Poll<Result<Option<Exit>>> {
        let mut state = self.state();
        if let Some(exit) = &state.exit {
            return Poll::Ready(Ok(Some(exit.clone())));
        }
        match &state.end {
            Some(Ok(())) => Poll::Ready(Ok(None)),
            Some(Err(error)) => Poll::Ready(Err(error.clone())),
            None => {
                state.wait(context);
                Poll::Pending
            }
        }
    }
}

impl State {
    fn push(&mut self, stream: Stream, data: Bytes) -> Result<()> {
        let queue = &mut self.streams[stream as usize];
        if queue.discard || queue.eof || data.is_empty() {
            return Ok(());
        }
        let spilling = queue
            .spill
            .as_ref()
            .is_some_and(|spill| spill.read < spill.written);
        let fits = self.in_memory + data.len() <= self.limits.memory;
        if self.limits.wait || (fits && !spilling) {
            self.in_memory += data.len();
            queue.memory.push_back(data);
        } else {
            if self.spilled + data.len() as u64 > self.limits.spill {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    "read",
                    format!(
                        "more than {} bytes of output were not read",
                        self.limits.memory as u64 + self.limits.spill
                    ),
                ));
            }
            queue.spill(&data).map_err(|error| {
                Error::io(
                    "read",
                    "cannot keep unread output in a temporary file",
                    error,
                )
            })?;
            self.spilled += data.len() as u64;
        }
        queue.wake();
        Ok(())
    }

    /// The stream ended without the wrapper's line: what was held is output after all.
    fn give_up_marker(&mut self) {
        if let Some(mut marker) = self.marker.take() {
            // At most the scan's own bound, which the limits always leave room for in a file.
            let _ = self.push(Stream::Stderr, marker.take());
        }
    }

    /// Remembers who waits for the exit or the process id.
    fn wait(&mut self, context: &Context<'_>) {
        let waker = context.waker();
        if !self.waiters.iter().any(|known| known.will_wake(waker)) {
            self.waiters.push(waker.clone());
        }
    }

    fn wake_waiters(&mut self) {
        self.waiters.drain(..).for_each(Waker::wake);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Queue {
    fn wake(&mut self) {
        wake(&mut self.waker);
    }

    /// A write of one packet into the page cache: short enough for an async task.
    fn spill(&mut self, data: &[u8]) -> std::io::Result<()> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill {
                file: tempfile::tempfile()?,
                read: 0,
                written: 0,
            }),
        };
        spill.file.seek(SeekFrom::Start(spill.written))?;
        spill.file.write_all(data)?;
        spill.written += data.len() as u64;
        Ok(())
    }

    fn unspill(&mut self) -> std::io::Result<Option<Bytes>> {
        let Some(spill) = &mut self.spill else {
            return Ok(None);
        };
        let length = (spill.written - spill.read).min(SPILL_READ as u64) as usize;
        if length == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; length];
        spill.file.seek(SeekFrom::Start(spill.read))?;
        spill.file.read_exact(&mut piece)?;
        spill.read += length as u64;
        if spill.read == spill.written {
            // Read empty: give the disk space back, and let memory take over again.
            self.spill = None;
        }
        Ok(Some(piece.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(memory: usize, spill: u64) -> Inbox {
        Inbox::new(Limits {
            memory,
            spill,
            wait: false,
        })
    }

    fn read_all(inbox: &Inbox, stream: Stream) -> Result<Vec<u8>> {
        let mut context = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        loop {
            match inbox.poll_read(stream, &mut context) {
                Poll::Ready(Ok(Some(data))) => all.extend_from_slice(&data),
                Poll::Ready(Ok(None)) => return Ok(all),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => panic!("neither data nor an end"),
            }
        }
    }

    #[test]
    fn order_is_kept_from_memory_into_the_file_and_back() {
        let inbox = inbox(10, 1000);
        let mut expected = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut got = Vec::new();
        for round in 0..40u8 {
            let piece = vec![round; 7];
            expected.extend_from_slice(&piece);
            inbox.push(Stream::Stdout, piece.into()).unwrap();
            if round % 5 == 4
                && let Poll::Ready(Ok(Some(data))) = inbox.poll_read(Stream::Stdout, &mut context)
            {
                got.extend_from_slice(&data);
            }
        }
        inbox.finish(Ok(()));
        got.extend(read_all(&inbox, Stream::Stdout).unwrap());
        assert_eq!(got, expected);
    }

    #[test]
    fn past_the_limit_the_channel_fails_and_nothing_is_lost_before() {
        let inbox = inbox(4, 4);
        inbox
            .push(Stream::Stdout, Bytes::from_static(b"abcd"))
            .unwrap();
        inbox
            .push(Stream::Stdout, Bytes::from_static(b"efgh"))
            .unwrap();
        let error = inbox
            .push(Stream::Stdout, Bytes::from_static(b"i"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        inbox.finish(Err(error));
        let mut context = Context::from_waker(Waker::noop());
        for expected in [&b"abcd"[..], b"efgh"] {
            let Poll::Ready(Ok(Some(data))) = inbox.poll_read(Stream::Stdout, &mut context) else {
                panic!("what came before the limit is lost");
            };
            assert_eq!(data, expected);
        }
        assert_eq!(
            read_all(&inbox, Stream::Stdout).unwrap_err().kind(),
            ErrorKind::LimitExceeded
        );
    }

    #[test]
    fn a_discarded_stream_holds_nothing_and_frees_the_budget() {
        let inbox = inbox(8, 0);
        inbox
            .push(Stream::Stderr, Bytes::from_static(b"12345678"))
            .unwrap();
        inbox.discard(Stream::Stderr);
        inbox
            .push(Stream::Stderr, Bytes::from_static(b"12345678"))
            .unwrap();
        inbox
            .push(Stream::Stdout, Bytes::from_static(b"12345678"))
            .unwrap();
    }

    #[test]
    fn a_pump_that_may_wait_does_until_the_reader_has_caught_up() {
        let inbox = Inbox::new(Limits {
            memory: 4,
            spill: 0,
            wait: true,
        });
        let mut context = Context::from_waker(Waker::noop());
        inbox
            .push(Stream::Stdout, Bytes::from_static(b"abcd"))
            .unwrap();
        assert_eq!(inbox.poll_room(&mut context), Poll::Ready(()));
        inbox
            .push(Stream::Stdout, Bytes::from_static(b"e"))
            .unwrap();
        assert_eq!(inbox.poll_room(&mut context), Poll::Pending);
        assert!(inbox.poll_read(Stream::Stdout, &mut context).is_ready());
        assert_eq!(inbox.poll_room(&mut context), Poll::Ready(()));
    }

    #[test]
    fn the_first_exit_report_counts_even_after_the_link_broke() {
        let inbox = inbox(8, 0);
        inbox.set_exit(Exit::Status(3));
        inbox.set_exit(Exit::Status(4));
        inbox.finish(Err(Error::new(ErrorKind::Disconnected, "read", "cut")));
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(exit)) = inbox.poll_exit(&mut context) else {
            panic!("no exit")
        };
        assert_eq!(exit, Some(Exit::Status(3)));
    }
}
