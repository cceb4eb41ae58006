//! The key a server shows: its names and sizes, as messages and settings speak of it.
//!
//! Judges nothing.

use rmux_proto::public_key::{HostKey, KeyType};
use rmux_proto::wire::Reader;

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
            type_name(&self.key),
            self.fingerprint,
            certificate.serial(),
            printable(&String::from_utf8_lossy(certificate.key_id())),
            authority.key_type(),
            fingerprint(authority.plain_blob(), hash),
        ))
    }
}

/// The name that the key's blob begins with: a certificate's is another one than its plain key's.
pub(super) fn type_name(key: &HostKey) -> String {
    let plain = key.key_type().name();
    if key.certificate().is_none() {
        return plain.to_owned();
    }
    let stem = plain.strip_suffix("@openssh.com").unwrap_or(plain);
    format!("{stem}-cert-v01@openssh.com")
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

/// The bits of an RSA key's modulus; `None` for other keys.
pub(super) fn rsa_bits(key: &HostKey) -> Option<u32> {
    if key.key_type() != KeyType::Rsa {
        return None;
    }
    let mut reader = Reader::new(key.plain_blob());
    reader.string().ok()?; // the type
    reader.string().ok()?; // the exponent
    let modulus = reader.string().ok()?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let bits = match &modulus[zeros..] {
        [] => 0,
        [first, rest @ ..] => rest.len() * 8 + 8 - first.leading_zeros() as usize,
    };
    u32::try_from(bits).ok()
}

#[cfg(test)]
mod tests {
    use rmux_proto::wire::put_string;

    use super::*;

    #[test]
    fn rsa_keys_are_measured_by_their_modulus() {
        for (modulus, bits) in [
            ([vec![0, 0x80], vec![7; 127]].concat(), 1024),
            ([vec![1], vec![7; 256]].concat(), 2049),
        ] {
            let mut blob = Vec::new();
            put_string(&mut blob, b"ssh-rsa");
            put_string(&mut blob, &[1, 0, 1]);
            put_string(&mut blob, &modulus);
            let key = HostKey::from_blob(&blob).unwrap();
            assert_eq!(rsa_bits(&key), Some(bits));
            assert_eq!(type_name(&key), "ssh-rsa");
        }
    }
}
