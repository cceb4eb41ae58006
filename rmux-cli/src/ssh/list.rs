//! `rmux ssh -Q`: which algorithms the SSH engine has.
//!
//! Must not connect or read files.

use rmux_core::ssh_config::{AlgorithmList, Algorithms};

/// What can be asked for.
const QUERIES: &[&str] = &[
    "cipher",
    "cipher-auth",
    "compression",
    "kex",
    "key",
    "key-cert",
    "key-plain",
    "key-sig",
    "mac",
    "protocol-version",
    "sig",
];

/// Settings whose lists are those of `key-sig`.
const SIGNATURE_SETTINGS: &[&str] = &[
    "CASignatureAlgorithms",
    "HostKeyAlgorithms",
    "HostbasedKeyTypes",
    "HostbasedAcceptedKeyTypes",
    "HostbasedAcceptedAlgorithms",
    "PubkeyAcceptedKeyTypes",
    "PubkeyAcceptedAlgorithms",
];

const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// What `-Q query` prints, a name each. `None` where ssh knows no such query either.
pub(super) fn answer(query: &str, engine: &Algorithms) -> Option<Vec<String>> {
    let is = |setting: &str| query.eq_ignore_ascii_case(setting);
    let keys = |wanted: fn(&str) -> bool| filtered(&engine.keys, wanted);
    Some(match query {
        "help" => QUERIES.iter().map(ToString::to_string).collect(),
        "cipher" => filtered(&engine.ciphers, |_| true),
        "cipher-auth" => filtered(&engine.ciphers, |name| {
            name.contains("-gcm@") || name.contains("-poly1305@")
        }),
        "mac" => filtered(&engine.macs, |_| true),
        "kex" => filtered(&engine.kex, |_| true),
        "compression" => ["none", "zlib@openssh.com", "zlib"]
            .map(str::to_owned)
            .into(),
        "protocol-version" => vec!["2".to_owned()],
        "key" => keys(|name| !only_signs(name)),
        "key-cert" => keys(|name| name.ends_with(CERTIFICATE) && !only_signs(name)),
        "key-plain" => keys(|name| !name.ends_with(CERTIFICATE) && !only_signs(name)),
        "key-sig" => keys(|_| true),
        "sig" => keys(|name| !name.ends_with(CERTIFICATE)),
        _ if is("Ciphers") => filtered(&engine.ciphers, |_| true),
        _ if is("MACs") => filtered(&engine.macs, |_| true),
        _ if is("KexAlgorithms") => filtered(&engine.kex, |_| true),
        _ if SIGNATURE_SETTINGS.iter().any(|setting| is(setting)) => keys(|_| true),
        _ => return None,
    })
}

fn filtered(list: &AlgorithmList, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let names = list.supported().iter();
    names.filter(|name| wanted(name)).cloned().collect()
}

/// A way to sign with a key whose type has another name.
fn only_signs(name: &str) -> bool {
    name.starts_with("rsa-sha2-") || name.starts_with("webauthn-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(query: &str) -> Vec<String> {
        answer(query, &Algorithms::openssh()).unwrap_or_else(|| panic!("{query}"))
    }

    /// With OpenSSH's own lists the answers are OpenSSH's own.
    #[test]
    fn the_answers_are_those_of_ssh() {
        let mut queries = answered("help");
        queries.extend(["help", "Ciphers", "macs", "kexalgorithms"].map(str::to_owned));
        // The first is one of newer releases.
        queries.extend(SIGNATURE_SETTINGS[1..].iter().map(ToString::to_string));
        for query in queries {
            let ssh = std::process::Command::new("ssh")
                .args(["-Q", &query])
                .output()
                .expect("OpenSSH is installed");
            let mut theirs: Vec<String> = String::from_utf8(ssh.stdout)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect();
            // Key exchanges by GSSAPI are a distribution's own.
            theirs.retain(|name| name != "kex-gss");
            let mut ours = answered(&query);
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs, "{query}");
        }
        assert!(answer("nonsense", &Algorithms::openssh()).is_none());
        assert!(answer("Cipher", &Algorithms::openssh()).is_none());
    }
}
