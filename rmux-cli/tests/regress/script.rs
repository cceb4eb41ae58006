//! One script: run in a folder of its own, on a port of its own, with `rmux ssh` as `ssh`; and what
//! it left behind.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest that a script may take, in seconds.
const LIMIT: u64 = 240;
/// Processes that inherited it belong to a script.
const MARK: &str = "RMUX_REGRESS_RUN";
/// Beneath the ports that a system gives out by itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// `ssh` as the scripts see it. They set the server up with what `ssh -Q` prints, so the names that
/// the installed sshd does not know are left out there.
const WRAPPER: &str = r#"#!/bin/sh
# rmux in the place of ssh
for last; do query=$option option=$last; done
if [ "$query" = -Q ]; then
	"$RMUX" ssh "$@" | grep -Fx "$("$STOCK_SSH" -Q "$last")"
	exit
fi
echo >>"$RMUX_CALLS"
exec "$RMUX" ssh "$@"
"#;

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped,
    /// It took too long, or was not run at all.
    Broken,
}

/// What became of a script.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) verdict: Verdict,
    /// How often it ran `ssh`, other than to ask for algorithms.
    pub(crate) calls: usize,
    pub(crate) took: Duration,
    /// The last that it and `rmux` wrote.
    pub(crate) output: String,
    /// What still ran afterwards, and was ended.
    pub(crate) left: Vec<String>,
}

/// Where one script runs.
pub(crate) struct Place {
    /// A short path: sockets are in it.
    folder: tempfile::TempDir,
    port: u16,
    runner: PathBuf,
    suite: PathBuf,
}

impl Place {
    /// With the scripts' provider of imaginary security keys or without it.
    pub(crate) fn new(tools: &Path, suite: &Path, security_keys: bool) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("rmux-rg-")
            .tempdir()
            .expect("a folder");
        let wrapper = folder.path().join("bin/ssh");
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::fs::write(&wrapper, WRAPPER).unwrap();
        std::fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o755)).unwrap();
        // The runner would copy the suite itself, with everything in it.
        let scripts = folder.path().join("obj/scripts");
        std::fs::create_dir(folder.path().join("obj")).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .args([&suite.join("suite"), &scripts])
            .status();
        assert!(copied.expect("cp runs").success());
        if !security_keys {
            let _ = std::fs::remove_file(scripts.join("misc/sk-dummy/sk-dummy.so"));
        }
        Self {
            folder,
            port: free_port(),
            runner: tools.join("run.sh"),
            suite: suite.to_owned(),
        }
    }

    /// Runs a script by its name.
    pub(crate) fn run(&self, name: &str) -> Ran {
        let started = Instant::now();
        let folder = self.folder.path();
        let bin = folder.join("bin");
        let path = std::env::var("PATH").unwrap_or_default();
        let calls = folder.join("calls");
        let output = Command::new("sh")
            .arg(&self.runner)
            .args(["-t", &LIMIT.to_string(), "-p", &self.port.to_string(), "-o"])
            .args([folder.join("obj").as_os_str(), name.as_ref()])
            // A script may write a file where it stands.
            .current_dir(folder)
            .env("RMUX_REGRESS_DIR", &self.suite)
            .env("RMUX_ROLE", "all")
            .env("RMUX_SSH", bin.join("ssh"))
            .env("RMUX", env!("CARGO_BIN_EXE_rmux"))
            .env("RMUX_CALLS", &calls)
            .env("STOCK_SSH", "/usr/bin/ssh")
            // Some scripts run plain `ssh`, and mean the one that is tried.
            .env("PATH", format!("{}:{path}", bin.display()))
            .env(MARK, folder)
            .env_remove("RMUX_LOG")
            .env_remove("SSH_ASKPASS")
            .stdin(Stdio::null())
            .output()
            .expect("sh runs the runner");
        let verdict = String::from_utf8_lossy(&output.stdout).into_owned();
        let verdict = match verdict.split_whitespace().next() {
            Some("PASS") => Verdict::Passed,
            Some("SKIP") => Verdict::Skipped,
            Some("FAIL") => Verdict::Failed,
            _ => Verdict::Broken,
        };
        let mut shown = String::from_utf8_lossy(&output.stderr).into_owned();
        for file in [format!("out.{name}.all"), "failed-ssh.log".to_owned()] {
            shown += &last_lines(&folder.join("obj").join(file));
        }
        let calls = std::fs::read_to_string(calls).unwrap_or_default();
        Ran {
            verdict,
            calls: calls.lines().count(),
            took: started.elapsed(),
            output: shown,
            left: self.end_leftovers(),
        }
    }

    /// Ends what still runs a moment after the script, and names it.
    fn end_leftovers(&self) -> Vec<String> {
        let mark = format!("{MARK}={}", self.folder.path().display());
        let mut left = Vec::new();
        for patience in 0..50 {
            left = marked(&mark);
            if left.is_empty() {
                return Vec::new();
            }
            // After three seconds, and for good.
            if patience >= 30 {
                for (pid, _) in &left {
                    let _ = kill_process(*pid, Signal::KILL);
                }
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        left.into_iter().map(|(_, name)| name).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Also after a panic.
        self.end_leftovers();
    }
}

/// The processes whose environment holds `mark`.
fn marked(mark: &str) -> Vec<(Pid, String)> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|folder| {
            let folder = folder.ok()?;
            let pid = Pid::from_raw(folder.file_name().to_str()?.parse().ok()?)?;
            let environment = std::fs::read(folder.path().join("environ")).ok()?;
            let is_marked = environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes());
            let command = std::fs::read(folder.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            // One that has ended and waits for its parent to notice has no command line.
            (is_marked && !command.is_empty()).then_some((pid, command))
        })
        .collect()
}

/// A port that nobody listens on, of those that no other place has.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % (PORTS.end - PORTS.start);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7);
        let port = PORTS.start + first.wrapping_add(step) % (PORTS.end - PORTS.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn last_lines(file: &Path) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let name = file.file_name().unwrap_or_default().display();
    let last = &lines[lines.len().saturating_sub(40)..];
    format!("--- {name}\n{}\n", last.join("\n"))
}
