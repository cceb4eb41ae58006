//! A stream that notices when the peer takes no more data, and tells what moves on it.
//!
//! While a write is blocked the engine does nothing else, and so asks for no sign of life either.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::pulse::SleptThrough;

/// Fails with `TimedOut` when a write makes no progress for the time given, or when its
/// [`Movement`] is given up.
pub(super) struct Watched<S> {
    stream: S,
    movement: Arc<Movement>,
    patience: Option<Duration>,
    /// Runs while a write is blocked.
    blocked: Option<Pin<Box<Sleep>>>,
}

/// What moves on a stream, for those who wait for the other side.
#[derive(Debug)]
pub(super) struct Movement(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When something came, or went after it had to wait, or the wait for it began.
    last: Instant,
    /// Whether the engine listens, and whether it waits until it can go on to write. Where it does
    /// neither, it waits for somebody on this side, and silence says nothing of the other.
    listens: bool,
    blocked: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    given_up: Option<SleptThrough>,
}

impl Default for Movement {
    fn default() -> Self {
        Self(Mutex::new(State {
            last: Instant::now(),
            listens: false,
            blocked: false,
            reader: None,
            writer: None,
            given_up: None,
        }))
    }
}

impl Movement {
    /// How long nothing has moved, counted from `since` at the earliest and while the other side is
    /// waited for; `None` where it is not.
    pub(super) fn silence(&self, since: Instant) -> Option<Duration> {
        let state = self.state();
        let waits = state.listens || state.blocked;
        waits.then(|| Instant::now().saturating_duration_since(state.last.max(since)))
    }

    /// Whether the other side has to take data before anything else can go on.
    pub(super) fn is_blocked(&self) -> bool {
        self.state().blocked
    }

    /// The stream fails from now on, once what has come is read.
    pub(super) fn give_up(&self, why: SleptThrough) {
        let mut state = self.state();
        state.given_up = Some(why);
        for waiting in [state.reader.take(), state.writer.take()] {
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn read(&self) {
        let mut state = self.state();
        state.listens = false;
        state.last = Instant::now();
    }

    fn listens<T>(&self, context: &Context<'_>) -> Poll<io::Result<T>> {
        let mut state = self.state();
        if !state.listens {
            state.listens = true;
            state.last = Instant::now();
        }
        keep(&mut state.reader, context);
        state.outcome()
    }

    fn written(&self) {
        let mut state = self.state();
        // Without a wait it only went into a buffer on this side.
        if state.blocked {
            state.blocked = false;
            state.last = Instant::now();
        }
    }

    fn blocked<T>(&self, context: &Context<'_>) -> Poll<io::Result<T>> {
        let mut state = self.state();
        if !state.blocked {
            state.blocked = true;
            state.last = Instant::now();
        }
        keep(&mut state.writer, context);
        state.outcome()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn outcome<T>(&self) -> Poll<io::Result<T>> {
        match self.given_up {
            Some(why) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why))),
            None => Poll::Pending,
        }
    }
}

fn keep(waker: &mut Option<Waker>, context: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(context.waker()),
        None => *waker = Some(context.waker().clone()),
    }
}

impl<S> Watched<S> {
    /// `None` waits for ever.
    pub(super) fn new(stream: S, movement: Arc<Movement>, patience: Option<Duration>) -> Self {
        Self {
            stream,
            movement,
            patience,
            blocked: None,
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.blocked = None;
            self.movement.written();
            return progress;
        }
        let given_up = self.movement.blocked(context);
        let Some(patience) = self.patience else {
            return given_up;
        };
        if given_up.is_ready() {
            return given_up;
        }
        let blocked = self
            .blocked
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        std::task::ready!(blocked.as_mut().poll(context));
        self.blocked = None;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            return self.movement.listens(context);
        }
        self.movement.read();
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, data);
        self.watch(context, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The engine shuts down when the connection has ended. That it is gone already is no news,
        // for which the engine would keep back the reason why it ended.
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        shut.map(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn watched<S>(stream: S, patience: u64) -> (Watched<S>, Arc<Movement>) {
        let movement = Arc::new(Movement::default());
        let patience = Some(Duration::from_secs(patience));
        (
            Watched::new(stream, Arc::clone(&movement), patience),
            movement,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_write_without_any_progress_is_given_up() {
        let (near, mut far) = tokio::io::duplex(10);
        let (mut near, _) = watched(near, 3);
        let reader = tokio::spawn(async move {
            let mut bytes = [0; 10];
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(2)).await;
                far.read_exact(&mut bytes).await.unwrap();
            }
            far
        });
        near.write_all(&[1; 60])
            .await
            .expect("slow, but it goes on");
        let _far = reader.await.unwrap();
        let start = Instant::now();
        let error = near.write_all(&[1; 60]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_while_the_other_side_is_waited_for() {
        let (near, mut far) = tokio::io::duplex(10);
        let (near, movement) = watched(near, 1_000);
        let (mut reader, mut writer) = tokio::io::split(near);
        let start = Instant::now();
        let seconds = || movement.silence(start).map(|silence| silence.as_secs());
        let second = |count| tokio::time::sleep(Duration::from_secs(count));

        second(5).await;
        assert_eq!(seconds(), None, "nobody listens");
        let reading = tokio::spawn(async move {
            let mut byte = [0];
            for _ in 0..2 {
                reader.read_exact(&mut byte).await.unwrap();
            }
            reader
        });
        second(7).await;
        assert_eq!(seconds(), Some(7), "not the time before");
        far.write_all(b"x").await.unwrap();
        second(2).await;
        assert_eq!(seconds(), Some(2), "a byte came");
        far.write_all(b"x").await.unwrap();
        let _reader = reading.await.unwrap();
        second(4).await;
        assert_eq!(seconds(), None, "what came is not read on");

        let writing = tokio::spawn(async move {
            writer.write_all(&[1; 25]).await.unwrap();
            writer
        });
        second(3).await;
        assert_eq!((seconds(), movement.is_blocked()), (Some(3), true));
        far.read_exact(&mut [0; 10]).await.unwrap();
        second(1).await;
        assert_eq!(seconds(), Some(1), "some of it went");
        far.read_exact(&mut [0; 15]).await.unwrap();
        let _writer = writing.await.unwrap();
        assert!(!movement.is_blocked());
    }

    #[tokio::test]
    async fn both_directions_end_when_it_is_given_up() {
        let (near, _far) = tokio::io::duplex(10);
        let (near, movement) = watched(near, 1_000);
        let (mut reader, mut writer) = tokio::io::split(near);
        let reading = tokio::spawn(async move { reader.read_u8().await.map(drop) });
        let writing = tokio::spawn(async move { writer.write_all(&[1; 25]).await });
        tokio::task::yield_now().await;
        movement.give_up(SleptThrough::new(Duration::from_secs(60)));
        for ended in [reading.await.unwrap(), writing.await.unwrap()] {
            let error = ended.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(error.to_string().contains("60s"), "{error}");
        }
    }
}
