//! What a session's host can do, as far as callers may want to know before they ask for it.

use super::Files;
use crate::error::{ErrorKind, Result};
use crate::session::Session;

/// By what the [`Files`] of a session work.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilesBy {
    /// By the server's SFTP.
    Sftp,
    /// By the POSIX tools of a host without SFTP, one run of its `sh` for each request. [`Files`] says
    /// what is different then.
    Shell,
    /// By nothing: each use of them fails with [`ErrorKind::Unsupported`].
    Nothing,
}

impl FilesBy {
    /// `sftp`, `shell` or `none`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sftp => "sftp",
            Self::Shell => "shell",
            Self::Nothing => "none",
        }
    }
}

impl std::fmt::Display for FilesBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a [`Session`]'s host can do.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// By what its files are reached.
    pub files: FilesBy,
    /// Why it is not SFTP, where it is not.
    pub files_why: Option<String>,
    /// The extensions of SFTP that its server offers, by their names; none without SFTP.
    pub sftp_extensions: Vec<String>,
    /// How many channels the server grants over one connection (OpenSSH: `MaxSessions`), once it has
    /// refused one more.
    pub channels: Option<usize>,
}

impl Session {
    /// What the host can do. By what files are reached is found out at the first use of them or
    /// here, and stays for as long as the session.
    ///
    /// # Errors
    /// Those of the session.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        self.files().capabilities().await
    }
}

impl Files {
    async fn capabilities(&self) -> Result<Capabilities> {
        let (files, files_why, sftp_extensions) = match self.client().await {
            Ok(client) => match client.without_server() {
                None => (FilesBy::Sftp, None, client.extensions()),
                Some(why) => (FilesBy::Shell, Some(why.message().to_owned()), Vec::new()),
            },
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let why = Some(error.message().to_owned());
                (FilesBy::Nothing, why, Vec::new())
            }
            Err(error) => return Err(error),
        };
        Ok(Capabilities {
            files,
            files_why,
            sftp_extensions,
            channels: self.session.most_channels(),
        })
    }
}
