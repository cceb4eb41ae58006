//! How long the server may take to answer: to open a channel, to run what it was asked to.
//!
//! A clock alone would give up on a slow network too, where the question itself is still on its way
//! behind other data. So the time counts from when the server is known to have read it: messages
//! arrive in order, and it has answered a sign of life that was asked for after it.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use russh::client::Handle;
use tokio::time::{Instant, sleep};

use super::handler::Handler;
use super::pulse;
use super::watched::Movement;
use crate::error::{Error, ErrorKind};

/// How often to look whether anything moves while the sign of life is waited for.
const GLANCE: Duration = Duration::from_millis(250);
/// A server that sends and sends, but never a sign of life, has so many times the limit.
const WITHOUT_SIGN: u32 = 10;

/// The patience of one link. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    host: Arc<str>,
    handle: Weak<Handle<Handler>>,
    movement: Arc<Movement>,
    /// `None` waits for ever.
    limit: Option<Duration>,
}

/// The server has not answered.
#[derive(Debug, Clone)]
pub(crate) struct Unanswered {
    host: Arc<str>,
    limit: Duration,
}

impl Unanswered {
    /// The error of an `operation` that was to be answered, told as what the server did not answer.
    pub(crate) fn error(&self, operation: &'static str, what: &str) -> Error {
        let limit = self.limit;
        let message = format!("the server did not answer {what} within {limit:?}");
        Error::new(ErrorKind::TimedOut, operation, message).with_host(&self.host)
    }
}

impl Answers {
    pub(super) fn new(
        host: Arc<str>,
        handle: &Arc<Handle<Handler>>,
        movement: Arc<Movement>,
        limit: Duration,
    ) -> Self {
        Self {
            host,
            handle: Arc::downgrade(handle),
            movement,
            limit: (!limit.is_zero()).then_some(limit),
        }
    }

    /// Waits for an answer, but not longer than the limit.
    ///
    /// # Cancel safety
    /// As that of `answer`.
    pub(super) async fn within<T>(&self, answer: impl Future<Output = T>) -> Result<T, Unanswered> {
        let Some(limit) = self.limit else {
            return Ok(answer.await);
        };
        tokio::select! {
            biased;
            answer = answer => Ok(answer),
            () = self.passed(limit) => Err(Unanswered { host: Arc::clone(&self.host), limit }),
        }
    }

    /// Half of the limit, then until the server has shown that it read what was sent before, or
    /// shows nothing; and then the other half, in which it could have answered.
    async fn passed(&self, limit: Duration) {
        let half = limit / 2;
        sleep(half).await;
        let mut asked = Instant::now();
        let mut sign = std::pin::pin!(pulse::ask(Weak::clone(&self.handle)));
        loop {
            tokio::select! {
                biased;
                () = &mut sign => break,
                () = sleep(GLANCE.min(half)) => match self.movement.silence(asked) {
                    Some(silence) if silence >= half => return,
                    Some(_) if asked.elapsed() >= limit * WITHOUT_SIGN => return,
                    Some(_) => {}
                    // Not the server is waited for, but somebody here who does not read.
                    None => asked = Instant::now(),
                },
            }
        }
        sleep(half).await;
    }
}
