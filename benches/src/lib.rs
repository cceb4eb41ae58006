//! What the benches share: the peers that are compared, and how they are compared fairly.
//!
//! | module | holds |
//! |---|---|
//! | [`ours`] | rmux, through its public API only |
//! | [`bare`] | the same work by a small program that uses the SSH engine directly |
//! | [`stock`] | the same work by the installed `ssh`, over a master connection |
//! | [`measure`] | interleaved samples, medians |
//! | [`verdict`] | lines with a value and its limit |
//!
//! All peers talk to one real sshd, with the same cipher. Absolute times differ from machine to
//! machine and with what else it does; ratios of one run stand for more.
#![warn(missing_docs)]

pub mod bare;
pub mod measure;
pub mod ours;
pub mod stock;
pub mod verdict;

/// The line that every exec runs: no program behind the account's shell, so that what is measured
/// is the way to the command and back.
pub const NOTHING: &str = "true";

/// The size of the pieces in which input is handed over.
pub const PIECE: usize = 256 << 10;

/// A line that writes `bytes` zeros.
pub fn source(bytes: u64) -> String {
    format!("head -c {bytes} /dev/zero")
}

/// A line that reads its input to the end and keeps nothing.
pub const SINK: &str = "cat > /dev/null";

/// A line that tells how many bytes its input has.
pub const COUNT: &str = "wc -c";
