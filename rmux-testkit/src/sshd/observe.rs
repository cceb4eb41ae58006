//! What a test can see of a running [`Sshd`]: its connections, the commands they run, the
//! channels it has counted in its log.

use std::time::{Duration, Instant};

use super::Sshd;
use crate::processes::{self, Process};

impl Sshd {
    /// Number of live connections: processes forked by the listener, including those that have
    /// not logged in yet.
    pub fn connections(&self) -> usize {
        self.descendants()
            .iter()
            .filter(|process| process.parent == self.pid)
            .count()
    }

    /// Number of remote commands, shells and subsystems running under this server.
    ///
    /// A channel that has not been asked to run anything has no process:
    /// [`open_channels`](Self::open_channels) counts those too.
    pub fn open_sessions(&self) -> usize {
        let all = self.descendants();
        let is_sshd = |pid: i32| {
            pid == self.pid || all.iter().any(|other| other.pid == pid && is_server(other))
        };
        all.iter()
            .filter(|process| {
                (!is_server(process) && is_sshd(process.parent)) || is_internal_sftp(process)
            })
            .count()
    }

    /// Number of session channels open, taken from the log: those opened less those freed.
    ///
    /// Exact as long as every connection so far is alive: one that ends with channels open
    /// frees them without a word.
    ///
    /// # Panics
    /// Unless started with [`log_channels`](super::SshdBuilder::log_channels).
    #[track_caller]
    pub fn open_channels(&self) -> usize {
        let (opened, freed) = self.channel_counts();
        opened.saturating_sub(freed)
    }

    /// Number of session channels opened since the start, on any connection.
    ///
    /// # Panics
    /// Unless started with [`log_channels`](super::SshdBuilder::log_channels).
    #[track_caller]
    pub fn channels_opened(&self) -> usize {
        self.channel_counts().0
    }

    /// Number of connections accepted since the start.
    pub fn connections_accepted(&self) -> usize {
        self.log()
            .lines()
            .filter(|line| line.starts_with("Connection from "))
            .count()
    }

    /// Number of processes alive under the listener, of any kind.
    pub fn processes(&self) -> usize {
        self.descendants().len()
    }

    /// Process ids of all that is alive under the listener.
    pub fn descendant_pids(&self) -> Vec<u32> {
        let all = self.descendants().into_iter();
        all.map(|process| process.pid as u32).collect()
    }

    /// Waits until `condition` holds for this server, looking every few milliseconds; false if
    /// it does not within `limit`. Blocks the calling thread.
    pub fn wait_until(&self, limit: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if condition(self) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has the system grant so many more processes than it has now to the account, on its connections
    /// of now and to what those start from then on; without a number, as many as before. Root cannot be
    /// limited, and the processes of somebody else who logs in come and go: false where the account is
    /// not [this server's own](super::SshdBuilder::unprivileged).
    ///
    /// # Panics
    /// Where it has no connection.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn limit_processes(&self, more: Option<usize>) -> bool {
        use std::os::unix::process::CommandExt as _;

        if self.account.is_none() {
            return false;
        }
        let uid_of = |process: &Process| word(&about(process.pid, "status"), "Uid:", 1);
        let connections = self.descendants();
        let mut connections = connections.iter().filter(|process| is_server(process));
        let (connection, uid) = connections
            .find_map(|process| Some((process, uid_of(process).filter(|uid| *uid != 0)?)))
            .expect("the account is logged in");
        // Those count too that have ended, and that nobody reaps.
        let there = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let there = there.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let there = there.filter(|pid| word(&about(*pid, "status"), "Uid:", 1) == Some(uid));
        let limit = match more {
            Some(more) => there.count() as u32 + more as u32,
            None => word(&about(connection.pid, "limits"), "Max processes", 3).unwrap_or(u32::MAX),
        };
        // By the account itself: root may lack the right to.
        let status = std::process::Command::new("prlimit")
            .arg("--pid")
            .arg(connection.pid.to_string())
            .arg(format!("--nproc={limit}:"))
            .gid(word(&about(connection.pid, "status"), "Gid:", 1).expect("it has a group"))
            .uid(uid)
            .status()
            .expect("prlimit (Debian: util-linux)");
        assert!(status.success(), "prlimit failed");
        true
    }

    pub(super) fn descendants(&self) -> Vec<Process> {
        processes::descendants(self.pid)
    }

    #[track_caller]
    fn channel_counts(&self) -> (usize, usize) {
        assert!(
            self.logs_channels,
            "channels are counted after SshdBuilder::log_channels() only"
        );
        let log = self.log();
        let mut counts = (0, 0);
        for line in log.lines() {
            // "channel 0: new session [server-session]" … "channel 0: free: server-session, …"
            if let Some(rest) = line.strip_prefix("debug1: channel ")
                && rest.contains("server-session")
            {
                counts.0 += usize::from(rest.contains(": new "));
                counts.1 += usize::from(rest.contains(": free: "));
            }
        }
        counts
    }
}

/// Newer releases split the server into `sshd`, `sshd-session` and `sshd-auth`.
fn is_server(process: &Process) -> bool {
    process.name.starts_with("sshd")
}

/// The built-in SFTP server is a fork of sshd, told apart by its title only.
fn is_internal_sftp(process: &Process) -> bool {
    is_server(process)
        && std::fs::read(format!("/proc/{}/cmdline", process.pid))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("internal-sftp"))
}

/// A file about a process; empty where that is gone.
#[cfg(target_os = "linux")]
fn about(pid: i32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// A number of a text: the word of this index in the line that begins so.
#[cfg(target_os = "linux")]
fn word(text: &str, line: &str, index: usize) -> Option<u32> {
    let line = text.lines().find(|other| other.starts_with(line))?;
    line.split_whitespace().nth(index)?.parse().ok()
}
