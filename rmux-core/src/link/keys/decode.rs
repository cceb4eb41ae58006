//! Private keys in all their formats: OpenSSH's own, PKCS#1, SEC1 and PKCS#8, each plain or
//! encrypted.
//!
//! What is decoded is wiped when it is dropped. Knows no files.

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf as Kdf2;
use russh::keys::ssh_key::Kdf;
use russh::keys::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::pem::{Pem, Sealed};
use super::public::{NESTED, is_nested};

/// More than ssh-keygen would make in an hour: a file that asks for it is not one to wait for.
const MAX_BCRYPT_ROUNDS: u32 = 1 << 16;
/// Likewise; OpenSSL takes 2048 unless told otherwise, password managers up to some millions.
const MAX_PBKDF2_ROUNDS: u64 = 100_000_000;
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;

/// Why there is no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A passphrase is needed.
    Encrypted,
    WrongPassphrase,
    /// It is no private key, or none that can be read.
    Malformed(String),
}

/// Reads a private key. An encrypted one needs `passphrase`, which others ignore. Decrypting takes
/// a good part of a second.
pub(super) fn private_key(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, Unreadable> {
    if text.trim_start().starts_with("PuTTY-User-Key-File-") {
        return Err(malformed(
            "it is in PuTTY's format: export it to OpenSSH's with puttygen",
        ));
    }
    let mut pem = Pem::parse(text).ok_or_else(|| malformed("it holds no private key"))?;
    if pem.is_sealed() {
        let passphrase = passphrase.ok_or(Unreadable::Encrypted)?;
        pem.unseal(passphrase).map_err(|why| match why {
            Sealed::WrongPassphrase => Unreadable::WrongPassphrase,
            Sealed::Unsupported(cipher) => malformed(format!(
                "it is encrypted with {cipher}, which is not supported"
            )),
        })?;
        // A wrong passphrase may leave something that looks whole.
        return plain(&pem).map_err(|_| Unreadable::WrongPassphrase);
    }
    match (pem.label, passphrase) {
        ("OPENSSH PRIVATE KEY", _) => openssh(&pem.body, passphrase),
        ("ENCRYPTED PRIVATE KEY", None) => Err(Unreadable::Encrypted),
        ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => encrypted_pkcs8(&pem.body, passphrase),
        _ => plain(&pem),
    }
}

/// The public half, where the file shows it without a passphrase although the private half is
/// encrypted, as OpenSSH's own format does.
pub(super) fn public_half(text: &str) -> Option<PublicKey> {
    let pem = Pem::parse(text)?;
    if pem.label != "OPENSSH PRIVATE KEY" {
        return private_key(text, None)
            .ok()
            .map(|key| key.public_key().clone());
    }
    if is_nested(&pem.body) {
        return None;
    }
    let key = PrivateKey::from_bytes(&pem.body).ok()?;
    Some(key.public_key().clone())
}

fn openssh(body: &[u8], passphrase: Option<&str>) -> Result<PrivateKey, Unreadable> {
    if is_nested(body) {
        return Err(malformed(NESTED));
    }
    let key = PrivateKey::from_bytes(body).map_err(malformed)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let passphrase = passphrase.ok_or(Unreadable::Encrypted)?;
    if let Kdf::Bcrypt { rounds, .. } = key.kdf()
        && *rounds > MAX_BCRYPT_ROUNDS
    {
        return Err(malformed(format!(
            "its passphrase is stretched {rounds} times"
        )));
    }
    key.decrypt(passphrase)
        .map_err(|_| Unreadable::WrongPassphrase)
}

fn plain(pem: &Pem<'_>) -> Result<PrivateKey, Unreadable> {
    let decode = |der: &[u8]| russh::keys::pkcs8::decode_pkcs8(der, None).map_err(malformed);
    match pem.label {
        "RSA PRIVATE KEY" => decode(&pkcs8_of_rsa(&pem.body)),
        "EC PRIVATE KEY" | "PRIVATE KEY" => decode(&pem.body),
        other => Err(malformed(format!("a {other:?} is no key to log in with"))),
    }
}

fn encrypted_pkcs8(der: &[u8], passphrase: &str) -> Result<PrivateKey, Unreadable> {
    let unsupported = |how: &dyn std::fmt::Display| {
        malformed(format!("the way it is encrypted is not supported: {how}"))
    };
    let sealed = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|why| unsupported(&why))?;
    let EncryptionScheme::Pbes2(scheme) = &sealed.encryption_algorithm else {
        return Err(unsupported(&"PBES1"));
    };
    let effort = match &scheme.kdf {
        Kdf2::Pbkdf2(parameters) => u64::from(parameters.iteration_count) <= MAX_PBKDF2_ROUNDS,
        Kdf2::Scrypt(parameters) => {
            let memory = u64::from(parameters.block_size)
                .saturating_mul(128)
                .saturating_mul(parameters.cost_parameter);
            memory <= MAX_SCRYPT_MEMORY && parameters.parallelization <= 16
        }
        _ => false,
    };
    if !effort {
        return Err(malformed("its passphrase is stretched beyond measure"));
    }
    let opened = sealed.decrypt(passphrase).map_err(|why| match why {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. },
        ) => unsupported(&why),
        _ => Unreadable::WrongPassphrase,
    })?;
    russh::keys::pkcs8::decode_pkcs8(opened.as_bytes(), None).map_err(malformed)
}

/// A PKCS#1 key in the clothes of PKCS#8 (RFC 5208, section 5), which is what the engine decodes
/// without copies of its own.
fn pkcs8_of_rsa(key: &[u8]) -> Zeroizing<Vec<u8>> {
    /// INTEGER 0; SEQUENCE { OBJECT rsaEncryption, NULL }.
    const HEAD: &[u8] = &[
        0x02, 1, 0, 0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0,
    ];
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;
    // As large as it becomes: growing would leave copies behind.
    let mut der = Zeroizing::new(Vec::with_capacity(HEAD.len() + key.len() + 20));
    let mut header = |tag: u8, rest: &[u8], length: usize| {
        der.push(tag);
        der.extend_from_slice(&short_length(length));
        der.extend_from_slice(rest);
    };
    let octets = short_length(key.len()).len() + 1;
    header(SEQUENCE, HEAD, HEAD.len() + octets + key.len());
    header(OCTETS, key, key.len());
    der
}

/// A length as DER writes it: in as few bytes as it takes.
fn short_length(length: usize) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    if length < 0x80 {
        return vec![length as u8];
    }
    [&[0x80 | digits.len() as u8][..], digits].concat()
}

fn malformed(why: impl std::fmt::Display) -> Unreadable {
    Unreadable::Malformed(why.to_string())
}

/// The entry for fuzzers: reads `data` as a private key file, as a public one and as the wire form
/// of a key, and does with it what logging in does.
#[doc(hidden)]
pub fn fuzz_private_key(data: &[u8]) {
    if let Ok(public) = super::Public::from_blob(data) {
        let _ = (public.rsa_bits(), public.description());
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = super::Public::from_text(text);
    let _ = public_half(text);
    if let Ok(key) = private_key(text, None) {
        let _ = super::sign(&key, Some(russh::keys::HashAlg::Sha512), b"data");
    }
    // What a passphrase costs is the file's choice, within bounds that are too wide for a fuzzer.
    let slow = Pem::parse(text).is_some_and(|pem| pem.label != "RSA PRIVATE KEY");
    if !slow {
        let _ = private_key(text, Some("passphrase"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn keygen(path: &Path, arguments: &[&str]) -> String {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-a", "1", "-f"])
            .arg(path)
            .args(arguments)
            .status();
        assert!(made.expect("ssh-keygen runs").success());
        std::fs::read_to_string(path).unwrap()
    }

    fn samples() -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let forms: &[&[&str]] = &[
            &["-t", "ed25519", "-N", ""],
            &["-t", "ecdsa", "-N", "", "-m", "PEM"],
            &["-t", "rsa", "-b", "1024", "-N", "", "-m", "PEM"],
            &["-t", "rsa", "-b", "1024", "-N", "passphrase", "-m", "PEM"],
            &["-t", "rsa", "-b", "1024", "-N", "", "-m", "PKCS8"],
            &["-t", "rsa", "-b", "1024", "-N", ""],
        ];
        let make = |(number, form): (usize, &&[&str])| {
            keygen(&folder.path().join(number.to_string()), form)
        };
        forms.iter().enumerate().map(make).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Each of some real files, changed in a few places.
        #[test]
        fn damaged_keys_are_refused_and_never_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            static SAMPLES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
            for text in SAMPLES.get_or_init(samples) {
                let mut bytes = text.clone().into_bytes();
                for (place, byte) in &changes {
                    let place = place.index(bytes.len());
                    // Base64 to base64, for the most part: other bytes never come far.
                    bytes[place] = match byte % 8 {
                        0 => *byte,
                        _ => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                            [usize::from(*byte) % 64],
                    };
                }
                fuzz_private_key(&bytes);
            }
        }
    }

    #[test]
    fn what_would_take_for_ever_or_all_memory_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let text = keygen(&path, &["-t", "ed25519", "-N", "passphrase"]);
        let pem = Pem::parse(&text).unwrap();
        // The rounds stand behind the salt of 16 bytes, whose length does.
        let salt = [0, 0, 0, 24, 0, 0, 0, 16];
        let at = pem
            .body
            .windows(8)
            .position(|window| window == salt)
            .unwrap();
        let mut body = pem.body.to_vec();
        assert_eq!(body[at + 24..at + 28], [0, 0, 0, 1]);
        assert!(openssh(&body, Some("passphrase")).is_ok());
        body[at + 24] = 0x7f;
        let refused = openssh(&body, Some("passphrase"));
        assert!(
            matches!(refused, Err(Unreadable::Malformed(_))),
            "{refused:?}"
        );
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
    }

    /// A certificate whose authority is this key (PROTOCOL.certkeys).
    fn certificate(authority: &[u8]) -> Vec<u8> {
        let mut blob = string(b"ssh-ed25519-cert-v01@openssh.com");
        blob.extend(string(&[1; 32]));
        blob.extend(string(&[2; 32]));
        blob.extend([0; 8]);
        blob.extend(1_u32.to_be_bytes());
        blob.extend([string(b"id"), string(b"")].concat());
        blob.extend([[0; 8], [0xff; 8]].concat());
        for part in [&b""[..], b"", b"", authority, &[0; 8]] {
            blob.extend(string(part));
        }
        blob
    }

    #[test]
    fn certificates_within_certificates_do_not_use_up_the_stack() {
        use base64::Engine as _;
        let mut shown = [string(b"ssh-ed25519"), string(&[3; 32])].concat();
        for _ in 0..3000 {
            shown = certificate(&shown);
        }
        let mut body = b"openssh-key-v1\0".to_vec();
        for part in [&b"none"[..], b"none", b""] {
            body.extend(string(part));
        }
        body.extend(1_u32.to_be_bytes());
        body.extend([string(&shown), string(&[0; 64])].concat());
        let body = base64::engine::general_purpose::STANDARD.encode(body);
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(70)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let text = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            lines.join("\n")
        );
        assert!(public_half(&text).is_none());
        let error = private_key(&text, None).unwrap_err();
        assert_eq!(error, malformed(NESTED));
    }
}
