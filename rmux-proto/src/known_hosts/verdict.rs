//! What the known hosts say of a key that a server offers.
//!
//! Knows the rules of trust and no policy: what follows from a verdict (to ask, to add, to refuse)
//! is the caller's. A certificate's signature must have been checked before it comes here.

use super::key::{Certificate, HostKey, KeyType};
use super::line::Marker;
use super::{Found, HostName, KnownHosts, Location};
use crate::ssh_config::pattern::{self, ListMatch};

/// What the known hosts say of an offered key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The key, or the authority of the certificate, is known for this host.
    Trusted {
        /// The line that says so.
        line: Location,
        /// Whether it was the certificate that was accepted, not its plain key.
        by_authority: bool,
        /// Whether the line names the host without its port.
        without_port: bool,
    },
    /// Nothing is known that speaks for or against the key. Keys of other hosts, and authorities
    /// that did not sign, count as nothing.
    Unknown,
    /// Another key is known for this host: somebody may be in between.
    Changed {
        /// A line with another key: the last one, which ssh names as well.
        line: Location,
        /// The types of the keys known for this host.
        known: Vec<KeyType>,
    },
    /// A line says that the key, or the authority of the certificate, must never be accepted.
    Revoked {
        /// The line that says so.
        line: Location,
    },
}

/// What a certificate is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateChecks {
    now: u64,
    signature_algorithms: String,
}

impl CertificateChecks {
    /// `now` in seconds since 1970; `signature_algorithms` as in CASignatureAlgorithms: the
    /// algorithms with which an authority may sign, separated by commas.
    pub fn new(now: u64, signature_algorithms: impl Into<String>) -> Self {
        Self {
            now,
            signature_algorithms: signature_algorithms.into(),
        }
    }

    /// Whether the certificate holds for a host of this name at this time
    /// (PROTOCOL.certkeys of OpenSSH). Principals with wildcards match only literally.
    pub fn check(
        &self,
        certificate: &Certificate,
        principal: &[u8],
    ) -> Result<(), CertificateFault> {
        if certificate.kind != 2 {
            return Err(CertificateFault::NotForHosts);
        }
        if self.now < certificate.valid_after {
            return Err(CertificateFault::NotYetValid);
        }
        if self.now >= certificate.valid_before {
            return Err(CertificateFault::Expired);
        }
        let principals = &certificate.principals;
        if !principals.is_empty() && !principals.iter().any(|p| p == principal) {
            return Err(CertificateFault::OtherName);
        }
        if certificate.has_critical_options {
            return Err(CertificateFault::CriticalOptions);
        }
        let algorithm = &certificate.signature_algorithm;
        let allowed = self.signature_algorithms.as_bytes();
        if pattern::matches_list(algorithm, allowed, false) != ListMatch::Yes {
            return Err(CertificateFault::SignatureAlgorithm);
        }
        Ok(())
    }
}

/// Why a certificate whose authority is trusted was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is one for users.
    #[error("the certificate is not one for hosts")]
    NotForHosts,
    /// Its time has not come.
    #[error("the certificate is not yet valid")]
    NotYetValid,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// It is for hosts of other names.
    #[error("the certificate does not list this host name")]
    OtherName,
    /// It holds critical options; none is known for hosts.
    #[error("the certificate holds critical options that are not supported")]
    CriticalOptions,
    /// It was signed with an algorithm that is not allowed.
    #[error("the certificate was signed with an algorithm that is not allowed")]
    SignatureAlgorithm,
}

impl KnownHosts {
    /// Judges the key that the server at `name` offers, by the rules of ssh:
    ///
    /// 1. `@revoked` on a line for this host wins, over the key and over the authority.
    /// 2. A certificate is accepted if a `@cert-authority` line for this host holds its authority
    ///    and `checks` hold. Without `checks` certificates are never accepted as such.
    /// 3. A certificate that was not accepted is judged again as its plain key.
    /// 4. If `[name]:port` is new, `name` is tried, but only to accept or revoke.
    ///
    /// One difference: where `name` revokes the authority of a certificate and `[name]:port` knows
    /// its plain key, ssh prints that the key is revoked and goes on; here the verdict is
    /// [`Verdict::Revoked`].
    pub fn verdict(
        &self,
        name: &HostName,
        offered: &HostKey,
        checks: Option<&CertificateChecks>,
    ) -> Verdict {
        let found = self.lookup(name);
        if offered.certificate().is_some() {
            match self.judge_certificate(name, &found, offered, checks) {
                Verdict::Unknown => {}
                decided => return decided,
            }
        }
        let plain = offered.without_certificate();
        match judge_plain(&found, &plain) {
            Verdict::Unknown => self.judge_without_port(name, &plain, None),
            decided => decided,
        }
    }

    fn judge_certificate(
        &self,
        name: &HostName,
        found: &[Found<'_>],
        offered: &HostKey,
        checks: Option<&CertificateChecks>,
    ) -> Verdict {
        let Some(certificate) = offered.certificate() else {
            return Verdict::Unknown;
        };
        if let Some(line) = revoking(found, &[offered.plain_blob(), &certificate.authority]) {
            return Verdict::Revoked { line };
        }
        let authority = found.iter().find(|f| {
            f.marker() == Marker::CertAuthority && f.key().plain_blob() == certificate.authority
        });
        let Some(authority) = authority else {
            return self.judge_without_port(name, offered, checks);
        };
        match checks.map(|c| c.check(certificate, name.principal())) {
            Some(Ok(())) => Verdict::Trusted {
                line: authority.location(),
                by_authority: true,
                without_port: false,
            },
            _ => Verdict::Unknown,
        }
    }

    fn judge_without_port(
        &self,
        name: &HostName,
        offered: &HostKey,
        checks: Option<&CertificateChecks>,
    ) -> Verdict {
        let Some(name) = name.without_port() else {
            return Verdict::Unknown;
        };
        match self.verdict(&name, offered, checks) {
            Verdict::Trusted {
                line, by_authority, ..
            } => Verdict::Trusted {
                line,
                by_authority,
                without_port: true,
            },
            revoked @ Verdict::Revoked { .. } => revoked,
            // Another key on another port says nothing of this one.
            _ => Verdict::Unknown,
        }
    }
}

fn judge_plain(found: &[Found<'_>], key: &HostKey) -> Verdict {
    if let Some(line) = revoking(found, &[key.plain_blob()]) {
        return Verdict::Revoked { line };
    }
    let known: Vec<_> = found
        .iter()
        .filter(|f| f.marker() == Marker::Plain)
        .collect();
    if let Some(same) = known.iter().find(|f| f.key() == *key) {
        return Verdict::Trusted {
            line: same.location(),
            by_authority: false,
            without_port: false,
        };
    }
    match known.last() {
        None => Verdict::Unknown,
        Some(last) => {
            let mut types = Vec::new();
            for found in &known {
                if !types.contains(&found.key_type()) {
                    types.push(found.key_type());
                }
            }
            Verdict::Changed {
                line: last.location(),
                known: types,
            }
        }
    }
}

fn revoking(found: &[Found<'_>], keys: &[&[u8]]) -> Option<Location> {
    found
        .iter()
        .filter(|f| f.marker() == Marker::Revoked)
        .find(|f| keys.contains(&f.key().plain_blob()))
        .map(Found::location)
}
