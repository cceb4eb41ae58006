//! A deadline that does not run while a person is being asked.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// Time allowed for talking to a server. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Deadline(Arc<Mutex<State>>);

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
        Self(Arc::new(Mutex::new(State {
            allowed,
            left: allowed,
            counted: Instant::now(),
            pauses: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Stops the clock until what is returned is dropped.
    pub(crate) fn pause(&self) -> Pause {
        let mut state = self.state();
        state.count();
        state.pauses += 1;
        Pause(self.clone())
    }

    /// Runs `work` until it is done or the time is up; then `work` is dropped.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Expired> {
        let mut work = std::pin::pin!(work);
        loop {
            let (left, paused, allowed) = {
                let mut state = self.state();
                state.count();
                (state.left, state.pauses > 0, state.allowed)
            };
            if left.is_zero() && !paused {
                return Err(Expired(allowed));
            }
            // While paused, look again after the whole allowance: nothing can expire before.
            let nap = if paused { allowed } else { left };
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(nap) => {}
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
}
