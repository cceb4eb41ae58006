//! What the server says where it refuses to open a channel.
//!
//! The engine gives who asked a number, and tells the words beside, without saying whom they are
//! for. Refusals come in the order of the answers, so the words are known for certain where only one
//! channel was being asked for, or where all that were refused meanwhile heard the same. Otherwise
//! none are told: words about another host would mislead.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::ChannelOpenFailure;
use tokio::sync::Notify;

use crate::printable::printable;

/// How many are kept: nobody asks for more at a time and still wants to know.
const KEPT: usize = 64;
/// How long the engine may take to tell the words behind the number.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same where somebody else's words may be taken for one's own.
const MOMENT: Duration = Duration::from_millis(5);

/// Shared by those who ask and by what hears the answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many channels are being asked for, and how many ever were.
    open: usize,
    asked: u64,
    /// How many refusals there were, and the words of the last ones.
    told: u64,
    words: VecDeque<String>,
}

/// A channel is being asked for as long as this is held.
#[derive(Debug)]
pub(super) struct Asked {
    refusals: Refusals,
    told_before: u64,
    /// The number of this one, where it was alone at first.
    alone: Option<u64>,
}

impl Refusals {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel is asked for.
    pub(super) fn ask(&self) -> Asked {
        let mut state = self.state();
        state.open += 1;
        state.asked += 1;
        Asked {
            refusals: self.clone(),
            told_before: state.told,
            alone: (state.open == 1).then_some(state.asked),
        }
    }

    /// One was refused with these words.
    pub(super) fn told(&self, words: &str) {
        let mut state = self.state();
        state.told += 1;
        state.words.push_back(printable(words));
        if state.words.len() > KEPT {
            state.words.pop_front();
        }
        drop(state);
        self.0.news.notify_waiters();
    }
}

impl Asked {
    /// It was refused: why, in the words of OpenSSH and the server's own.
    pub(super) async fn refused(self, reason: &ChannelOpenFailure) -> String {
        let reason = match reason {
            ChannelOpenFailure::AdministrativelyProhibited => "administratively prohibited",
            ChannelOpenFailure::ConnectFailed => "connect failed",
            ChannelOpenFailure::UnknownChannelType => "unknown channel type",
            ChannelOpenFailure::ResourceShortage => "resource shortage",
            _ => "unknown reason",
        };
        let words = tokio::time::timeout(PATIENCE, self.words()).await;
        match words.ok().flatten() {
            Some(words) if !words.is_empty() => format!("{reason}: {words}"),
            _ => reason.to_owned(),
        }
    }

    async fn words(&self) -> Option<String> {
        loop {
            let mut news = std::pin::pin!(self.refusals.0.news.notified());
            news.as_mut().enable();
            if self.refusals.state().told > self.told_before {
                break;
            }
            news.await;
        }
        if self.alone != Some(self.refusals.state().asked) {
            tokio::time::sleep(MOMENT).await;
        }
        let state = self.refusals.state();
        let since = usize::try_from(state.told - self.told_before).ok()?;
        if since > state.words.len() {
            return None;
        }
        let mut words = state.words.iter().rev().take(since);
        let first = words.next()?;
        words.all(|other| other == first).then(|| first.clone())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.refusals.state().open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: ChannelOpenFailure = ChannelOpenFailure::ConnectFailed;

    #[tokio::test(start_paused = true)]
    async fn words_are_told_to_whom_they_are_certainly_for() {
        let refusals = Refusals::default();
        let one = refusals.ask();
        refusals.told("first");
        assert_eq!(one.refused(&REASON).await, "connect failed: first");

        let (one, two) = (refusals.ask(), refusals.ask());
        refusals.told("same");
        refusals.told("same");
        assert_eq!(one.refused(&REASON).await, "connect failed: same");
        assert_eq!(two.refused(&REASON).await, "connect failed: same");

        let (one, two) = (refusals.ask(), refusals.ask());
        refusals.told("this");
        refusals.told("that");
        assert_eq!(one.refused(&REASON).await, "connect failed");
        assert_eq!(two.refused(&REASON).await, "connect failed");

        // Nothing is waited for in vain.
        let one = refusals.ask();
        assert_eq!(one.refused(&REASON).await, "connect failed");
    }
}
