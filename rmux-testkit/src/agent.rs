//! Agents: a real `ssh-agent` of one's own, and one that never answers.
//!
//! Must not touch the agent of whoever runs the tests.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::processes;

/// A running `ssh-agent` in a private folder, without keys at first. Dropping it ends the agent
/// and removes the folder; if the test process dies first, the agent ends by itself within ten
/// seconds.
#[derive(Debug)]
pub struct Agent {
    /// A program that ends with its standard input, and with which the agent ends.
    life: Child,
    pid: i32,
    socket: PathBuf,
    _folder: TempDir,
}

impl Agent {
    /// Starts an agent.
    ///
    /// # Panics
    /// When `ssh-agent` is not installed or does not start.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[], true)
    }

    /// Starts an agent with these further arguments of ssh-agent(1). `confirms`: what the person
    /// says whom it asks to confirm the use of a key.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[track_caller]
    pub fn start_with(arguments: &[&str], confirms: bool) -> Self {
        let folder = folder();
        let socket = folder.path().join("agent");
        let mut life = Command::new("ssh-agent")
            .arg("-a")
            .arg(&socket)
            .args(arguments)
            // Given a command, the agent lives as long as it does.
            .args(["/bin/sh", "-c", "echo $SSH_AGENT_PID; exec cat"])
            .env_remove("SSH_AUTH_SOCK")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("SSH_ASKPASS", if confirms { "true" } else { "false" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot run ssh-agent ({error}); install OpenSSH's client (Debian: openssh-client)"
                )
            });
        let mut line = String::new();
        if let Some(stdout) = &mut life.stdout {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let pid = line.trim().parse();
        let pid = pid.unwrap_or_else(|_| {
            let _ = life.kill();
            let _ = life.wait();
            panic!("ssh-agent did not start")
        });
        Self {
            life,
            pid,
            socket,
            _folder: folder,
        }
    }

    /// The path of its socket, for `SSH_AUTH_SOCK` or `IdentityAgent`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The agent's process id.
    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Adds a private key file without a passphrase.
    ///
    /// # Panics
    /// When `ssh-add` refuses it.
    #[track_caller]
    pub fn add(&self, key: &Path) {
        self.ssh_add(&[], Some(key));
    }

    /// Adds a private key file with further arguments of ssh-add(1), such as `-c`.
    ///
    /// # Panics
    /// When `ssh-add` refuses it.
    #[track_caller]
    pub fn add_with(&self, arguments: &[&str], key: &Path) {
        self.ssh_add(arguments, Some(key));
    }

    /// Locks it: it then lists no keys and signs nothing.
    ///
    /// # Panics
    /// When `ssh-add` fails.
    #[track_caller]
    pub fn lock(&self) {
        let answer = self.socket.with_file_name("askpass");
        std::fs::write(&answer, "#!/bin/sh\necho invented\n").expect("a temporary folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&answer, mode).expect("a temporary folder");
        let mut command = self.command(&["-q", "-x"]);
        let output = command.env("SSH_ASKPASS", &answer).output();
        let output = output.expect("ssh-add, which comes with ssh-agent");
        assert!(output.status.success(), "ssh-add -x failed");
    }

    /// Removes all keys.
    #[track_caller]
    pub fn remove_all(&self) {
        self.ssh_add(&["-D"], None);
    }

    /// Ends the agent at once (SIGKILL), its connections too; the socket's file stays.
    pub fn kill(&self) {
        processes::end(&self.process(), Duration::ZERO);
    }

    /// The public lines (`type base64`) of the keys it holds, in the order it offers them.
    #[track_caller]
    pub fn public_keys(&self) -> Vec<String> {
        let output = self
            .command(&["-L"])
            .output()
            .expect("ssh-add, which comes with ssh-agent");
        // It fails with 1 when there are no keys, and says so on stdout.
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|_| output.status.success())
            .map(|line| {
                line.split_whitespace()
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    #[track_caller]
    fn ssh_add(&self, arguments: &[&str], key: Option<&Path>) {
        let output = self.command(&["-q"]).args(arguments).args(key).output();
        let output = output.expect("ssh-add, which comes with ssh-agent");
        assert!(
            output.status.success(),
            "ssh-add failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }

    fn process(&self) -> Vec<processes::Process> {
        processes::descendants(self.life.id() as i32)
            .into_iter()
            .filter(|process| process.pid == self.pid)
            .collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ssh-add");
        command
            .args(arguments)
            .env("SSH_AUTH_SOCK", &self.socket)
            // A key with a passphrase is refused rather than asked for.
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("SSH_ASKPASS", "false")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        processes::end(&self.process(), Duration::from_secs(1));
        let _ = self.life.kill();
        let _ = self.life.wait();
    }
}

/// An agent's socket that takes connections and requests and never answers.
#[derive(Debug)]
pub struct HangingAgent {
    // The kernel accepts for a listener that never does: connecting and writing succeed.
    _listener: UnixListener,
    socket: PathBuf,
    _folder: TempDir,
}

impl HangingAgent {
    /// Creates the socket.
    #[track_caller]
    pub fn start() -> Self {
        let folder = folder();
        let socket = folder.path().join("agent");
        let listener = UnixListener::bind(&socket).expect("a socket in a temporary folder");
        Self {
            _listener: listener,
            socket,
            _folder: folder,
        }
    }

    /// The path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

fn folder() -> TempDir {
    // Short: the path of a socket has about 100 bytes.
    tempfile::Builder::new()
        .prefix("rmux-ag-")
        .tempdir()
        .expect("a temporary folder")
}
