//! What is below a directory: all of it, or what matches a pattern.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rmux_proto::name_pattern::{has_wildcards, matches, unescape};

use super::{DirEntry, Files, RemotePath};
use crate::error::{ErrorKind, Result};

/// How many directories are being listed at once.
const MOST_UNDER_WAY: usize = 16;

/// What is found below a directory, as it comes, in no order. Dropping it ends the search.
///
/// Several directories are listed at once. What vanishes meanwhile, or may not be listed, is passed
/// over.
#[derive(Debug)]
pub struct Walk {
    files: Files,
    steps: Arc<[Step]>,
    only_directories: bool,
    to_do: Vec<Job>,
    under_way: FuturesUnordered<BoxFuture<'static, (Job, Result<Vec<DirEntry>>)>>,
    found: VecDeque<DirEntry>,
}

/// A part of a pattern, between slashes.
#[derive(Debug)]
enum Step {
    /// This name.
    Name(Vec<u8>),
    /// A name that matches.
    Pattern(Vec<u8>),
    /// Any number of directories, none included.
    Any,
}

/// A directory, and what of the pattern may come next in it.
#[derive(Debug)]
struct Job {
    directory: RemotePath,
    next: Vec<usize>,
}

impl Files {
    /// All that is below a directory. Symbolic links are found, and not followed.
    pub fn walk(&self, directory: impl AsRef<[u8]>) -> Walk {
        self.search(directory.as_ref(), [Step::Any].into(), false)
    }

    /// What is below a directory and matches a pattern. In a pattern `*` is any part of a name, a dot
    /// in front of it included, `?` any byte and `[…]` one of some; a backslash takes their meaning
    /// away. `**` between slashes is any number of directories, through which links are not followed,
    /// and at the end all below. A slash at the end finds directories only. Nothing is found in what
    /// is no directory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a pattern that is empty, absolute, or has `..` in it.
    pub fn glob(&self, directory: impl AsRef<[u8]>, pattern: impl AsRef<[u8]>) -> Result<Walk> {
        let (directory, pattern) = (directory.as_ref(), pattern.as_ref());
        let invalid = |what| {
            let tried = self.tried("glob", pattern);
            Err(tried.error(ErrorKind::InvalidInput, what))
        };
        if pattern.starts_with(b"/") {
            return invalid("a pattern goes on from its directory, and has no slash in front");
        }
        let mut steps = Vec::new();
        for part in pattern.split(|&byte| byte == b'/') {
            steps.push(match part {
                b"" | b"." => continue,
                b".." => return invalid("a pattern does not leave its directory"),
                b"**" if matches!(steps.last(), Some(Step::Any)) => continue,
                b"**" => Step::Any,
                part if has_wildcards(part) => Step::Pattern(part.to_vec()),
                part => Step::Name(unescape(part)),
            });
        }
        if steps.is_empty() {
            return invalid("a pattern has to say what to find");
        }
        Ok(self.search(directory, steps.into(), pattern.ends_with(b"/")))
    }

    fn search(&self, directory: &[u8], steps: Arc<[Step]>, only_directories: bool) -> Walk {
        let mut next = Vec::new();
        reach(&steps, 0, &mut next);
        let job = Job {
            directory: RemotePath::new(directory),
            next,
        };
        Walk {
            files: self.clone(),
            steps,
            only_directories,
            to_do: vec![job],
            under_way: FuturesUnordered::new(),
            found: VecDeque::new(),
        }
    }

    /// The names that can be of use in a directory: all, or the only one that can match.
    async fn candidates(
        &self,
        directory: &RemotePath,
        name: Option<&[u8]>,
    ) -> Result<Vec<DirEntry>> {
        let Some(name) = name else {
            return self.read_dir(directory).await?.entries().await;
        };
        let path = directory.join(name);
        let metadata = self.symlink_metadata(&path).await?;
        Ok(vec![DirEntry::new(path, name.to_vec(), metadata)])
    }
}

/// Adds a step to those that may come next, and what may come in its place: any number of
/// directories may be none.
fn reach(steps: &[Step], step: usize, next: &mut Vec<usize>) {
    if next.contains(&step) {
        return;
    }
    next.push(step);
    if matches!(steps[step], Step::Any) && step + 1 < steps.len() {
        reach(steps, step + 1, next);
    }
}

impl Walk {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// Those of the session, and [`ErrorKind::ProtocolViolation`] for a name with `/` or NUL, which
    /// is none. The search ends with it.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost.
    pub async fn next_entry(&mut self) -> Result<Option<DirEntry>> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Ok(Some(found));
            }
            while self.under_way.len() < MOST_UNDER_WAY
                && let Some(job) = self.to_do.pop()
            {
                self.begin(job);
            }
            let Some((job, listed)) = self.under_way.next().await else {
                return Ok(None);
            };
            match listed {
                Ok(entries) => entries.into_iter().for_each(|entry| self.take(&job, entry)),
                Err(error) => match error.kind() {
                    ErrorKind::NotFound | ErrorKind::NotADirectory => {}
                    ErrorKind::PermissionDenied => {}
                    _ => {
                        self.to_do.clear();
                        self.under_way.clear();
                        return Err(error);
                    }
                },
            }
        }
    }

    /// All that are left.
    ///
    /// # Errors
    /// As [`next_entry`](Self::next_entry).
    ///
    /// # Cancel safety
    /// Dropping the future ends the search.
    pub async fn entries(mut self) -> Result<Vec<DirEntry>> {
        let mut all = Vec::new();
        while let Some(entry) = self.next_entry().await? {
            all.push(entry);
        }
        Ok(all)
    }

    fn begin(&mut self, mut job: Job) {
        let files = self.files.clone();
        let mut name = None;
        if let [only] = job.next[..]
            && let Step::Name(wanted) = &self.steps[only]
        {
            name = Some(wanted.clone());
            // What is on the way need not be looked at.
            if only + 1 < self.steps.len() {
                job.directory = job.directory.join(wanted);
                job.next.clear();
                reach(&self.steps, only + 1, &mut job.next);
                return self.begin(job);
            }
        }
        self.under_way.push(Box::pin(async move {
            let listed = files.candidates(&job.directory, name.as_deref()).await;
            (job, listed)
        }));
    }

    /// Looks what an entry of a directory is for: to be given out, to be looked into, or neither.
    fn take(&mut self, job: &Job, entry: DirEntry) {
        let known = entry.metadata();
        let is_directory = known.is_dir();
        // What a link leads to, or a server does not tell, shows when it is listed.
        let may_be_one = is_directory || known.is_symlink() || known.file_type().is_none();
        let (mut is_found, mut next) = (false, Vec::new());
        for &step in &job.next {
            let matched = match &self.steps[step] {
                Step::Name(name) => name == entry.file_name(),
                Step::Pattern(pattern) => matches(entry.file_name(), pattern),
                Step::Any => {
                    if is_directory || known.file_type().is_none() {
                        reach(&self.steps, step, &mut next);
                    }
                    is_found |= step + 1 == self.steps.len();
                    continue;
                }
            };
            if matched && step + 1 == self.steps.len() {
                is_found = true;
            } else if matched && may_be_one {
                reach(&self.steps, step + 1, &mut next);
            }
        }
        if !next.is_empty() {
            let directory = entry.path().clone();
            self.to_do.push(Job { directory, next });
        }
        if is_found && (is_directory || !self.only_directories) {
            self.found.push_back(entry);
        }
    }
}
