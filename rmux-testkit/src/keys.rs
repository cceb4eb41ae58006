//! Key pairs made by `ssh-keygen`. Knows nothing of servers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use std::os::unix::fs::OpenOptionsExt as _;

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ecdsa-sha2-nistp256`.
    Ecdsa,
    /// `ssh-rsa`, 2048 bits (large enough to be accepted, small enough to be made quickly).
    Rsa,
}

impl KeyKind {
    /// Every kind, in the order a server lists them.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::Ecdsa, Self::Rsa];

    /// The name `ssh-keygen -t` and key file names use: `ed25519`, `ecdsa`, `rsa`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
        }
    }
}

/// A private key file's text without a passphrase, and its public key line (`type base64`).
#[derive(Clone)]
pub(crate) struct KeyPair {
    private: String,
    public: String,
}

impl KeyPair {
    pub(crate) fn generate(kind: KeyKind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder for a new key");
        let path = folder.path().join("key");
        keygen(
            Command::new("ssh-keygen")
                .args(["-q", "-t", kind.name(), "-N", "", "-C", "rmux-testkit"])
                .args(
                    (kind == KeyKind::Rsa)
                        .then_some(["-b", "2048"])
                        .iter()
                        .flatten(),
                )
                .arg("-f")
                .arg(&path),
        );
        let read = |path: &Path| std::fs::read_to_string(path).expect("ssh-keygen wrote its key");
        let line = read(&path.with_extension("pub"));
        let public = line
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ");
        Self {
            private: read(&path),
            public,
        }
    }

    /// The same pair for the whole life of this process: making an RSA key takes long.
    pub(crate) fn of_this_process(kind: KeyKind) -> &'static Self {
        static PAIRS: [OnceLock<KeyPair>; 3] = [const { OnceLock::new() }; 3];
        let slot = match kind {
            KeyKind::Ed25519 => 0,
            KeyKind::Ecdsa => 1,
            KeyKind::Rsa => 2,
        };
        PAIRS[slot].get_or_init(|| Self::generate(kind))
    }

    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// Writes `folder/name` (mode 0600) and `folder/name.pub`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        let path = folder.join(name);
        write_private(&path, &self.private)?;
        std::fs::write(
            folder.join(format!("{name}.pub")),
            format!("{}\n", self.public),
        )?;
        Ok(path)
    }

    /// Writes `folder/name` (mode 0600) encrypted with `passphrase`, and no public file, so that
    /// nothing but the passphrase gives access to it.
    pub(crate) fn write_encrypted(
        &self,
        folder: &Path,
        name: &str,
        passphrase: &str,
    ) -> io::Result<PathBuf> {
        let path = folder.join(name);
        write_private(&path, &self.private)?;
        // `-a 2`: few key derivation rounds, because tests have nothing to protect.
        keygen(
            Command::new("ssh-keygen")
                .args(["-q", "-p", "-a", "2", "-P", "", "-N", passphrase, "-f"])
                .arg(&path),
        );
        Ok(path)
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn keygen(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run ssh-keygen ({error}); install OpenSSH's client (Debian: openssh-client)"
            )
        });
    assert!(
        output.status.success(),
        "ssh-keygen failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
}
