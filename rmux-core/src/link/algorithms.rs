//! Which algorithms are offered, and in which order.

use std::borrow::Cow;
use std::str::FromStr;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};

use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::ssh_config::{AlgorithmList, Algorithms};
use crate::trust::Judge;

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

/// Of hosts and of users, as OpenSSH orders them: certificates first. No SHA-1 among them:
/// `ssh-rsa` signatures are made, and believed, only where the user asks for them.
pub(super) const KEYS: &[&str] = &[
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
/// All that the engine can do, in the order of `ssh -Q key`, by which wildcards expand.
const ALL_KEYS: &[&str] = &[
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
];

/// What authorities may sign certificates with.
const SIGNATURES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
const ALL_SIGNATURES: &[&str] = &[
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
    "rsa-sha2-256",
    "rsa-sha2-512",
];

/// What stands in the list of key exchanges and is none: extension information (RFC 8308) and
/// strict key exchange.
const KEX_EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// The algorithms that rmux has: of each kind all it can do, and what it offers unless a setting
/// says otherwise. Keys and signatures are in the order of ssh's own lists; of the others, those
/// that ssh offers only where it is told to are the last.
///
/// Settings may also name what only OpenSSH has, which then drops out. Signatures by security keys
/// are checked here, and made by agents.
pub fn engine_algorithms() -> Algorithms {
    let with = |default: &[&'static str], legacy: &[&'static str]| {
        let all = [default, legacy].concat();
        AlgorithmList::new(all, default.to_vec())
    };
    let of = |all: &[&'static str], default: &[&'static str]| {
        AlgorithmList::new(all.to_vec(), default.to_vec())
    };
    let engine = Algorithms {
        ciphers: with(CIPHERS, LEGACY_CIPHERS),
        macs: with(MACS, LEGACY_MACS),
        kex: with(KEX, LEGACY_KEX),
        keys: of(ALL_KEYS, KEYS),
        signatures: of(ALL_SIGNATURES, SIGNATURES),
    };
    engine.accepting_openssh_names()
}

/// The algorithms of host keys that the user allows for this host, best first.
pub(super) fn host_keys(host: &Host) -> Vec<String> {
    match &host.host_key_algorithms {
        Some(names) => names.clone(),
        None => KEYS.iter().map(ToString::to_string).collect(),
    }
}

/// What is offered to `host`, whose keys `judge` knows.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where a setting leaves nothing that the engine has.
pub(super) fn offer(host: &Host, judge: &Judge) -> Result<Preferred> {
    let (host_key_certificates, key) = host_key_offer(host, judge)?;
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
        host_key_certificates: Cow::Owned(host_key_certificates),
        cipher: Cow::Owned(cipher),
        mac: Cow::Owned(mac),
        compression: Cow::Borrowed(compression),
    })
}

/// The algorithms of host certificates and of plain host keys, each in the order to offer them in.
///
/// The engine always names all certificates before all plain keys. Where the order is another one,
/// a certificate is left out that would overtake a plain key of another type: a server that has
/// both would show the certificate, and its key might be one that nobody knows, while the key that
/// is known stays unseen. Where an authority is known for the host, certificates come first anyway.
fn host_key_offer(host: &Host, judge: &Judge) -> Result<(Vec<Algorithm>, Vec<Algorithm>)> {
    let allowed = host_keys(host);
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let ordered = judge.order(&allowed);
    let any = judge.knows_authority();
    let (mut certificates, mut plain) = (Vec::new(), Vec::new());
    for name in ordered {
        let Some(certified) = certified_algorithm(name) else {
            plain.extend(plain_algorithm(name));
            continue;
        };
        let overtaken = |other: &Algorithm| !same_type(other, &certified);
        if any || !plain.iter().any(overtaken) {
            certificates.push(certified);
        }
    }
    if plain.is_empty() && certificates.is_empty() {
        return Err(none_left("HostKeyAlgorithms"));
    }
    Ok((certificates, plain))
}

/// The algorithm of the key in a certificate: the engine names certificates by those.
fn certified_algorithm(name: &str) -> Option<Algorithm> {
    let stem = name.strip_suffix("-cert-v01@openssh.com")?;
    plain_algorithm(stem).or_else(|| plain_algorithm(&format!("{stem}@openssh.com")))
}

fn plain_algorithm(name: &str) -> Option<Algorithm> {
    let known = |algorithm: &Algorithm| !matches!(algorithm, Algorithm::Other(_));
    Algorithm::from_str(name).ok().filter(known)
}

/// Whether the keys of two algorithms are of one type: an RSA key has several.
pub(super) fn same_type(one: &Algorithm, other: &Algorithm) -> bool {
    one == other || matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
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
        return Err(none_left(setting));
    }
    Ok(values)
}

fn none_left(setting: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "connect",
        format!("{setting} names no algorithm that rmux has"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK8CzXf2N2ATFiVEaAnZ6DSvkrUvWyDk2uIUvpkUZqzX";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB\
        BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=";

    /// What is offered to a host of which these lines are known.
    async fn offered(host: &Host, known: &str) -> Result<Preferred> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, known).unwrap();
        let mut host = host.clone();
        host.user_known_hosts = vec![path];
        let judge = Judge::load(&host, None, None).await.unwrap();
        offer(&host, &judge)
    }

    fn names<T: AsRef<str>>(values: &[T]) -> Vec<&str> {
        values.iter().map(AsRef::as_ref).collect()
    }

    fn plain(preferred: &Preferred) -> Vec<String> {
        preferred.key.iter().map(ToString::to_string).collect()
    }

    fn certified(preferred: &Preferred) -> Vec<String> {
        let list = &preferred.host_key_certificates;
        list.iter().map(Algorithm::to_certificate_type).collect()
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
        for name in all(ALL_KEYS, KEYS) {
            let certified = certified_algorithm(name).map(|a| a.to_certificate_type());
            let plain = plain_algorithm(name).map(|a| a.to_string());
            assert_eq!(certified.or(plain).as_deref(), Some(name));
        }
    }

    #[tokio::test]
    async fn all_that_is_believed_is_offered_and_no_sha1() {
        let offer = offered(&Host::example(), "").await.unwrap();
        let all = [certified(&offer), plain(&offer)].concat();
        assert_eq!(all, KEYS, "in the order of OpenSSH");
        assert_eq!(names(&offer.cipher)[0], "aes128-gcm@openssh.com");
        assert!(!names(&offer.mac).iter().any(|name| name.contains("sha1")));
        assert!(!names(&offer.kex).iter().any(|name| name.ends_with("sha1")));
        assert!(names(&offer.kex).contains(&"kex-strict-c-v00@openssh.com"));
    }

    #[tokio::test]
    async fn known_key_types_come_first_and_no_certificate_of_another_type_overtakes_them() {
        let host = Host::example();
        let offer = offered(&host, &format!("example.com {ECDSA}\n"))
            .await
            .unwrap();
        assert_eq!(plain(&offer)[..2], ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        assert_eq!(
            certified(&offer),
            ["ecdsa-sha2-nistp256-cert-v01@openssh.com"]
        );
        // The best of all is known: nothing moves.
        let offer = offered(&host, &format!("example.com {ED25519}\n"))
            .await
            .unwrap();
        assert_eq!([certified(&offer), plain(&offer)].concat(), KEYS);
        // An authority may have signed keys of any type.
        let known = format!("example.com {ECDSA}\n@cert-authority *.com {ED25519}\n");
        let offer = offered(&host, &known).await.unwrap();
        assert_eq!(certified(&offer), KEYS[..8]);
        assert_eq!(plain(&offer)[0], "ecdsa-sha2-nistp256");
    }

    #[tokio::test]
    async fn what_the_user_names_is_offered_in_that_order_and_nothing_else() {
        let mut host = Host::example();
        host.ciphers = Some(vec!["aes256-ctr".into(), "aes128-cbc".into()]);
        host.host_key_algorithms = Some(vec!["ssh-rsa".into(), "ssh-ed25519".into()]);
        host.host_key_order_fixed = true;
        let known = format!("example.com {ED25519}\n");
        let offer = offered(&host, &known).await.unwrap();
        assert_eq!(names(&offer.cipher), ["aes256-ctr", "aes128-cbc"]);
        assert_eq!(plain(&offer), ["ssh-rsa", "ssh-ed25519"]);
        assert!(certified(&offer).is_empty());
        // Where the list only adds to the default, what is known decides.
        host.host_key_order_fixed = false;
        let offer = offered(&host, &known).await.unwrap();
        assert_eq!(plain(&offer), ["ssh-ed25519", "ssh-rsa"]);

        host.host_key_algorithms = Some(vec!["rsa-sha2-256-cert-v01@openssh.com".into()]);
        let offer = offered(&host, "").await.unwrap();
        assert_eq!(certified(&offer), ["rsa-sha2-256-cert-v01@openssh.com"]);
        assert!(plain(&offer).is_empty());

        host.host_key_algorithms = Some(vec!["webauthn-sk-ecdsa-sha2-nistp256@openssh.com".into()]);
        let error = offered(&host, "").await.unwrap_err();
        assert!(error.to_string().contains("HostKeyAlgorithms"), "{error}");
        host.host_key_algorithms = None;
        host.macs = Some(vec!["umac-64@openssh.com".into()]);
        let error = offered(&host, "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("MACs"), "{error}");
    }

    #[tokio::test]
    async fn a_certificate_may_overtake_the_plain_key_inside_it() {
        let mut host = Host::example();
        host.host_key_order_fixed = true;
        host.host_key_algorithms = Some(
            [
                "ssh-ed25519",
                "ssh-ed25519-cert-v01@openssh.com",
                "rsa-sha2-512",
                "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            ]
            .map(str::to_owned)
            .into(),
        );
        let offer = offered(&host, "").await.unwrap();
        assert_eq!(certified(&offer), ["ssh-ed25519-cert-v01@openssh.com"]);
        let known = format!("@cert-authority * {ED25519}\n");
        assert_eq!(certified(&offered(&host, &known).await.unwrap()).len(), 2);
    }
}
