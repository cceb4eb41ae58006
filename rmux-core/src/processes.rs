//! A program of the user's that runs on this machine, and all that it starts: in which group of
//! processes it belongs, and how they are ended together.
//!
//! Knows nothing of what the program is for.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};

/// Whether a program that is started here gets a group of its own, by which it and all it starts
/// can be ended. Not where it may ask its user at the terminal, which only the group in its
/// foreground can: a group of its own would be stopped there, and a password could not be typed
/// into an `ssh` that is the way to another host.
pub(crate) fn in_own_group() -> bool {
    let how = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let at_terminal = rustix::fs::open("/dev/tty", how, Mode::empty())
        .and_then(rustix::termios::tcgetpgrp)
        .is_ok_and(|foreground| foreground == rustix::process::getpgrp());
    !at_terminal
}

/// A program that has not been waited for, so that its number is nobody else's, and how what it
/// starts is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    pub(crate) leader: Pid,
    /// What [`in_own_group`] said.
    pub(crate) own_group: bool,
}

impl Processes {
    /// What it has started so far, where there is no group to tell by.
    pub(crate) fn started(self) -> Vec<OwnedFd> {
        match self.own_group {
            true => Vec::new(),
            false => descendants(self.leader),
        }
    }

    /// Sends a signal to it, and to what it has started. What fails here is gone already.
    pub(crate) fn signal(self, started: &[OwnedFd], signal: Signal) {
        let _ = match self.own_group {
            true => rustix::process::kill_process_group(self.leader, signal),
            false => rustix::process::kill_process(self.leader, signal),
        };
        end_each(started, signal);
    }

    /// Kills it, and all that it has started.
    pub(crate) fn kill(self) {
        // It starts no more while what it has started is looked for.
        self.signal(&[], Signal::STOP);
        self.signal(&self.started(), Signal::KILL);
    }
}

/// The processes below one. They are held, so that no stranger is met under the same number later.
#[cfg(target_os = "linux")]
fn descendants(leader: Pid) -> Vec<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let parent = |pid: Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let fields = stat.get(stat.rfind(')')? + 1..)?;
        Pid::from_raw(fields.split_whitespace().nth(1)?.parse().ok()?)
    };
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    let parents: Vec<(Pid, Pid)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![leader];
    let mut held = Vec::new();
    let mut next = 0;
    while let Some(&above) = family.get(next) {
        next += 1;
        for &(child, of) in &parents {
            if of != above || family.contains(&child) {
                continue;
            }
            family.push(child);
            let holding = pidfd_open(child, PidfdFlags::empty());
            held.extend(holding.ok().filter(|_| parent(child) == Some(of)));
        }
    }
    held
}

#[cfg(not(target_os = "linux"))]
fn descendants(_: Pid) -> Vec<OwnedFd> {
    // Only the program itself is ended, as `ssh` does it.
    Vec::new()
}

/// Sends a signal to each of them.
#[cfg(target_os = "linux")]
pub(crate) fn end_each(processes: &[OwnedFd], signal: Signal) {
    for process in processes {
        let _ = rustix::process::pidfd_send_signal(process, signal);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn end_each(_: &[OwnedFd], _: Signal) {}
