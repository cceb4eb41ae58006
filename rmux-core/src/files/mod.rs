//! Files of a session's host: [`Files`], over one SFTP channel that is kept warm.
//!
//! Paths are the remote's, as bytes. The room knows the requests of the room below and what people
//! do with files, and no packets.

mod attributes;
mod behind;
mod capabilities;
mod copy;
mod directory;
mod edit;
mod failure;
mod file;
mod metadata;
mod names;
mod path;
mod read;
mod replace;
mod stream;
mod temporary;
mod tree;
mod walk;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use rmux_proto::sftp::Extension;

pub use attributes::DiskSpace;
pub use capabilities::{Capabilities, FilesBy};
pub use directory::{DirEntry, ReadDir};
pub use file::{File, OpenOptions};
pub use metadata::Metadata;
pub use path::RemotePath;
pub use rmux_proto::sftp::FileType;
pub use walk::Walk;
pub use write::WriteOptions;

pub(crate) use directory::Listing;
pub(crate) use failure::Tried;
pub(crate) use path::shown;
pub(crate) use read::Reading;
pub(crate) use replace::{Replace, Target};

use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;
use crate::sftp::Client;

/// The longest path that is sent: longer than any system takes.
const MAX_PATH: usize = 64 << 10;

/// The files of a session's host.
///
/// Paths are anything that is bytes: a string, or what is not UTF-8. [`RemotePath`] says where
/// relative ones begin and what `~` means. The methods are named and behave as those of `std::fs`,
/// unless they say otherwise.
///
/// All go over one channel of the session, which is opened at the first use, takes one of the
/// channels that the server grants, and is given up after half a minute without use.
///
/// # Without SFTP
/// Where the server has no SFTP, the host's POSIX tools do the same, if it has a shell and them:
/// `cat`, `chmod`, `dd`, `find`, `grep`, `head`, `ls`, `ln`, `mkdir`, `mv`, `readlink`, `rm`, `rmdir`,
/// `touch`, and what else is asked for when it is. Each request is a run of `sh` on a channel of its
/// own, six at a time. [`Session::capabilities`] tells. What is different then:
/// - An open [`File`] is its path. One that is renamed or removed meanwhile is another, or gone; and
///   what its mode forbids is forbidden to the open file too.
/// - A new file is one that its owner may write, whatever mode was asked for, until its mode is set.
/// - Without `stat`, as on some small systems, nothing tells times, and a condition on them does not
///   see a change that keeps the length.
/// - A rename to another file system copies, and is not one step. Where `mv` has no `-T`, one over a
///   directory is two, and one over a link to a directory fails with [`ErrorKind::Unsupported`].
/// - Without `stat`, or with that of the BSDs, [`disk_space`](Self::disk_space) tells nothing of how
///   many files there can be. Whether a file system can only be read is never told.
/// - A copy fills the holes of a file.
///
/// Where there is neither, all fail with [`ErrorKind::Unsupported`].
///
/// ```no_run
/// # async fn example(session: rmux_core::Session) -> rmux_core::Result<()> {
/// let files = session.files();
/// files.write("~/.config/tool/settings", "color = true\n").await?;
/// let mut entries = files.read_dir("/var/log").await?;
/// while let Some(entry) = entries.next_entry().await? {
///     println!("{} {}", entry.path(), entry.metadata().len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Files {
    session: Session,
    kept: Arc<Kept>,
}

/// The channel that is kept with the session.
#[derive(Default)]
struct Kept(Mutex<State>);

#[derive(Default)]
struct State {
    client: Option<Client>,
    opening: Option<Opening>,
    /// The account's home directory, once it was asked for.
    home: Option<Vec<u8>>,
}

type Opening = Shared<BoxFuture<'static, Result<Client>>>;

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the channel if nobody else uses it.
    fn retire(&self) -> bool {
        let mut state = self.state();
        let unused = state.client.as_ref().is_some_and(Client::is_unshared);
        if unused {
            state.client = None;
        }
        unused
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Session {
    /// The files of the host.
    pub fn files(&self) -> Files {
        Files {
            session: self.clone(),
            kept: self.attached(),
        }
    }
}

impl Files {
    /// The session whose host's files these are.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The channel: the one that is there, or a new one, which all who wait share.
    pub(crate) async fn client(&self) -> Result<Client> {
        let opening = {
            let mut state = self.kept.state();
            if let Some(client) = state.client.as_ref().filter(|client| !client.is_closed()) {
                return Ok(client.clone());
            }
            state.client = None;
            state.opening.get_or_insert_with(|| self.opening()).clone()
        };
        opening.await
    }

    /// Opens the channel in a task of its own, so that it goes on when one of those who wait for it
    /// gives up.
    fn opening(&self) -> Opening {
        let (session, kept) = (self.session.clone(), Arc::downgrade(&self.kept));
        let task = tokio::spawn(async move {
            let retire = {
                let kept = Weak::clone(&kept);
                move || kept.upgrade().is_none_or(|kept| kept.retire())
            };
            let opened = Client::reach(&session, Box::new(retire)).await;
            if let Some(kept) = kept.upgrade() {
                let mut state = kept.state();
                state.opening = None;
                state.client = opened.as_ref().ok().cloned();
            }
            opened
        });
        let host = self.session.host().name.clone();
        async move {
            task.await.unwrap_or_else(|_| {
                let what = "the runtime has ended";
                Err(Error::new(ErrorKind::Cancelled, "open", what).with_host(&host))
            })
        }
        .boxed()
        .shared()
    }

    /// The channel, and the path as the server takes it.
    pub(crate) async fn locate(
        &self,
        operation: &'static str,
        path: &[u8],
    ) -> Result<(Client, Vec<u8>)> {
        let tried = self.tried(operation, path);
        if path.is_empty() || path.contains(&0) || path.len() > MAX_PATH {
            let what = "a path has at least one byte, no NUL, and an end";
            return Err(tried.error(ErrorKind::InvalidInput, what));
        }
        let client = self.client().await?;
        let Some(rest) = path.strip_prefix(b"~") else {
            return Ok((client, path.to_vec()));
        };
        if !rest.is_empty() && !rest.starts_with(b"/") {
            if !client.has(Extension::ExpandPath) {
                let what = "the server cannot tell the home directory of another user";
                return Err(tried.error(ErrorKind::Unsupported, what));
            }
            let expanded = client.expand_path(path).await;
            let expanded = expanded.map_err(|failed| tried.failed(failed))?;
            return Ok((client, expanded.to_vec()));
        }
        let mut expanded = self.home(&client, tried).await?;
        if !rest.is_empty() && expanded.ends_with(b"/") {
            expanded.pop();
        }
        expanded.extend_from_slice(rest);
        Ok((client, expanded))
    }

    async fn home(&self, client: &Client, tried: Tried<'_>) -> Result<Vec<u8>> {
        if let Some(home) = self.kept.state().home.clone() {
            return Ok(home);
        }
        let home = match client.has(Extension::ExpandPath) {
            true => client.expand_path(b"~").await,
            // Where the server begins, which is the home unless somebody chose otherwise.
            false => client.real_path(b".").await,
        };
        let home = home.map_err(|failed| tried.failed(failed))?.to_vec();
        self.kept.state().home = Some(home.clone());
        Ok(home)
    }

    pub(crate) fn tried<'a>(&'a self, operation: &'static str, path: &'a [u8]) -> Tried<'a> {
        Tried {
            operation,
            path,
            host: &self.session.host().name,
        }
    }
}
