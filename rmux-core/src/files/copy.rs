//! Copying a file on the server: by itself where it can, otherwise through this side.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rmux_proto::sftp::{Attributes, Extension, OpenFlags};

use super::read::Reading;
use super::replace::{Replace, Target};
use super::{Files, WriteOptions};
use crate::error::{ErrorKind, Result};
use crate::sftp::{Client, Failed, Handle};

/// The server copies so much at a time, and can answer others between.
const PIECE: u64 = 32 << 20;
/// How many pieces are asked for ahead.
const AHEAD: usize = 2;

impl Files {
    /// Copies a file, with its mode, in one step over whatever file is there, as
    /// [`write`](Self::write) does. The contents do not leave the server where it can copy by
    /// itself, as OpenSSH's since 9.0.
    ///
    /// # Errors
    /// As [`read`](Self::read) and [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    pub async fn copy(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        let (client, from) = self.locate("copy", from.as_ref()).await?;
        let (_, to) = self.locate("copy", to.as_ref()).await?;
        let source = self.tried("copy", &from);
        let opening = client.open_file(&from, OpenFlags::READ, Attributes::default());
        let handle = match opening.await {
            Ok(handle) => Arc::new(handle),
            Err(failed) => return Err(source.not_opened(&client, failed).await),
        };
        let known = client.fstat(&handle).await;
        let known = known.map_err(|failed| source.failed(failed))?;
        if known.file_type() == Some(rmux_proto::sftp::FileType::Directory) {
            return Err(source.is_directory());
        }
        let target = Target::find(&client, self.tried("copy", &to), false).await?;
        let mut options = WriteOptions::new();
        if let Some(mode) = known.permissions {
            options = options.mode(mode & 0o777);
        }
        let tried = self.tried("copy", &target.path);
        let new = Replace::begin(&client, &target, tried, &options).await?;
        let size = known.size.unwrap_or(0);
        let copied = match client.has(Extension::CopyData) {
            true => on_server(&client, &handle, size, new.handle()).await,
            false => through_us(&client, &handle, new.handle()).await,
        };
        match copied {
            Err(failed) if failed.code() == Some(rmux_proto::sftp::StatusCode::NoSuchFile) => {
                // A handle that is not known: nothing that a caller did.
                Err(source.error(ErrorKind::Io, "the server lost the open file"))
            }
            copied => new.finish(copied).await,
        }
    }
}

async fn on_server(client: &Client, from: &Handle, size: u64, to: &Handle) -> Result<(), Failed> {
    let mut under_way = VecDeque::new();
    let mut offset = 0;
    while size - offset > PIECE {
        under_way.push_back(client.copy_data(from, offset, PIECE, to));
        offset += PIECE;
        if under_way.len() > AHEAD
            && let Some(first) = under_way.pop_front()
        {
            first.await?;
        }
    }
    // To the end, wherever that is by then.
    under_way.push_back(client.copy_data(from, offset, 0, to));
    for copied in under_way {
        copied.await?;
    }
    Ok(())
}

async fn through_us(client: &Client, from: &Arc<Handle>, to: &Handle) -> Result<(), Failed> {
    let mut reading = Reading::new(client, from, 0..u64::MAX);
    let mut offset = 0;
    let mut under_way = FuturesUnordered::new();
    let mut bytes = 0;
    while let Some(pieces) = reading.next(client.under_way()).await? {
        for mut piece in pieces {
            while !piece.is_empty() {
                let part: Bytes = piece.split_to(piece.len().min(client.write_length() as usize));
                let length = part.len();
                let answer = client.write(to, offset, part);
                under_way.push(async move { answer.await.map(|()| length) });
                offset += length as u64;
                bytes += length;
            }
        }
        while bytes > client.under_way()
            && let Some(written) = under_way.next().await
        {
            bytes -= written?;
        }
    }
    while let Some(written) = under_way.next().await {
        written?;
    }
    Ok(())
}
