//! What the known hosts say of a key that a server offers.
//!
//! Knows the rules of trust and no policy: what follows from a verdict (to ask, to add, to refuse)
//! is the caller's. What a certificate must fulfil is known by `certificate`; its signature must have
//! been checked before it comes here.

use super::line::Marker;
use super::{Found, HostName, KnownHosts, Location};
use crate::certificate::{Certificate, CertificateChecks, CertificateFault};
use crate::public_key::{HostKey, KeyType};

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

    /// Why the certificate that the server at `name` offers is not accepted although its authority
    /// is trusted for this host, and the line that says so. This is what ssh prints before it goes
    /// on with the plain key; [`verdict`](Self::verdict) says how that ended.
    ///
    /// `None` if the certificate holds, and if there is nothing to say against it: no certificate,
    /// no trusted authority, or a revoked one.
    pub fn certificate_fault(
        &self,
        name: &HostName,
        offered: &HostKey,
        checks: &CertificateChecks,
    ) -> Option<(Location, CertificateFault)> {
        let certificate = offered.certificate()?;
        let found = self.lookup(name);
        let authority = certificate.authority().plain_blob();
        if revoking(&found, &[offered.plain_blob(), authority]).is_some() {
            return None;
        }
        let Some(line) = vouching(&found, certificate) else {
            return self.certificate_fault(&name.without_port()?, offered, checks);
        };
        let fault = checks.check(certificate, name.principal()).err()?;
        Some((line.location(), fault))
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
        let authority = certificate.authority().plain_blob();
        if let Some(line) = revoking(found, &[offered.plain_blob(), authority]) {
            return Verdict::Revoked { line };
        }
        let Some(authority) = vouching(found, certificate) else {
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

/// The line of the authority that signed a certificate.
fn vouching<'a>(found: &[Found<'a>], certificate: &Certificate) -> Option<Found<'a>> {
    let authority = found
        .iter()
        .find(|f| f.marker() == Marker::CertAuthority && f.key() == *certificate.authority());
    authority.copied()
}

fn revoking(found: &[Found<'_>], keys: &[&[u8]]) -> Option<Location> {
    found
        .iter()
        .filter(|f| f.marker() == Marker::Revoked)
        .find(|f| keys.contains(&f.key().plain_blob()))
        .map(Found::location)
}
