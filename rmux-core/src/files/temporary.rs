//! A new file beside another, which is removed unless it is put in its place.

use std::sync::Arc;

use rmux_proto::sftp::{Attributes, FileType, OpenFlags};

use super::failure::Tried;
use super::path::split;
use crate::error::{ErrorKind, Result};
use crate::sftp::{Answer, Client, Handle};

/// A file of a name that nobody else has. Dropping it removes it, without waiting: also where the
/// server has not yet answered whether it was made.
pub(super) struct Temporary {
    client: Client,
    path: Vec<u8>,
    handle: Option<Arc<Handle>>,
    kept: bool,
}

impl Temporary {
    /// Makes one in the directory of `target`.
    pub(super) async fn beside(
        client: &Client,
        target: &[u8],
        mode: u32,
        tried: Tried<'_>,
    ) -> Result<Self> {
        let (directory, _) = split(target);
        Self::within(client, directory, mode, tried).await
    }

    /// Makes one in a directory; an empty one is where relative paths begin.
    pub(super) async fn within(
        client: &Client,
        directory: &[u8],
        mode: u32,
        tried: Tried<'_>,
    ) -> Result<Self> {
        let slash: &[u8] = match directory {
            [] | [.., b'/'] => b"",
            _ => b"/",
        };
        // Short whatever the target's name is, which may be as long as names get.
        let name = format!(".rmux-{:016x}.tmp", rand::random::<u64>());
        let mut made = Self {
            client: client.clone(),
            path: [directory, slash, name.as_bytes()].concat(),
            handle: None,
            kept: false,
        };
        let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let attributes = Attributes {
            permissions: Some(mode),
            ..Attributes::default()
        };
        match client.open_file(&made.path, flags, attributes).await {
            Ok(handle) => {
                made.handle = Some(Arc::new(handle));
                Ok(made)
            }
            Err(failed) => {
                // Not ours, if there is one at all.
                made.kept = true;
                Err(tried.unwritten(client, failed).await)
            }
        }
    }

    /// Opens the one of this name in the directory of `target`, with what is in it, or makes it. It
    /// stays when it is dropped, so that somebody can go on with it.
    pub(super) async fn lasting(
        client: &Client,
        target: &[u8],
        name: &str,
        mode: u32,
        tried: Tried<'_>,
    ) -> Result<Self> {
        let (directory, _) = split(target);
        let slash: &[u8] = match directory {
            [] | [.., b'/'] => b"",
            _ => b"/",
        };
        let path = [directory, slash, name.as_bytes()].concat();
        // What is no file, such as a link to one, is somebody's trap.
        let known = client.lstat(&path).await.ok();
        if let Some(kind) = known.and_then(|known| known.file_type())
            && kind != FileType::File
        {
            let what = format!("{} is in the way", super::path::shown(&path));
            return Err(tried.error(ErrorKind::AlreadyExists, &what));
        }
        let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE;
        let attributes = Attributes {
            permissions: Some(mode),
            ..Attributes::default()
        };
        match client.open_file(&path, flags, attributes).await {
            Ok(handle) => Ok(Self {
                client: client.clone(),
                path,
                handle: Some(Arc::new(handle)),
                kept: true,
            }),
            Err(failed) => Err(tried.unwritten(client, failed).await),
        }
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    pub(super) fn handle(&self) -> &Arc<Handle> {
        self.handle.as_ref().expect("it is open until it is placed")
    }

    /// Closes it. Dropping the answer closes it all the same.
    pub(super) fn close(&mut self) -> Option<Answer<()>> {
        let handle = self.handle.take().and_then(Arc::into_inner);
        handle.map(Handle::close)
    }

    /// It has another name now, or is somebody else's.
    pub(super) fn keep(mut self) -> (Vec<u8>, Option<Arc<Handle>>) {
        self.kept = true;
        (std::mem::take(&mut self.path), self.handle.take())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Before it is removed: some servers do not remove what is open.
        drop(self.handle.take());
        if !self.kept {
            self.client.remove_unheard(&self.path);
        }
    }
}
