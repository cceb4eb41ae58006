//! What a SOCKS client wishes for: asked for on a stream, within a bounded time.

use std::time::Duration;

use rmux_proto::socks::{Negotiation, Outcome, Step};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};

/// How long a client may take to say where it wants to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that waits to be connected.
pub(super) struct Wish {
    pub(super) target: Endpoint,
    negotiation: Negotiation,
}

impl Wish {
    /// Hears the client out.
    pub(super) async fn hear(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Self> {
        let error = |kind, what: String| Error::new(kind, "forward", what);
        match tokio::time::timeout(PATIENCE, negotiate(stream)).await {
            Ok(Ok(wish)) => Ok(wish),
            Ok(Err(why)) => Err(error(ErrorKind::ProtocolViolation, why)),
            Err(_) => Err(error(
                ErrorKind::TimedOut,
                format!("a SOCKS client did not say within {PATIENCE:?} where it wants to go"),
            )),
        }
    }

    /// Tells it how that went. What it has sent already is for the other side.
    pub(super) async fn grant(
        self,
        stream: &mut (impl AsyncWrite + Unpin),
        outcome: Outcome,
    ) -> std::io::Result<Vec<u8>> {
        stream.write_all(&self.negotiation.reply(outcome)).await?;
        Ok(self.negotiation.into_rest())
    }
}

async fn negotiate(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> std::result::Result<Wish, String> {
    let failed = |error: std::io::Error| format!("a SOCKS client broke off: {error}");
    let mut negotiation = Negotiation::new(None);
    let mut buffer = [0; 1024];
    loop {
        match negotiation.step() {
            Step::Read => match stream.read(&mut buffer).await.map_err(failed)? {
                0 => return Err("a SOCKS client broke off".to_owned()),
                length => negotiation.feed(&buffer[..length]),
            },
            Step::Send(answer) => stream.write_all(&answer).await.map_err(failed)?,
            Step::Connect(to) => {
                let target = Endpoint::tcp(to.host, to.port);
                return Ok(Wish {
                    target,
                    negotiation,
                });
            }
            Step::Refuse(answer, why) => {
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
                return Err(why.to_string());
            }
        }
    }
}

/// What the client is told of a failure.
pub(super) fn outcome(error: &Error) -> Outcome {
    let text = error.message();
    match error.kind() {
        ErrorKind::PermissionDenied => Outcome::NotAllowed,
        _ if text.contains("administratively prohibited") => Outcome::NotAllowed,
        _ if text.contains("efused") => Outcome::Refused,
        _ if text.contains("unreachable") || text.contains("No route") => Outcome::Unreachable,
        _ => Outcome::Failed,
    }
}
