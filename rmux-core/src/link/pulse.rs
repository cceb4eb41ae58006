//! Whether the server is still there, asked at once where the clock says that this machine, or this
//! program, has slept.
//!
//! The engine asks by its own timers, which stand still meanwhile: a connection that died in a sleep
//! would look alive for as long after it as one that dies now.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::time::ClockId;
use russh::client::Handle;
use tokio::time::Instant;

use super::Lost;
use super::handler::Handler;
use super::watched::Movement;

/// How often the clock is looked at: usually, and while an answer is waited for.
const USUAL: Duration = Duration::from_secs(2);
const ASKING: Duration = Duration::from_millis(250);
/// A look that comes so much too late was slept through. A machine that is only very busy asks once
/// too often.
const LATE: Duration = Duration::from_secs(3);
/// How long nothing at all may come after the question.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while data is on its way that the other side has to take first: a slow network may show
/// no progress for a while.
const PATIENCE_BLOCKED: Duration = Duration::from_secs(15);

/// The server gave no sign of life after a sleep.
#[derive(Debug, Clone, Copy)]
pub(super) struct SleptThrough(Duration);

impl SleptThrough {
    pub(super) fn new(time: Duration) -> Self {
        Self(time)
    }
}

impl fmt::Display for SleptThrough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the server gives no sign of life after this side slept for {}s",
            self.0.as_secs()
        )
    }
}

impl std::error::Error for SleptThrough {}

/// Looks after one link until its end. Must be called within a runtime.
pub(super) fn watch(handle: &Arc<Handle<Handler>>, movement: Arc<Movement>, mut lost: Lost) {
    let handle = Arc::downgrade(handle);
    tokio::spawn(async move {
        tokio::select! {
            () = watching(handle, &movement) => {}
            () = lost.gone() => {}
        }
    });
}

type Question = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn watching(handle: Weak<Handle<Handler>>, movement: &Movement) {
    let mut sleeps = Sleeps::default();
    let mut looked = clock();
    let mut question: Option<Question> = None;
    let mut asked = Instant::now();
    loop {
        let answered = tokio::select! {
            biased;
            () = answer(&mut question) => true,
            () = tokio::time::sleep(sleeps.interval()) => false,
        };
        if answered {
            question = None;
        }
        let now = clock();
        let sight = Sight {
            passed: now.saturating_sub(looked),
            answered,
            silence: movement.silence(asked),
            blocked: movement.is_blocked(),
        };
        looked = now;
        match sleeps.look(&sight) {
            Verdict::Fine => {}
            Verdict::Ask => {
                tracing::debug!(passed = ?sight.passed, "slept: is the server still there?");
                asked = Instant::now();
                question = Some(Box::pin(ask(Weak::clone(&handle))));
            }
            Verdict::Lost(why) => return movement.give_up(why),
        }
    }
}

/// Asks for a sign of life; done when one came, or the link has ended.
pub(super) async fn ask(handle: Weak<Handle<Handler>>) {
    if let Some(handle) = handle.upgrade() {
        let _ = handle.send_ping().await;
    }
}

async fn answer(question: &mut Option<Question>) {
    match question {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

/// A clock that goes on while the machine sleeps, as the one of the timers does not.
fn clock() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let id = ClockId::CLOCK_BOOTTIME;
    // Elsewhere (macOS) the one of this name does.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let id = ClockId::CLOCK_MONOTONIC;
    // It fails where there is no such clock: then nothing is noticed.
    id.now().map(Duration::from).unwrap_or_default()
}

/// What is seen at one look.
#[derive(Debug, Clone, Copy)]
struct Sight {
    /// Since the look before.
    passed: Duration,
    /// Whether the answer to the question came.
    answered: bool,
    /// How long nothing has moved since the question, while the other side is waited for.
    silence: Option<Duration>,
    blocked: bool,
}

#[derive(Debug)]
enum Verdict {
    Fine,
    /// Ask now, be it once more.
    Ask,
    Lost(SleptThrough),
}

/// Decides what to do from looks at the clock, which it does not know itself.
#[derive(Debug, Default)]
struct Sleeps {
    /// How long was slept, while the answer to the question after it is waited for.
    slept: Option<Duration>,
}

impl Sleeps {
    /// When to look next.
    fn interval(&self) -> Duration {
        match self.slept {
            Some(_) => ASKING,
            None => USUAL,
        }
    }

    fn look(&mut self, sight: &Sight) -> Verdict {
        let late = sight.passed.saturating_sub(self.interval());
        if late >= LATE {
            // Whatever was heard may be from before.
            self.slept = Some(self.slept.unwrap_or_default() + late);
            return Verdict::Ask;
        }
        if sight.answered {
            self.slept = None;
        }
        let patience = match sight.blocked {
            true => PATIENCE_BLOCKED,
            false => PATIENCE,
        };
        match (self.slept, sight.silence) {
            (Some(slept), Some(silence)) if silence >= patience => {
                Verdict::Lost(SleptThrough::new(slept))
            }
            _ => Verdict::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn sight(passed: Duration) -> Sight {
        Sight {
            passed,
            answered: false,
            silence: Some(seconds(3_600)),
            blocked: false,
        }
    }

    #[test]
    fn a_silent_link_is_asked_about_only_after_a_sleep() {
        let mut sleeps = Sleeps::default();
        for passed in [USUAL, seconds(3), seconds(4)] {
            assert!(matches!(sleeps.look(&sight(passed)), Verdict::Fine));
        }
        assert!(matches!(sleeps.look(&sight(seconds(5))), Verdict::Ask));
    }

    #[test]
    fn without_an_answer_it_is_lost_soon_and_with_one_it_is_as_before() {
        let mut sleeps = Sleeps::default();
        sleeps.look(&sight(seconds(62)));
        let mut later = sight(ASKING);
        later.silence = Some(seconds(4));
        assert!(matches!(sleeps.look(&later), Verdict::Fine));
        later.silence = Some(seconds(5));
        let Verdict::Lost(why) = sleeps.look(&later) else {
            panic!("it is lost")
        };
        assert!(why.to_string().contains("60s"), "{why}");

        let mut sleeps = Sleeps::default();
        sleeps.look(&sight(seconds(62)));
        later.answered = true;
        assert!(matches!(sleeps.look(&later), Verdict::Fine));
        assert_eq!(sleeps.interval(), USUAL);
        assert!(matches!(sleeps.look(&sight(USUAL)), Verdict::Fine));
    }

    #[test]
    fn an_answer_from_before_another_sleep_counts_for_nothing() {
        let mut sleeps = Sleeps::default();
        sleeps.look(&sight(seconds(12)));
        let mut stale = sight(seconds(30));
        stale.answered = true;
        assert!(matches!(sleeps.look(&stale), Verdict::Ask));
        let Verdict::Lost(why) = sleeps.look(&sight(ASKING)) else {
            panic!("it is lost")
        };
        assert!(why.to_string().contains("39s"), "both together: {why}");
    }

    #[test]
    fn who_waits_for_this_side_is_not_lost_and_who_takes_data_slowly_gets_more_time() {
        let mut sleeps = Sleeps::default();
        sleeps.look(&sight(seconds(62)));
        let mut later = sight(ASKING);
        later.silence = None;
        assert!(matches!(sleeps.look(&later), Verdict::Fine));
        later.blocked = true;
        for (silent, lost) in [(14, false), (15, true)] {
            later.silence = Some(seconds(silent));
            let verdict = sleeps.look(&later);
            assert_eq!(matches!(verdict, Verdict::Lost(_)), lost, "{silent} s");
        }
    }

    #[test]
    fn the_clock_goes_on() {
        let before = clock();
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock() > before);
    }
}
