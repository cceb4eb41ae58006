//! `rmux-testd`, as test suites in other languages use it.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

struct Daemon {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    place: Value,
}

impl Daemon {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rmux-testd"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let place = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        Self {
            child,
            stdin,
            lines,
            place,
        }
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    fn text(&self, field: &str) -> &str {
        self.place[field]
            .as_str()
            .unwrap_or_else(|| panic!("{field} in {}", self.place))
    }

    fn ssh(&self, key: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-p",
            &self.place["port"].to_string(),
            "-i",
            self.text(key),
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", self.text("known_hosts")))
        .args([
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
            "-o",
            "BatchMode=yes",
        ])
        .arg(format!("{}@{}", self.text("user"), self.text("host")))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
        ssh
    }
}

fn alive(pid: u64) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&output.stdout).into_owned();
    !state.trim().is_empty() && !state.starts_with('Z')
}

fn within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn sshd_serves_obeys_and_goes_with_stdin() {
    let mut daemon = Daemon::start(&[
        "--option",
        "MaxSessions 1",
        "--option",
        "AcceptEnv A_*",
        "--passphrase",
        "open sesame",
        "--log-channels",
    ]);
    assert!(
        daemon
            .ssh("client_key")
            .arg("true")
            .status()
            .unwrap()
            .success()
    );
    assert!(
        !daemon
            .ssh("stranger_key")
            .arg("true")
            .status()
            .unwrap()
            .success()
    );
    assert!(
        !daemon
            .ssh("client_key_encrypted")
            .arg("true")
            .status()
            .unwrap()
            .success()
    );
    let status = daemon.ask("status");
    assert_eq!(status["channels_opened"], 1, "{status}");
    assert!(daemon.ask("nonsense")["error"].is_string());
    assert!(
        daemon.ask("log")["log"]
            .as_str()
            .unwrap()
            .contains("Accepted publickey")
    );
    let (pid, folder) = (
        daemon.place["pid"].as_u64().unwrap(),
        daemon.text("folder").to_owned(),
    );
    assert!(alive(pid));
    daemon.stdin = None;
    assert!(daemon.child.wait().unwrap().success());
    assert!(!alive(pid) && !std::path::Path::new(&folder).exists());
}

#[test]
fn sshd_goes_even_if_the_daemon_is_killed() {
    let mut daemon = Daemon::start(&[]);
    let (pid, folder) = (
        daemon.place["pid"].as_u64().unwrap(),
        daemon.text("folder").to_owned(),
    );
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert!(within(Duration::from_secs(5), || !alive(pid)));
    assert!(within(Duration::from_secs(5), || !std::path::Path::new(
        &folder
    )
    .exists()));
}

#[test]
fn the_embedded_server_serves_and_goes_with_stdin() {
    let mut daemon = Daemon::start(&[
        "--embedded",
        "--password",
        "swordfish",
        "--question",
        "Q: =a=b",
    ]);
    assert!(
        daemon
            .ssh("client_key")
            .arg("true")
            .status()
            .unwrap()
            .success()
    );
    assert!(
        !daemon
            .ssh("stranger_key")
            .arg("true")
            .status()
            .unwrap()
            .success()
    );
    let mut ssh = daemon.ssh("client_key").arg("sleep 60").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while daemon.ask("status")["sessions"] != 1 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let folder = daemon.text("folder").to_owned();
    daemon.stdin = None;
    assert!(daemon.child.wait().unwrap().success());
    assert_eq!(ssh.wait().unwrap().code(), Some(255));
    assert!(!std::path::Path::new(&folder).exists());
}
