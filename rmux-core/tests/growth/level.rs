//! What the process holds, and the wait until it holds no more than before.

use std::fmt;
use std::time::Duration;

use rmux_testkit::sshd::Sshd;

use crate::fixture::eventually;

/// Channels that are let go of have some seconds to end by themselves.
const SETTLING: Duration = Duration::from_secs(60);

/// What the process holds at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    pub(crate) memory_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) tasks: usize,
}

impl Level {
    /// Must be called within the runtime that is looked at.
    pub(crate) fn now() -> Self {
        Self {
            memory_kib: resident_kib(),
            descriptors: open_descriptors(),
            tasks: alive_tasks(),
        }
    }

    /// Waits until there are no more descriptors and tasks than there were, and the server runs no
    /// more than `processes` commands.
    pub(crate) async fn is_reached_again(&self, sshd: &Sshd, processes: usize) {
        let tasks = || alive_tasks() <= self.tasks;
        eventually(SETTLING, "the tasks are gone", tasks).await;
        let descriptors = || open_descriptors() <= self.descriptors;
        eventually(SETTLING, "the descriptors are closed", descriptors).await;
        let commands = || sshd.open_sessions() <= processes;
        eventually(SETTLING, "the server's commands have ended", commands).await;
    }

    /// How much more memory there is now.
    pub(crate) fn growth_kib(&self) -> u64 {
        resident_kib().saturating_sub(self.memory_kib)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6} KiB, {:>3} descriptors, {:>3} tasks",
            self.memory_kib, self.descriptors, self.tasks
        )
    }
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
