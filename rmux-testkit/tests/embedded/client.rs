//! The stock clients, pointed at an embedded server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rmux_testkit::embedded::{EmbeddedServer, EmbeddedServerBuilder};
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A server, a key that may log in, and a runtime under it.
pub(crate) struct Fixture {
    pub(crate) server: Option<EmbeddedServer>,
    pub(crate) folder: TempDir,
    /// Whom to log in as, if not the server's user.
    pub(crate) login: Option<&'static str>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Fixture {
    pub(crate) fn start(
        change: impl FnOnce(EmbeddedServerBuilder) -> EmbeddedServerBuilder,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .unwrap();
        assert!(made.success());
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let builder = EmbeddedServer::builder()
            .authorized_key(public.trim())
            .shell("/bin/sh")
            .home(folder.path());
        let server = runtime.block_on(change(builder).start()).unwrap();
        let known_hosts = folder.path().join("known_hosts");
        std::fs::write(known_hosts, server.host_public_key_line() + "\n").unwrap();
        Self {
            server: Some(server),
            folder,
            login: None,
            runtime,
        }
    }

    pub(crate) fn server(&self) -> &EmbeddedServer {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `ssh` up to and including the destination.
    pub(crate) fn ssh(&self) -> Command {
        let mut command = self.client("ssh", "-p");
        command
            .args(["-o", "BatchMode=yes", "-i"])
            .arg(self.path("key"))
            .arg(self.destination());
        command
    }

    /// `ssh` without a key, which asks `askpass` (a shell script) for everything.
    pub(crate) fn ssh_asking(&self, method: &str, askpass: &str) -> Command {
        let script = self.path("askpass");
        std::fs::write(&script, format!("#!/bin/sh\n{askpass}\n")).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = self.client("ssh", "-p");
        command
            .env("SSH_ASKPASS", script)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .arg("-o")
            .arg(format!("PreferredAuthentications={method}"))
            .args(["-o", "NumberOfPasswordPrompts=1"])
            .arg(self.destination());
        command
    }

    pub(crate) fn sftp(&self, batch: &str) -> Output {
        let file = self.path("batch");
        std::fs::write(&file, batch).unwrap();
        let mut command = Command::new("sftp");
        command.arg("-b").arg(&file);
        self.configure(&mut command, "-P");
        command
            .arg("-i")
            .arg(self.path("key"))
            .arg(self.destination())
            .output()
            .unwrap()
    }

    fn client(&self, program: &str, port_flag: &str) -> Command {
        let mut command = Command::new(program);
        self.configure(&mut command, port_flag);
        command.stdin(Stdio::null());
        command
    }

    fn configure(&self, command: &mut Command, port_flag: &str) {
        command
            .args([
                "-F",
                "none",
                port_flag,
                &self.server().addr().port().to_string(),
            ])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.path("known_hosts").display()
            ))
            .args([
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .args(["-o", "IdentityAgent=none"]);
    }

    fn destination(&self) -> String {
        format!("{}@127.0.0.1", self.login.unwrap_or(self.server().user()))
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Running, and not a zombie that whoever adopted it has yet to reap.
pub(crate) fn alive(pid: &str) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", pid])
        .output()
        .unwrap();
    let state = text(&output.stdout);
    !state.trim().is_empty() && !state.starts_with('Z')
}

pub(crate) fn within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
