//! Whether a certificate is signed by the authority that it names.
//!
//! Knows the mathematics, through the engine, and no trust: who the authority is, and what the
//! certificate may be used for, is judged elsewhere.

use rmux_proto::certificate::Certificate;
use russh::keys::signature::Verifier as _;
use russh::keys::ssh_encoding::Decode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::public::KeyData;

/// Whether the signature is one by the certificate's authority, over the certificate. Also false
/// for an authority whose kind of key the engine cannot verify: DSA, and a signature that a
/// browser made with a security key.
pub(super) fn is_signed(certificate: &Certificate) -> bool {
    let (mut key, mut signature) = (
        certificate.authority().plain_blob(),
        certificate.signature(),
    );
    let (Ok(key), Ok(signature)) = (KeyData::decode(&mut key), Signature::decode(&mut signature))
    else {
        return false;
    };
    key.verify(certificate.signed_part(), &signature).is_ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::process::Command;

    use rmux_proto::public_key::HostKey;

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
            assert!(is_signed(good), "{kind:?}");
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
                assert!(!is_signed(&forged), "{kind:?}: byte {at}");
            }
        }
    }
}
