//! What has come in on one channel and nobody has read yet.
//!
//! The engine returns window credit when a message arrives, not when it is read, and stops the
//! whole connection when a channel's queue is full. So the pump always puts what comes here: up to
//! a budget in memory, then in an unlinked temporary file a stream, and past a limit the channel
//! (and it alone) fails.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::Notify;

use super::counters::Counters;
use super::marker::{MarkerScan, Scanned, Shape};
use super::queue::Queue;
use super::records::{RecordScan, Records};
use super::startup::Startup;
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

/// What a piece costs in memory besides its bytes: a server may send one byte at a time.
const PIECE_COST: usize = 96;

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
pub(crate) struct Inbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    host: Arc<str>,
    limits: Limits,
    counters: Arc<Counters>,
    state: Mutex<State>,
    /// Told when the exit, the process id, the records or the end is known.
    news: Notify,
    /// Told when the pump may have room again.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    streams: [Queue; 2],
    in_memory: usize,
    spilled: u64,
    /// Each looks for the line in front of the command's own output.
    markers: [Option<MarkerScan>; 2],
    /// Takes records out of standard error.
    records: Option<RecordScan>,
    /// Told what the marks of the two streams teach.
    startup: Arc<Startup>,
    /// Whether a mark has come on both streams with nothing before it, as far as was seen.
    quiet: [bool; 2],
    pid: Option<u32>,
    exit: Option<Exit>,
    /// Why nothing more is taken in, though the channel may not have ended.
    failed: Option<Error>,
    /// Set once nothing more will come; `Err` where the channel did not end in order.
    end: Option<Result<()>>,
}

impl Inbox {
    pub(crate) fn new(host: Arc<str>, limits: Limits, counters: Arc<Counters>) -> Self {
        Self(Arc::new(Shared {
            host,
            limits,
            counters,
            state: Mutex::default(),
            news: Notify::new(),
            room: Notify::new(),
        }))
    }

    /// Whether this is the inbox of the same channel.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves whole values only.
        self.0
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How many bytes of unread output may be in temporary files.
    pub(crate) fn spill_limit(&self) -> u64 {
        self.0.limits.spill
    }

    /// What counts the channel's bytes.
    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// Takes for the beginning of `stream` what comes behind the line with `token`, which on standard
    /// error tells a process id too. What the marks teach goes to `startup`.
    pub(crate) fn expect_marker(&self, stream: Stream, token: String, startup: &Arc<Startup>) {
        let mut state = self.state();
        let shape = match stream {
            Stream::Stdout => Shape::Plain,
            Stream::Stderr => Shape::WithPid,
        };
        state.markers[stream as usize] = Some(MarkerScan::new(token, shape));
        state.startup = Arc::clone(startup);
    }

    /// Takes the records of this token, up to `limit` bytes, out of standard error.
    pub(crate) fn expect_records(&self, token: &str, limit: usize) {
        self.state().records = Some(RecordScan::new(token, limit));
    }

    /// Takes in what came for `stream`. Never waits for a reader. Whether any of it is held for a
    /// mark.
    pub(crate) fn push(&self, stream: Stream, data: Bytes) -> Result<bool> {
        let mut state = self.state();
        let data = match &mut state.markers[stream as usize] {
            Some(marker) => {
                let rest = match marker.feed(&data) {
                    Scanned::Held => return Ok(true),
                    Scanned::Found { pid, noise, rest } => {
                        state.pid = state.pid.or(pid);
                        state.quiet[stream as usize] = noise == 0;
                        state.startup.came(noise);
                        if state.quiet == [true; 2] {
                            state.startup.quiet();
                        }
                        rest
                    }
                    Scanned::Absent(all) => all,
                };
                state.markers[stream as usize] = None;
                self.0.news.notify_waiters();
                rest
            }
            None => data,
        };
        self.0.counters.count_received(data.len());
        let pushed = state.push(stream, data, self.0.limits);
        pushed.map_err(|error| error.with_host(&self.0.host))?;
        if state.records.as_ref().is_some_and(RecordScan::is_whole) {
            self.0.news.notify_waiters();
        }
        Ok(state.holds())
    }

    /// The marks that bytes are held for will not come: gives these out.
    pub(crate) fn give_up_marks(&self) -> Result<()> {
        let mut state = self.state();
        state.startup.missed();
        let given = state.give_out(&self.0, MarkerScan::holds);
        self.0.news.notify_waiters();
        given.map_err(|error| error.with_host(&self.0.host))
    }

    /// Waits until the pump may take more in, where the limits say that it waits.
    pub(crate) async fn room(&self) {
        let full = || self.0.limits.wait && self.state().in_memory > self.0.limits.memory;
        until(&self.0.room, || (!full()).then_some(())).await;
    }

    /// Both streams have ended.
    pub(crate) fn eof(&self) {
        let mut state = self.state();
        state.give_out_at_end(&self.0);
        for queue in &mut state.streams {
            queue.eof = true;
            queue.wake();
        }
        self.0.news.notify_waiters();
    }

    /// How the command ended. The first report counts.
    pub(crate) fn set_exit(&self, exit: Exit) {
        self.state().exit.get_or_insert(exit);
        self.0.news.notify_waiters();
    }

    /// Nothing more is taken in, for this reason; what is there can still be read.
    pub(crate) fn fail(&self, error: Error) {
        let mut state = self.state();
        state.failed.get_or_insert(error);
        state.streams.iter_mut().for_each(Queue::wake);
        self.0.news.notify_waiters();
    }

    /// Nothing more will come. The first end counts.
    pub(crate) fn finish(&self, end: Result<()>) {
        let mut state = self.state();
        state.give_out_at_end(&self.0);
        state.end.get_or_insert(end);
        state.streams.iter_mut().for_each(Queue::wake);
        self.0.news.notify_waiters();
    }

    /// Whether [`Inbox::finish`] was called.
    pub(crate) fn is_finished(&self) -> bool {
        self.state().end.is_some()
    }

    /// Whether the command is known to have ended.
    pub(crate) fn has_exited(&self) -> bool {
        self.state().exit.is_some()
    }

    /// Whether the command has ended and nothing it started holds its output any more, or the
    /// remote has closed the channel. Where it was closed from here, the command may still run.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state();
        let ended = state.exit.is_some() && state.streams.iter().all(|queue| queue.eof);
        ended || matches!(state.end, Some(Ok(())))
    }

    /// Drops what is there and what will come for `stream`: its reader is gone.
    pub(crate) fn discard(&self, stream: Stream) {
        let mut state = self.state();
        let state = &mut *state;
        let queue = &mut state.streams[stream as usize];
        queue.discard = true;
        state.in_memory -= queue
            .memory
            .drain(..)
            .map(|data| cost(&data))
            .sum::<usize>();
        state.spilled -= queue.spill.take().map_or(0, |spill| spill.len());
        self.0.room.notify_waiters();
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
            state.in_memory -= cost(&data);
            self.0.room.notify_waiters();
            return Poll::Ready(Ok(Some(data)));
        }
        match queue.unspill() {
            Ok(Some(data)) => {
                state.spilled -= data.len() as u64;
                return Poll::Ready(Ok(Some(data)));
            }
            Ok(None) => {}
            Err(error) => {
                let what = "cannot read unread output back from its temporary file";
                let error = Error::io("read", what, error).with_host(&self.0.host);
                return Poll::Ready(Err(error));
            }
        }
        // A stream that ended by itself is whole, whatever became of the channel later.
        if queue.eof {
            return Poll::Ready(Ok(None));
        }
        match (&state.failed, &state.end) {
            (Some(error), _) | (None, Some(Err(error))) => Poll::Ready(Err(error.clone())),
            (None, Some(Ok(()))) => Poll::Ready(Ok(None)),
            (None, None) => {
                queue.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// How the command ended, once that is known; `None` if the channel ended in order without a
    /// report.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn exit(&self) -> Result<Option<Exit>> {
        until(&self.0.news, || {
            let state = self.state();
            match (&state.exit, &state.failed, &state.end) {
                (Some(exit), _, _) => Some(Ok(Some(exit.clone()))),
                (None, Some(error), _) | (None, None, Some(Err(error))) => Some(Err(error.clone())),
                (None, None, Some(Ok(()))) => Some(Ok(None)),
                (None, None, None) => None,
            }
        })
        .await
    }

    /// The process id that the mark tells, once it has; `None` if it will not come.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn pid(&self) -> Option<u32> {
        until(&self.0.news, || {
            let state = self.state();
            let waits = state.markers[Stream::Stderr as usize].is_some();
            (state.pid.is_some() || !waits).then_some(state.pid)
        })
        .await
    }

    /// Waits until the last of the expected records has come, or will not come.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn until_recorded(&self) {
        until(&self.0.news, || {
            let state = self.state();
            let over = state.streams[Stream::Stderr as usize].eof
                || state.failed.is_some()
                || state.end.is_some();
            let awaited = (state.records.as_ref()).is_some_and(|scan| !scan.is_whole());
            (over || !awaited).then_some(())
        })
        .await;
    }

    /// The expected records, where the last has come, once.
    pub(crate) fn take_records(&self) -> Option<Records> {
        let scan = &mut self.state().records;
        let whole = scan.as_mut().filter(|scan| scan.is_whole());
        whole.map(RecordScan::take)
    }
}

/// Looks for an answer now and after each notice.
async fn until<T>(notice: &Notify, mut answer: impl FnMut() -> Option<T>) -> T {
    loop {
        let mut noticed = std::pin::pin!(notice.notified());
        // Before the look: a notice between the look and the wait must not be lost.
        noticed.as_mut().enable();
        if let Some(answer) = answer() {
            return answer;
        }
        noticed.await;
    }
}

fn cost(data: &Bytes) -> usize {
    data.len() + PIECE_COST
}

impl State {
    fn push(&mut self, stream: Stream, data: Bytes, limits: Limits) -> Result<()> {
        let data = match &mut self.records {
            Some(scan) if stream == Stream::Stderr => scan.feed(data),
            _ => data,
        };
        self.keep(stream, data, limits)
    }

    fn keep(&mut self, stream: Stream, data: Bytes, limits: Limits) -> Result<()> {
        let queue = &mut self.streams[stream as usize];
        if queue.discard || queue.eof || self.failed.is_some() || data.is_empty() {
            return Ok(());
        }
        let spilling = queue.spill.as_ref().is_some_and(|spill| spill.len() > 0);
        let fits = self.in_memory + cost(&data) <= limits.memory;
        if limits.wait || (fits && !spilling) {
            self.in_memory += cost(&data);
            queue.memory.push_back(data);
        } else {
            let length = data.len() as u64;
            if self.spilled + length > limits.spill {
                let most = limits.memory as u64 + limits.spill;
                let what = format!("more than {most} bytes of output were not read");
                return Err(Error::new(ErrorKind::LimitExceeded, "read", what));
            }
            queue.spill(&data, limits.spill).map_err(|error| {
                let what = "cannot keep unread output in a temporary file";
                Error::io("read", what, error)
            })?;
            self.spilled += length;
        }
        queue.wake();
        Ok(())
    }

    /// Whether bytes are held for a mark.
    fn holds(&self) -> bool {
        self.markers.iter().flatten().any(MarkerScan::holds)
    }

    /// Stops looking for the marks that `which` names: what is held for them is output after all.
    fn give_out(&mut self, shared: &Shared, which: impl Fn(&MarkerScan) -> bool) -> Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(mut marker) = self.markers[stream as usize].take_if(|marker| which(marker))
            {
                let held = marker.take();
                shared.counters.count_received(held.len());
                self.push(stream, held, shared.limits)?;
            }
        }
        Ok(())
    }

    /// The streams ended: no mark and no record goes on.
    fn give_out_at_end(&mut self, shared: &Shared) {
        let mut given = self.give_out(shared, |_| true);
        if let Some(rest) = self.records.as_mut().map(RecordScan::finish) {
            given = given.and_then(|()| self.keep(Stream::Stderr, rest, shared.limits));
        }
        if let Err(error) = given {
            self.failed.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Room for `pieces` pieces of `length` bytes in memory.
    fn inbox(pieces: usize, length: usize, spill: u64, wait: bool) -> Inbox {
        let memory = pieces * (length + PIECE_COST);
        Inbox::new(
            "host".into(),
            Limits {
                memory,
                spill,
                wait,
            },
            Arc::default(),
        )
    }

    fn read(inbox: &Inbox, stream: Stream) -> Poll<Result<Option<Bytes>>> {
        inbox.poll_read(stream, &mut Context::from_waker(Waker::noop()))
    }

    fn read_all(inbox: &Inbox, stream: Stream) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            match read(inbox, stream) {
                Poll::Ready(Ok(Some(data))) => all.extend_from_slice(&data),
                Poll::Ready(Ok(None)) => return Ok(all),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => panic!("neither data nor an end"),
            }
        }
    }

    #[test]
    fn order_is_kept_from_memory_into_the_file_and_back() {
        let inbox = inbox(2, 7, 1000, false);
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        for round in 0..100u8 {
            let piece = vec![round; 7];
            expected.extend_from_slice(&piece);
            inbox.push(Stream::Stdout, piece.into()).unwrap();
            if round % 2 == 0
                && let Poll::Ready(Ok(Some(data))) = read(&inbox, Stream::Stdout)
            {
                got.extend_from_slice(&data);
            }
        }
        inbox.finish(Ok(()));
        got.extend(read_all(&inbox, Stream::Stdout).unwrap());
        assert_eq!(got, expected);
    }

    #[test]
    fn past_the_limit_the_channel_fails_and_what_came_before_can_be_read() {
        let inbox = inbox(1, 4, 4, false);
        for piece in [&b"abcd"[..], b"efgh"] {
            inbox
                .push(Stream::Stdout, Bytes::from_static(piece))
                .unwrap();
        }
        let error = inbox
            .push(Stream::Stdout, Bytes::from_static(b"i"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert_eq!(error.host(), Some("host"));
        inbox.fail(error);
        inbox
            .push(Stream::Stdout, Bytes::from_static(b"too late"))
            .unwrap();
        for expected in [&b"abcd"[..], b"efgh"] {
            let Poll::Ready(Ok(Some(data))) = read(&inbox, Stream::Stdout) else {
                panic!("what came before the limit is lost");
            };
            assert_eq!(data, expected);
        }
        let error = read_all(&inbox, Stream::Stdout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(!inbox.is_over(), "the command may still run");
    }

    #[test]
    fn small_pieces_count_with_what_they_cost() {
        let inbox = inbox(10, 1, 0, false);
        let pushed =
            (0..100).take_while(|_| inbox.push(Stream::Stdout, Bytes::from_static(b"x")).is_ok());
        assert_eq!(pushed.count(), 10);
    }

    #[test]
    fn a_discarded_stream_holds_nothing_and_frees_the_budget() {
        let inbox = inbox(1, 8, 0, false);
        let piece = || Bytes::from_static(b"12345678");
        inbox.push(Stream::Stderr, piece()).unwrap();
        inbox.discard(Stream::Stderr);
        inbox.push(Stream::Stderr, piece()).unwrap();
        inbox.push(Stream::Stdout, piece()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pump_that_may_wait_does_until_its_reader_has_caught_up_or_gone() {
        let inbox = inbox(1, 4, 0, true);
        let patience = std::time::Duration::from_secs(1);
        for reads in [true, false] {
            for _ in 0..2 {
                inbox
                    .push(Stream::Stdout, Bytes::from_static(b"abcd"))
                    .unwrap();
            }
            let full = tokio::time::timeout(patience, inbox.room()).await;
            assert!(full.is_err(), "there is no room");
            let waiting = tokio::spawn({
                let inbox = inbox.clone();
                async move { inbox.room().await }
            });
            tokio::task::yield_now().await;
            if reads {
                assert!(read(&inbox, Stream::Stdout).is_ready());
                assert!(read(&inbox, Stream::Stdout).is_ready());
            } else {
                inbox.discard(Stream::Stdout);
            }
            tokio::time::timeout(patience, waiting)
                .await
                .expect("there is room")
                .unwrap();
        }
    }

    #[tokio::test]
    async fn the_first_exit_report_counts_even_after_the_link_broke() {
        let inbox = inbox(1, 8, 0, false);
        inbox.set_exit(Exit::Status(3));
        inbox.set_exit(Exit::Status(4));
        inbox.finish(Err(Error::new(ErrorKind::Disconnected, "read", "cut")));
        assert_eq!(inbox.exit().await.unwrap(), Some(Exit::Status(3)));
    }

    #[tokio::test]
    async fn a_process_id_that_will_not_come_is_not_waited_for() {
        let inbox = inbox(1, 8, 0, false);
        let startup = Arc::new(Startup::default());
        inbox.expect_marker(Stream::Stderr, "T".into(), &startup);
        let waiting = tokio::spawn({
            let inbox = inbox.clone();
            async move { inbox.pid().await }
        });
        tokio::task::yield_now().await;
        inbox.eof();
        assert_eq!(waiting.await.unwrap(), None);
    }
}
