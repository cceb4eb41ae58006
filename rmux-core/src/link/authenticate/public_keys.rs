//! Logging in with keys (RFC 4252, section 7): each is first shown, and signs only where the server
//! says that it would take it, so that nobody is asked for a passphrase in vain.

use std::path::Path;
use std::time::{Duration, SystemTime};

use russh::MethodKind;
use russh::keys::{Certificate, PrivateKey};

use super::algorithm::{Listed, takes_host_bound};
use super::candidates::{Candidates, Rules, State};
use super::files::Files;
use super::signer::{SignError, Signer};
use super::{Answer, Attempt};
use crate::error::{ErrorKind, Result};
use crate::host::AddKeysToAgent;
use crate::link::agent::{Agent, Constraints};
use crate::link::keys::{Form, KeyFile, Public};

impl Attempt<'_> {
    /// Finds out what there is to offer.
    pub(super) async fn find_keys(&mut self) {
        let identities = self.host.identity_files.clone();
        let certificates = self.host.certificate_files.clone();
        let reading = move || Files::read(&identities, &certificates);
        let reading = tokio::task::spawn_blocking(reading).await;
        let files = reading.expect("reading files does not panic");
        let mut held = Vec::new();
        let agent = self.host.agent_socket.as_ref();
        if let Some(socket) = agent.filter(|_| !self.without_agent) {
            let binding = self.binding.as_ref();
            match Agent::open(socket, binding, self.asker.deadline()).await {
                Ok((agent, keys)) => {
                    self.agent = Some(agent);
                    held = keys;
                }
                Err(why) => {
                    let socket = socket.display();
                    tracing::debug!(%socket, why, "agent left out");
                    self.notes.push(format!("agent {socket}: {why}"));
                }
            }
        }
        let rules = Rules {
            accepted: &self.accepted,
            required_rsa_size: self.host.required_rsa_size,
            identities_only: self.host.identities_only,
        };
        self.candidates = Candidates::arrange(files, held, &rules);
        for left_out in std::mem::take(&mut self.candidates.left_out) {
            tracing::debug!("{}", left_out.why);
            // Of identity files only those that the user named are worth a word.
            if self.host.identity_files_named || !left_out.identity_file {
                self.notes.push(left_out.why);
            }
        }
        self.candidates.describe();
    }

    /// Offers the keys that were not offered yet; `None` where there is none.
    pub(super) async fn public_keys(&mut self) -> Result<Option<Answer>> {
        let mut last = None;
        while let Some(index) = self.candidates.next() {
            let Some(answer) = self.offer(index).await? else {
                self.candidates.mark(index, State::Done);
                continue;
            };
            match answer {
                Answer::GoOn {
                    step_done: false,
                    ref allowed,
                } => {
                    self.candidates.mark(index, State::Refused);
                    self.note_validity(index);
                    let over = !allowed.contains(&MethodKind::PublicKey);
                    last = Some(answer);
                    if over {
                        break;
                    }
                }
                decided => {
                    self.taken = Some(index);
                    return Ok(Some(decided));
                }
            }
        }
        Ok(last)
    }

    /// `None` where the key could not be offered, or could not sign.
    async fn offer(&mut self, index: usize) -> Result<Option<Answer>> {
        let candidate = self.candidates.get(index).clone();
        let Some(by) = self.candidates.signer_of(index).cloned() else {
            return Ok(None);
        };
        let (public, unlocked) = match (&candidate.public, &candidate.file) {
            (Some(public), _) => (public.clone(), None),
            (None, Some(file)) => match self.reveal(file).await? {
                Some((public, key)) => (public, Some(key)),
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        if public.is_rsa() && self.listed.is_none() {
            self.listed = Some(Listed::by(self.handle, self.server).await);
        }
        let listed = self.listed.unwrap_or(Listed::Nothing);
        let Some(hash) = self.accepted.choose(&public, listed) else {
            let why = "no signature that both sides take";
            tracing::debug!("Skipping {}: {why}", candidate.description());
            self.notes.push(format!("{}: {why}", candidate.label()));
            return Ok(None);
        };
        let usable = by.file.as_ref().is_some_and(|file| file.unusable.is_none());
        let asked = self.agent.as_ref().is_some_and(|agent| !agent.is_gone());
        let signs = usable || (by.in_agent && asked);
        if !signs {
            return Ok(None);
        }
        let bound = self.agent.as_ref().is_some_and(Agent::is_bound);
        let host_bound = bound && self.host_bound && takes_host_bound(self.server);
        let binding = self.binding.as_ref().filter(|_| host_bound);
        let mut signer = Signer {
            shown: &public,
            by: &by,
            agent: self.agent.as_mut(),
            asker: self.asker,
            prompts: self.host.password_prompts,
            host_key: binding.map(|binding| binding.host_key()),
            unlocked,
            host_bound: false,
            agent_signed: false,
        };
        tracing::debug!("Offering public key: {}", candidate.description());
        self.offered += 1;
        let user = self.host.user.clone();
        let signed = match public.form() {
            Form::Key(key) => {
                let offering =
                    self.handle
                        .authenticate_publickey_with(user, key.clone(), hash, &mut signer);
                offering.await
            }
            Form::Certificate(certificate) => {
                let certificate = Certificate::clone(certificate);
                let offering =
                    self.handle
                        .authenticate_certificate_with(user, certificate, hash, &mut signer);
                offering.await
            }
        };
        let (was_bound, unlocked) = (signer.host_bound, signer.unlocked.take());
        let agent_signed = signer.agent_signed;
        let result = match signed {
            Ok(result) => result,
            Err(SignError::Stop(error)) => return Err(error),
            Err(SignError::Skip(why)) => {
                if self.handle.is_closed() {
                    return Err(self.closed().await);
                }
                tracing::debug!("{}: {why}", candidate.label());
                self.notes.push(format!("{}: {why}", candidate.label()));
                return Ok(None);
            }
        };
        let answer = self.answer(Ok(result)).await?;
        let refused = matches!(
            answer,
            Answer::GoOn {
                step_done: false,
                ..
            }
        );
        if refused && was_bound {
            // The release said that it takes such requests: it may be another server's word.
            tracing::debug!("host-bound request refused, trying the plain one");
            self.host_bound = false;
            return Box::pin(self.offer(index)).await;
        }
        self.may_ask |= !refused && (agent_signed || public.is_security_key());
        if !refused && let (Some(key), Some(file)) = (unlocked, &by.file) {
            self.keep_in_agent(&key, &public, &file.path).await?;
        }
        Ok(Some(answer))
    }

    /// What an old-style encrypted file holds. It must be unlocked before the server can be asked
    /// about it; then it is used unlocked, so that nobody is asked for the passphrase again.
    async fn reveal(&mut self, file: &KeyFile) -> Result<Option<(Public, PrivateKey)>> {
        let path = file.path.display();
        tracing::debug!(%path, "Trying private key");
        let why = match file.unlock(self.asker, self.host.password_prompts).await {
            Ok(Some(key)) => match Public::of(key.public_key()) {
                Ok(public) => {
                    let least = self.host.required_rsa_size;
                    match public.rsa_bits().filter(|bits| *bits < least) {
                        Some(bits) => format!("{bits} bits are less than {least}"),
                        None => return Ok(Some((public, key))),
                    }
                }
                Err(why) => why,
            },
            Ok(None) => "it is encrypted and no passphrase was given".to_owned(),
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => error.message().to_owned(),
        };
        self.notes.push(format!("identity file {path}: {why}"));
        Ok(None)
    }

    /// A certificate is offered whatever its dates say, because the server's clock decides; why it
    /// was refused is worth a word.
    fn note_validity(&mut self, index: usize) {
        let candidate = self.candidates.get(index);
        let Some(public) = &candidate.public else {
            return;
        };
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        if let Some(why) = public.certificate().and_then(|c| validity(c, now)) {
            let label = candidate.label();
            self.notes.push(format!("certificate of {label}: {why}"));
        }
    }

    /// `AddKeysToAgent`. What fails is for the log only: the login has succeeded.
    async fn keep_in_agent(&mut self, key: &PrivateKey, shown: &Public, path: &Path) -> Result<()> {
        let constraints = match self.host.add_keys_to_agent {
            AddKeysToAgent::No => return Ok(()),
            AddKeysToAgent::Yes(lifetime) => Constraints {
                lifetime,
                confirm: false,
            },
            AddKeysToAgent::Ask => Constraints::default(),
            AddKeysToAgent::Confirm(lifetime) => Constraints {
                lifetime,
                confirm: true,
            },
        };
        let Some(socket) = &self.host.agent_socket else {
            return Ok(());
        };
        let comment = match key.comment().to_string() {
            empty if empty.is_empty() => path.display().to_string(),
            comment => comment,
        };
        if self.host.add_keys_to_agent == AddKeysToAgent::Ask {
            let fingerprint = key.public_key().fingerprint(Default::default()).to_string();
            let asking = self.asker.agent_key(path, &comment, &fingerprint).await;
            match asking {
                Ok(true) => {}
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Ok(false) | Err(_) => {
                    tracing::debug!(path = %path.display(), "identity not added to agent");
                    return Ok(());
                }
            }
        }
        let certificate = shown.certificate().map(|_| shown);
        let deadline = self.asker.deadline();
        let given = Agent::give(socket, key, certificate, &comment, constraints, deadline).await;
        match given {
            Ok(()) => tracing::debug!(path = %path.display(), "identity added to agent"),
            Err(why) => tracing::debug!(path = %path.display(), why, "identity not added to agent"),
        }
        Ok(())
    }
}

/// Why the certificate is not valid at this time since 1970.
fn validity(certificate: &Certificate, now: Duration) -> Option<String> {
    let now = now.as_secs();
    let (after, before) = (certificate.valid_after(), certificate.valid_before());
    if now >= before {
        Some(format!("it expired {} ago", span(now - before)))
    } else if now < after {
        Some(format!("it becomes valid in {}", span(after - now)))
    } else {
        None
    }
}

fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86400, "days"), (3600, "hours"), (60, "minutes")];
    let fits = |unit: &&(u64, &str)| seconds >= 2 * unit.0;
    let (length, name) = UNITS.iter().find(fits).copied().unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / length)
}
