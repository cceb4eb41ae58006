//! A deadline that does not run while a person is being asked.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Time allowed for talking to a server. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Deadline(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when the last pause ends.
    resumed: Notify,
}

#[derive(Debug)]
struct State {
    allowed: Duration,
    /// The allowed time left when it was last counted.
    left: Duration,
    counted: Instant,
    pauses: u32,
}

/// The deadline passed; holds the time that was allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expired(pub(crate) Duration);

/// The deadline stands still while this exists.
#[derive(Debug)]
pub(crate) struct Pause(Deadline);

impl Deadline {
    /// Begins to count now.
    pub(crate) fn after(allowed: Duration) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                allowed,
                left: allowed,
                counted: Instant::now(),
                pauses: 0,
            }),
            resumed: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Allows the whole time again, from now on.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.count();
        state.left = state.allowed;
    }

    /// The time left.
    pub(crate) fn left(&self) -> Duration {
        let mut state = self.state();
        state.count();
        state.left
    }

    /// Stops the clock until what is returned is dropped.
    pub(crate) fn pause(&self) -> Pause {
        let mut state = self.state();
        state.count();
        state.pauses += 1;
        Pause(self.clone())
    }

    /// Whether the clock stands still: somebody outside is being waited for.
    pub(crate) fn is_paused(&self) -> bool {
        self.state().pauses > 0
    }

    /// Runs `work` until it is done or the time is up; then `work` is dropped.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Expired> {
        let mut work = std::pin::pin!(work);
        loop {
            // Listen before looking: a pause that ends in between must not be missed.
            let mut resumed = std::pin::pin!(self.0.resumed.notified());
            resumed.as_mut().enable();
            let (left, paused, allowed) = {
                let mut state = self.state();
                state.count();
                (state.left, state.pauses > 0, state.allowed)
            };
            if left.is_zero() && !paused {
                return Err(Expired(allowed));
            }
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = resumed => {}
                () = tokio::time::sleep(left), if !paused => {}
            }
        }
    }
}

impl State {
    fn count(&mut self) {
        let now = Instant::now();
        if self.pauses == 0 {
            self.left = self.left.saturating_sub(now - self.counted);
        }
        self.counted = now;
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.count();
        state.pauses -= 1;
        let resumed = state.pauses == 0;
        drop(state);
        if resumed {
            self.0.0.resumed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_at_a_prompt_does_not_count() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let work = async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            let pause = deadline.pause();
            tokio::time::sleep(Duration::from_secs(600)).await;
            drop(pause);
            tokio::time::sleep(Duration::from_secs(3)).await;
        };
        assert!(deadline.run(work).await.is_ok());
        let rest = deadline
            .run(tokio::time::sleep(Duration::from_secs(2)))
            .await;
        assert!(rest.is_err(), "one second was left");
    }

    #[tokio::test(start_paused = true)]
    async fn it_expires_when_the_rest_is_used_up_after_a_pause() {
        let begun = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(15));
        let work = async {
            tokio::time::sleep(Duration::from_secs(14)).await;
            let pause = deadline.pause();
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(pause);
            std::future::pending::<()>().await;
        };
        assert!(deadline.run(work).await.is_err());
        assert_eq!(begun.elapsed().as_secs(), 17);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_another_task_ends_is_noticed_and_pauses_nest() {
        let begun = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(5));
        let (first, second) = (deadline.pause(), deadline.pause());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(first);
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(second);
        });
        let expired = deadline.run(std::future::pending::<()>()).await;
        assert_eq!(expired.unwrap_err().0, Duration::from_secs(5));
        assert_eq!(begun.elapsed().as_secs(), 25);
    }
}
