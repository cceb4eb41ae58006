//! A real OpenSSH `sshd` on a free loopback port, with its own keys, configuration and log.
//!
//! Blocking on purpose: it serves tests with and without an async runtime. Must not know what
//! connects to it.
//!
//! What it does not cover: without PAM or a shadow entry of its own, sshd has no password to
//! check and no keyboard-interactive device, so those belong to the embedded server.

mod builder;
mod inetd;
mod observe;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

pub use builder::SshdBuilder;

use crate::account::Account;
use crate::keys::{KeyKind, KeyPair};
use crate::processes::{self, Process, Tether};

/// How long a process may take to act on SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// A running sshd that belongs to this value: dropping it ends the listener, its connections
/// and the commands they started, and removes its folder.
///
/// It accepts public keys only, for the user who runs the tests. Its configuration is that of
/// a fresh OpenSSH (`AcceptEnv` empty, `MaxSessions 10`) except where
/// [`SshdBuilder::option`] says otherwise.
///
/// If the test process dies without dropping it (killed, or held in a static), a small shell
/// process notices and ends sshd.
pub struct Sshd {
    child: Mutex<Child>,
    // Before the folder: it must not set off while the folder is being removed.
    tether: Option<Tether>,
    folder: TempDir,
    account: Option<Account>,
    pid: i32,
    port: u16,
    client: KeyPair,
    host_keys: Vec<(KeyKind, KeyPair)>,
    logs_channels: bool,
}

impl Sshd {
    /// Starts one with the defaults. See [`SshdBuilder::start`] for panics.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Settings for one to start.
    pub fn builder() -> SshdBuilder {
        SshdBuilder::default()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1` and [`port`](Self::port).
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The user to log in as: the one who runs the tests, unless it is
    /// [another](SshdBuilder::unprivileged).
    pub fn user(&self) -> &str {
        match &self.account {
            Some(account) => account.name(),
            None => current_user(),
        }
    }

    /// The process id of the listener.
    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// The private folder of this server, removed on drop; tests may put files there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The empty folder that is the `HOME` of remote commands, unless
    /// [`real_home`](SshdBuilder::real_home) was asked for.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join(builder::HOME)
    }

    /// Path of an ed25519 private key without a passphrase that may log in. The public half is
    /// beside it as `.pub`.
    pub fn client_key(&self) -> PathBuf {
        self.folder.path().join(builder::CLIENT_KEY)
    }

    /// Path of a copy of [`client_key`](Self::client_key) encrypted with `passphrase`. It has
    /// no `.pub` beside it.
    ///
    /// The passphrase is visible in the process list for a moment: use an invented one.
    #[track_caller]
    pub fn client_key_encrypted(&self, passphrase: &str) -> PathBuf {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.client
            .write_encrypted(
                self.folder.path(),
                &format!("id_encrypted_{number}"),
                passphrase,
            )
            .expect("the fixture's folder is writable")
    }

    /// Path of an ed25519 private key that may not log in.
    pub fn stranger_key(&self) -> PathBuf {
        let path = self.folder.path().join(builder::STRANGER_KEY);
        if !path.exists() {
            KeyPair::generate(KeyKind::Ed25519)
                .write(self.folder.path(), builder::STRANGER_KEY)
                .expect("the fixture's folder is writable");
        }
        path
    }

    /// The public line (`ssh-ed25519 AAAA…`) of [`client_key`](Self::client_key).
    pub fn client_public_key(&self) -> &str {
        self.client.public()
    }

    /// Lets the owner of this key (a public key line) log in from now on.
    #[track_caller]
    pub fn authorize(&self, public_key_line: &str) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(self.folder.path().join(builder::AUTHORIZED_KEYS))
            .expect("the fixture's authorized keys");
        writeln!(file, "{}", public_key_line.trim()).expect("the fixture's folder is writable");
    }

    /// Path of a known_hosts file with a line `[127.0.0.1]:port` for each host key.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.path().join(builder::KNOWN_HOSTS)
    }

    /// Kind and public line (`ssh-ed25519 AAAA…`) of each host key.
    pub fn host_public_keys(&self) -> Vec<(KeyKind, String)> {
        self.host_keys
            .iter()
            .map(|(kind, pair)| (*kind, pair.public().to_owned()))
            .collect()
    }

    /// A stock `ssh` command that trusts this server, logs in with
    /// [`client_key`](Self::client_key), reads no configuration of the user's and never
    /// prompts. The destination is its last argument: append the remote command.
    pub fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(self.stock_client_options("-p"))
            .arg(format!("{}@127.0.0.1", self.user()))
            .stdin(Stdio::null());
        command
    }

    /// A stock `sftp` command with the same settings as [`ssh`](Self::ssh), which reads its
    /// batch from `batch`.
    pub fn sftp(&self, batch: &Path) -> Command {
        let mut command = Command::new("sftp");
        command
            .arg("-b")
            .arg(batch)
            .args(self.stock_client_options("-P"))
            .arg(format!("{}@127.0.0.1", self.user()))
            .stdin(Stdio::null());
        command
    }

    fn stock_client_options(&self, port_flag: &str) -> Vec<String> {
        let known_hosts = format!("UserKnownHostsFile={}", self.known_hosts().display());
        let mut options: Vec<String> = ["-F", "none", port_flag, &self.port.to_string(), "-i"]
            .map(str::to_owned)
            .into();
        options.push(self.client_key().display().to_string());
        for option in [
            &known_hosts,
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

    /// Everything sshd has logged so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join(builder::LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops the listener and all its connections where they are (SIGSTOP): the server goes
    /// silent without closing anything.
    pub fn suspend(&self) {
        processes::signal_pid(self.pid, Signal::STOP);
        for process in self.descendants() {
            process.signal(Signal::STOP);
        }
    }

    /// Lets a suspended server go on.
    pub fn resume(&self) {
        for process in self.descendants() {
            process.signal(Signal::CONT);
        }
        processes::signal_pid(self.pid, Signal::CONT);
    }

    /// Ends the live connections and their commands at once (SIGKILL); new ones are accepted.
    pub fn kill_connections(&self) {
        processes::end(&self.descendants(), Duration::ZERO);
    }

    /// Ends the listener, its connections and their commands at once (SIGKILL), as a crash of
    /// the machine's sshd would. Returns when they are gone. Calling it again does nothing.
    pub fn kill(&self) {
        self.end(Duration::ZERO);
    }

    fn end(&self, grace: Duration) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(child.try_wait(), Ok(None)) {
            // The children survive the listener, and once it is gone nothing leads to them.
            let mut left = self.descendants();
            if grace.is_zero() {
                let _ = child.kill();
                let _ = child.wait();
            } else {
                processes::end_child(&mut child, grace);
            }
            // A connection accepted in between is found by its address, below.
            left.retain(Process::is_alive);
            processes::end(&left, grace);
        }
        processes::end(&self.orphans(), grace);
    }

    /// Remote commands that outlived their connection.
    fn orphans(&self) -> Vec<Process> {
        let address = format!(" 127.0.0.1 {}", self.port);
        processes::with_environment(|entry| {
            entry
                .strip_prefix("SSH_CONNECTION=")
                .is_some_and(|value| value.ends_with(&address))
        })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.end(GRACE);
        self.tether = None;
    }
}

impl std::fmt::Debug for Sshd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sshd")
            .field("port", &self.port)
            .field("pid", &self.pid)
            .field("folder", &self.folder.path())
            .finish_non_exhaustive()
    }
}

/// The name of the user who runs this process.
pub(crate) fn current_user() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let output = Command::new("id")
            .arg("-un")
            .stdin(Stdio::null())
            .output()
            .expect("the id program, which every Unix has");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}
