//! Keys, certificates and a server called `box.example` whose host keys are chosen for each
//! connection; and the stock `ssh`, whose judgement of the same server is the oracle.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmux_core::{Config, ConfigFile, Error, Session};
use rmux_testkit::sshd::Sshd;

/// The name under which the server is known. Nobody looks it up.
pub(super) const NAME: &str = "box.example";

/// Keys made by `ssh-keygen`, and whatever else a test writes.
pub(super) struct Keys(tempfile::TempDir);

impl Keys {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a key of this kind, `rsa` with 2048 bits.
    pub(super) fn make(&self, name: &str, kind: &str) -> PathBuf {
        let bits: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
        self.run(&[&["-t", kind, "-N", "", "-C", "", "-f", name][..], bits].concat());
        self.path(name)
    }

    /// Has the authority `ca` sign a key, with more arguments of `ssh-keygen`.
    pub(super) fn sign(&self, ca: &str, key: &str, more: &[&str]) {
        let public = format!("{key}.pub");
        self.run(&[&["-s", ca, "-I", "a certificate"][..], more, &[&public]].concat());
    }

    pub(super) fn run(&self, arguments: &[&str]) {
        let mut keygen = Command::new("ssh-keygen");
        let keygen = keygen.current_dir(self.0.path()).arg("-q").args(arguments);
        let output = keygen
            .stdin(Stdio::null())
            .output()
            .expect("ssh-keygen runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// The public key, as its type and base64.
    pub(super) fn public(&self, name: &str) -> String {
        let line = std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        line.trim().to_owned()
    }

    /// The public key, or `name-cert`, as it goes over the wire.
    pub(super) fn blob(&self, name: &str) -> Vec<u8> {
        let line = self.public(name);
        let base64 = line.split(' ').nth(1).unwrap();
        STANDARD.decode(base64).unwrap()
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Writes a program for `/bin/sh`.
    pub(super) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }
}

/// Settings for the server, of which this file knows something.
pub(super) fn config(sshd: &Sshd, known: &Path) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .user(sshd.user())
        .identity_file(sshd.client_key())
        .option("IdentityAgent", "none")
        .option("ProxyCommand", sshd.proxy_command())
        .option("UserKnownHostsFile", known.display().to_string())
        .option("GlobalKnownHostsFile", "none")
}

/// The same settings, with more of them, that rmux and `ssh` are given alike.
pub(super) struct Case<'a> {
    pub(super) sshd: &'a Sshd,
    pub(super) known: &'a Path,
    pub(super) options: Vec<(&'static str, String)>,
}

impl Case<'_> {
    /// What rmux makes of it, after `ssh` made the same of it.
    pub(super) async fn judged(&self, what: &str) -> Result<(), Error> {
        let theirs = self.ssh();
        let ours = self.rmux().await;
        assert_eq!(
            ours.is_ok(),
            theirs.status.success(),
            "{what}: rmux says {ours:?}, ssh {}",
            String::from_utf8_lossy(&theirs.stderr)
        );
        ours
    }

    pub(super) async fn rmux(&self) -> Result<(), Error> {
        let mut config = config(self.sshd, self.known).option("StrictHostKeyChecking", "yes");
        for (key, value) in &self.options {
            config = config.option(*key, value);
        }
        let session = Session::connect(NAME, config).await?;
        session.close().await;
        Ok(())
    }

    pub(super) fn ssh(&self) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-l", self.sshd.user(), "-i"])
            .arg(self.sshd.client_key());
        for option in [
            format!("ProxyCommand={}", self.sshd.proxy_command()),
            format!("UserKnownHostsFile={}", self.known.display()),
            "GlobalKnownHostsFile=none".to_owned(),
            "IdentityAgent=none".to_owned(),
            "BatchMode=yes".to_owned(),
        ] {
            ssh.arg("-o").arg(option);
        }
        for (key, value) in &self.options {
            ssh.arg("-o").arg(format!("{key}={value}"));
        }
        ssh.args(["-o", "StrictHostKeyChecking=yes", NAME, "true"]);
        ssh.stdin(Stdio::null()).output().expect("ssh runs")
    }
}
