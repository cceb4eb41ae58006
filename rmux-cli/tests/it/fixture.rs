//! How the tests start `rmux`: with the fixture's keys, nothing of the user's, and a deadline.

use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rmux_testkit::sshd::Sshd;

/// No run of a test takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A server whose shell does not read the account's start-up files, which may be slow or talk:
/// bash reads them for a command only if `SHLVL` says that it is the outermost.
pub(crate) fn sshd() -> Sshd {
    Sshd::builder().option("SetEnv", "SHLVL=2").start()
}

/// Options, for ssh and rmux alike, that know only the fixture.
pub(crate) fn options(sshd: &Sshd) -> Vec<OsString> {
    let mut options = options_without_key(sshd);
    options.extend(["-i".into(), sshd.client_key().into()]);
    options
}

/// The same without a key.
pub(crate) fn options_without_key(sshd: &Sshd) -> Vec<OsString> {
    let known_hosts = format!("UserKnownHostsFile={}", sshd.known_hosts().display());
    [
        "-F",
        "none",
        "-p",
        &sshd.port().to_string(),
        "-l",
        sshd.user(),
        "-o",
        &known_hosts,
        "-o",
        "GlobalKnownHostsFile=none",
        "-o",
        "IdentityAgent=none",
        "-o",
        "IdentitiesOnly=yes",
    ]
    .map(OsString::from)
    .into()
}

/// `rmux ssh`, to which options, destination and command are to be added.
pub(crate) fn rmux() -> Command {
    let mut command = bare(Command::new(env!("CARGO_BIN_EXE_rmux")));
    command.arg("ssh");
    command
}

/// `rmux ssh` to the fixture, to which the command is to be added.
pub(crate) fn rmux_to(sshd: &Sshd) -> Command {
    let mut command = rmux();
    command.args(options(sshd)).arg("127.0.0.1");
    command
}

/// Without what a developer's environment may hold.
pub(crate) fn bare(mut command: Command) -> Command {
    command
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("SSH_ASKPASS")
        .env_remove("SSH_ASKPASS_REQUIRE")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("RMUX_LOG")
        .env("LC_ALL", "C");
    command
}

/// The same without a terminal, whatever the tests are started from.
pub(crate) fn without_terminal(command: &Command) -> Command {
    let mut detached = Command::new("setsid");
    detached
        .arg("--wait")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => detached.env(name, value),
            None => detached.env_remove(name),
        };
    }
    detached
}

/// An executable shell script with this text.
pub(crate) fn script(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ran {
    /// The exit status; panics where a signal ended it.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }
}

/// Runs it with `input` as its standard input.
#[track_caller]
pub(crate) fn run(mut command: Command, input: &[u8]) -> Ran {
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().expect("piped");
    let input = input.to_owned();
    std::thread::spawn(move || {
        // Whoever does not read its input may do so.
        let _ = stdin.write_all(&input);
    });
    running.finish()
}

/// A started program whose outputs are collected.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: Option<Collected>,
    stderr: Option<Collected>,
    started: Instant,
}

impl Running {
    /// Starts it; standard input is as the command says.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Self {
            child,
            stdout,
            stderr,
            started,
        }
    }

    /// Waits until it has written `text` to standard output.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) {
        let stdout = self.stdout.as_ref().expect("not taken");
        wait_until(text, || {
            String::from_utf8_lossy(&stdout.bytes.lock().unwrap()).contains(text)
        });
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                break status;
            }
            if self.started.elapsed() > LIMIT {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("it did not end within {LIMIT:?}: {}", self.errors());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = self.started.elapsed();
        let stdout = self.stdout.take().expect("not taken").finish();
        Ran {
            status,
            stdout,
            stderr: self.errors(),
            took,
        }
    }

    fn errors(&mut self) -> String {
        let stderr = self.stderr.take().expect("not taken").finish();
        String::from_utf8_lossy(&stderr).into_owned()
    }
}

/// What came from a stream so far.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collected {
    /// All of it.
    fn finish(self) -> Vec<u8> {
        self.reader.join().unwrap();
        std::mem::take(&mut self.bytes.lock().unwrap())
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> Collected {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&bytes);
    let reader = std::thread::spawn(move || {
        let mut piece = vec![0; 64 << 10];
        loop {
            match stream.read(&mut piece).expect("a pipe can be read") {
                0 => return,
                length => collected
                    .lock()
                    .unwrap()
                    .extend_from_slice(&piece[..length]),
            }
        }
    });
    Collected { bytes, reader }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
