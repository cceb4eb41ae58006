//! The process group of a command that must not outlive its caller.
//!
//! A server may ignore the `signal` request (OpenSSH does for root), so such a command is started
//! by a wrapper that first tells its process id; to end it, `kill` runs on another channel. sshd
//! makes every command the leader of a session and of a process group, and the wrapper `exec`s the
//! command, so that the id it tells is the group's.

use std::time::Duration;

use super::exit::Signal;
use crate::error::RemoteEnd;
use crate::link::Exit;
use crate::quote;

/// The status by which the script of [`stop`] says that nothing of the group is left. No shell and
/// no `kill` ends with it by itself.
const GONE: u32 = 97;
/// The longest grace, in hundredths of a second: half a year, which any shell can count.
const LONGEST_GRACE: u128 = 180 * 24 * 3600 * 100;
/// How long the processes of a killed group may take to disappear, in hundredths of a second.
const AFTER_KILL: u128 = 300;

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

/// The line that ends the group led by `pid`: `TERM`, `KILL` when the grace has passed, and its
/// [`verdict`] as the status. Once begun it goes on without the connection.
///
/// Where the id leads no group, and `alone` says that it is still its own, the process alone gets
/// the signals; what it has started cannot be found then.
pub(super) fn stop(pid: u32, grace: Duration, alone: bool) -> Vec<u8> {
    let grace = (grace.as_millis() / 10).min(LONGEST_GRACE);
    let mut script = asking(pid);
    // Fractions of a second are an extension of `sleep`.
    script += "gone() { t=0; while there; do [ $t -lt $1 ] || return 1; \
               d=2; [ $t -lt 20 ] || d=10; \
               if sleep 0.$((d / 10))$((d % 10)) 2>/dev/null; then t=$((t + d)); \
               else sleep 1; t=$((t + 100)); fi; done; }; ";
    if alone {
        let (soft, hard) = (send("TERM", pid, ""), send("KILL", pid, ""));
        let wait = grace.div_ceil(100);
        script += &format!(
            "if ! there && kill -s 0 {pid} 2>/dev/null; then {soft}; sleep {wait}; {hard}; exit 1; fi; "
        );
    }
    if grace > 0 {
        let soft = send("TERM", pid, "-- -");
        script += &format!("{soft}; {} && exit {GONE}; ", ends_within(grace));
    }
    let hard = send("KILL", pid, "-- -");
    script += &format!("{hard}; {} || exit 1; exit {GONE}", ends_within(AFTER_KILL));
    quote::command_line(&["sh", "-c", &script])
}

/// The line that only looks whether something of the group is left.
pub(super) fn look(pid: u32) -> Vec<u8> {
    let ask = asking(pid);
    let script = format!("{ask}there || exit {GONE}; dead && exit {GONE}; exit 1");
    quote::command_line(&["sh", "-c", &script])
}

/// What a script about the group asks: whether it is `there`, and whether what is there is `dead`.
fn asking(pid: u32) -> String {
    // The text of the error, not the status of `kill`, tells a group that is gone from one that
    // belongs to another account by now (`sudo`). Dead processes that nobody reaps still count for
    // `kill`.
    format!(
        "LC_ALL=C; export LC_ALL; trap '' HUP PIPE; \
         there() {{ case $(kill -s 0 -- -{pid} 2>&1) in *'o such process'*) false;; esac; }}; \
         dead() {{ ps -A -o pgid= -o stat= 2>/dev/null | {{ s=1; while read -r g z; do \
         if [ \"$g\" = {pid} ]; then case $z in Z*) s=0;; *) exit 1;; esac; fi; done; exit $s; }}; }}; "
    )
}

/// Looks at the list of processes when the group has had a moment, and once more at the end.
fn ends_within(time: u128) -> String {
    let moment = time.min(30);
    format!(
        "{{ gone {moment} || dead || gone {} || dead; }}",
        time - moment
    )
}

fn send(signal: &str, pid: u32, group: &str) -> String {
    format!("kill -s {signal} {group}{pid} 2>/dev/null")
}

/// What the end of the line of [`stop`] or [`look`] says.
pub(super) fn verdict(exit: Option<Exit>) -> RemoteEnd {
    match exit {
        Some(Exit::Status(GONE)) => RemoteEnd::Confirmed,
        _ => RemoteEnd::Unconfirmed,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    /// A group of processes on this machine, and its leader's id.
    fn group(script: &str) -> std::process::Child {
        Command::new("sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn run(line: Vec<u8>) -> RemoteEnd {
        let line = String::from_utf8(line).unwrap();
        let status = Command::new("sh").args(["-c", &line]).status().unwrap();
        verdict(status.code().map(|code| Exit::Status(code as u32)))
    }

    /// Whoever reaps the leader does it meanwhile, as sshd does.
    fn stopped(mut leader: std::process::Child, grace: Duration) -> RemoteEnd {
        let pid = leader.id();
        let reaper = std::thread::spawn(move || leader.wait().unwrap());
        let end = run(stop(pid, grace, true));
        if end != RemoteEnd::Confirmed {
            // Nobody waits for ever for what this was to end.
            let kill = Signal::named(Signal::KILL).unwrap();
            run(signal(pid, &kill, true));
        }
        reaper.join().unwrap();
        assert_eq!(run(look(pid)), RemoteEnd::Confirmed);
        end
    }

    #[test]
    fn a_group_ends_in_order_or_by_force_and_that_is_seen() {
        let obeys = group("sleep 6120 & wait");
        assert_eq!(
            stopped(obeys, Duration::from_secs(60)),
            RemoteEnd::Confirmed
        );
        let refuses = group("trap '' TERM; sleep 6120 & while :; do sleep 1; done");
        std::thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        let grace = Duration::from_millis(500);
        assert_eq!(stopped(refuses, grace), RemoteEnd::Confirmed);
        assert!(begun.elapsed() >= grace, "it had its grace");
        let at_once = group("trap '' TERM; sleep 6120");
        assert_eq!(stopped(at_once, Duration::ZERO), RemoteEnd::Confirmed);
    }

    #[test]
    fn what_is_there_is_not_called_gone_and_looking_ends_nothing() {
        let mut leader = group("exec sleep 6121");
        let pid = leader.id();
        assert_eq!(run(look(pid)), RemoteEnd::Unconfirmed);
        assert_eq!(leader.try_wait().unwrap(), None);
        assert_eq!(stopped(leader, Duration::ZERO), RemoteEnd::Confirmed);
    }

    #[test]
    fn the_dead_that_nobody_reaps_do_not_count() {
        let mut leader = group("exec sleep 6122");
        assert_eq!(
            run(stop(leader.id(), Duration::from_millis(50), true)),
            RemoteEnd::Confirmed
        );
        leader.wait().unwrap();
    }

    #[test]
    fn a_process_without_a_group_of_its_own_ends_unconfirmed() {
        let mut child = Command::new("sleep").arg("6123").spawn().unwrap();
        let end = run(stop(child.id(), Duration::ZERO, true));
        assert_eq!(end, RemoteEnd::Unconfirmed);
        assert!(!child.wait().unwrap().success());
    }
}
