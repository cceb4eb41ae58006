//! Who has the terminal: while a question is on it, nobody else writes there, and the progress bar is
//! taken away.
//!
//! Must not know what is asked, nor what the bar is about.

use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget};

/// Who must not be written over, and the bar to be taken away for them.
struct Gate {
    held: usize,
    bar: Option<ProgressBar>,
}

static GATE: Mutex<Gate> = Mutex::new(Gate { held: 0, bar: None });
static LET_GO: Condvar = Condvar::new();

fn gate() -> MutexGuard<'static, Gate> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing is written by those who heed it while this exists, but for a text that is written already.
#[derive(Debug)]
#[must_use]
pub(crate) struct Held(());

/// Keeps others from writing: somebody has the terminal.
pub(crate) fn hold() -> Held {
    let mut gate = gate();
    gate.held += 1;
    if let Some(bar) = &gate.bar {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        // Where the bar was: nothing that it writes is needed any more.
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
    Held(())
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut gate = gate();
        gate.held -= 1;
        if gate.held == 0 {
            if let Some(bar) = &gate.bar {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            LET_GO.notify_all();
        }
    }
}

/// Waits until nobody has the terminal.
pub(crate) fn wait() {
    let free = LET_GO.wait_while(gate(), |gate| gate.held > 0);
    drop(free.unwrap_or_else(PoisonError::into_inner));
}

/// Shows a bar from now on, in the place of one that was shown.
pub(crate) fn show(bar: ProgressBar) {
    let mut gate = gate();
    if gate.held > 0 {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    gate.bar = Some(bar);
}

/// The bar, if there is one.
pub(crate) fn bar() -> Option<ProgressBar> {
    gate().bar.clone()
}

/// Takes the bar away for good.
pub(crate) fn clear() {
    if let Some(bar) = gate().bar.take() {
        bar.finish_and_clear();
    }
}
