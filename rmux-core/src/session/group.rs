//! The process group of a command that must not outlive its caller.
//!
//! A server may ignore the `signal` request (OpenSSH does for root), so such a command is started
//! by a wrapper that first tells its process id; to end it, `kill` runs on another channel. sshd
//! makes every command the leader of a session and of a process group, and the wrapper `exec`s the
//! command, so that the id it tells is the group's.

use super::exit::Signal;
use crate::quote;

/// Appears in front of the process id; random, so that no output looks like it by chance.
pub(super) fn token() -> String {
    format!("rmux-pid-{:032x}", rand::random::<u128>())
}

/// What the wrapper's script does first.
pub(super) fn announce(token: &str) -> String {
    format!("echo \"{token} $$\" >&2; ")
}

/// The line that sends a signal to the group led by `pid`; or, where it leads none and `alone` says
/// that the id is still its own, to the process alone.
pub(super) fn signal(pid: u32, signal: &Signal, alone: bool) -> Vec<u8> {
    let name = signal.name();
    // The one spelling that dash, bash, zsh and ksh agree on.
    let mut script = format!("kill -s {name} -- -{pid} 2>/dev/null");
    if alone {
        script += &format!(" || kill -s {name} {pid} 2>/dev/null");
    }
    quote::command_line(&["sh", "-c", &script])
}
