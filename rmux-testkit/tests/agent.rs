//! The agent fixtures, seen by the stock clients.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rmux_testkit::agent::{Agent, HangingAgent};
use rmux_testkit::sshd::Sshd;

fn alive(pid: u32) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&output.stdout).into_owned();
    !state.trim().is_empty() && !state.starts_with('Z')
}

#[test]
fn holds_keys_and_logs_in_with_them() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    assert!(agent.public_keys().is_empty());
    let login = || {
        Command::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-p",
                &sshd.port().to_string(),
            ])
            .arg("-o")
            .arg(format!("IdentityAgent={}", agent.socket().display()))
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                sshd.known_hosts().display()
            ))
            // Not the default files of whoever runs this.
            .arg("-i")
            .arg(sshd.folder().join("none"))
            .arg(format!("{}@127.0.0.1", sshd.user()))
            .arg("true")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    assert!(!login());
    agent.add(&sshd.client_key());
    assert_eq!(agent.public_keys(), [sshd.client_public_key()]);
    assert!(login());
    agent.remove_all();
    assert!(!login());
}

#[test]
#[should_panic(expected = "ssh-add failed")]
fn refuses_a_key_it_cannot_open() {
    let sshd = Sshd::start();
    Agent::start().add(&sshd.client_key_encrypted("open sesame"));
}

#[test]
fn nothing_is_left_after_drop() {
    let agent = Agent::start();
    let (pid, socket) = (agent.pid(), agent.socket().to_owned());
    assert!(alive(pid) && socket.exists());
    drop(agent);
    assert!(!alive(pid) && !socket.parent().unwrap().exists());
}

#[test]
fn a_hanging_agent_takes_a_request_and_never_answers() {
    let agent = HangingAgent::start();
    let mut child = Command::new("ssh-add")
        .arg("-l")
        .env("SSH_AUTH_SOCK", agent.socket())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        assert!(child.try_wait().unwrap().is_none(), "it must still wait");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
