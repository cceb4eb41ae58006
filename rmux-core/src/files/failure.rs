//! What an answer of failure means to the caller: a kind, and a message with the path.
//!
//! Version 3 has few words for what went wrong. Where the caller would act on more, the server is
//! asked a second question after the failure.

use rmux_proto::sftp::{Attributes, FileType, StatusCode, Statvfs};

use super::path::shown;
use crate::error::{Error, ErrorKind};
use crate::printable::printable;
use crate::sftp::{Client, Failed, Handle};

/// What was tried, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tried<'a> {
    /// A verb, as errors have it.
    pub(crate) operation: &'static str,
    pub(crate) path: &'a [u8],
    pub(crate) host: &'a str,
}

/// With less than this free, a file system is called full: a write that failed may have been larger
/// than what was left.
const NO_ROOM: u64 = 1 << 20;

impl Tried<'_> {
    /// An error of this kind about the path.
    pub(crate) fn error(&self, kind: ErrorKind, what: &str) -> Error {
        let message = format!("{}: {what}", shown(self.path));
        Error::new(kind, self.operation, message).with_host(self.host)
    }

    /// What the failure means as it stands.
    pub(crate) fn failed(&self, failed: Failed) -> Error {
        let status = match failed {
            Failed::Error(error) => return error.with_host(self.host),
            Failed::Status(status) => status,
        };
        let (kind, what) = match status.code {
            StatusCode::NoSuchFile => (ErrorKind::NotFound, "there is no such file or directory"),
            StatusCode::PermissionDenied => {
                (ErrorKind::PermissionDenied, "the server denies permission")
            }
            StatusCode::OpUnsupported => (ErrorKind::Unsupported, "the server cannot do that"),
            StatusCode::BadMessage => (
                ErrorKind::InvalidInput,
                "the server takes this for invalid; a name may be too long",
            ),
            StatusCode::NoConnection | StatusCode::ConnectionLost => {
                (ErrorKind::Disconnected, "the server lost a connection")
            }
            StatusCode::Eof => (ErrorKind::Io, "it ended early"),
            _ => (ErrorKind::Io, "the server reports a failure"),
        };
        let said = printable(String::from_utf8_lossy(&status.message).trim());
        if kind == ErrorKind::Io && !said.is_empty() && said != "Failure" {
            return self.error(kind, &format!("{what}: {said}"));
        }
        self.error(kind, what)
    }

    /// The failure of what makes `path`: something may be there already.
    pub(crate) async fn not_made(&self, client: &Client, failed: Failed) -> Error {
        if is_vague(&failed) && client.lstat(self.path).await.is_ok() {
            return self.error(ErrorKind::AlreadyExists, "it exists already");
        }
        self.unwritten(client, failed).await
    }

    /// The failure of what opens a file: it may be a directory.
    pub(crate) async fn not_opened(&self, client: &Client, failed: Failed) -> Error {
        let found = match is_vague(&failed) {
            true => client.stat(self.path).await.ok(),
            false => None,
        };
        if found.as_ref().and_then(Attributes::file_type) == Some(FileType::Directory) {
            return self.is_directory();
        }
        self.unwritten(client, failed).await
    }

    /// The failure of what opens a directory: it may be something else.
    pub(crate) async fn not_listed(&self, client: &Client, failed: Failed) -> Error {
        // OpenSSH says of a file that there is no such one.
        if (failed.is_missing() || is_vague(&failed))
            && let Ok(found) = client.stat(self.path).await
            && found
                .file_type()
                .is_some_and(|it| it != FileType::Directory)
        {
            return self.error(ErrorKind::NotADirectory, "it is not a directory");
        }
        self.failed(failed)
    }

    /// The failure of what removes a directory: something may be in it.
    pub(crate) async fn not_removed(&self, client: &Client, failed: Failed) -> Error {
        if !is_vague(&failed) {
            return self.not_listed(client, failed).await;
        }
        match client.lstat(self.path).await.map(|it| it.file_type()) {
            Ok(Some(FileType::Directory)) => {
                self.error(ErrorKind::Io, "the directory is not empty, or is in use")
            }
            Ok(Some(_)) => self.error(ErrorKind::NotADirectory, "it is not a directory"),
            _ => self.failed(failed),
        }
    }

    /// The failure of what writes to the directory of `path`: there may be no room.
    pub(crate) async fn unwritten(&self, client: &Client, failed: Failed) -> Error {
        if is_vague(&failed) {
            let (directory, _) = super::path::split(self.path);
            let directory: &[u8] = if directory.is_empty() {
                b"."
            } else {
                directory
            };
            if let Ok(room) = client.room(directory).await
                && is_full(&room)
            {
                return self.full();
            }
        }
        self.failed(failed)
    }

    /// The failure of a write to an open file.
    pub(crate) async fn handle_unwritten(
        &self,
        client: &Client,
        handle: &Handle,
        failed: Failed,
    ) -> Error {
        if is_vague(&failed)
            && let Ok(room) = client.handle_room(handle).await
            && is_full(&room)
        {
            return self.full();
        }
        self.failed(failed)
    }

    pub(crate) fn is_directory(&self) -> Error {
        self.error(ErrorKind::IsADirectory, "it is a directory")
    }

    fn full(&self) -> Error {
        let what = "no space is left on the remote file system";
        self.error(ErrorKind::LimitExceeded, what)
    }
}

fn is_vague(failed: &Failed) -> bool {
    matches!(
        failed.code(),
        Some(StatusCode::Failure | StatusCode::Other(_))
    )
}

fn is_full(room: &Statvfs) -> bool {
    let left = room.available.saturating_mul(room.fragment_size);
    left < NO_ROOM || (room.files > 0 && room.files_available == 0)
}
