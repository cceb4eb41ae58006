//! `rmux cat`: files of hosts to standard output.

use std::ffi::OsString;
use std::io;

use bytes::BytesMut;
use rmux_core::{Files, OpenOptions};
use tokio::io::AsyncReadExt as _;

use super::Done;
use super::connect::Hosts;
use super::operand::Operand;
use crate::message;
use crate::ssh::Writer;

/// How much is handed on at a time.
const PIECE: usize = 256 << 10;

pub(super) async fn run(hosts: &Hosts, words: &[OsString]) -> Done {
    let mut is_whole = true;
    for word in words {
        let (host, path) = Operand::remote(word)?;
        let files = hosts.files(&host).await?;
        if let Err(error) = to_stdout(&files, &path).await {
            // Nobody reads it any more.
            if error.downcast_ref::<io::Error>().is_some() {
                return Err(error);
            }
            message::error(error);
            is_whole = false;
        }
    }
    Ok(is_whole)
}

/// Writes a file to standard output.
pub(super) async fn to_stdout(
    files: &Files,
    path: &[u8],
) -> Result<(), Box<dyn std::error::Error>> {
    let mut file = files.open(path, &OpenOptions::new().read()).await?;
    let writer = Writer::stdout();
    let read = async {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            if file.read_buf(&mut piece).await? == 0 || !writer.write(piece.freeze()).await {
                return Ok::<_, io::Error>(());
            }
        }
    };
    let read = read.await;
    let written = writer.finish().await;
    if let Err(error) = read {
        return Err(match error.downcast::<rmux_core::Error>() {
            Ok(error) => error.into(),
            Err(error) => error.into(),
        });
    }
    written.map_err(|error| {
        let what = format!("cannot write standard output: {error}");
        io::Error::new(error.kind(), what).into()
    })
}
