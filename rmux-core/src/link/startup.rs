//! What a session has learnt of how the account's shell starts: whether it runs what it is asked to,
//! and whether its start-up files print anything.

use std::sync::atomic::{AtomicU8, Ordering};

/// A mark has come: the shell runs what it is asked to.
const OBEYS: u8 = 1;
/// A mark did not come in time, and none had come before.
const STRANGE: u8 = 2;
/// Marks have come on both streams with nothing before them.
const QUIET: u8 = 4;
/// Something came before a mark.
const NOISY: u8 = 8;

/// Shared by the channels of a session, which tell, and by who starts commands, which asks.
#[derive(Debug, Default)]
pub(crate) struct Startup(AtomicU8);

impl Startup {
    fn has(&self, bit: u8) -> bool {
        self.0.load(Ordering::Relaxed) & bit != 0
    }

    fn learn(&self, bit: u8) {
        self.0.fetch_or(bit, Ordering::Relaxed);
    }

    /// Whether commands are to mark where their output begins. Not where the server runs something
    /// else than it was asked to, whose output the mark's absence would delay.
    pub(crate) fn wants_mark(&self) -> bool {
        self.has(OBEYS) || !self.has(STRANGE)
    }

    /// Whether standard error is to be marked too, which costs one more process.
    pub(crate) fn wants_mark_on_stderr(&self) -> bool {
        self.wants_mark() && (self.has(NOISY) || !self.has(QUIET))
    }

    /// A mark came behind this many bytes.
    pub(super) fn came(&self, noise: usize) {
        self.learn(if noise > 0 { OBEYS | NOISY } else { OBEYS });
    }

    /// The marks of both streams came, and nothing before them.
    pub(super) fn quiet(&self) {
        self.learn(QUIET);
    }

    /// A mark did not come in time.
    pub(super) fn missed(&self) {
        self.learn(STRANGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_shell_is_marked_on_one_stream_until_it_makes_a_noise() {
        let startup = Startup::default();
        assert!(startup.wants_mark() && startup.wants_mark_on_stderr());
        startup.came(0);
        startup.quiet();
        assert!(startup.wants_mark() && !startup.wants_mark_on_stderr());
        startup.came(1);
        assert!(startup.wants_mark() && startup.wants_mark_on_stderr());
    }

    #[test]
    fn a_mark_that_is_late_once_is_waited_for_all_the_same() {
        let startup = Startup::default();
        startup.came(0);
        startup.missed();
        assert!(startup.wants_mark());
        let strange = Startup::default();
        strange.missed();
        assert!(!strange.wants_mark() && !strange.wants_mark_on_stderr());
    }
}
