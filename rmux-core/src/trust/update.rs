//! UpdateHostKeys: learning a server's further host keys, and forgetting those it has no more.
//!
//! The server says which keys it has, once it is trusted by one of them, and proves that they are
//! its own (PROTOCOL of OpenSSH, section 2.5). Getting the proof is the caller's; what it would
//! change is decided here, again under the lock of the file that it changes.

use std::io;
use std::path::Path;

use rmux_proto::known_hosts::{HostKeyUpdate, HostName, NoUpdate, plan_update};
use rmux_proto::public_key::{HostKey, KeyType};

use super::files;
use super::fingerprint::fingerprint;
use super::offered::short_name;
use crate::ask::Asker;
use crate::host::{Host, UpdateHostKeys};
use crate::prompt::KeyFingerprint;

/// More keys than any server has: OpenSSH's reads no more from its configuration.
const MOST_KEYS: usize = 256;

/// What learns the host keys of one server that is trusted.
#[derive(Clone)]
pub(crate) struct Learner {
    host: Host,
    name: HostName,
    address: Option<HostName>,
    algorithms: Vec<String>,
    asker: Asker,
}

/// What a server's list of its keys would change.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    announced: Vec<HostKey>,
    update: HostKeyUpdate,
}

impl Proposal {
    /// The keys, as blobs, that the server must prove to be its own first. None where there is
    /// only something to forget.
    pub(crate) fn to_prove(&self) -> impl Iterator<Item = &[u8]> {
        self.update.learned.iter().map(HostKey::plain_blob)
    }
}

impl Learner {
    /// None where the user wants nothing learnt: UpdateHostKeys is off, there is no file to write
    /// to, or nobody to ask. `algorithms` are those of host keys that this host may use.
    pub(super) fn new(
        host: &Host,
        name: HostName,
        address: Option<HostName>,
        algorithms: &[String],
        asker: &Asker,
    ) -> Option<Self> {
        let wanted = match host.update_host_keys {
            UpdateHostKeys::Yes => true,
            UpdateHostKeys::Ask => asker.can_ask(),
            UpdateHostKeys::No => false,
        };
        (wanted && !host.user_known_hosts.is_empty()).then(|| Self {
            host: host.clone(),
            name,
            address,
            algorithms: algorithms.to_vec(),
            asker: asker.clone(),
        })
    }

    /// What this list of a server's keys, as blobs, would change. None for nothing.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub(crate) async fn consider(&self, announced: &[Vec<u8>]) -> Option<Proposal> {
        if announced.len() > MOST_KEYS {
            tracing::debug!(host = %self.host.name, "the server lists too many host keys");
            return None;
        }
        let mut keys: Vec<HostKey> = Vec::new();
        for key in announced
            .iter()
            .filter_map(|blob| HostKey::from_blob(blob).ok())
        {
            if key.certificate().is_some() || !self.allows(&key) {
                continue;
            }
            if keys.contains(&key) {
                tracing::debug!(host = %self.host.name, "the server lists a host key twice");
                return None;
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return None;
        }
        let learner = self.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let files = files::read_user_files(&learner.host)?;
            let update = learner.plan(&files, &keys);
            io::Result::Ok(update.map(|update| Proposal {
                announced: keys,
                update,
            }))
        });
        let host = &self.host.name;
        match planned.await.expect("planning does not panic") {
            Ok(Ok(proposal)) => Some(proposal),
            Ok(Err(reason)) => {
                tracing::debug!(%host, "known_hosts is not updated: {reason}");
                None
            }
            Err(error) => {
                tracing::debug!(%host, %error, "known_hosts is not updated: it cannot be read");
                None
            }
        }
    }

    /// Whether a person must agree to what is learnt.
    pub(crate) fn asks(&self) -> bool {
        self.host.update_host_keys == UpdateHostKeys::Ask
    }

    /// Asks whether to write down a proposal whose keys the server has proved to be its own.
    ///
    /// # Cancel safety
    /// Dropping the future ends the question.
    pub(crate) async fn is_agreed(&self, proposal: &Proposal) -> bool {
        let known_as = self.name.to_string();
        let learned = self.shown(&proposal.update.learned);
        let outdated = self.shown(&proposal.update.outdated);
        let answer = self.asker.host_keys(&known_as, learned, outdated).await;
        answer.unwrap_or(false)
    }

    /// Writes a proposal down. What has changed in the files meanwhile is heeded.
    ///
    /// # Cancel safety
    /// The files hold the old keys or the new ones.
    pub(crate) async fn record(self, proposal: Proposal) {
        let written = tokio::task::spawn_blocking(move || {
            let written = self.write(&proposal);
            (self, proposal, written)
        });
        let (learner, proposal, written) = written.await.expect("writing does not panic");
        match written {
            Ok(true) => learner.tell(&proposal.update),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(host = %learner.host.name, %error, "known_hosts could not be updated");
            }
        }
    }

    fn plan(&self, files: &[Vec<u8>], keys: &[HostKey]) -> Result<HostKeyUpdate, NoUpdate> {
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        plan_update(&files, &self.name, self.address.as_ref(), keys)
    }

    /// All keys go into the first file; the others lose what they hold for this host, as ssh does
    /// it. Returns whether anything was changed.
    fn write(&self, proposal: &Proposal) -> io::Result<bool> {
        let Some((first, others)) = self.host.user_known_hosts.split_first() else {
            return Ok(false);
        };
        let mut still_wanted = false;
        let replaced = self.replace(first, &proposal.announced, |now| {
            let mut files = files::read_user_files(&self.host)?;
            files[0] = now.to_vec();
            let update = self.plan(&files, &proposal.announced);
            // A key that is missing only now was not proved.
            let proved = |key: &HostKey| proposal.update.learned.contains(key);
            still_wanted = update.is_ok_and(|update| update.learned.iter().all(proved));
            Ok(still_wanted)
        });
        let mut changed = replaced?;
        if still_wanted {
            for other in others.iter().filter(|other| other.is_file()) {
                changed |= self.replace(other, &[], |_| Ok(true))?;
            }
        }
        Ok(changed)
    }

    fn replace(
        &self,
        path: &Path,
        keys: &[HostKey],
        agreed: impl FnOnce(&[u8]) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let names: Vec<&HostName> = [Some(&self.name), self.address.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        files::replace(path, &names, keys, self.host.hash_known_hosts, agreed)
    }

    /// HostKeyAlgorithms: one of the signatures that such a key makes is enough.
    fn allows(&self, key: &HostKey) -> bool {
        let names: &[&str] = match key.key_type() {
            KeyType::Rsa => &["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
            other => &[other.name()],
        };
        self.algorithms.iter().any(|a| names.contains(&a.as_str()))
    }

    fn shown(&self, keys: &[HostKey]) -> Vec<KeyFingerprint> {
        let one = |key: &HostKey| KeyFingerprint {
            algorithm: key.key_type().name().to_owned(),
            fingerprint: fingerprint(key.plain_blob(), self.host.fingerprint_hash),
        };
        keys.iter().map(one).collect()
    }

    fn tell(&self, update: &HostKeyUpdate) {
        let host = &self.host.name;
        let hash = self.host.fingerprint_hash;
        for (what, keys) in [
            ("Learned new hostkey", &update.learned),
            ("Deprecating obsolete hostkey", &update.outdated),
        ] {
            for key in keys {
                let kind = short_name(key.key_type());
                let print = fingerprint(key.plain_blob(), hash);
                tracing::info!(%host, "{what}: {kind} {print}");
            }
        }
    }
}
