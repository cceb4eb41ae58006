//! The judgement of one server's key, by the files, the user's settings and the policy.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use rmux_proto::certificate::CertificateChecks;
use rmux_proto::known_hosts::{FileKind, HostName, KnownHosts, Location, Verdict};
use rmux_proto::public_key::HostKey;

use super::address::{AddressCheck, AddressFinding};
use super::command::{self, Invocation, Lookup};
use super::offered::{Offered, short_name};
use super::signature::Verify;
use super::{files, revoked};
use crate::ask::Asker;
use crate::config::HostKeyPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, StrictHostKeyChecking};

/// Judges the host key of one connection.
pub(crate) struct Judge {
    pub(super) host: Host,
    pub(super) name: HostName,
    pub(super) address: Option<IpAddr>,
    pub(super) policy: HostKeyPolicy,
    /// Whether the policy is what ssh makes of the user's files, and so its corners are ssh's too.
    pub(super) by_files: bool,
    pub(super) known: KnownHosts,
    /// With what KnownHostsCommand said before any key was seen.
    pub(super) known_before: Option<KnownHosts>,
}

/// How much a host key that was accepted is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Whether it is trusted by a line of the user's own files or by the user's word, so that it
    /// may vouch for further keys of the host.
    pub(crate) may_vouch: bool,
}

impl Accepted {
    /// A key that was accepted for an earlier connection of the same session.
    pub(crate) fn again() -> Self {
        Self { may_vouch: false }
    }
}

impl Judge {
    /// Accepts the key or certificate that the server shows, or says why not. A certificate's
    /// signature must have been verified; `verify` checks others that are met on the way. A new key
    /// that is accepted is remembered.
    ///
    /// # Cancel safety
    /// Dropping the future ends the question that is open, and kills the program that runs.
    pub(crate) async fn judge(
        &mut self,
        blob: &[u8],
        verify: Verify,
        asker: &Asker,
    ) -> Result<Accepted> {
        let judged = self.weigh(blob, verify, asker).await;
        judged.map_err(|error| error.with_host(&self.host.name))
    }

    async fn weigh(&mut self, blob: &[u8], verify: Verify, asker: &Asker) -> Result<Accepted> {
        let untold = Accepted { may_vouch: false };
        if self.policy == HostKeyPolicy::DangerAcceptAny {
            return Ok(untold);
        }
        let key = HostKey::from_blob(blob).map_err(|error| {
            let message = format!("the server's host key cannot be read: {error}");
            refusal(ErrorKind::ProtocolViolation, message).with_source(error)
        })?;
        let offered = Offered::new(key, self.host.fingerprint_hash);
        if let Some(certificate) = offered.certificate(self.host.fingerprint_hash) {
            tracing::debug!(host = %self.host.name, "host certificate: {certificate}");
        }
        self.check_size(&offered)?;
        self.check_revoked_file(&offered, verify).await?;
        if self.forgives_localhost() {
            tracing::debug!(host = %self.host.name, "not checking the host key of this machine");
            return Ok(untold);
        }
        let printed = self
            .ask_command(Invocation::Hostname, Some(&offered))
            .await?;
        if let Some(printed) = printed {
            let label = "KnownHostsCommand";
            self.known.add_file(label, FileKind::Command, printed);
        }
        let checks = self.certificate_checks(&offered);
        let verdict = self
            .known
            .verdict(&self.name, &offered.key, checks.as_ref());
        let fault = self.certificate_fault(&offered, checks.as_ref());
        if let Some(fault) = &fault {
            tracing::warn!(host = %self.host.name, "{fault}");
        }
        match verdict {
            // The program was asked about the name with its port.
            Verdict::Trusted {
                line,
                without_port: true,
                ..
            } if line.kind == FileKind::Command => self.meet(&offered, fault, asker).await,
            Verdict::Trusted {
                line,
                by_authority,
                without_port,
                ..
            } => {
                self.recognize(&offered, &line, by_authority, without_port)
                    .await
            }
            Verdict::Changed { line, .. } => Err(self.changed(&offered, &line, fault).await),
            Verdict::Revoked { line } => Err(refusal(
                ErrorKind::HostKeyRevoked,
                format!(
                    "the host key {} of {}, or the authority that signed it, is revoked by {line}",
                    offered.shown(),
                    self.name
                ),
            )),
            _ => self.meet(&offered, fault, asker).await,
        }
    }

    /// RequiredRSASize.
    fn check_size(&self, offered: &Offered) -> Result<()> {
        match offered.key.rsa_bits() {
            Some(bits) if bits < self.host.required_rsa_size => Err(refusal(
                ErrorKind::Unsupported,
                format!(
                    "the server's RSA host key has {bits} bits, and RequiredRSASize asks for {}",
                    self.host.required_rsa_size
                ),
            )),
            _ => Ok(()),
        }
    }

    async fn check_revoked_file(&self, offered: &Offered, verify: Verify) -> Result<()> {
        let Some(file) = self.host.revoked_host_keys.clone() else {
            return Ok(());
        };
        let (key, shown) = (offered.key.clone(), offered.shown());
        tokio::task::spawn_blocking(move || revoked::check(&file, &key, &shown, verify))
            .await
            .expect("reading revoked keys does not panic")
    }

    /// NoHostAuthenticationForLocalhost: the address decides, and an alias asks for a check.
    fn forgives_localhost(&self) -> bool {
        self.host.no_host_authentication_for_localhost
            && self.host.host_key_alias.is_none()
            && self.address.is_some_and(|address| address.is_loopback())
    }

    /// What the user's program says, where there is one.
    pub(super) async fn ask_command(
        &self,
        invocation: Invocation,
        offered: Option<&Offered>,
    ) -> Result<Option<Vec<u8>>> {
        let Some(template) = &self.host.known_hosts_command else {
            return Ok(None);
        };
        let check = AddressCheck::of(&self.host, self.address);
        let name = match (invocation, check) {
            (Invocation::Address, Some(check)) => check.name.to_string(),
            // ssh 9.2 tells neither port nor alias this time.
            (Invocation::Order, _) => self.host.hostname.to_ascii_lowercase(),
            _ => self.name.to_string(),
        };
        let lookup = Lookup {
            invocation,
            name: &name,
            key: offered.map(|offered| &offered.key),
            fingerprint_hash: self.host.fingerprint_hash,
        };
        let printed = command::run(template, &lookup).await;
        printed.map(Some).map_err(|e| e.with_host(&self.host.name))
    }

    /// What a certificate is held against; nothing where its authority's key is too short.
    fn certificate_checks(&self, offered: &Offered) -> Option<CertificateChecks> {
        let authority = offered.key.certificate()?.authority();
        if authority
            .rsa_bits()
            .is_some_and(|bits| bits < self.host.required_rsa_size)
        {
            tracing::warn!(
                host = %self.host.name,
                "the RSA key of the certificate's authority is shorter than RequiredRSASize"
            );
            return None;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Some(CertificateChecks::new(
            now.map_or(0, |now| now.as_secs()),
            self.host.ca_signature_algorithms.join(","),
        ))
    }

    fn certificate_fault(
        &self,
        offered: &Offered,
        checks: Option<&CertificateChecks>,
    ) -> Option<String> {
        let (line, fault) = self
            .known
            .certificate_fault(&self.name, &offered.key, checks?)?;
        Some(format!("{fault} ({line} trusts its authority)"))
    }

    /// A key that the files know: its address may still be news.
    async fn recognize(
        &mut self,
        offered: &Offered,
        line: &Location,
        by_authority: bool,
        without_port: bool,
    ) -> Result<Accepted> {
        let mut may_vouch = !by_authority && !without_port && line.kind == FileKind::User;
        // A certificate that is accepted says nothing of addresses.
        if offered.key.certificate().is_none() {
            match self.address_finding(offered, without_port).await? {
                None => {}
                Some(AddressFinding::Known(at)) => may_vouch &= at.kind == FileKind::User,
                Some(AddressFinding::New(check)) => {
                    if without_port || line.kind == FileKind::Command {
                        tracing::warn!(
                            "{} host key for IP address '{}' not in list of known hosts.",
                            short_name(offered.key.key_type()),
                            check.name
                        );
                    } else {
                        self.remember(&[&check.name], offered).await;
                    }
                }
                Some(AddressFinding::Other(message)) => self.doubt(message)?,
            }
        }
        Ok(Accepted { may_vouch })
    }

    /// What the files say of the key under the host's address, with CheckHostIP.
    async fn address_finding(
        &mut self,
        offered: &Offered,
        without_port: bool,
    ) -> Result<Option<AddressFinding>> {
        let Some(mut check) = AddressCheck::of(&self.host, self.address) else {
            return Ok(None);
        };
        if without_port {
            check = check.without_port();
        } else {
            let printed = self.ask_command(Invocation::Address, Some(offered)).await?;
            if let Some(printed) = printed {
                let label = "KnownHostsCommand";
                self.known.add_file(label, FileKind::Command, printed);
            }
        }
        Ok(Some(check.find(&self.known, &self.name, offered)))
    }

    /// A name and its address disagree about the key: only StrictHostKeyChecking=no goes on.
    fn doubt(&self, message: String) -> Result<()> {
        let lenient =
            self.by_files && self.host.strict_host_key_checking == Some(StrictHostKeyChecking::No);
        if lenient {
            tracing::warn!("Warning: {message}");
            return Ok(());
        }
        Err(refusal(ErrorKind::HostKeyChanged, message))
    }

    async fn changed(
        &mut self,
        offered: &Offered,
        line: &Location,
        fault: Option<String>,
    ) -> Error {
        let mut message = format!(
            "the host key of {} has changed: the server shows {}, but {line} holds another key. \
             Somebody may be intercepting the connection; if the change is expected, remove that \
             line",
            self.name,
            offered.shown()
        );
        if let Some(fault) = fault {
            message = format!("{message}. {fault}");
        }
        if offered.key.certificate().is_none()
            && let Ok(Some(finding)) = self.address_finding(offered, false).await
        {
            message = format!("{message}. {}", finding.beside_a_change());
        }
        refusal(ErrorKind::HostKeyChanged, message)
    }

    /// Decides about a key that nothing is known of.
    async fn meet(
        &mut self,
        offered: &Offered,
        fault: Option<String>,
        asker: &Asker,
    ) -> Result<Accepted> {
        // A key that could not be remembered would be new each time, whoever shows it.
        let may_learn = !self.by_files
            || (!self.host.user_known_hosts.is_empty()
                && rmux_proto::known_hosts::may_be_recorded(&self.host.hostname));
        let finding = if offered.key.certificate().is_none() {
            self.address_finding(offered, false).await?
        } else {
            None
        };
        if let Some(AddressFinding::Other(message)) = &finding {
            self.doubt(message.clone())?;
        }
        let (accepted, may_vouch) = match self.policy {
            HostKeyPolicy::AcceptNew if may_learn => (true, false),
            HostKeyPolicy::Ask if may_learn => {
                let known_as = self.name.to_string();
                let algorithm = offered.key.key_type().name();
                let question = asker.host_key(&known_as, algorithm, &offered.fingerprint);
                (question.await?, true)
            }
            _ => (false, false),
        };
        if !accepted {
            return Err(self.unknown(offered, fault));
        }
        match &finding {
            Some(AddressFinding::New(check)) => {
                self.remember(&[&self.name, &check.name], offered).await;
            }
            _ => self.remember(&[&self.name], offered).await,
        }
        Ok(Accepted { may_vouch })
    }

    fn unknown(&self, offered: &Offered, fault: Option<String>) -> Error {
        let file = self.host.user_known_hosts.first();
        let fault = fault.map_or(String::new(), |fault| format!("{fault}. "));
        refusal(
            ErrorKind::HostKeyUnknown,
            format!(
                "the host key of {} is not known: the server shows {}. {fault}Check it with the \
                 server's owner and add it to {}, or accept new keys by policy",
                self.name,
                offered.shown(),
                file.map_or("known_hosts".into(), |path| path.display().to_string()),
            ),
        )
    }

    /// Writes an accepted key down under these names.
    async fn remember(&self, names: &[&HostName], offered: &Offered) {
        if self.host.user_known_hosts.is_empty() {
            return;
        }
        let host = self.host.clone();
        let written: Vec<HostName> = names.iter().copied().cloned().collect();
        let key = offered.key.without_certificate();
        let remembered = tokio::task::spawn_blocking(move || {
            let names: Vec<&HostName> = written.iter().collect();
            files::remember(&host, &names, &key)
        });
        let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
        match remembered
            .await
            .expect("writing known_hosts does not panic")
        {
            Ok(()) => tracing::warn!(
                "Permanently added '{}' ({}) to the list of known hosts.",
                shown.join(","),
                short_name(offered.key.key_type())
            ),
            // As ssh does: the user said yes, and a read-only home is no reason to fail.
            Err(error) => {
                tracing::warn!(%error, "the host key was accepted but could not be remembered");
            }
        }
    }
}

fn refusal(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, "verify host key", message)
}
