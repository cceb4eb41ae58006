//! What the engine calls back: the host key to judge, the banner, and the end of the connection.

use std::sync::{Arc, Mutex};

use russh::client::{DisconnectReason, Session};
use russh::keys::{PublicKeyBase64, PublicKeyOrCertificate};
use tokio::sync::{oneshot, watch};

use super::{Progress, Report, engine_error};
use crate::ask::Asker;
use crate::error::{Error, ErrorKind};
use crate::trust::Judge;

/// Holds the reason why a handshake was given up, for the connecting side.
pub(super) type Verdict = Arc<Mutex<Option<Error>>>;

pub(super) struct Handler {
    pub(super) host: String,
    pub(super) judge: Judge,
    pub(super) asker: Asker,
    pub(super) report: Report,
    pub(super) verdict: Verdict,
    pub(super) cause: watch::Sender<Option<Error>>,
    /// Ends when the connecting side has given up: then nobody wants the prompt's answer.
    pub(super) given_up: oneshot::Receiver<std::convert::Infallible>,
    /// The key that was judged well: the server shows it again at each key exchange.
    pub(super) accepted: Option<Vec<u8>>,
}

impl russh::client::Handler for Handler {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = offered.public_key();
        let (algorithm, blob) = (key.algorithm(), key.public_key_bytes());
        if let Some(accepted) = &self.accepted {
            if *accepted == blob {
                return Ok(true);
            }
            let error = Error::new(
                ErrorKind::HostKeyChanged,
                "verify host key",
                "the server showed another host key in the midst of the connection",
            );
            self.cause.send_replace(Some(error.with_host(&self.host)));
            return Ok(false);
        }
        let judging = self.judge.judge(algorithm.as_str(), &blob, &self.asker);
        let judged = tokio::select! {
            judged = judging => judged,
            _ = &mut self.given_up => return Ok(false),
        };
        match judged {
            Ok(()) => {
                self.accepted = Some(blob);
                Ok(true)
            }
            Err(error) => {
                *self.verdict.lock().unwrap_or_else(|p| p.into_inner()) = Some(error);
                Ok(false)
            }
        }
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Self::Error> {
        (self.report)(Progress::Banner(banner.to_owned()));
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let cause = match reason {
            DisconnectReason::ReceivedDisconnect(info) => Error::new(
                ErrorKind::Disconnected,
                "session",
                format!(
                    "the server disconnected: {}",
                    printable(&info.message).trim_end()
                ),
            )
            .with_host(&self.host),
            DisconnectReason::Error(error) => engine_error("session", &self.host, error),
        };
        // A reason that is known already is the better one.
        self.cause.send_if_modified(|known| {
            let news = known.is_none();
            known.get_or_insert(cause);
            news
        });
        Ok(())
    }
}

/// Text of the server's without what could move a terminal's cursor, and of a bounded length.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(400).collect()
}
