//! What a certificate must fulfil for a client to accept it as a host's.
//!
//! Knows the rules and no trust: whether the authority is trusted for the host is for
//! [`known_hosts`](crate::known_hosts) to say, and that the signature is good for the caller.

use super::{Certificate, CertificateKind};
use crate::ssh_config::pattern::{self, ListMatch};

/// What a host's certificate is held against, once its signature is known to be good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateChecks {
    now: u64,
    signature_algorithms: String,
    require_principals: bool,
}

impl CertificateChecks {
    /// `now` in seconds since 1970; `signature_algorithms` as in CASignatureAlgorithms: the
    /// algorithms with which an authority may sign, separated by commas, as patterns.
    pub fn new(now: u64, signature_algorithms: impl Into<String>) -> Self {
        Self {
            now,
            signature_algorithms: signature_algorithms.into(),
            require_principals: false,
        }
    }

    /// Whether to refuse a certificate that lists no host. Off by default: OpenSSH up to 10.2 takes
    /// such a certificate for any host, and since 10.3 for none.
    pub fn require_principals(mut self, yes: bool) -> Self {
        self.require_principals = yes;
        self
    }

    /// Whether the certificate holds for the host `principal` (as
    /// [`HostName::principal`](crate::known_hosts::HostName::principal) gives it), by the rules that
    /// OpenSSH 9.2 applies (PROTOCOL.certkeys):
    ///
    /// 1. It is one for hosts.
    /// 2. Its time has come and is not over.
    /// 3. It lists the host, byte for byte: a wildcard among its principals matches nothing but
    ///    itself.
    /// 4. It holds no critical option: none is defined for hosts.
    /// 5. Its authority signed with an algorithm that is allowed.
    ///
    /// # Errors
    /// The first rule that is broken, in this order.
    pub fn check(
        &self,
        certificate: &Certificate,
        principal: &[u8],
    ) -> Result<(), CertificateFault> {
        if certificate.kind() != CertificateKind::Host {
            return Err(CertificateFault::NotForHosts);
        }
        if self.now < certificate.valid_after() {
            return Err(CertificateFault::NotYetValid);
        }
        if self.now >= certificate.valid_before() {
            return Err(CertificateFault::Expired);
        }
        let mut principals = certificate.principals().peekable();
        if principals.peek().is_none() {
            if self.require_principals {
                return Err(CertificateFault::NoPrincipals);
            }
        } else if !principals.any(|p| p == principal) {
            return Err(CertificateFault::OtherName);
        }
        if certificate.critical_options().next().is_some() {
            return Err(CertificateFault::CriticalOptions);
        }
        let algorithm = certificate.signature_algorithm().as_bytes();
        let allowed = self.signature_algorithms.as_bytes();
        if pattern::matches_list(algorithm, allowed, false) != ListMatch::Yes {
            return Err(CertificateFault::SignatureAlgorithm);
        }
        Ok(())
    }
}

/// Why a certificate was not accepted as a host's. The text is what ssh says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is one for users.
    #[error("Certificate invalid: not a host certificate")]
    NotForHosts,
    /// Its time has not come.
    #[error("Certificate invalid: not yet valid")]
    NotYetValid,
    /// Its time is over.
    #[error("Certificate invalid: expired")]
    Expired,
    /// It lists no host, and [`CertificateChecks::require_principals`] is on.
    #[error("Certificate lacks principal list")]
    NoPrincipals,
    /// It is for hosts of other names.
    #[error("Certificate invalid: name is not a listed principal")]
    OtherName,
    /// It holds critical options; none is defined for hosts.
    #[error("Certificate contains unsupported critical options")]
    CriticalOptions,
    /// It was signed with an algorithm that is not allowed.
    #[error("Certificate signed with disallowed algorithm")]
    SignatureAlgorithm,
}
