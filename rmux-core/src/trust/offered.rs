//! The key a server shows: its names, as messages and settings speak of it.
//!
//! Judges nothing.

use rmux_proto::public_key::{HostKey, KeyType};

use super::fingerprint::fingerprint;
use crate::host::FingerprintHash;
use crate::printable::printable;

/// A host key, or a host certificate whose signature is known to be good.
pub(super) struct Offered {
    pub(super) key: HostKey,
    /// The fingerprint of the plain key.
    pub(super) fingerprint: String,
}

impl Offered {
    pub(super) fn new(key: HostKey, hash: FingerprintHash) -> Self {
        let fingerprint = fingerprint(key.plain_blob(), hash);
        Self { key, fingerprint }
    }

    /// The type and fingerprint of the plain key, for messages.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.key.key_type(), self.fingerprint)
    }

    /// What the certificate says of itself, for logs.
    pub(super) fn certificate(&self, hash: FingerprintHash) -> Option<String> {
        let certificate = self.key.certificate()?;
        let authority = certificate.authority();
        Some(format!(
            "{} {}, serial {}, id {:?}, signed by {} {}",
            self.key.type_name(),
            self.fingerprint,
            certificate.serial(),
            printable(&String::from_utf8_lossy(certificate.key_id())),
            authority.key_type(),
            fingerprint(authority.plain_blob(), hash),
        ))
    }
}

/// How people call a type of key: `ED25519`, as ssh prints it.
pub(super) fn short_name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Ed25519 => "ED25519",
        KeyType::Rsa => "RSA",
        KeyType::Dsa => "DSA",
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => "ECDSA",
        KeyType::SkEd25519 => "ED25519-SK",
        KeyType::SkEcdsaP256 => "ECDSA-SK",
        other => other.name(),
    }
}
