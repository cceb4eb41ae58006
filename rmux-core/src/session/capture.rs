//! What a command writes, kept up to a limit, and what becomes of the rest.

use std::io::Write;
use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::stdio::{ChildStderr, ChildStdout};
use crate::error::{Error, ErrorKind, Result};

/// How much of what a command writes is kept in memory, and what becomes of the rest. Each of the
/// two streams is counted by itself.
///
/// Default: [`Error`](Self::Error) at 1 GiB.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputLimit {
    /// One byte more than this many is [`ErrorKind::LimitExceeded`], and the command is ended. What
    /// came before is in the [error](crate::Error::partial_stdout).
    Error(u64),
    /// The first so many bytes are kept, the rest is counted and dropped, and the command runs on.
    /// [`Output`](crate::Output) tells how many were dropped.
    Truncate(u64),
    /// The first so many bytes are kept in memory. If more come, everything from the first byte on
    /// is in a file that only this account can read, in the folder for temporary files. From then
    /// on it is the caller's, to read and to remove: [`Output`](crate::Output) has its path. Where
    /// the call fails it is removed.
    ///
    /// A file may become as large as the session's
    /// [`spill_limit`](crate::Config::spill_limit); beyond that, as with [`Error`](Self::Error).
    Spill(u64),
}

impl Default for OutputLimit {
    fn default() -> Self {
        Self::Error(1 << 30)
    }
}

impl OutputLimit {
    /// How many bytes are kept in memory.
    fn bytes(self) -> u64 {
        match self {
            Self::Error(bytes) | Self::Truncate(bytes) | Self::Spill(bytes) => bytes,
        }
    }

    /// Whether reaching it ends the command.
    pub(super) fn may_end(self) -> bool {
        !matches!(self, Self::Truncate(_))
    }
}

/// What was kept of one stream.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) head: Vec<u8>,
    pub(super) dropped: u64,
    pub(super) file: Option<PathBuf>,
}

/// One stream, as far as it has come.
#[derive(Debug)]
struct Capture {
    name: &'static str,
    limit: OutputLimit,
    most_in_file: u64,
    head: Vec<u8>,
    total: u64,
    file: Option<NamedTempFile>,
}

impl Capture {
    fn new(name: &'static str, limit: OutputLimit, most_in_file: u64) -> Self {
        Self {
            name,
            limit,
            most_in_file,
            head: Vec::new(),
            total: 0,
            file: None,
        }
    }

    fn push(&mut self, data: &[u8]) -> Result<()> {
        let room = self.limit.bytes().saturating_sub(self.total);
        let (head, rest) =
            data.split_at(usize::try_from(room).map_or(data.len(), |room| room.min(data.len())));
        self.head.extend_from_slice(head);
        self.total += data.len() as u64;
        if rest.is_empty() {
            return Ok(());
        }
        match self.limit {
            OutputLimit::Error(most) => Err(self.too_much(most)),
            OutputLimit::Truncate(_) => Ok(()),
            OutputLimit::Spill(_) if self.total > self.most_in_file => {
                Err(self.too_much(self.most_in_file))
            }
            OutputLimit::Spill(_) => self.spill(rest).map_err(|error| {
                let what = "cannot keep the output in a temporary file";
                Error::io("run", what, error)
            }),
        }
    }

    fn too_much(&self, most: u64) -> Error {
        let what = format!("the command wrote more than {most} bytes to {}", self.name);
        Error::new(ErrorKind::LimitExceeded, "run", what)
    }

    /// A write of one packet into the page cache is short enough for an async task.
    fn spill(&mut self, rest: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let named = tempfile::Builder::new().prefix("rmux-output-").tempfile()?;
                let file = none.insert(named);
                file.write_all(&self.head)?;
                file
            }
        };
        file.write_all(rest)
    }

    fn finish(self) -> Result<Captured> {
        let kept = self.head.len() as u64;
        let file = match self.file {
            Some(file) => Some(file.into_temp_path().keep().map_err(|error| {
                let what = "cannot keep the file with the output";
                Error::io("run", what, error.error)
            })?),
            None => None,
        };
        Ok(Captured {
            head: self.head,
            dropped: match self.limit {
                OutputLimit::Truncate(_) => self.total - kept,
                _ => 0,
            },
            file,
        })
    }
}

/// Both streams of a command, read to their ends.
#[derive(Debug)]
pub(super) struct Captures {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    out: Capture,
    err: Capture,
}

impl Captures {
    pub(super) fn new(
        (stdout, stderr): (Option<ChildStdout>, Option<ChildStderr>),
        limit: OutputLimit,
        most_in_file: u64,
    ) -> Self {
        Self {
            stdout,
            stderr,
            out: Capture::new("standard output", limit, most_in_file),
            err: Capture::new("standard error", limit, most_in_file),
        }
    }

    /// Reads on, until both are at their ends or one fails.
    ///
    /// # Cancel safety
    /// Cancel safe: the next call goes on where this one was.
    pub(super) async fn fill(&mut self) -> Result<()> {
        let Self {
            stdout,
            stderr,
            out,
            err,
        } = self;
        let stdout = async {
            while let Some(stream) = stdout {
                match stream.chunk().await? {
                    Some(piece) => out.push(&piece)?,
                    None => *stdout = None,
                }
            }
            Ok::<_, Error>(())
        };
        let stderr = async {
            while let Some(stream) = stderr {
                match stream.chunk().await? {
                    Some(piece) => err.push(&piece)?,
                    None => *stderr = None,
                }
            }
            Ok(())
        };
        futures_util::future::try_join(stdout, stderr).await?;
        Ok(())
    }

    /// Throws away what is still to come.
    pub(super) fn stop_reading(&mut self) {
        (self.stdout, self.stderr) = (None, None);
    }

    /// What was kept: of standard output and of standard error.
    pub(super) fn finish(self) -> Result<(Captured, Captured)> {
        let (out, err) = (self.out.finish(), self.err.finish());
        match (out, err) {
            (Ok(out), Ok(err)) => Ok((out, err)),
            (Ok(Captured { file, .. }), Err(error)) | (Err(error), Ok(Captured { file, .. })) => {
                // A call that fails leaves no file.
                file.map(std::fs::remove_file);
                Err(error)
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// What there is of a command that failed; files are removed.
    pub(super) fn partial(self) -> (Vec<u8>, Vec<u8>) {
        (self.out.head, self.err.head)
    }
}
