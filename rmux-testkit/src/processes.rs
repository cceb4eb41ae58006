//! Processes by id: who descends from whom, ending exactly those, and the tether that ends a
//! fixture's server when the test process itself dies. Knows nothing of SSH.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt as _;

use rustix::process::{Pid, Signal};

/// One live process. `started` tells a process from a later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) started: String,
    pub(crate) name: String,
}

impl Process {
    /// Sends `signal`, unless the process is gone or its id belongs to another one by now.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            signal_pid(self.pid, signal);
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        one(self.pid).is_some_and(|now| now.started == self.started)
    }
}

/// All processes that descend from `root`, parents before children, without `root` itself.
pub(crate) fn descendants(root: i32) -> Vec<Process> {
    let all = list();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// Ends these processes: SIGTERM, and SIGKILL for those still there after `grace`.
/// Returns when all are gone (or, for one stuck in the kernel, two seconds after the SIGKILL).
pub(crate) fn end(processes: &[Process], grace: Duration) {
    for process in processes {
        process.signal(Signal::TERM);
        // A stopped process acts on SIGTERM only once it runs again.
        process.signal(Signal::CONT);
    }
    if wait_until_gone(processes, grace) {
        return;
    }
    for process in processes {
        process.signal(Signal::KILL);
    }
    wait_until_gone(processes, Duration::from_secs(2));
}

/// Sends `signal` to a process id that this process owns (a child not yet reaped).
pub(crate) fn signal_pid(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // The one error that matters here, "no such process", is the wanted outcome.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Ends a child of ours and reaps it: SIGTERM, then SIGKILL after `grace`.
pub(crate) fn end_child(child: &mut Child, grace: Duration) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    let pid = child.id() as i32;
    signal_pid(pid, Signal::TERM);
    signal_pid(pid, Signal::CONT);
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn wait_until_gone(processes: &[Process], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if !processes.iter().any(Process::is_alive) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(target_os = "linux")]
fn list() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(one)
        .collect()
}

/// The process with this id; `None` if there is none or it is a zombie.
#[cfg(target_os = "linux")]
fn one(pid: i32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name is in parentheses and may itself hold spaces and parentheses.
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: (*fields.get(19)?).to_owned(),
        name,
    })
}

#[cfg(not(target_os = "linux"))]
fn list() -> Vec<Process> {
    ps(&["-axo"])
}

#[cfg(not(target_os = "linux"))]
fn one(pid: i32) -> Option<Process> {
    ps(&["-p", &pid.to_string(), "-o"]).into_iter().next()
}

#[cfg(not(target_os = "linux"))]
fn ps(selection: &[&str]) -> Vec<Process> {
    let output = Command::new("ps")
        .args(selection)
        .arg("pid=,ppid=,stat=,lstart=,comm=")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // lstart is five words: "Mon Jan  1 00:00:00 2024".
            if words.len() < 9 || words[2].starts_with('Z') {
                return None;
            }
            let path = words[8..].join(" ");
            Some(Process {
                pid: words[0].parse().ok()?,
                parent: words[1].parse().ok()?,
                started: words[3..8].join(" "),
                name: path.rsplit('/').next().unwrap_or(&path).to_owned(),
            })
        })
        .collect()
}

/// Processes whose environment has an entry for which `is_match` holds. Finds what a server
/// left behind after its own process was gone, when no line of descent is left. Linux only;
/// elsewhere always empty.
pub(crate) fn with_environment(is_match: impl Fn(&str) -> bool) -> Vec<Process> {
    #[cfg(target_os = "linux")]
    {
        let mine = std::process::id() as i32;
        let mut found = list();
        found.retain(|process| {
            process.pid != mine
                && std::fs::read(format!("/proc/{}/environ", process.pid)).is_ok_and(|entries| {
                    entries
                        .split(|byte| *byte == 0)
                        .any(|entry| std::str::from_utf8(entry).is_ok_and(&is_match))
                })
        });
        found
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = is_match;
        Vec::new()
    }
}

/// Ends a server and removes its folder when this process dies without having done so: killed,
/// aborted, or holding the fixture in a static, which is never dropped.
///
/// It is a shell that waits for the end of a pipe which only this process holds open.
pub(crate) struct Tether(Child);

impl Tether {
    pub(crate) fn tie(pid: u32, folder: &Path) -> io::Result<Self> {
        let script = r#"read -r _; kill -TERM "$1" 2>/dev/null; sleep 1; rm -rf -- "$2""#;
        Command::new("/bin/sh")
            .args(["-c", script, "tether"])
            .arg(pid.to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal must end the tests, not the one who cleans up after them.
            .process_group(0)
            .spawn()
            .map(Self)
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        // Killed, not closed: closing the pipe is what would set it off.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
