//! An `ssh_config` that names several servers of the tests.

use std::path::PathBuf;

use rmux_core::{Config, ConfigFile, Session};
use rmux_testkit::sshd::Sshd;

/// An `ssh_config` that names each server, with `more` above it.
pub(crate) struct Map {
    folder: tempfile::TempDir,
}

impl Map {
    pub(crate) fn of(servers: &[(&str, &Sshd)], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!("{more}\n");
        for (name, sshd) in servers {
            text += &format!(
                "Host {name}\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n \
                 UserKnownHostsFile {}\n",
                sshd.port(),
                sshd.user(),
                sshd.client_key().display(),
                sshd.known_hosts().display(),
            );
        }
        text += "Host *\n GlobalKnownHostsFile none\n IdentityAgent none\n";
        std::fs::write(folder.path().join("config"), text).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub(crate) fn config(&self) -> Config {
        Config::new().config_file(ConfigFile::Path(self.path()))
    }
}

/// Bytes go both ways.
pub(crate) async fn works(session: &Session) {
    let input = vec![b'x'; 2 << 20];
    let output = session
        .command("cat")
        .input(input.clone())
        .output()
        .await
        .unwrap();
    assert!(output.stdout == input);
}
