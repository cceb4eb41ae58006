//! The SHA-256 of the beginning of a file, on whichever side it is.
//!
//! The remote is asked to compute it with a program that it has. Where it has none, or where its
//! programs see other files than its SFTP server, the file is read back.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::local::{blocking, failure};
use super::source::Remote;
use crate::error::{Error, ErrorKind, Result};
use crate::files::Reading;
use crate::sftp::Handle;

/// Up to here, reading a file back is as fast as a program.
const SMALL: u64 = 256 << 10;

/// Prints the SHA-256 of the first `$2` bytes of the file `$1`, before anything else.
const SCRIPT: &str = r#"has() { command -v "$1" >/dev/null 2>&1; }
head -c "$2" < "$1" | if has sha256sum; then sha256sum
elif has shasum; then shasum -a 256
elif has openssl; then openssl dgst -sha256 -r
fi"#;

pub(super) type Sum = [u8; 32];

/// A file that is open.
pub(super) enum Of<'a> {
    Local(&'a Arc<File>, &'a Path),
    Remote {
        remote: &'a Remote,
        path: &'a [u8],
        handle: &'a Arc<Handle>,
    },
}

impl Of<'_> {
    /// The SHA-256 of its first bytes.
    pub(super) async fn sum(&self, length: u64) -> Result<Sum> {
        if let Some(sum) = self.worthwhile(length).await {
            return Ok(sum);
        }
        self.read(length).await
    }

    /// Whether the first bytes are those with this sum. A program of the remote is not believed
    /// that they are not.
    pub(super) async fn has(&self, length: u64, sum: Sum) -> Result<bool> {
        match self.worthwhile(length).await {
            Some(reported) if reported == sum => Ok(true),
            _ => Ok(self.read(length).await? == sum),
        }
    }

    /// As [`sum`](Self::sum), but only where that is cheaper than bringing the bytes here.
    pub(super) async fn cheap_sum(&self, length: u64) -> Result<Option<Sum>> {
        match self {
            Self::Local(..) => self.read(length).await.map(Some),
            Self::Remote { .. } => Ok(self.reported(length).await),
        }
    }

    /// What a program of the remote says, where asking it is worth it.
    async fn worthwhile(&self, length: u64) -> Option<Sum> {
        match length > SMALL {
            true => self.reported(length).await,
            false => None,
        }
    }

    /// What a program of the remote says.
    async fn reported(&self, length: u64) -> Option<Sum> {
        let Self::Remote { remote, path, .. } = self else {
            return None;
        };
        let mut command = remote.files.session().command("sh");
        command.args(["-c", SCRIPT, "sh"]);
        command.arg(OsStr::from_bytes(path)).arg(length.to_string());
        // It reads for minutes, for nobody once the transfer is given up.
        command.kill_on_drop(true);
        let output = command.output().await.ok()?;
        parsed(output.stdout.get(..64)?)
    }

    async fn read(&self, length: u64) -> Result<Sum> {
        match self {
            Self::Local(file, path) => {
                let file = Arc::clone(file);
                let sum = blocking(move || read(&file, length)).await;
                sum.map_err(|error| failure("read", path, error))
            }
            Self::Remote {
                remote,
                path,
                handle,
            } => {
                let mut sum = Sha256::new();
                let mut reading = Reading::new(&remote.client, handle, 0..length);
                let mut left = length;
                let tried = remote.files.tried("read", path);
                loop {
                    let next = reading.next(remote.client.under_way()).await;
                    let Some(pieces) = next.map_err(|failed| tried.failed(failed))? else {
                        break;
                    };
                    for piece in pieces {
                        left = left.saturating_sub(piece.len() as u64);
                        sum.update(&piece);
                    }
                }
                match left {
                    0 => Ok(sum.finalize().into()),
                    _ => Err(tried.error(ErrorKind::Changed, "it became shorter meanwhile")),
                }
            }
        }
    }
}

/// Whether two files have the same first bytes. A program of a remote is not believed that they have
/// not.
pub(super) async fn are_same(one: &Of<'_>, other: &Of<'_>, length: u64) -> Result<bool> {
    // What is read here is certain.
    let (certain, other) = match other {
        Of::Local(..) => (other, one),
        Of::Remote { .. } => (one, other),
    };
    let sum = certain.sum(length).await?;
    if other.has(length, sum).await? {
        return Ok(true);
    }
    match certain {
        Of::Local(..) => Ok(false),
        Of::Remote { .. } => other.has(length, certain.read(length).await?).await,
    }
}

/// A sum in hexadecimal digits.
fn parsed(digits: &[u8]) -> Option<Sum> {
    let mut sum = [0; 32];
    let (pairs, _) = digits.as_chunks::<2>();
    for (byte, pair) in sum.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (pairs.len() == sum.len()).then_some(sum)
}

fn read(file: &File, length: u64) -> io::Result<Sum> {
    let mut sum = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    let mut offset = 0;
    while offset < length {
        let most = (length - offset).min(piece.len() as u64) as usize;
        match file.read_at(&mut piece[..most], offset) {
            Ok(0) => return Err(io::Error::other("it became shorter meanwhile")),
            Ok(read) => {
                sum.update(&piece[..read]);
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum.finalize().into())
}

/// The error of two sums that should be the same.
pub(super) fn differs(operation: &'static str) -> Error {
    let what = "the SHA-256 of what arrived is not that of the source; it may have been written to \
                meanwhile";
    Error::new(ErrorKind::Changed, operation, what)
}
