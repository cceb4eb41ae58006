//! Putting a new file in the place of an old one, in one step.

use std::sync::Arc;

use rmux_proto::sftp::{Attributes, Extension, FileType};

use super::failure::Tried;
use super::temporary::Temporary;
use super::write::{NEW_FILE, check, check_contents, check_known, permissions};
use super::{Files, WriteOptions};
use crate::error::{ErrorKind, Result};
use crate::sftp::{Answer, Client, Failed, Handle};

const SPECIAL_BITS: u32 = 0o7000;
/// How many seconds a file must have been left alone so that whoever writes to it from then on changes
/// its time of writing. Some file systems count by two.
const TELLS: u32 = 3;

/// The file that is to be written, behind symbolic links.
pub(crate) struct Target {
    pub(crate) path: Vec<u8>,
    /// What is there; `None` where nothing is.
    pub(crate) known: Option<Attributes>,
}

impl Target {
    /// `is_new`: what is wanted is a name that nothing has, so that a link is in the way.
    pub(crate) async fn find(client: &Client, tried: Tried<'_>, is_new: bool) -> Result<Self> {
        let path = tried.path.to_vec();
        let known = found(client.lstat(tried.path), tried).await?;
        let is_link = known.as_ref().and_then(Attributes::file_type) == Some(FileType::Symlink);
        if !is_link || is_new {
            return Ok(Self { path, known });
        }
        let (real, known) = (client.real_path(tried.path), client.stat(tried.path));
        let real = real.await.map_err(|failed| tried.failed(failed))?;
        Ok(Self {
            path: real.to_vec(),
            known: found(known, tried).await?,
        })
    }
}

async fn found(answer: Answer<Attributes>, tried: Tried<'_>) -> Result<Option<Attributes>> {
    match answer.await {
        Ok(known) => Ok(Some(known)),
        Err(failed) if failed.is_missing() => Ok(None),
        Err(failed) => Err(tried.failed(failed)),
    }
}

/// A file that is about to take the place of another, or of none.
pub(crate) struct Replace<'a> {
    client: &'a Client,
    tried: Tried<'a>,
    options: WriteOptions,
    /// What was there.
    old: Option<Attributes>,
    /// What the new one is, once the server has told.
    own: Option<Answer<Attributes>>,
    /// When the new one was made, by the server's clock.
    made: Option<u32>,
    new: Temporary,
    /// Whether the old one may be removed first where it cannot be replaced in one step.
    removes: bool,
}

/// The same for who goes on with other things meanwhile. Dropping it removes what was begun.
pub(super) struct Begun {
    client: Client,
    path: Vec<u8>,
    options: WriteOptions,
    old: Option<Attributes>,
    own: Option<Answer<Attributes>>,
    new: Temporary,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun").finish_non_exhaustive()
    }
}

impl Begun {
    pub(super) fn handle(&self) -> &Arc<Handle> {
        self.new.handle()
    }

    /// As [`Replace::finish`], of what was written by others, who have let go of the handle.
    pub(super) async fn finish(self, files: &Files) -> Result<()> {
        let replace = Replace {
            client: &self.client,
            tried: files.tried("write", &self.path),
            options: self.options,
            old: self.old,
            own: self.own,
            made: None,
            new: self.new,
            removes: false,
        };
        replace.finish(Ok(())).await
    }
}

impl<'a> Replace<'a> {
    /// Leaves the rest for later.
    pub(super) fn leave(self) -> Begun {
        Begun {
            client: self.client.clone(),
            path: self.tried.path.to_vec(),
            options: self.options,
            old: self.old,
            own: self.own,
            new: self.new,
        }
    }

    /// Makes it, beside its target.
    pub(crate) async fn begin(
        client: &'a Client,
        target: &Target,
        tried: Tried<'a>,
        options: &WriteOptions,
    ) -> Result<Self> {
        Self::begin_as(client, target, tried, options, None).await
    }

    /// As [`begin`](Self::begin). With a name, it is what has that name already, if anything does,
    /// and it stays if it is not finished.
    pub(crate) async fn begin_as(
        client: &'a Client,
        target: &Target,
        tried: Tried<'a>,
        options: &WriteOptions,
        lasting: Option<&str>,
    ) -> Result<Self> {
        let old = target.known.clone();
        if old.as_ref().and_then(Attributes::file_type) == Some(FileType::Directory) {
            return Err(tried.is_directory());
        }
        check_known(tried, options, old.as_ref())?;
        if !options.just_read {
            check_contents(client, tried, options).await?;
        }
        // Never more than it will be in the end: somebody may open it meanwhile.
        let mode = options
            .mode
            .or(old.as_ref().and_then(|old| old.permissions))
            .or(options.new_mode)
            .unwrap_or(NEW_FILE);
        let new = match lasting {
            // Whoever goes on with it has to be able to.
            Some(name) => {
                let mode = mode & 0o777 | 0o600;
                Temporary::lasting(client, tried.path, name, mode, tried).await?
            }
            None => Temporary::beside(client, tried.path, mode & 0o777, tried).await?,
        };
        let own = old.is_some().then(|| client.fstat(new.handle()));
        Ok(Self {
            client,
            tried,
            options: options.clone(),
            old,
            own,
            made: None,
            new,
            removes: false,
        })
    }

    /// The same for who would rather have the file missing for a moment than not replaced.
    pub(crate) fn removing(mut self) -> Self {
        self.removes = true;
        self
    }

    /// The name that it has until it is finished.
    pub(crate) fn path(&self) -> &[u8] {
        self.new.path()
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        self.new.handle()
    }

    /// Gives it its owner, its mode and its name, if it was written.
    pub(crate) async fn finish(self, written: Result<(), Failed>) -> Result<()> {
        if let Err(failed) = written {
            let (client, handle) = (self.client, self.handle());
            return Err(self.tried.handle_unwritten(client, handle, failed).await);
        }
        let all_written = std::future::ready(Ok(()));
        self.finish_behind(all_written, Attributes::default()).await
    }

    /// As [`finish`](Self::finish), with these attributes above all, and behind writes that are still
    /// under way: a server does what is asked of one file in the order of asking, so that closing it
    /// takes no round trip of its own. It gets its name once all of that went well.
    pub(crate) async fn finish_behind(
        mut self,
        writes: impl Future<Output = Result<(), Failed>>,
        attributes: Attributes,
    ) -> Result<()> {
        let (client, tried) = (self.client, self.tried);
        self.take_after_old().await?;
        let set = (attributes != Attributes::default())
            .then(|| client.set_handle_attributes(self.handle(), attributes));
        let sync = (!self.options.no_sync && client.has(Extension::Fsync))
            .then(|| client.sync(self.handle()));
        // Some servers tell only when it is closed what could not be written.
        let close = self.new.close();
        let mut written = writes.await;
        for step in [set, sync, close].into_iter().flatten() {
            if written.is_err() {
                break;
            }
            written = step.await;
        }
        if let Err(failed) = written {
            return Err(tried.unwritten(client, failed).await);
        }
        if self.options.unchanged.is_some() || self.options.sha256.is_some() {
            let now = client.lstat(tried.path).await.ok();
            match self.time_tells() {
                true => check_known(tried, &self.options, now.as_ref())?,
                false => check(client, tried, &self.options, now.as_ref()).await?,
            }
        }
        self.place().await?;
        self.new.keep();
        Ok(())
    }

    /// Whether a file that was just read can have been written to only if its length or its time of
    /// writing is another.
    fn time_tells(&self) -> bool {
        let seen = self.options.unchanged.and_then(|(_, written)| written);
        self.options.just_read
            && seen
                .zip(self.made)
                .is_some_and(|(seen, made)| seen.saturating_add(TELLS) <= made)
    }

    /// Makes owner and mode those of the old file, as far as the server lets us.
    async fn take_after_old(&mut self) -> Result<()> {
        let own = self.own.take();
        let client = self.client;
        let wanted = self.options.mode;
        let (Some(old), Some(own)) = (&self.old, own) else {
            // The umask has had its word, against what was asked for.
            return match wanted {
                Some(mode) => self.set_mode(mode).await,
                None => Ok(()),
            };
        };
        let own = own.await.map_err(|failed| self.tried.failed(failed))?;
        self.made = own.times.map(|it| it.1);
        let Some(mut mode) = wanted.or(old.permissions.map(|mode| mode & 0o7777)) else {
            return Ok(());
        };
        if let (Some((user, group)), Some((own_user, own_group))) = (old.owner, own.owner)
            && (user, group) != (own_user, own_group)
        {
            let handle = self.handle();
            let owner = |user, group| Attributes {
                owner: Some((user, group)),
                ..Attributes::default()
            };
            let whole = client.set_handle_attributes(handle, owner(user, group));
            let is_whole = whole.await.is_ok();
            let has_group = is_whole
                || group == own_group
                || client
                    .set_handle_attributes(handle, owner(own_user, group))
                    .await
                    .is_ok();
            if !is_whole {
                // They would lend somebody else's rights.
                mode &= !SPECIAL_BITS;
            }
            if !has_group {
                // Another group than was meant gets no more than everybody.
                mode = (mode & !0o070) | ((mode & 0o007) << 3);
            }
        }
        if own.permissions.map(|own| own & 0o7777) == Some(mode) && mode & SPECIAL_BITS == 0 {
            return Ok(());
        }
        self.set_mode(mode).await
    }

    async fn set_mode(&self, mode: u32) -> Result<()> {
        self.client
            .set_handle_attributes(self.handle(), permissions(mode))
            .await
            .map_err(|failed| self.tried.failed(failed))
    }

    /// Gives it its name.
    async fn place(&self) -> Result<()> {
        let (client, tried) = (self.client, self.tried);
        let (from, to) = (self.new.path(), tried.path);
        if !self.options.create_new && client.has(Extension::PosixRename) {
            return match client.posix_rename(from, to).await {
                Ok(()) => Ok(()),
                Err(failed) => Err(tried.not_opened(client, failed).await),
            };
        }
        // Version 3 renames to a free name only.
        let Err(failed) = client.rename(from, to).await else {
            return Ok(());
        };
        let error = tried.not_made(client, failed).await;
        if !self.options.create_new && error.kind() == ErrorKind::AlreadyExists {
            if self.removes {
                let removed = client.remove(to).await;
                removed.map_err(|failed| tried.failed(failed))?;
                return match client.rename(from, to).await {
                    Ok(()) => Ok(()),
                    Err(failed) => Err(tried.not_made(client, failed).await),
                };
            }
            let what = "the server cannot replace a file in one step; write it in place";
            return Err(tried.error(ErrorKind::Unsupported, what));
        }
        Err(error)
    }
}
