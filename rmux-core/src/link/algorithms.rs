//! Which algorithms are offered, and in which order.

use std::borrow::Cow;
use std::str::FromStr;

use russh::keys::{Algorithm, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::ssh_config::{AlgorithmList, Algorithms};

/// AES-GCM first: with hardware support it is the fastest by far.
const CIPHERS: &[&str] = &[
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];
/// Offered only where the user's configuration asks for them.
const LEGACY_CIPHERS: &[&str] = &["aes128-cbc", "aes192-cbc", "aes256-cbc"];

const MACS: &[&str] = &[
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
];
const LEGACY_MACS: &[&str] = &["hmac-sha1-etm@openssh.com", "hmac-sha1"];

const KEX: &[&str] = &[
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
];
const LEGACY_KEX: &[&str] = &[
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
];

/// No SHA-1 among them: `ssh-rsa` signatures are made only where the user asks for them.
const KEYS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
const LEGACY_KEYS: &[&str] = &["ssh-rsa"];

/// What stands in the list of key exchanges and is none: extension information (RFC 8308) and
/// strict key exchange.
const KEX_EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// The engine's algorithms, for the settings that name some.
pub(crate) fn engine() -> Algorithms {
    let list = |default: &[&str], legacy: &[&str]| {
        let all: Vec<String> = default
            .iter()
            .chain(legacy)
            .map(ToString::to_string)
            .collect();
        let default: Vec<String> = default.iter().map(ToString::to_string).collect();
        AlgorithmList::new(all, default)
    };
    let engine = Algorithms {
        ciphers: list(CIPHERS, LEGACY_CIPHERS),
        macs: list(MACS, LEGACY_MACS),
        kex: list(KEX, LEGACY_KEX),
        keys: list(KEYS, LEGACY_KEYS),
        signatures: list(KEYS, LEGACY_KEYS),
    };
    engine.accepting_openssh_names()
}

/// What is offered to `host`. Unless the user fixed their order, host key algorithms whose key type
/// is `known` for this host come first, so that a server with several keys shows the one that can
/// be checked.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where a setting leaves nothing that the engine has.
pub(super) fn offer(host: &Host, known: &[String]) -> Result<Preferred> {
    let mut key: Vec<Algorithm> = chosen(
        "HostKeyAlgorithms",
        host.host_key_algorithms.as_deref(),
        KEYS,
        |name| match name {
            "ssh-rsa" => Some(Algorithm::Rsa { hash: None }),
            "rsa-sha2-256" => Some(Algorithm::Rsa {
                hash: Some(HashAlg::Sha256),
            }),
            "rsa-sha2-512" => Some(Algorithm::Rsa {
                hash: Some(HashAlg::Sha512),
            }),
            name => Algorithm::from_str(name).ok(),
        },
    )?;
    if host.host_key_algorithms.is_none() {
        key.sort_by_key(|algorithm| !known.iter().any(|kind| kind == key_type(algorithm)));
    }
    let mut kex = chosen(
        "KexAlgorithms",
        host.kex_algorithms.as_deref(),
        KEX,
        |name| kex::Name::try_from(name).ok(),
    )?;
    kex.extend(KEX_EXTENSIONS);
    let cipher = chosen("Ciphers", host.ciphers.as_deref(), CIPHERS, |name| {
        cipher::Name::try_from(name).ok()
    })?;
    let mac = chosen("MACs", host.macs.as_deref(), MACS, |name| {
        mac::Name::try_from(name).ok()
    })?;
    let compression: &[compression::Name] = if host.compression {
        &[
            compression::ZLIB_LEGACY,
            compression::ZLIB,
            compression::NONE,
        ]
    } else {
        &[
            compression::NONE,
            compression::ZLIB_LEGACY,
            compression::ZLIB,
        ]
    };
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(key),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Owned(cipher),
        mac: Cow::Owned(mac),
        compression: Cow::Borrowed(compression),
    })
}

/// The names set by the user, or else the default ones, as the engine's values.
fn chosen<T>(
    setting: &str,
    set: Option<&[String]>,
    default: &[&str],
    value: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>> {
    let values: Vec<T> = match set {
        Some(names) => names.iter().filter_map(|name| value(name)).collect(),
        None => default.iter().filter_map(|name| value(name)).collect(),
    };
    if values.is_empty() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "connect",
            format!("{setting} names no algorithm that rmux has"),
        ));
    }
    Ok(values)
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

    fn names<T: AsRef<str>>(values: &[T]) -> Vec<&str> {
        values.iter().map(AsRef::as_ref).collect()
    }

    fn key_names(preferred: &Preferred) -> Vec<String> {
        preferred.key.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_name_is_one_the_engine_has() {
        let all = |a: &[&'static str], b: &[&'static str]| [a, b].concat();
        for name in all(CIPHERS, LEGACY_CIPHERS) {
            assert!(cipher::Name::try_from(name).is_ok(), "{name}");
        }
        for name in all(MACS, LEGACY_MACS) {
            assert!(mac::Name::try_from(name).is_ok(), "{name}");
        }
        for name in all(KEX, LEGACY_KEX) {
            assert!(kex::Name::try_from(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn known_key_types_come_first_and_sha1_never() {
        let host = Host::example();
        let offer = offer(&host, &["ssh-rsa".to_owned()]).unwrap();
        let keys = key_names(&offer);
        assert_eq!(keys[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
        assert!(!keys.iter().any(|name| name == "ssh-rsa"));
        assert_eq!(names(&offer.cipher)[0], "aes128-gcm@openssh.com");
        assert!(!names(&offer.mac).iter().any(|name| name.contains("sha1")));
        assert!(!names(&offer.kex).iter().any(|name| name.ends_with("sha1")));
        assert!(names(&offer.kex).contains(&"kex-strict-c-v00@openssh.com"));
    }

    #[test]
    fn what_the_user_names_is_offered_in_that_order_and_nothing_else() {
        let mut host = Host::example();
        host.ciphers = Some(vec!["aes256-ctr".into(), "aes128-cbc".into()]);
        host.host_key_algorithms = Some(vec!["ssh-rsa".into(), "ssh-ed25519".into()]);
        let offered = offer(&host, &["ssh-ed25519".to_owned()]).unwrap();
        assert_eq!(names(&offered.cipher), ["aes256-ctr", "aes128-cbc"]);
        assert_eq!(key_names(&offered), ["ssh-rsa", "ssh-ed25519"]);
        host.macs = Some(vec!["umac-64@openssh.com".into()]);
        let error = offer(&host, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("MACs"), "{error}");
    }
}
