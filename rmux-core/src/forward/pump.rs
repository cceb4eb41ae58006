//! Carries bytes between a connection of this machine and one of the remote, each direction to its
//! own end.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::local::LocalStream;
use crate::session::RemoteStream;

/// As much as one packet carries.
const PIECE: usize = 32 << 10;

/// Bytes that passed, added up as they do.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// Carries until both directions have ended, or the remote side is gone.
pub(super) async fn carry(mut local: LocalStream, remote: RemoteStream, count: &[&Bytes]) {
    let in_order = match &mut local {
        LocalStream::Tcp(stream) => {
            let (reader, writer) = stream.split();
            both(reader, writer, remote, count).await
        }
        LocalStream::Unix(stream) => {
            let (reader, writer) = stream.split();
            both(reader, writer, remote, count).await
        }
    };
    if !in_order {
        // A cut must not look like the end of what was sent.
        local.break_off();
    }
}

/// False where the remote side did not end in order.
async fn both(
    mut from_local: impl AsyncRead + Unpin,
    mut to_local: impl AsyncWrite + Unpin,
    remote: RemoteStream,
    count: &[&Bytes],
) -> bool {
    let gone = remote.gone();
    let (mut reader, mut writer) = remote.into_split();
    let up = async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = from_local.read(&mut buffer).await {
            if writer.write_all(&buffer[..length]).await.is_err() {
                return;
            }
            for bytes in count {
                bytes.sent.fetch_add(length as u64, Ordering::Relaxed);
            }
        }
        // However it ended: the remote learns that no more comes, behind all that came.
        let _ = writer.shutdown().await;
        let _ = writer.flush().await;
    };
    let up = async {
        tokio::select! {
            () = up => {}
            () = gone => {}
        }
    };
    let down = async move {
        let in_order = loop {
            match reader.chunk().await {
                Ok(Some(piece)) => {
                    if to_local.write_all(&piece).await.is_err() {
                        break true;
                    }
                    for bytes in count {
                        let length = piece.len() as u64;
                        bytes.received.fetch_add(length, Ordering::Relaxed);
                    }
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if in_order {
            let _ = to_local.shutdown().await;
        }
        in_order
    };
    let ((), in_order) = tokio::join!(up, down);
    in_order
}
