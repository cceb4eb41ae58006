//! What the engine calls back: the host key to judge, the banner, and the end of the connection.

use std::sync::{Arc, Mutex};

use russh::client::{DisconnectReason, Session};
use russh::keys::{PublicKeyBase64, PublicKeyOrCertificate};
use tokio::sync::{oneshot, watch};

use super::{Progress, Report, engine_error};
use crate::ask::Asker;
use crate::error::{Error, ErrorKind};
use crate::printable::printable;
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
}

impl russh::client::Handler for Handler {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = match offered {
            PublicKeyOrCertificate::PublicKey { key, .. } => key,
            // None is asked for. The key inside is not what the server wants to be trusted by.
            PublicKeyOrCertificate::Certificate(_) => {
                let error = Error::new(
                    ErrorKind::Unsupported,
                    "verify host key",
                    "the server showed a host certificate, which rmux cannot verify",
                );
                *self.verdict.lock().unwrap_or_else(|p| p.into_inner()) =
                    Some(error.with_host(&self.host));
                return Ok(false);
            }
        };
        let (algorithm, blob) = (key.algorithm(), key.public_key_bytes());
        // russh 0.65.1 asks at the first key exchange only. Of the key shown at a later one it checks
        // the signature; who has come that far holds the session's keys already.
        let judging = self.judge.judge(algorithm.as_str(), &blob, &self.asker);
        let judged = tokio::select! {
            judged = judging => judged,
            _ = &mut self.given_up => return Ok(false),
        };
        match judged {
            Ok(()) => Ok(true),
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
        self.cause.send_replace(Some(cause));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use russh::client::Handler as _;
    use russh::keys::Certificate;

    use super::*;
    use crate::config::HostKeyPolicy;
    use crate::deadline::Deadline;
    use crate::host::Host;

    #[tokio::test]
    async fn a_host_certificate_is_refused_whatever_the_policy_says_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        for arguments in [
            &["-t", "ed25519", "-N", "", "-f", "ca"][..],
            &["-t", "ed25519", "-N", "", "-f", "host"],
            &[
                "-s",
                "ca",
                "-I",
                "id",
                "-h",
                "-n",
                "example.com",
                "host.pub",
            ],
        ] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.current_dir(folder.path()).arg("-q").args(arguments);
            assert!(keygen.status().expect("ssh-keygen runs").success());
        }
        let line = std::fs::read_to_string(folder.path().join("host-cert.pub")).unwrap();
        let certificate = Certificate::from_openssh(&line).unwrap();

        let host = Host::example();
        let policy = Some(HostKeyPolicy::DangerAcceptAny);
        let (_connecting, given_up) = oneshot::channel();
        let verdict = Verdict::default();
        let mut handler = Handler {
            host: host.name.clone(),
            judge: Judge::load(&host, policy).await.unwrap(),
            asker: Asker::new(&host, None, Deadline::after(std::time::Duration::MAX)),
            report: Arc::new(|_| ()),
            verdict: Arc::clone(&verdict),
            cause: watch::channel(None).0,
            given_up,
        };
        let offered = PublicKeyOrCertificate::Certificate(certificate);
        assert!(!handler.check_server_key(&offered).await.unwrap());
        let error = verdict.lock().unwrap().take().expect("a reason");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.host(), Some("example"));
    }
}
