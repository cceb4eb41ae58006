//! Moving files and trees, for blocking code.

use std::path::Path;

use super::{Files, Session, runtime};
use crate::error::Result;
use crate::files::RemotePath;
use crate::transfer::{self, Progress, TransferEvent, TransferOptions, TransferReport};

/// A [`Transfer`](crate::Transfer) for blocking code: its events, as they come. Dropping it ends it.
#[derive(Debug)]
pub struct Transfer(transfer::Transfer);

impl Files {
    /// As [`Files::put`](crate::Files::put).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn put(
        &self,
        local: impl AsRef<Path>,
        remote: impl AsRef<[u8]>,
        options: &TransferOptions,
    ) -> Result<Transfer> {
        let _entered = runtime()?.enter();
        Ok(Transfer(self.0.put(local, remote, options)))
    }

    /// As [`Files::get`](crate::Files::get).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn get(
        &self,
        remote: impl AsRef<[u8]>,
        local: impl AsRef<Path>,
        options: &TransferOptions,
    ) -> Result<Transfer> {
        let _entered = runtime()?.enter();
        Ok(Transfer(self.0.get(remote, local, options)))
    }

    /// As [`Files::send`](crate::Files::send).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn send(
        &self,
        path: impl AsRef<[u8]>,
        to: &Self,
        target: impl AsRef<[u8]>,
        options: &TransferOptions,
    ) -> Result<Transfer> {
        let _entered = runtime()?.enter();
        Ok(Transfer(self.0.send(path, &to.0, target, options)))
    }
}

impl Session {
    /// As [`Session::drop_files`](crate::Session::drop_files).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn drop_files<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Dropped> {
        let dropped = runtime()?.block_on(self.0.drop_files(paths))?;
        Ok(Dropped(dropped))
    }
}

/// A [`Dropped`](crate::Dropped) for blocking code.
#[derive(Debug)]
pub struct Dropped(transfer::Dropped);

impl Dropped {
    /// As [`Dropped::folder`](crate::Dropped::folder).
    pub fn folder(&self) -> &RemotePath {
        self.0.folder()
    }

    /// As [`Dropped::paths`](crate::Dropped::paths).
    pub fn paths(&self) -> &[RemotePath] {
        self.0.paths()
    }

    /// As [`Dropped::quoted`](crate::Dropped::quoted).
    pub fn quoted(&self) -> Vec<u8> {
        self.0.quoted()
    }

    /// As [`Dropped::remove`](crate::Dropped::remove).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn remove(self) -> Result<()> {
        runtime()?.block_on(self.0.remove())
    }
}

impl Transfer {
    /// As [`Transfer::finish`](crate::Transfer::finish).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn finish(self) -> Result<TransferReport> {
        runtime()?.block_on(self.0.finish())
    }

    /// As [`Transfer::cancel`](crate::Transfer::cancel).
    ///
    /// # Errors
    /// Those of [`runtime`].
    pub fn cancel(self) -> Result<()> {
        runtime()?.block_on(self.0.cancel());
        Ok(())
    }

    /// As [`Transfer::progress`](crate::Transfer::progress).
    pub fn progress(&self) -> Progress {
        self.0.progress()
    }
}

impl Iterator for Transfer {
    type Item = TransferEvent;

    fn next(&mut self) -> Option<Self::Item> {
        let runtime = runtime().ok()?;
        runtime.block_on(self.0.next_event())
    }
}
