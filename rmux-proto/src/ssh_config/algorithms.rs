//! Lists of algorithms: which names exist, and what `+`, `-` and `^` make of the defaults.
//!
//! Knows no cryptography. The lists come from the caller, since they depend on the SSH engine.

use super::error::shown;
use super::keyword::Field;
use super::pattern::{self, ListMatch};

/// The algorithms of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlgorithmList {
    known: Vec<String>,
    supported: Vec<String>,
    default: Vec<String>,
}

impl AlgorithmList {
    /// `supported` is what the engine can do, in the order in which a wildcard expands; `default`
    /// is what it offers unless configured, best first.
    pub fn new<S: Into<String>>(
        supported: impl IntoIterator<Item = S>,
        default: impl IntoIterator<Item = S>,
    ) -> Self {
        let supported: Vec<String> = supported.into_iter().map(Into::into).collect();
        let default = default.into_iter().map(Into::into).collect();
        Self {
            known: supported.clone(),
            supported,
            default,
        }
    }

    /// Also accepts these names in a configuration. They stand for nothing the engine can do, so
    /// they drop out of the result: a list made for OpenSSH stays usable.
    #[must_use]
    pub fn also_known<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.known.extend(names.into_iter().map(Into::into));
        self
    }

    /// What the engine can do, in order.
    pub fn supported(&self) -> &[String] {
        &self.supported
    }

    fn knows(&self, name: &[u8]) -> bool {
        self.known.iter().any(|k| k.as_bytes() == name)
    }

    fn knows_pattern(&self, pattern: &[u8]) -> bool {
        let matches = |k: &String| pattern::matches_list(k.as_bytes(), pattern, false);
        self.known.iter().any(|k| matches(k) != ListMatch::No)
    }

    fn matching<'a>(&'a self, pattern: &[u8]) -> impl Iterator<Item = &'a String> {
        let pattern = pattern.to_vec();
        self.supported
            .iter()
            .filter(move |s| pattern::matches_list(s.as_bytes(), &pattern, false) == ListMatch::Yes)
    }
}

/// All algorithms of an SSH engine, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Algorithms {
    /// Ciphers.
    pub ciphers: AlgorithmList,
    /// MACs.
    pub macs: AlgorithmList,
    /// KexAlgorithms.
    pub kex: AlgorithmList,
    /// HostKeyAlgorithms, PubkeyAcceptedAlgorithms, HostbasedAcceptedAlgorithms.
    pub keys: AlgorithmList,
    /// CASignatureAlgorithms.
    pub signatures: AlgorithmList,
}

const CIPHERS: &str = "3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc,aes128-ctr,aes192-ctr,aes256-ctr,\
    aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com";
const DEFAULT_CIPHERS: &str = "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,\
    aes128-gcm@openssh.com,aes256-gcm@openssh.com";
const MACS: &str = "hmac-sha1,hmac-sha1-96,hmac-sha2-256,hmac-sha2-512,hmac-md5,hmac-md5-96,\
    umac-64@openssh.com,umac-128@openssh.com,hmac-sha1-etm@openssh.com,\
    hmac-sha1-96-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,\
    hmac-md5-etm@openssh.com,hmac-md5-96-etm@openssh.com,umac-64-etm@openssh.com,\
    umac-128-etm@openssh.com";
const DEFAULT_MACS: &str = "umac-64-etm@openssh.com,umac-128-etm@openssh.com,\
    hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,\
    umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1";
const KEX: &str = "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,\
    diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,\
    ecdh-sha2-nistp384,ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,\
    sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com";
const DEFAULT_KEX: &str = "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,\
    curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,\
    ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
    diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
const KEYS: &str = "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,\
    sk-ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,\
    ssh-dss,ssh-dss-cert-v01@openssh.com,ssh-rsa,ssh-rsa-cert-v01@openssh.com,rsa-sha2-256,\
    rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com";
const DEFAULT_KEYS: &str = "ssh-ed25519-cert-v01@openssh.com,\
    ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
    ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,\
    sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,\
    rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    rsa-sha2-512,rsa-sha2-256";
const SIGNATURES: &str = "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,\
    ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,\
    webauthn-sk-ecdsa-sha2-nistp256@openssh.com,ssh-dss,ssh-rsa,rsa-sha2-256,rsa-sha2-512";
const DEFAULT_SIGNATURES: &str = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    rsa-sha2-512,rsa-sha2-256";

/// The default of GSSAPIKexAlgorithms, which is printed and otherwise without effect.
pub(super) const DEFAULT_GSS_KEX: &str = "gss-group14-sha256-,gss-group16-sha512-,\
    gss-nistp256-sha256-,gss-curve25519-sha256-,gss-group14-sha1-,gss-gex-sha1-";
const GSS_KEX: &[&str] = &[
    "gss-gex-sha1-",
    "gss-group1-sha1-",
    "gss-group14-sha1-",
    "gss-group14-sha256-",
    "gss-group16-sha512-",
    "gss-nistp256-sha256-",
    "gss-curve25519-sha256-",
];
/// Other names for plain key types that OpenSSH lets pass where it expects an algorithm.
const SHORT_KEY_NAMES: &[&str] = &["ed25519", "ed25519-sk", "ecdsa", "ecdsa-sk", "dsa", "rsa"];

impl Algorithms {
    /// Those of OpenSSH 9.2.
    pub fn openssh() -> Self {
        let list =
            |all: &str, default: &str| AlgorithmList::new(all.split(','), default.split(','));
        Self {
            ciphers: list(CIPHERS, DEFAULT_CIPHERS),
            macs: list(MACS, DEFAULT_MACS),
            kex: list(KEX, DEFAULT_KEX),
            keys: list(KEYS, DEFAULT_KEYS),
            signatures: list(SIGNATURES, DEFAULT_SIGNATURES),
        }
    }

    /// Also accepts every name that OpenSSH 9.2 knows, which drops out where the engine lacks it.
    #[must_use]
    pub fn accepting_openssh_names(self) -> Self {
        let split = |names: &str| names.split(',').map(str::to_owned).collect::<Vec<_>>();
        Self {
            ciphers: self.ciphers.also_known(split(CIPHERS)),
            macs: self.macs.also_known(split(MACS)),
            kex: self.kex.also_known(split(KEX)),
            keys: self.keys.also_known(split(KEYS)),
            signatures: self.signatures.also_known(split(SIGNATURES)),
        }
    }

    fn list(&self, field: Field) -> &AlgorithmList {
        match field {
            Field::Ciphers => &self.ciphers,
            Field::Macs => &self.macs,
            Field::KexAlgorithms => &self.kex,
            Field::CaSignatureAlgorithms => &self.signatures,
            _ => &self.keys,
        }
    }

    /// Whether a setting may hold this text. After `-` anything may stand.
    pub(super) fn check(&self, field: Field, text: &[u8]) -> Result<(), String> {
        let names = match text.first() {
            // The one list that is only ever given whole.
            _ if field == Field::GssapiKexAlgorithms => text,
            Some(b'-') => return Ok(()),
            Some(b'+' | b'^') => &text[1..],
            _ => text,
        };
        self.check_names(field, names)
    }

    /// Whether these names, without `+`, `-` or `^`, exist.
    pub(super) fn check_names(&self, field: Field, names: &[u8]) -> Result<(), String> {
        let is_known = |name: &[u8]| match field {
            Field::Ciphers | Field::Macs | Field::KexAlgorithms => self.list(field).knows(name),
            Field::GssapiKexAlgorithms => GSS_KEX.iter().any(|g| name.starts_with(g.as_bytes())),
            // Also a signature of a CA is checked against all kinds of keys.
            _ => self.keys.knows_pattern(name) || is_short_key_name(name),
        };
        // The first empty name ends the list.
        let unknown = names
            .split(|&c| c == b',')
            .take_while(|n| !n.is_empty())
            .find(|n| !is_known(n));
        match unknown {
            _ if names.is_empty() => Err("the list of algorithms is empty".to_owned()),
            Some(name) => Err(format!(
                "unknown algorithm \"{}\" for {}",
                shown(name),
                field.key()
            )),
            None => Ok(()),
        }
    }

    /// The algorithms that a setting leaves, best first.
    pub(super) fn assemble(&self, field: Field, text: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let list = self.list(field);
        let default = list.default.join(",").into_bytes();
        let patterns = match text {
            None | Some(b"") => return Ok(default),
            Some([b'+', added @ ..]) => [&default[..], added].join(&b","[..]),
            Some([b'^', first @ ..]) => [first, &default[..]].join(&b","[..]),
            Some([b'-', removed @ ..]) => {
                let stays = |d: &&String| {
                    pattern::matches_list(d.as_bytes(), removed, false) != ListMatch::Yes
                };
                let kept: Vec<&str> = list.default.iter().filter(stays).map(|s| &s[..]).collect();
                return Ok(kept.join(",").into_bytes());
            }
            Some(explicit) => explicit.to_vec(),
        };
        let mut out: Vec<&str> = Vec::new();
        for pattern in patterns.split(|&c| c == b',') {
            if pattern.first() == Some(&b'!') {
                return Err(format!(
                    "a negated pattern is not allowed in {}",
                    field.key()
                ));
            }
            for name in list.matching(pattern) {
                if !out.contains(&&name[..]) {
                    out.push(name);
                }
            }
        }
        if out.is_empty() {
            return Err(format!(
                "none of the algorithms of {} is supported",
                field.key()
            ));
        }
        Ok(out.join(",").into_bytes())
    }
}

fn is_short_key_name(name: &[u8]) -> bool {
    SHORT_KEY_NAMES
        .iter()
        .any(|s| s.as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Algorithms {
        let list = AlgorithmList::new(["a1", "a2", "b1"], ["a1", "b1"]);
        Algorithms {
            ciphers: list.also_known(["old"]),
            ..Algorithms::default()
        }
    }

    fn assemble(text: &str) -> Result<String, String> {
        let out = keys().assemble(Field::Ciphers, Some(text.as_bytes()))?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn plus_minus_and_caret_change_the_defaults() {
        assert_eq!(assemble("+a2").unwrap(), "a1,b1,a2");
        assert_eq!(assemble("-a*").unwrap(), "b1");
        assert_eq!(assemble("^b1").unwrap(), "b1,a1");
        assert_eq!(assemble("b1,a*").unwrap(), "b1,a1,a2");
    }

    #[test]
    fn a_name_the_engine_lacks_drops_out() {
        assert!(keys().check(Field::Ciphers, b"old,a1").is_ok());
        assert_eq!(assemble("old,a1").unwrap(), "a1");
        assert!(assemble("old").is_err());
        assert!(keys().check(Field::Ciphers, b"nope").is_err());
    }
}
