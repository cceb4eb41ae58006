//! What all peers meet: one sshd, links of different lengths to it, and files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use tempfile::TempDir;

use crate::protocol::Target;

/// The round trips of the links, in milliseconds. The first is loopback itself.
pub(crate) const DELAYS: [u64; 3] = [0, 20, 100];

/// The server and the ways to it.
pub(crate) struct Stage {
    // Before the server that they lead to.
    relays: Vec<Relay>,
    folder: TempDir,
    sshd: Sshd,
    _shell: Option<TempDir>,
    /// The shell that commands are run by.
    pub(crate) shell: String,
}

impl Stage {
    /// Starts it all.
    ///
    /// # Panics
    /// When sshd is not installed.
    pub(crate) fn set(runtime: &tokio::runtime::Runtime) -> Self {
        let cheap = cheap_shell();
        let shell = match &cheap {
            Some(_) => "dash".to_owned(),
            None => format!("{} (the account's own)", own_shell()),
        };
        let mut builder = Sshd::builder()
            // Room for 64 at once on one connection: only rmux does without.
            .option("MaxSessions", "128")
            .option("MaxStartups", "100")
            .option("Subsystem", "sftp internal-sftp");
        if let Some(folder) = &cheap {
            builder = builder.program(&folder.path().join(WRAPPER));
        }
        let sshd = builder.start();
        let relays = DELAYS[1..].iter().map(|milliseconds| {
            let one_way = Duration::from_millis(*milliseconds) / 2;
            runtime.block_on(Relay::to(sshd.addr()).delay(one_way).start())
        });
        let relays = relays.collect();
        let folder = tempfile::Builder::new().prefix("rmux-cmp-").tempdir();
        let stage = Self {
            relays,
            folder: folder.expect("a temporary folder"),
            sshd,
            _shell: cheap,
            shell,
        };
        stage.write_known_hosts();
        stage
    }

    /// The port of the link with that delay.
    pub(crate) fn port(&self, milliseconds: u64) -> u16 {
        let at = DELAYS.iter().position(|delay| *delay == milliseconds);
        match at.expect("one of the delays") {
            0 => self.sshd.port(),
            at => self.relays[at - 1].port(),
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            user: self.sshd.user().to_owned(),
            client_key: self.sshd.client_key(),
            known_hosts: self.known_hosts(),
            folder: self.folder.path().to_owned(),
        }
    }

    /// A new path below the folder of all, for both sides.
    pub(crate) fn fresh(&self, what: &str) -> PathBuf {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("{what}{number}"))
    }

    /// A file of that length, made once.
    pub(crate) fn file(&self, length: u64) -> PathBuf {
        let path = self.folder.path().join(format!("file-{length}"));
        if !path.exists() {
            std::fs::write(&path, contents(length as usize, 1)).expect("room for a file");
        }
        path
    }

    /// A directory with so many files of that length, made once.
    pub(crate) fn tree(&self, count: usize, length: usize) -> PathBuf {
        let path = self.folder.path().join(format!("tree-{count}-{length}"));
        if !path.exists() {
            std::fs::create_dir(&path).expect("room for a folder");
            for number in 0..count {
                let file = path.join(format!("file-{number:04}"));
                std::fs::write(file, contents(length, number as u64 + 1)).expect("room for a file");
            }
        }
        path
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    fn write_known_hosts(&self) {
        let mut lines = String::new();
        for milliseconds in DELAYS {
            for (_, key) in self.sshd.host_public_keys() {
                lines += &format!("[127.0.0.1]:{} {key}\n", self.port(milliseconds));
            }
        }
        std::fs::write(self.known_hosts(), lines).expect("a writable folder");
    }
}

/// Bytes that neither repeat nor are zeros, which some would leave out.
fn contents(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Whether two files are the same.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    match (std::fs::read(one), std::fs::read(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Lets the server's accounts have dash as their shell, by a view of `/etc/passwd` that only the server
/// has: starting bash takes several times as long as all that is measured. Root on Linux can; where it
/// cannot be, the account's own shell is measured along, for all peers alike.
fn cheap_shell() -> Option<TempDir> {
    if std::env::var_os("RMUX_TEST_SSHD").is_some() || !Path::new("/bin/dash").exists() {
        return None;
    }
    let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];
    let sshd = sshd.iter().find(|path| Path::new(path).exists())?;
    let allowed = std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(std::process::Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        return None;
    }
    let folder = tempfile::tempdir().ok()?;
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let accounts = accounts.lines().map(|line| match line.rsplit_once(':') {
        Some((rest, "/bin/bash" | "/bin/zsh" | "/bin/sh")) => format!("{rest}:/bin/dash\n"),
        _ => format!("{line}\n"),
    });
    let view = folder.path().join("passwd");
    std::fs::write(&view, accounts.collect::<String>()).ok()?;
    let wrapper = folder.path().join(WRAPPER);
    let script = format!(
        "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind \"{}\" /etc/passwd && exec {sshd} \"$@\"' sshd \"$@\"\n",
        view.display()
    );
    std::fs::write(&wrapper, script).ok()?;
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).ok()?;
    Some(folder)
}

const WRAPPER: &str = "sshd";

fn own_shell() -> String {
    std::env::var("SHELL").unwrap_or_else(|_| "unknown".to_owned())
}
