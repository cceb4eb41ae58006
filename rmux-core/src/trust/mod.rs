//! Whether the server is who the user means: its host key held against `known_hosts`, and the
//! policy for keys nobody knows.
//!
//! Reads and appends to the files; matching lines is `rmux_proto::known_hosts`' work. Knows no
//! engine: a key is its algorithm's name and its wire form.

mod files;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rmux_proto::known_hosts::{HostKey, HostName, KnownHosts, Verdict};
use sha2::{Digest, Sha256};

use crate::ask::Asker;
use crate::config::HostKeyPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, StrictHostKeyChecking};

/// Judges the host key of one connection.
pub(crate) struct Judge {
    host: Host,
    name: HostName,
    policy: HostKeyPolicy,
    known: KnownHosts,
}

impl Judge {
    /// Reads the host's `known_hosts` files. One that does not exist is empty.
    ///
    /// # Errors
    /// That of a file which cannot be read, where the policy accepts new keys without a question.
    pub(crate) async fn load(host: &Host, policy: Option<HostKeyPolicy>) -> Result<Self> {
        let policy = policy.unwrap_or(match host.strict_host_key_checking {
            Some(StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No) => {
                HostKeyPolicy::AcceptNew
            }
            Some(StrictHostKeyChecking::Ask) | None => HostKeyPolicy::Ask,
            Some(StrictHostKeyChecking::Yes) => HostKeyPolicy::Strict,
        });
        let files = host.clone();
        let accepts_unseen = policy == HostKeyPolicy::AcceptNew;
        let known = tokio::task::spawn_blocking(move || files::load(&files, accepts_unseen))
            .await
            .expect("reading known_hosts does not panic")?;
        Ok(Self {
            name: match &host.host_key_alias {
                Some(alias) => HostName::alias(alias),
                None => HostName::new(&host.hostname, host.port),
            },
            policy,
            known,
            host: host.clone(),
        })
    }

    /// The key types that `known_hosts` has for this host: the server should show one of them.
    pub(crate) fn known_key_types(&self) -> Vec<String> {
        let types = self.known.known_key_types(&self.name);
        types.iter().map(|kind| kind.name().to_owned()).collect()
    }

    /// Accepts the offered key, or says why not. A new key that is accepted is remembered.
    pub(crate) async fn judge(&self, algorithm: &str, blob: &[u8], asker: &Asker) -> Result<()> {
        if self.policy == HostKeyPolicy::DangerAcceptAny {
            return Ok(());
        }
        let refuse = |kind, message: String| {
            Err(Error::new(kind, "verify host key", message).with_host(&self.host.name))
        };
        let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)));
        let key = HostKey::from_blob(blob).map_err(|error| {
            Error::new(
                ErrorKind::ProtocolViolation,
                "verify host key",
                format!("the server's host key cannot be read: {error}"),
            )
            .with_host(&self.host.name)
            .with_source(error)
        })?;
        match self.known.verdict(&self.name, &key, None) {
            Verdict::Trusted { .. } => Ok(()),
            Verdict::Changed { line, .. } => refuse(
                ErrorKind::HostKeyChanged,
                format!(
                    "the host key of {} has changed: the server shows {algorithm} {fingerprint}, \
                     but {line} holds another key. Somebody may be intercepting the connection; \
                     if the change is expected, remove that line",
                    self.name
                ),
            ),
            Verdict::Revoked { line } => refuse(
                ErrorKind::HostKeyRevoked,
                format!(
                    "the host key {algorithm} {fingerprint} of {} is revoked by {line}",
                    self.name
                ),
            ),
            _ => self.meet(&key, algorithm, &fingerprint, asker).await,
        }
    }

    /// Decides about a key that nothing is known of.
    async fn meet(
        &self,
        key: &HostKey,
        algorithm: &str,
        fingerprint: &str,
        asker: &Asker,
    ) -> Result<()> {
        let accepted = match self.policy {
            HostKeyPolicy::AcceptNew => true,
            HostKeyPolicy::Ask => {
                let known_as = self.name.to_string();
                asker.host_key(&known_as, algorithm, fingerprint).await?
            }
            HostKeyPolicy::Strict | HostKeyPolicy::DangerAcceptAny => false,
        };
        if !accepted {
            return Err(Error::new(
                ErrorKind::HostKeyUnknown,
                "verify host key",
                format!(
                    "the host key of {} is not known: the server shows {algorithm} {fingerprint}. \
                     Check it with the server's owner and add it to {}, or accept new keys by \
                     policy",
                    self.name,
                    self.host
                        .user_known_hosts
                        .first()
                        .map_or("known_hosts".into(), |path| path.display().to_string()),
                ),
            )
            .with_host(&self.host.name));
        }
        let (host, name, key) = (self.host.clone(), self.name.clone(), key.clone());
        let remembered = tokio::task::spawn_blocking(move || files::remember(&host, &name, &key))
            .await
            .expect("writing known_hosts does not panic");
        if let Err(error) = remembered {
            // As ssh does: the user said yes, and a read-only home is no reason to fail.
            tracing::warn!(%error, "the host key was accepted but could not be remembered");
        }
        Ok(())
    }
}
