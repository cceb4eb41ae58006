//! What a transfer tells while it goes on, and in the end.

use std::collections::VecDeque;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmux_proto::sftp::FileType;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::rate::Rate;
use crate::error::{Error, Result};
use crate::files::RemotePath;

/// The shortest time between two reports of progress.
const INTERVAL: Duration = Duration::from_millis(100);
/// How many events wait for who does not ask for them; the report has them all.
const MOST_WAITING: usize = 1024;

/// A path of either side.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferPath {
    /// Of this machine.
    Local(PathBuf),
    /// Of a session's host.
    Remote(RemotePath),
}

impl TransferPath {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Local(path) => path.as_os_str().as_bytes(),
            Self::Remote(path) => path.as_bytes(),
        }
    }
}

impl fmt::Display for TransferPath {
    /// What cannot be printed is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(_) => RemotePath::new(self.as_bytes()).fmt(f),
            Self::Remote(path) => path.fmt(f),
        }
    }
}

/// How far a transfer is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Contents that have been dealt with, in bytes: sent, or found to be there already.
    pub bytes: u64,
    /// All that is known of so far.
    pub total_bytes: u64,
    /// Files, links included, that are done.
    pub files: u64,
    /// All that are known of so far.
    pub total_files: u64,
    /// Whether the whole tree has been looked through, so that the totals stay.
    pub is_complete: bool,
    /// Bytes in a second, over the last seconds.
    pub rate: f64,
    /// How long the rest takes at that rate; `None` where it cannot be known.
    pub remaining: Option<Duration>,
}

/// Why something was not taken, where that was no failure.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It is no file, directory or link: a pipe, a socket or a device, as far as that is known.
    Special(Option<FileType>),
    /// It is a symbolic link, and those are not wanted.
    Link,
    /// It is a directory, and those are not wanted.
    Directory,
    /// Something of that name is there.
    Exists,
    /// What is there needs no replacement.
    UpToDate,
}

impl SkipReason {
    /// A stable name, the same in all languages.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Special(_) => "special",
            Self::Link => "link",
            Self::Directory => "directory",
            Self::Exists => "exists",
            Self::UpToDate => "up-to-date",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Special(Some(FileType::Fifo)) => "it is a named pipe",
            Self::Special(Some(FileType::Socket)) => "it is a socket",
            Self::Special(Some(FileType::BlockDevice | FileType::CharDevice)) => "it is a device",
            Self::Special(_) => "it is no file",
            Self::Link => "it is a symbolic link",
            Self::Directory => "it is a directory",
            Self::Exists => "it exists already",
            Self::UpToDate => "it is up to date",
        })
    }
}

/// Something that was not taken, where that was no failure.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Of the source.
    pub path: TransferPath,
    /// Why.
    pub reason: SkipReason,
}

/// Something that could not be transferred.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct TransferFailure {
    /// Of the source.
    pub path: TransferPath,
    /// Why.
    pub error: Error,
}

impl fmt::Display for TransferFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.error)
    }
}

/// What happens in a transfer.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum TransferEvent {
    /// It has come further.
    Progress(Progress),
    /// Something was not taken.
    Skipped(Skipped),
    /// Something could not be transferred; the rest goes on.
    Failed(TransferFailure),
}

/// How a transfer was.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct TransferReport {
    /// Files and links that are now at their target.
    pub files: u64,
    /// Directories that were made.
    pub directories: u64,
    /// The lengths of those files, in bytes.
    pub bytes: u64,
    /// How many of these bytes were there already, of an earlier transfer.
    pub resumed_bytes: u64,
    /// What was not taken.
    pub skipped: Vec<Skipped>,
    /// What could not be transferred.
    pub failures: Vec<TransferFailure>,
}

impl TransferReport {
    /// Whether all that was to be taken is there.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// The first failure, where there is one, as the error of the whole.
    ///
    /// # Errors
    /// That failure's.
    pub fn check(self) -> Result<Self> {
        match self.failures.first() {
            Some(failure) => Err(failure.error.clone()),
            None => Ok(self),
        }
    }
}

/// What the transfer and who watches it share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    report: TransferReport,
    waiting: VecDeque<TransferEvent>,
    rate: Rate,
    has_ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_one();
    }

    /// A file of this length is to be transferred.
    pub(super) fn expect(&self, bytes: u64) {
        self.change(|state| {
            state.progress.total_files += 1;
            state.progress.total_bytes += bytes;
        });
    }

    /// No more files will be expected.
    pub(super) fn expect_no_more(&self) {
        self.change(|state| state.progress.is_complete = true);
    }

    /// The length of a file turned out to be another.
    pub(super) fn correct(&self, expected: u64, found: u64) {
        self.change(|state| {
            let total = &mut state.progress.total_bytes;
            *total = total.saturating_sub(expected).saturating_add(found);
        });
    }

    /// So much of a file has been dealt with.
    pub(super) fn advance(&self, bytes: u64) {
        self.change(|state| {
            state.progress.bytes += bytes;
            state.rate.add(bytes, Instant::now());
        });
    }

    /// So much of a file was there already.
    pub(super) fn resume(&self, bytes: u64) {
        self.change(|state| {
            state.progress.bytes += bytes;
            state.report.resumed_bytes += bytes;
        });
    }

    /// A file is at its target.
    pub(super) fn placed(&self, bytes: u64) {
        self.change(|state| {
            state.progress.files += 1;
            state.report.files += 1;
            state.report.bytes += bytes;
        });
    }

    pub(super) fn made_directory(&self) {
        self.change(|state| state.report.directories += 1);
    }

    pub(super) fn skipped(&self, path: TransferPath, reason: SkipReason) {
        let skipped = Skipped { path, reason };
        self.change(|state| {
            state.report.skipped.push(skipped.clone());
            state.tell(TransferEvent::Skipped(skipped));
        });
    }

    pub(super) fn failed(&self, path: TransferPath, error: Error) {
        let failure = TransferFailure { path, error };
        self.change(|state| {
            state.report.failures.push(failure.clone());
            state.tell(TransferEvent::Failed(failure));
        });
    }

    /// A file that was expected is not transferred after all, after so much of it was.
    pub(super) fn give_up(&self, expected: u64, done: u64) {
        self.change(|state| {
            let progress = &mut state.progress;
            progress.total_files = progress.total_files.saturating_sub(1);
            progress.total_bytes = progress.total_bytes.saturating_sub(expected);
            progress.bytes = progress.bytes.saturating_sub(done);
        });
    }

    pub(super) fn report(&self) -> TransferReport {
        self.state().report.clone()
    }

    pub(super) fn progress(&self) -> Progress {
        self.state().now()
    }
}

impl State {
    fn tell(&mut self, event: TransferEvent) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(event);
        }
    }

    fn now(&self) -> Progress {
        let mut progress = self.progress;
        progress.rate = self.rate.per_second(Instant::now());
        let left = progress.total_bytes.saturating_sub(progress.bytes) as f64;
        progress.remaining = (progress.is_complete && progress.rate > 0.0)
            .then(|| Duration::try_from_secs_f64(left / progress.rate).ok())
            .flatten();
        progress
    }
}

/// Tells who watches that nothing more will come.
pub(super) struct Ending(pub(super) Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.change(|state| state.has_ended = true);
    }
}

/// What has been told to who watches.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Option<(Instant, Progress)>,
    has_ended: bool,
}

impl Told {
    pub(super) async fn next(&mut self, shared: &Shared) -> Option<TransferEvent> {
        loop {
            let mut due = None;
            {
                let mut state = shared.state();
                if let Some(event) = state.waiting.pop_front() {
                    return Some(event);
                }
                let now = Instant::now();
                let has_changed = self.last.is_none_or(|(_, told)| {
                    (told.bytes, told.files, told.total_files, told.is_complete)
                        != (
                            state.progress.bytes,
                            state.progress.files,
                            state.progress.total_files,
                            state.progress.is_complete,
                        )
                });
                if state.has_ended {
                    if std::mem::replace(&mut self.has_ended, true) {
                        return None;
                    }
                    return Some(TransferEvent::Progress(state.now()));
                }
                if has_changed {
                    let wait = self.last.map_or(now, |(at, _)| at + INTERVAL);
                    if wait <= now {
                        let progress = state.now();
                        self.last = Some((now, progress));
                        return Some(TransferEvent::Progress(progress));
                    }
                    due = Some(wait);
                }
            }
            match due {
                Some(due) => {
                    let _ = tokio::time::timeout_at(due, shared.changed.notified()).await;
                }
                None => shared.changed.notified().await,
            }
        }
    }
}
