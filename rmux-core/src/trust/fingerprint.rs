//! Fingerprints of keys, as people compare them. Knows nothing of trust.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

use crate::host::FingerprintHash;

/// The fingerprint of a plain key's blob as OpenSSH prints it: `SHA256:` and base64 without
/// padding, or `MD5:` and pairs of hexadecimal digits.
pub(crate) fn fingerprint(blob: &[u8], hash: FingerprintHash) -> String {
    match hash {
        FingerprintHash::Sha256 => {
            format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
        }
        FingerprintHash::Md5 => {
            let pairs: Vec<String> = md5::compute(blob)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("MD5:{}", pairs.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rmux_proto::public_key::HostKey;

    use super::*;

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let run = |arguments: &[&str]| {
            let mut keygen = Command::new("ssh-keygen");
            let output = keygen.args(arguments).arg("-f").arg(&path).output();
            let output = output.expect("ssh-keygen runs");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["-q", "-t", "ed25519", "-N", ""]);
        let line = std::fs::read(path.with_extension("pub")).unwrap();
        let key = HostKey::from_line(&line).unwrap();
        for (name, hash) in [
            ("sha256", FingerprintHash::Sha256),
            ("md5", FingerprintHash::Md5),
        ] {
            let shown = fingerprint(key.plain_blob(), hash);
            let printed = run(&["-l", "-E", name]);
            assert!(
                printed.contains(&format!(" {shown} ")),
                "{shown}: {printed}"
            );
        }
    }
}
