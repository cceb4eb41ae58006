//! `-W`: standard input and output are carried to a place that the host reaches.

use rmux_core::{Endpoint, Session};
use tokio::io::AsyncWriteExt as _;

use super::converse::{Broken, Ended};
use super::streams::Writer;
use crate::input;

/// Carries until both directions have ended.
pub(super) async fn carry(session: &Session, to: &Endpoint) -> Result<Ended, Broken> {
    let stream = session.reach(to).await.map_err(Broken::Unreached)?;
    let gone = stream.gone();
    let (mut reader, mut writer) = stream.into_split();
    let up = async move {
        let mut pieces = input::read();
        while let Some(piece) = pieces.recv().await {
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
    };
    let down = async move {
        let output = Writer::stdout();
        let read = loop {
            match reader.chunk().await {
                Ok(Some(piece)) => {
                    if !output.write(piece).await {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(Broken::Remote(error)),
            }
        };
        let written = output.finish().await;
        read?;
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Broken::NoReader,
            _ => Broken::Local("standard output", error),
        })
    };
    let up = async {
        up.await;
        Ok(())
    };
    tokio::try_join!(up, down)?;
    Ok(Ended::Carried)
}
