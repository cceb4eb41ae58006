//! Removing a directory with all that is in it.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rmux_proto::sftp::FileType;

use super::directory::Listing;
use super::{Files, RemotePath};
use crate::error::{Error, Result};
use crate::sftp::{Client, Failed};

/// How many files are being removed at once.
const MOST_UNDER_WAY: usize = 64;

impl Files {
    /// Removes a directory and all that is in it, or a file. Symbolic links are removed, and not
    /// followed. What cannot be removed stays, and the rest goes; the first failure is reported then.
    ///
    /// SFTP names files by their whole paths. So somebody who may write to the tree could, at the
    /// right moment, put a link in the place of one of its directories.
    ///
    /// # Errors
    /// As [`remove_file`](Self::remove_file).
    ///
    /// # Cancel safety
    /// Dropping the future leaves what has not been removed.
    pub async fn remove_dir_all(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let (client, path) = self.locate("remove", path.as_ref()).await?;
        let tried = self.tried("remove", &path);
        let found = client.lstat(&path).await;
        let found = found.map_err(|failed| tried.failed(failed))?;
        if found.file_type() != Some(FileType::Directory) {
            return self.remove_file(&path).await;
        }
        let mut removal = Removal {
            files: self,
            client: &client,
            first: None,
        };
        removal.run(RemotePath::new(path)).await;
        removal.first.map_or(Ok(()), Err)
    }
}

struct Removal<'a> {
    files: &'a Files,
    client: &'a Client,
    first: Option<Error>,
}

/// A step on the way through a tree. A directory is removed behind all that was in it.
enum Step {
    Enter(RemotePath),
    Leave(RemotePath),
}

impl Removal<'_> {
    async fn run(&mut self, top: RemotePath) {
        let mut steps = vec![Step::Enter(top)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(path) => {
                    let inner = self.empty(&path).await;
                    steps.push(Step::Leave(path));
                    steps.extend(inner.into_iter().map(Step::Enter));
                }
                Step::Leave(path) => {
                    let removed = self.client.remove_directory(path.as_bytes()).await;
                    if let Err(failed) = removed {
                        let tried = self.files.tried("remove", path.as_bytes());
                        let error = tried.not_removed(self.client, failed).await;
                        self.first.get_or_insert(error);
                    }
                }
            }
        }
    }

    /// Removes the files of a directory, and returns the directories in it.
    async fn empty(&mut self, path: &RemotePath) -> Vec<RemotePath> {
        let mut inner = Vec::new();
        let tried = self.files.tried("remove", path.as_bytes());
        let handle = match self.client.open_directory(path.as_bytes()).await {
            Ok(handle) => handle,
            Err(failed) => {
                self.first.get_or_insert(tried.failed(failed));
                return inner;
            }
        };
        let mut listing = Listing::new(self.client, handle);
        let mut under_way = FuturesUnordered::new();
        loop {
            let (name, attributes) = match listing.next(tried).await {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) => {
                    self.first.get_or_insert(error);
                    break;
                }
            };
            let child = path.join(&name);
            let mut kind = attributes.file_type();
            if kind.is_none() {
                let found = self.client.lstat(child.as_bytes()).await;
                kind = found.ok().and_then(|it| it.file_type());
            }
            if kind == Some(FileType::Directory) {
                inner.push(child);
                continue;
            }
            if under_way.len() >= MOST_UNDER_WAY {
                self.removed(under_way.next().await).await;
            }
            let answer = self.client.remove(child.as_bytes());
            under_way.push(async move { (child, answer.await) });
        }
        while let Some(removed) = under_way.next().await {
            self.removed(Some(removed)).await;
        }
        inner
    }

    async fn removed(&mut self, removed: Option<(RemotePath, Result<(), Failed>)>) {
        if let Some((path, Err(failed))) = removed
            // Somebody else was faster.
            && !failed.is_missing()
        {
            let tried = self.files.tried("remove", path.as_bytes());
            let error = tried.not_opened(self.client, failed).await;
            self.first.get_or_insert(error);
        }
    }
}
