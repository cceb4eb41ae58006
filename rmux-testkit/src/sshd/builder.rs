//! Settings of an [`Sshd`] and its start: folder, keys, configuration, a port nobody else got.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::Sshd;
use crate::account::Account;
use crate::keys::{KeyKind, KeyPair};
use crate::processes::{self, Tether};

pub(super) const CLIENT_KEY: &str = "id_ed25519";
pub(super) const STRANGER_KEY: &str = "id_stranger";
pub(super) const AUTHORIZED_KEYS: &str = "authorized_keys";
pub(super) const KNOWN_HOSTS: &str = "known_hosts";
pub(super) const LOG: &str = "sshd.log";
pub(super) const HOME: &str = "home";
pub(super) const CONFIG: &str = "sshd_config";
const PID_FILE: &str = "sshd.pid";

/// Times another port is tried when somebody else got the first one.
const PORT_ATTEMPTS: usize = 20;
/// From start to listening takes some ten milliseconds; a loaded machine gets more.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Settings of an [`Sshd`].
#[derive(Clone, Debug)]
#[must_use = "nothing runs until start() is called"]
pub struct SshdBuilder {
    options: Vec<(String, String)>,
    match_blocks: String,
    authorized: Vec<String>,
    kinds: Vec<KeyKind>,
    new_host_keys: bool,
    log_channels: bool,
    real_home: bool,
    program: Option<PathBuf>,
    unprivileged: bool,
}

impl Default for SshdBuilder {
    fn default() -> Self {
        Self {
            options: Vec::new(),
            match_blocks: String::new(),
            authorized: Vec::new(),
            kinds: KeyKind::ALL.into(),
            new_host_keys: false,
            log_channels: false,
            real_home: false,
            program: None,
            unprivileged: false,
        }
    }
}

impl SshdBuilder {
    /// A line of sshd_config, which wins over the fixture's own. Repeating a keyword repeats
    /// the line: sshd adds up those that take several (`AcceptEnv`) and keeps the first value
    /// of the others.
    pub fn option(mut self, keyword: &str, value: &str) -> Self {
        self.options.push((keyword.to_owned(), value.to_owned()));
        self
    }

    /// Lines for the end of sshd_config, where `Match` blocks have to be.
    pub fn match_block(mut self, lines: &str) -> Self {
        self.match_blocks.push_str(lines.trim_end());
        self.match_blocks.push('\n');
        self
    }

    /// One more authorized key: a line of authorized_keys, with its options if it has some.
    pub fn authorized_key(mut self, line: &str) -> Self {
        self.authorized.push(line.trim().to_owned());
        self
    }

    /// Only these host keys, in this order. Default: ed25519, ecdsa and rsa.
    pub fn host_keys(mut self, kinds: &[KeyKind]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    /// Leaves one kind of host key out.
    pub fn without_host_key(mut self, kind: KeyKind) -> Self {
        self.kinds.retain(|other| *other != kind);
        self
    }

    /// Host keys no other server of this process has. Default: all share the same, since
    /// making them takes long.
    pub fn new_host_keys(mut self) -> Self {
        self.new_host_keys = true;
        self
    }

    /// Logs at `DEBUG1`, which [`Sshd::open_channels`] and [`Sshd::channels_opened`] need.
    ///
    /// Off by default: at that level sshd writes a few `debug1:` lines to the stderr of each
    /// remote command before it runs.
    pub fn log_channels(mut self) -> Self {
        self.log_channels = true;
        self
    }

    /// Gives remote commands the real `HOME` of the user, and so their shell its start-up files.
    ///
    /// By default `HOME` is an empty folder of the fixture: what a shell does on its way (bash
    /// reads `.bashrc` when sshd starts it) must not decide over the outcome of a test, nor
    /// over its time. Either way a login starts in the user's real home folder.
    pub fn real_home(mut self) -> Self {
        self.real_home = true;
        self
    }

    /// Starts this program, by an absolute path, in place of the sshd that is found. It has to become
    /// sshd in the same process.
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// Lets in to an account that is not root's. Where root runs the tests, that is one made for this
    /// server; it is nobody's who logs in, and has `/` for its `HOME`.
    ///
    /// Such an account's commands get the signals that are asked for, which OpenSSH before 9.8 sends
    /// to nobody on behalf of root, and [its processes can be limited](Sshd::limit_processes).
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// Starts sshd and returns when it listens.
    ///
    /// sshd is looked for in `RMUX_TEST_SSHD` (a path), `PATH`, `/usr/sbin`, `/usr/local/sbin`
    /// and `/opt/homebrew/sbin`. Started by root, it needs its privilege separation folder
    /// (Debian: `/run/sshd`), which is created when missing.
    ///
    /// # Panics
    /// When sshd is not installed or refuses its configuration; the message holds its log.
    #[track_caller]
    pub fn start(self) -> Sshd {
        let program = self.program.clone().unwrap_or_else(find_sshd);
        let folder = tempfile::Builder::new()
            .prefix("rmux-sshd-")
            .tempdir()
            .expect("a temporary folder for sshd");
        let client = KeyPair::generate(KeyKind::Ed25519);
        let host_keys: Vec<_> = self
            .kinds
            .iter()
            .map(|kind| match self.new_host_keys {
                true => (*kind, KeyPair::generate(*kind)),
                false => (*kind, KeyPair::of_this_process(*kind).clone()),
            })
            .collect();
        let is_root = rustix::process::geteuid().is_root();
        let account = (self.unprivileged && is_root).then(Account::create);
        std::fs::create_dir(folder.path().join(HOME)).expect("the fixture's folder is writable");
        self.write_keys(folder.path(), &client, &host_keys);

        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            let of_other = account.is_some();
            self.write_config(folder.path(), &program, port, &host_keys, of_other);
            let mut child = spawn(&program, folder.path());
            match await_start(&mut child, folder.path()) {
                Start::Listening => {}
                Start::Again => continue,
                Start::Failed(log) => panic!("{} did not start:\n{log}", program.display()),
            }
            let lines: String = host_keys
                .iter()
                .map(|(_, pair)| format!("[127.0.0.1]:{port} {}\n", pair.public()))
                .collect();
            write(&folder.path().join(KNOWN_HOSTS), &lines);
            let pid = child.id();
            let tether = Tether::tie(pid, folder.path()).unwrap_or_else(|error| {
                processes::end_child(&mut child, Duration::ZERO);
                panic!("cannot run /bin/sh: {error}");
            });
            return Sshd {
                child: Mutex::new(child),
                tether: Some(tether),
                folder,
                account,
                pid: pid as i32,
                port,
                client,
                host_keys,
                logs_channels: self.log_channels,
            };
        }
        panic!("no free loopback port for sshd in {PORT_ATTEMPTS} attempts");
    }

    fn write_keys(&self, folder: &Path, client: &KeyPair, host_keys: &[(KeyKind, KeyPair)]) {
        client
            .write(folder, CLIENT_KEY)
            .expect("the fixture's folder is writable");
        for (kind, pair) in host_keys {
            pair.write(folder, &host_key_file(*kind))
                .expect("the fixture's folder is writable");
        }
        let mut authorized = format!("{}\n", client.public());
        for line in &self.authorized {
            authorized.push_str(line);
            authorized.push('\n');
        }
        write(&folder.join(AUTHORIZED_KEYS), &authorized);
    }

    fn write_config(
        &self,
        folder: &Path,
        program: &Path,
        port: u16,
        host_keys: &[(KeyKind, KeyPair)],
        of_other: bool,
    ) {
        let at = |name: &str| quoted(&folder.join(name));
        let mut text = String::new();
        if self.log_channels {
            text.push_str("LogLevel DEBUG1\n");
        }
        // sshd keeps the first value it reads, so what the test wants comes first.
        let mut variables = Vec::new();
        if of_other {
            // Nobody but root sees into the folder.
            variables.push("HOME=/".to_owned());
            text.push_str("AuthorizedKeysFile none\nAuthorizedKeysCommandUser root\n");
            let _ = writeln!(
                text,
                "AuthorizedKeysCommand /bin/cat {}",
                at(AUTHORIZED_KEYS)
            );
        } else if !self.real_home {
            variables.push(format!("\"HOME={}\"", folder.join(HOME).display()));
        }
        for (keyword, value) in &self.options {
            if keyword.eq_ignore_ascii_case("SetEnv") {
                variables.push(value.clone());
            } else {
                let _ = writeln!(text, "{keyword} {value}");
            }
        }
        if !variables.is_empty() {
            // One line: sshd heeds the first only.
            let _ = writeln!(text, "SetEnv {}", variables.join(" "));
        }
        let _ = writeln!(text, "Port {port}\nListenAddress 127.0.0.1");
        for (kind, _) in host_keys {
            let _ = writeln!(text, "HostKey {}", at(&host_key_file(*kind)));
        }
        text.push_str("LogLevel VERBOSE\n");
        let _ = writeln!(text, "PidFile {}", at(PID_FILE));
        let _ = writeln!(text, "AuthorizedKeysFile {}", at(AUTHORIZED_KEYS));
        text.push_str(concat!(
            "StrictModes no\nUsePAM no\nUseDNS no\n",
            "PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            "PrintMotd no\nPrintLastLog no\nPermitUserRC no\n",
        ));
        if !self.has("MaxStartups") {
            // Of this one sshd keeps the last value.
            text.push_str("MaxStartups 1000\n");
        }
        if !self.has("Subsystem") {
            text.push_str("Subsystem sftp internal-sftp\n");
        }
        if penalises_sources(program) {
            // All tests come from one address, and some fail to log in on purpose.
            text.push_str("PerSourcePenalties no\n");
        }
        text.push_str(&self.match_blocks);
        write(&folder.join(CONFIG), &text);
    }

    fn has(&self, keyword: &str) -> bool {
        self.options
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(keyword))
    }
}

enum Start {
    Listening,
    Again,
    Failed(String),
}

fn spawn(program: &Path, folder: &Path) -> Child {
    // sshd writes this file once it listens, at any log level.
    let _ = std::fs::remove_file(folder.join(PID_FILE));
    let log = std::fs::File::create(folder.join(LOG)).expect("the fixture's folder is writable");
    Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(folder.join(CONFIG))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // Ctrl-C at the terminal reaches the tests, which then end sshd in order.
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()))
}

fn await_start(child: &mut Child, folder: &Path) -> Start {
    let read_log = || {
        let bytes = std::fs::read(folder.join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let log = read_log();
            if log.contains("Cannot bind any address") || log.contains("Address already in use") {
                return Start::Again;
            }
            if create_separation_folder(&log) {
                return Start::Again;
            }
            return Start::Failed(format!("{status}\n{log}"));
        }
        let is_own = |text: String| text.trim() == child.id().to_string();
        if std::fs::read_to_string(folder.join(PID_FILE)).is_ok_and(is_own) {
            return Start::Listening;
        }
        if Instant::now() > deadline {
            processes::end_child(child, Duration::ZERO);
            return Start::Failed(format!(
                "not listening after {START_LIMIT:?}\n{}",
                read_log()
            ));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Creates the folder sshd asks for, whose path was fixed when it was built. True if a new
/// start may succeed.
fn create_separation_folder(log: &str) -> bool {
    let path = log.lines().find_map(|line| {
        line.trim()
            .strip_prefix("Missing privilege separation directory: ")
    });
    let Some(path) = path.map(Path::new).filter(|path| !path.exists()) else {
        return false;
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .is_ok()
}

pub(super) fn find_sshd() -> PathBuf {
    if let Some(path) = std::env::var_os("RMUX_TEST_SSHD") {
        let path = PathBuf::from(path);
        assert!(
            path.is_absolute(),
            "RMUX_TEST_SSHD must be an absolute path"
        );
        return path;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fixed = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(fixed)
        // sshd starts itself anew for each connection and insists on an absolute path.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("sshd"))
        .find(|file| {
            file.metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
        .unwrap_or_else(|| {
            panic!(
                "no sshd in PATH, /usr/sbin, /usr/local/sbin or /opt/homebrew/sbin: install the \
                 OpenSSH server (Debian and Ubuntu: openssh-server; it need not run as a service)"
            )
        })
}

/// Whether this sshd knows `PerSourcePenalties` (since OpenSSH 9.8, and on by default).
fn penalises_sources(program: &Path) -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let output = Command::new(program)
            .args(["-t", "-f", "/dev/null", "-o", "PerSourcePenalties=no"])
            .stdin(Stdio::null())
            .output();
        output.is_ok_and(|output| {
            !String::from_utf8_lossy(&output.stderr).contains("Bad configuration option")
        })
    })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener
        .local_addr()
        .expect("a bound listener has an address")
        .port()
}

fn host_key_file(kind: KeyKind) -> String {
    format!("ssh_host_{}_key", kind.name())
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the fixture's folder is writable");
}
