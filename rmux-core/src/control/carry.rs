//! A connection from the host on two descriptors that a client passed (`ssh -W`).

use std::os::fd::OwnedFd;

use tokio::io::AsyncWriteExt as _;

use super::conversation::Conversation;
use super::passed::{Reader, Writer};
use crate::session::RemoteStream;

/// Carries until both directions have ended, or nobody takes what comes.
///
/// # Errors
/// Where the system has no room for the threads. Nothing was read by then.
pub(super) fn begin(
    stream: RemoteStream,
    [stdin, stdout]: [OwnedFd; 2],
) -> std::io::Result<Conversation> {
    let output = Writer::start(stdout)?;
    let input = Reader::start(stdin)?;
    Ok(Box::pin(carry(stream, input, output)))
}

async fn carry(stream: RemoteStream, mut input: Reader, output: Writer) -> Option<u32> {
    let gone = stream.gone();
    let (mut reader, mut writer) = stream.into_split();
    let up = async move {
        while let Some(piece) = input.next().await {
            if writer.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
        let _ = writer.flush().await;
    };
    let up = async {
        tokio::select! {
            () = up => {}
            () = gone => {}
        }
        true
    };
    let down = async move {
        while let Ok(Some(piece)) = reader.chunk().await {
            if !output.write(piece).await {
                break;
            }
        }
        output.finish().await
    };
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        _ = &mut up => {
            down.await;
        }
        // Where nobody takes what comes, nothing more is sent either.
        written = &mut down => {
            if written {
                up.await;
            }
        }
    }
    None
}
