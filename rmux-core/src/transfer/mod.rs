//! Moving files and trees between this machine and a session's host, or between two hosts.
//!
//! The room knows what is to be where, in which order and under which conditions. It writes to the
//! local disk below open directories only, so that no name and no link that a server sends leads out
//! of the target. It knows the requests of the SFTP client, and no packets.

mod copy;
mod digest;
mod dropped;
mod event;
mod known;
mod local;
mod options;
mod patterns;
mod rate;
mod source;
mod stripes;
mod target;
mod tree;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

pub use dropped::Dropped;
pub use event::{
    Progress, SkipReason, Skipped, TransferEvent, TransferFailure, TransferPath, TransferReport,
};
pub use options::{Conflict, Links, TransferOptions, Update};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{Files, RemotePath};
use event::Shared;
use source::{Remote, Source};
use target::Top;
use tree::Tree;

/// A transfer that goes on by itself. Dropping it ends it, without waiting: what is not whole is not
/// under its real name then, and with [`TransferOptions::resume`] its beginning stays beside it.
///
/// What is in memory at a time is bounded: 64 MiB of contents, and the names that are known of and
/// not done.
///
/// ```no_run
/// # async fn example(session: rmux_core::Session) -> rmux_core::Result<()> {
/// use rmux_core::{TransferEvent, TransferOptions};
///
/// let options = TransferOptions::new().recursive().times().exclude("*.o");
/// let mut transfer = session.files().put("project", "backup/project", &options);
/// while let Some(event) = transfer.next_event().await {
///     if let TransferEvent::Progress(progress) = event {
///         println!("{} of {} bytes", progress.bytes, progress.total_bytes);
///     }
/// }
/// let report = transfer.finish().await?;
/// for failure in &report.failures {
///     eprintln!("{failure}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Transfer {
    shared: Arc<Shared>,
    told: event::Told,
    task: JoinHandle<Result<()>>,
}

impl Files {
    /// Puts a local file, or with [`TransferOptions::recursive`] a directory with all that is in it,
    /// at a path of the remote. A directory that is there already is added to.
    ///
    /// A symbolic link is followed where it is named here, on either side.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn put(
        &self,
        local: impl AsRef<Path>,
        remote: impl AsRef<[u8]>,
        options: &TransferOptions,
    ) -> Transfer {
        let (files, path) = (self.clone(), RemotePath::new(remote.as_ref()));
        let source = Source::Local(local.as_ref().to_owned());
        Transfer::start(options, async move |tree| {
            let top = Top::remote(Remote::open(&files).await?, path);
            tree.run(source, top).await
        })
    }

    /// Gets a file, or with [`TransferOptions::recursive`] a directory with all that is in it, to a
    /// local path. A directory that is there already is added to.
    ///
    /// Whatever names the server sends, nothing is written outside of the local path: below it no
    /// symbolic link is followed, neither one that was there nor one that came.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn get(
        &self,
        remote: impl AsRef<[u8]>,
        local: impl AsRef<Path>,
        options: &TransferOptions,
    ) -> Transfer {
        let (files, path) = (self.clone(), RemotePath::new(remote.as_ref()));
        let top = Top::Local(local.as_ref().to_owned());
        Transfer::start(options, async move |tree| {
            let source = Source::Remote(Remote::open(&files).await?, path);
            tree.run(source, top).await
        })
    }

    /// Brings a file or directory of this host to a path of another's, through this program and
    /// without a local file. The hosts need not know of each other.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn send(
        &self,
        path: impl AsRef<[u8]>,
        to: &Self,
        target: impl AsRef<[u8]>,
        options: &TransferOptions,
    ) -> Transfer {
        let (files, path) = (self.clone(), RemotePath::new(path.as_ref()));
        let (to, target) = (to.clone(), RemotePath::new(target.as_ref()));
        Transfer::start(options, async move |tree| {
            let source = Source::Remote(Remote::open(&files).await?, path);
            let top = Top::remote(Remote::open(&to).await?, target);
            tree.run(source, top).await
        })
    }
}

impl Transfer {
    fn start<W, F>(options: &TransferOptions, work: W) -> Self
    where
        W: FnOnce(Tree) -> F,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let tree = Tree::new(options, &shared);
        let work = work(tree);
        let ending = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            // Also where it panics: nobody may wait for ever.
            let _ending = event::Ending(ending);
            work.await
        });
        Self {
            shared,
            told: event::Told::default(),
            task,
        }
    }

    /// What has happened since the last call; waits for something. `None` at the end. Progress is
    /// told ten times a second at most, and once at the end.
    ///
    /// Who does not ask misses nothing that the [report](Self::finish) has not, and holds nothing up.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next_event(&mut self) -> Option<TransferEvent> {
        self.told.next(&self.shared).await
    }

    /// Waits for the end, and tells how it was. What went wrong with single files is in the report:
    /// the rest went on.
    ///
    /// # Errors
    /// What ended the whole: [`ErrorKind::NotFound`] and the like of the source itself,
    /// [`ErrorKind::IsADirectory`] for a directory without [`TransferOptions::recursive`],
    /// [`ErrorKind::InvalidInput`] for a pattern that is none, and those of the session.
    ///
    /// # Cancel safety
    /// Dropping the future ends the transfer, as dropping the transfer does.
    pub async fn finish(mut self) -> Result<TransferReport> {
        match (&mut self.task).await {
            Ok(Ok(())) => Ok(self.shared.report()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(
                ErrorKind::Cancelled,
                "transfer",
                "the runtime has ended",
            )),
        }
    }

    /// Ends it, and waits until it does nothing more: what is not whole by then never gets its real
    /// name. What it had begun on the remote is removed behind that, in the order of requests.
    ///
    /// # Cancel safety
    /// Dropping the future ends the transfer too.
    pub async fn cancel(mut self) {
        self.task.abort();
        // Its own error would be told to nobody.
        let _ = (&mut self.task).await;
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
