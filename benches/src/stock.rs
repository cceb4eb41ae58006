//! The installed `ssh`, for information: how far off is what people have now?
//!
//! Commands run over a master connection made before (`ControlMaster`), so that, as with the other
//! peers, no handshake is in a sample. The start of the `ssh` program is: there is no other way to
//! use it. What it downloads goes to `/dev/null`.
//!
//! It is measured twice: with the cipher of the other peers, which shows what the program does, and
//! as it comes, which is what people have.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rmux_testkit::sshd::Sshd;

use crate::PIECE;

/// How `ssh` encrypts.
#[derive(Clone, Copy, Debug)]
pub enum Cipher {
    /// As the other peers do.
    Same,
    /// As it does by itself.
    Own,
}

/// A master connection. Dropping it ends it.
pub struct Stock {
    master: Option<Child>,
    socket: PathBuf,
    options: Vec<String>,
    destination: String,
}

impl Stock {
    /// Connects to the fixture, at its own address or a relay's. Blocks.
    ///
    /// # Panics
    /// When `ssh` is not installed or is not let in within 20 s.
    pub fn connect(sshd: &Sshd, addr: SocketAddr, cipher: Cipher) -> Self {
        let mut stock = Self {
            master: None,
            // Short, since the path of a socket has to be.
            socket: sshd.folder().join(format!("{cipher:?}{}", addr.port())),
            options: options(sshd, addr, cipher),
            destination: format!("{}@{}", sshd.user(), addr.ip()),
        };
        let mut master = stock.command();
        master.args(["-M", "-N"]);
        let master = stock.to_host(master).spawn().expect("ssh is installed");
        stock.master = Some(master);
        let start = Instant::now();
        while !stock.tell("check") {
            assert!(start.elapsed() < Duration::from_secs(20), "no ssh master");
            std::thread::sleep(Duration::from_millis(20));
        }
        stock
    }

    /// Runs `line` without input, its output going nowhere. Blocks.
    ///
    /// # Panics
    /// When it fails.
    pub fn exec(&self, line: &str) {
        let status = self
            .to_host(self.command())
            .arg(line)
            .status()
            .expect("ssh is installed");
        assert!(status.success(), "ssh {line:?}: {status}");
    }

    /// Runs `line` with `length` zeros as its input. Blocks.
    ///
    /// # Panics
    /// When it fails.
    pub fn upload(&self, line: &str, length: u64) {
        let mut child = self
            .to_host(self.command())
            .arg(line)
            .stdin(Stdio::piped())
            .spawn()
            .expect("ssh is installed");
        let mut stdin = child.stdin.take().expect("it is piped");
        let piece = vec![0; PIECE];
        let mut rest = length;
        while rest > 0 {
            let part = &piece[..rest.min(PIECE as u64) as usize];
            rest -= part.len() as u64;
            stdin.write_all(part).expect("the command reads on");
        }
        drop(stdin);
        let status = child.wait().expect("it was started");
        assert!(status.success(), "ssh {line:?}: {status}");
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(&self.options)
            .arg("-S")
            .arg(&self.socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn to_host(&self, mut command: Command) -> Command {
        command.arg(&self.destination);
        command
    }

    /// Says `word` to the master; returns whether it understood.
    fn tell(&self, word: &str) -> bool {
        let mut command = self.command();
        command.args(["-O", word]).stderr(Stdio::null());
        self.to_host(command).status().is_ok_and(|s| s.success())
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if let Some(mut master) = self.master.take() {
            if !self.tell("exit") {
                // It is not there to be told, or hangs.
                let _ = master.kill();
            }
            let _ = master.wait();
        }
    }
}

/// Connects, runs `line` and returns when the first of its output is there. Blocks.
///
/// # Panics
/// When there is none.
pub fn cold_first_output(sshd: &Sshd, addr: SocketAddr, line: &str) {
    let mut child = Command::new("ssh")
        .args(options(sshd, addr, Cipher::Same))
        .arg(format!("{}@{}", sshd.user(), addr.ip()))
        .arg(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ssh is installed");
    let mut stdout = child.stdout.take().expect("it is piped");
    let read = stdout.read(&mut [0; 64]).expect("a pipe is readable");
    assert!(read > 0, "no output of {line:?}");
    // In the background: its way out is not part of the sample.
    std::thread::spawn(move || child.wait());
}

fn options(sshd: &Sshd, addr: SocketAddr, cipher: Cipher) -> Vec<String> {
    let mut options = vec!["-F".to_owned(), "none".to_owned()];
    if matches!(cipher, Cipher::Same) {
        options.extend(["-c".to_owned(), "aes128-gcm@openssh.com".to_owned()]);
    }
    options.extend(["-p".to_owned(), addr.port().to_string()]);
    options.extend(["-i".to_owned(), sshd.client_key().display().to_string()]);
    for option in [
        &format!("UserKnownHostsFile={}", sshd.known_hosts().display()),
        &format!("HostKeyAlias=[127.0.0.1]:{}", sshd.port()),
        "GlobalKnownHostsFile=none",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "BatchMode=yes",
    ] {
        options.extend(["-o".to_owned(), option.to_owned()]);
    }
    options
}
