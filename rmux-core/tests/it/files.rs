//! Files of the remote, on OpenSSH's two SFTP servers, the embedded one, and a host without any.

mod atomic;
mod edit;
mod endings;
mod handles;
mod hostile;
mod refusals;
mod round_trips;
mod search;
mod tools;
mod trees;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rmux_core::{Config, ConfigFile, Files, HostKeyPolicy, Session};
use rmux_testkit::embedded::EmbeddedServer;
use rmux_testkit::sshd::Sshd;

use crate::fixture;

const LIMIT: Duration = Duration::from_secs(60);
/// Debian's place, and that of others.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];

/// A server of one kind, a session with it, and an empty folder.
struct Served {
    name: &'static str,
    session: Session,
    files: Files,
    folder: PathBuf,
    _sshd: Option<Sshd>,
    _embedded: Option<EmbeddedServer>,
    _temporary: tempfile::TempDir,
}

impl Served {
    /// A path in the folder.
    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// What is in the folder, sorted.
    fn names(&self) -> Vec<String> {
        names(&self.folder)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn sftp_server() -> &'static str {
    SFTP_SERVERS
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("OpenSSH's sftp-server is installed (Debian: openssh-sftp-server)")
}

/// OpenSSH's, with this line for its `Subsystem`.
async fn openssh(name: &'static str, subsystem: &str) -> Served {
    let sshd = Sshd::builder().option("Subsystem", subsystem).start();
    let session = fixture::session(&sshd).await;
    let temporary = tempfile::tempdir().unwrap();
    Served {
        name,
        files: session.files(),
        session,
        folder: temporary.path().canonicalize().unwrap(),
        _sshd: Some(sshd),
        _embedded: None,
        _temporary: temporary,
    }
}

async fn internal() -> Served {
    openssh("internal-sftp", "sftp internal-sftp").await
}

async fn external() -> Served {
    openssh("sftp-server", &format!("sftp {}", sftp_server())).await
}

/// The embedded server, which has version 3 and no extensions.
async fn embedded() -> Served {
    let server = EmbeddedServer::builder()
        .password("open")
        .start()
        .await
        .unwrap();
    let config = Config::new()
        .config_file(ConfigFile::None)
        .port(server.addr().port())
        .user(server.user())
        .option("UserKnownHostsFile", "none")
        .option("GlobalKnownHostsFile", "none")
        .option("IdentityAgent", "none")
        .option("IdentityFile", "none")
        .password("open")
        .host_key_policy(HostKeyPolicy::AcceptNew);
    let session = fixture::connect(config).await;
    let temporary = tempfile::tempdir().unwrap();
    Served {
        name: "embedded",
        files: session.files(),
        session,
        folder: temporary.path().canonicalize().unwrap(),
        _sshd: None,
        _embedded: Some(server),
        _temporary: temporary,
    }
}

/// The tools of a host without SFTP.
async fn shell() -> Served {
    openssh("shell", "none /bin/false").await
}

async fn all() -> [Served; 4] {
    [
        internal().await,
        external().await,
        embedded().await,
        shell().await,
    ]
}
