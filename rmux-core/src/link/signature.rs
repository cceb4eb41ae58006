//! Whether a signature is good: of certificates, and of lists of revoked keys.
//!
//! Knows the mathematics, through the engine, and no trust: whose key it is, and what that is good
//! for, is judged elsewhere.

use rmux_proto::public_key::{HostKey, KeyType};
use rmux_proto::wire::Reader;
use russh::keys::signature::Verifier as _;
use russh::keys::ssh_encoding::Decode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::public::KeyData;

use crate::trust::Checked;

/// The longest RSA key whose signatures the engine checks (the `rsa` crate, which takes no longer
/// one); OpenSSH makes keys of up to 16384 bits.
pub(super) const LONGEST_RSA: u32 = 8192;

/// Whether the signature, a blob that begins with the name of its algorithm, is one by this plain
/// key over the data. [`Checked::Unknown`] of what the engine cannot verify: DSA, an RSA key of more
/// than [`LONGEST_RSA`] bits, and what a browser signed with a security key.
pub(super) fn verify(key: &HostKey, data: &[u8], signature: &[u8]) -> Checked {
    let by_browser = Reader::new(signature)
        .string()
        .is_ok_and(|name| name.starts_with(b"webauthn-"));
    let too_long = key.rsa_bits().is_some_and(|bits| bits > LONGEST_RSA);
    if by_browser || too_long || key.key_type() == KeyType::Dsa {
        return Checked::Unknown;
    }
    let (mut key, mut signature) = (key.plain_blob(), signature);
    let (Ok(key), Ok(signature)) = (KeyData::decode(&mut key), Signature::decode(&mut signature))
    else {
        return Checked::Bad;
    };
    match key.verify(data, &signature) {
        Ok(()) => Checked::Good,
        Err(_) => Checked::Bad,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::process::Command;

    use rmux_proto::certificate::Certificate;
    use rmux_proto::wire::put_string;

    use super::*;

    pub(in crate::link) fn keygen(folder: &Path, arguments: &[&str]) {
        let mut keygen = Command::new("ssh-keygen");
        let output = keygen
            .current_dir(folder)
            .arg("-q")
            .args(arguments)
            .output();
        let output = output.expect("ssh-keygen runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn of_certificate(certificate: &Certificate) -> Checked {
        let (data, signature) = (certificate.signed_part(), certificate.signature());
        verify(certificate.authority(), data, signature)
    }

    #[test]
    fn the_signature_of_every_kind_of_authority_is_checked_to_the_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        keygen(folder, &["-t", "ed25519", "-N", "", "-f", "host"]);
        for (number, kind) in [
            &["ed25519"][..],
            &["ecdsa", "-b", "256"],
            &["ecdsa", "-b", "384"],
            &["ecdsa", "-b", "521"],
            &["rsa", "-b", "2048"],
        ]
        .iter()
        .enumerate()
        {
            let authority = format!("ca{number}");
            keygen(
                folder,
                &[&["-N", "", "-f", &authority, "-t"][..], kind].concat(),
            );
            keygen(folder, &["-s", &authority, "-I", "id", "-h", "host.pub"]);
            let line = std::fs::read(folder.join("host-cert.pub")).unwrap();
            let key = HostKey::from_line(&line).unwrap();
            let good = key.certificate().unwrap();
            assert_eq!(of_certificate(good), Checked::Good, "{kind:?}");
            let blob = good.blob();
            // One in the serial number, one in the signature, and the very last.
            let signature = blob.len() - good.signature().len() / 2;
            let serial = good.signed_part().len() - good.authority().plain_blob().len() - 40;
            for at in [serial, signature, blob.len() - 1] {
                let mut forged = blob.to_vec();
                forged[at] ^= 1;
                let Ok(forged) = Certificate::from_blob(&forged) else {
                    continue;
                };
                assert_eq!(of_certificate(&forged), Checked::Bad, "{kind:?}: byte {at}");
            }
        }
    }

    #[test]
    fn what_cannot_be_checked_is_not_called_bad() {
        let strings = |parts: &[&[u8]]| {
            let mut blob = Vec::new();
            for part in parts {
                put_string(&mut blob, part);
            }
            blob
        };
        let key = |parts: &[&[u8]]| HostKey::from_blob(&strings(parts)).unwrap();
        let signed = |name: &str| strings(&[name.as_bytes(), &[7; 40]]);
        let rsa = |bytes: usize| key(&[b"ssh-rsa", &[1, 0, 1], &vec![0x7f; bytes]]);
        let dsa = key(&[b"ssh-dss", &[5], &[5], &[5], &[5]]);
        let ed25519 = key(&[b"ssh-ed25519", &[7; 32]]);
        for (key, algorithm, checked) in [
            (&dsa, "ssh-dss", Checked::Unknown),
            (&rsa(1025), "rsa-sha2-512", Checked::Unknown),
            (&rsa(1024), "rsa-sha2-512", Checked::Bad),
            (&ed25519, "ssh-ed25519", Checked::Bad),
            (&ed25519, "ssh-unheard-of", Checked::Bad),
        ] {
            let signature = signed(algorithm);
            assert_eq!(verify(key, b"data", &signature), checked, "{algorithm}");
        }
        assert_eq!(verify(&ed25519, b"data", b""), Checked::Bad);
    }
}
