//! What the engine calls back: the host key to judge, the banner, the server's other host keys, and
//! the end of the connection.

use std::sync::{Arc, Mutex, OnceLock};

use rmux_proto::certificate::Certificate;
use russh::client::{ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::keys::{Algorithm, PublicKey, PublicKeyBase64, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::sync::{oneshot, watch};

use super::agent_forward::AgentForward;
use super::algorithms::same_type;
use super::host_keys::Announced;
use super::listening::{Bound, Listeners};
use super::refusals::Refusals;
use super::signature::verify;
use super::{Progress, Report, engine_error};
use crate::ask::Asker;
use crate::error::{Error, ErrorKind};
use crate::printable::printable;
use crate::trust::{Accepted, Checked, Judge};

/// Holds the reason why a key exchange was given up from here.
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
    /// Takes what the server says of its host keys, if that is wanted.
    pub(super) announced: Option<oneshot::Sender<Announced>>,
    /// Takes the channels by which the server asks the agent of this side.
    pub(super) agents: AgentForward,
    /// Takes the connections that come in on the remote.
    pub(super) listeners: Listeners,
    /// Takes what the server says where it opens no channel.
    pub(super) refusals: Refusals,
    pub(super) server: ServerId,
    /// Types of host keys that may be shown.
    pub(super) offered: Vec<Algorithm>,
    /// Of which type the shown one is.
    pub(super) shown: Option<Algorithm>,
    pub(super) negotiated: Negotiated,
    /// Takes the host key that was accepted.
    pub(super) host_key: ShownKey,
    /// The host key that an earlier login accepted.
    pub(super) trusted: Option<Arc<[u8]>>,
}

/// The algorithm of the server's proof that was agreed upon at the first key exchange, once it is
/// over. Of a certificate, that of the key inside.
pub(super) type Negotiated = Arc<OnceLock<Algorithm>>;

/// The host key or certificate that was accepted, on the wire.
pub(super) type ShownKey = Arc<OnceLock<Arc<[u8]>>>;

/// What the server calls itself (RFC 4253, section 4.2), once it was heard.
pub(super) type ServerId = Arc<OnceLock<String>>;

/// The host key on the wire. Of a certificate, the authority's signature is good.
///
/// # Errors
/// [`ErrorKind::ProtocolViolation`] for a certificate with a signature that is not: ssh takes none
/// of it either. [`ErrorKind::Unsupported`] where that cannot be told.
fn blob_of(offered: &PublicKeyOrCertificate) -> Result<Vec<u8>, Error> {
    let certificate = match offered {
        PublicKeyOrCertificate::PublicKey { key, .. } => return Ok(key.public_key_bytes()),
        PublicKeyOrCertificate::Certificate(certificate) => certificate,
    };
    let damaged = |why: String| {
        let message = format!("the server's host certificate cannot be trusted: {why}");
        Error::new(ErrorKind::ProtocolViolation, "verify host key", message)
    };
    let blob = certificate.to_bytes().map_err(|e| damaged(e.to_string()))?;
    let read = Certificate::from_blob(&blob).map_err(|e| damaged(e.to_string()))?;
    let authority = read.authority();
    match verify(authority, read.signed_part(), read.signature()) {
        Checked::Good => Ok(blob),
        Checked::Bad => Err(damaged("its authority's signature is not good".to_owned())),
        Checked::Unknown => {
            let bits = authority.rsa_bits().map(|bits| format!(" of {bits} bits"));
            let message = format!(
                "the server's host certificate cannot be checked: signatures ({}) by its \
                 authority's {} key{} are not supported",
                read.signature_algorithm(),
                authority.key_type(),
                bits.unwrap_or_default()
            );
            Err(Error::new(
                ErrorKind::Unsupported,
                "verify host key",
                message,
            ))
        }
    }
}

impl Handler {
    /// Gives the handshake up.
    fn refuse(&self, error: Error) {
        *self.verdict.lock().unwrap_or_else(|p| p.into_inner()) = Some(error);
    }

    /// The engine believes a key of any type, whatever was agreed upon.
    fn of_wrong_type(&self, shown: &Algorithm) -> Error {
        let message = format!(
            "the server shows a host key of the type {}, which was not agreed upon",
            printable(shown.as_str())
        );
        Error::new(ErrorKind::ProtocolViolation, "verify host key", message).with_host(&self.host)
    }
}

impl russh::client::Handler for Handler {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        // russh 0.65.1 asks at the first key exchange only. Of the key shown at a later one it checks
        // that it signs, and nobody can check that it is the same: but who has come that far holds
        // the session's keys, which only the server of the first exchange can have given away.
        let shown = match offered {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.algorithm(),
            PublicKeyOrCertificate::Certificate(certificate) => {
                certificate.public_key().algorithm()
            }
        };
        if !self
            .offered
            .iter()
            .any(|offered| same_type(offered, &shown))
        {
            self.refuse(self.of_wrong_type(&shown));
            return Ok(false);
        }
        self.shown = Some(shown);
        let judged = match blob_of(offered) {
            Ok(blob) if self.trusted.as_deref() == Some(&blob[..]) => Ok(Accepted::again()),
            Ok(blob) => {
                let judged = tokio::select! {
                    judged = self.judge.judge(&blob, verify, &self.asker) => judged,
                    _ = &mut self.given_up => return Ok(false),
                };
                self.host_key.get_or_init(|| blob.into());
                judged
            }
            Err(error) => Err(error.with_host(&self.host)),
        };
        match judged {
            Ok(accepted) => {
                if !accepted.may_vouch {
                    self.announced = None;
                }
                Ok(true)
            }
            Err(error) => {
                self.refuse(error);
                Ok(false)
            }
        }
    }

    async fn openssh_ext_host_keys_announced(
        &mut self,
        keys: Vec<PublicKey>,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // Only the first time, and where somebody learns from it.
        if let Some(announced) = self.announced.take() {
            let _ = announced.send(keys.iter().map(|key| key.public_key_bytes()).collect());
        }
        Ok(())
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &russh::Names,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match (self.shown.take(), self.negotiated.get()) {
            (Some(shown), _) if !same_type(&shown, &names.key) => {
                self.refuse(self.of_wrong_type(&shown));
                return Err(russh::Error::UnknownKey);
            }
            (Some(_), _) => {
                self.negotiated.get_or_init(|| names.key.clone());
            }
            // The keys are renewed. Which key is shown this time, and by what it signs, is not to
            // be seen here; but both sides offer what they did, so the same must come out.
            (None, Some(before)) if same_type(before, &names.key) => {}
            (None, _) => {
                self.refuse(self.of_wrong_type(&names.key));
                return Err(russh::Error::UnknownKey);
            }
        }
        let name = || String::from_utf8_lossy(session.remote_sshid()).into_owned();
        self.server.get_or_init(name);
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.agents.open(channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        address: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // 0 is no port that anybody connects to: it stands for one that is not known yet.
        let Some(port) = u16::try_from(port).ok().filter(|port| *port != 0) else {
            return unasked(reply).await;
        };
        let at = Bound::Tcp(address.to_owned(), port);
        let originator_port = u16::try_from(originator_port).unwrap_or_default();
        let from = Some((originator.to_owned(), originator_port));
        self.listeners.open(at, from, channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let at = Bound::Unix(path.to_owned());
        self.listeners.open(at, None, channel, reply).await;
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.refusals.told(description);
        Ok(())
    }

    // Nobody here asks for any of the others, and the engine would take them, without bound.

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        unasked(reply).await
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
            DisconnectReason::Error(error) => {
                let refused = self.verdict.lock().unwrap_or_else(|p| p.into_inner());
                let refused = refused.clone();
                refused.unwrap_or_else(|| engine_error("session", &self.host, error))
            }
        };
        self.cause.send_replace(Some(cause));
        Ok(())
    }
}

async fn unasked(reply: ChannelOpenHandle) -> Result<(), russh::Error> {
    let why = ChannelOpenFailure::AdministrativelyProhibited;
    reply.reject(why).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use russh::client::Handler as _;
    use russh::keys::Certificate as EngineCertificate;

    use super::super::signature::tests::keygen;
    use super::*;
    use crate::deadline::Deadline;
    use crate::host::Host;

    /// What the handler makes of a certificate where its authority is trusted for this name.
    async fn judged(certificate: EngineCertificate, known: &str) -> Result<(), Error> {
        let folder = tempfile::tempdir().unwrap();
        let mut host = Host::example();
        host.user_known_hosts = vec![folder.path().join("known_hosts")];
        std::fs::write(&host.user_known_hosts[0], known).unwrap();
        let (_connecting, given_up) = oneshot::channel();
        let verdict = Verdict::default();
        let mut handler = Handler {
            host: host.name.clone(),
            judge: Judge::load(&host, None, None).await.unwrap(),
            asker: Asker::new(&host, None, Deadline::after(std::time::Duration::MAX)),
            report: Arc::new(|_| ()),
            verdict: Arc::clone(&verdict),
            cause: watch::channel(None).0,
            given_up,
            announced: None,
            agents: AgentForward::of(&host),
            listeners: Listeners::default(),
            refusals: Refusals::default(),
            server: ServerId::default(),
            offered: vec![Algorithm::Ed25519],
            shown: None,
            negotiated: Negotiated::default(),
            host_key: ShownKey::default(),
            trusted: None,
        };
        let offered = PublicKeyOrCertificate::Certificate(certificate);
        if handler.check_server_key(&offered).await.unwrap() {
            return Ok(());
        }
        Err(verdict.lock().unwrap().take().expect("a reason"))
    }

    #[tokio::test]
    async fn a_certificate_whose_signature_is_not_good_is_refused_and_its_key_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        keygen(folder, &["-t", "ed25519", "-N", "", "-f", "ca"]);
        keygen(folder, &["-t", "ed25519", "-N", "", "-f", "host"]);
        let sign = [
            "-s",
            "ca",
            "-I",
            "id",
            "-h",
            "-n",
            "example.com",
            "host.pub",
        ];
        keygen(folder, &sign);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let good = EngineCertificate::from_openssh(&read("host-cert.pub")).unwrap();
        let authority = format!("@cert-authority * {}", read("ca.pub"));
        judged(good.clone(), &authority).await.unwrap();

        let mut forged = good.to_bytes().unwrap();
        *forged.last_mut().unwrap() ^= 1;
        let forged = EngineCertificate::from_bytes(&forged).unwrap();
        // Not even where the key inside is known: what else may be wrong with such a server?
        let plain = format!("{authority}example.com {}", read("host.pub"));
        for known in [&authority, &plain] {
            let error = judged(forged.clone(), known).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
            assert_eq!(error.host(), Some("example"));
        }
        judged(good, &plain).await.unwrap();
    }
}
