//! Which algorithms are offered, and in which order.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher};

/// AES-GCM first: with hardware support it is the fastest by far. No SHA-1 host keys.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

fn host_key_algorithms() -> Vec<Algorithm> {
    vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ]
}

/// The offer, with host key algorithms whose key type is `known` for this host first, so that a
/// server with several keys shows the one that can be checked.
pub(super) fn offer(known: &[String]) -> Preferred {
    let mut key = host_key_algorithms();
    key.sort_by_key(|algorithm| !known.iter().any(|kind| kind == key_type(algorithm)));
    Preferred {
        cipher: Cow::Borrowed(CIPHERS),
        key: Cow::Owned(key),
        ..Preferred::DEFAULT
    }
}

/// The type that stands in `known_hosts` for keys of an algorithm.
fn key_type(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_key_types_come_first_and_sha1_never() {
        let offer = offer(&["ssh-rsa".to_owned()]);
        let names: Vec<_> = offer.key.iter().map(ToString::to_string).collect();
        assert_eq!(names[..2], ["rsa-sha2-512", "rsa-sha2-256"]);
        assert_eq!(names[2], "ssh-ed25519");
        assert!(!names.iter().any(|name| name == "ssh-rsa"));
        assert!(offer.cipher[0].as_ref().contains("gcm"));
    }
}
