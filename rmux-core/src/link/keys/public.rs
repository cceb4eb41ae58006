//! What a server is shown of a key: its public half, or a certificate for it.
//!
//! Knows neither files nor agents; bytes from either may be hostile.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

/// The parser of keys goes down into the key that signed a certificate, which a hostile one may
/// say is a certificate again, and so on until the stack ends. An honest one names this once.
const CERTIFICATE_MARK: &[u8] = b"-cert-v01@";
const MAX_CERTIFICATE_MARKS: usize = 8;

/// A public key or a certificate, with the very bytes it came in.
#[derive(Debug, Clone)]
pub(in crate::link) struct Public {
    form: Form,
    blob: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(in crate::link) enum Form {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// What [`is_nested`] is told as.
pub(super) const NESTED: &str = "it is a certificate in a certificate in a certificate …";

/// Whether reading this would descend through certificates without end: the engine's reader uses
/// the stack for each.
pub(super) fn is_nested(blob: &[u8]) -> bool {
    let marks = blob
        .windows(CERTIFICATE_MARK.len())
        .filter(|window| *window == CERTIFICATE_MARK);
    marks.count() > MAX_CERTIFICATE_MARKS
}

impl Public {
    /// Reads a key or certificate from its wire form.
    pub(in crate::link) fn from_blob(blob: &[u8]) -> Result<Self, String> {
        if is_nested(blob) {
            return Err(NESTED.into());
        }
        let key = PublicKey::from_bytes(blob).map_err(|error| error.to_string())?;
        let (form, again) = match key.key_data() {
            KeyData::Certificate(certificate) => {
                let again = certificate.to_bytes();
                (Form::Certificate(certificate.clone()), again)
            }
            _ => {
                let again = key.to_bytes();
                (Form::Key(key), again)
            }
        };
        // It is spelled anew when it is sent. A certificate that is spelled otherwise is another.
        if again.map_err(|error| error.to_string())? != blob {
            return Err("it is not written in the usual way".into());
        }
        let blob = blob.to_vec();
        Ok(Self { form, blob })
    }

    /// Reads the first line of a public key file that holds something.
    pub(in crate::link) fn from_text(text: &str) -> Option<Result<Self, String>> {
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
        let mut words = line.split_whitespace();
        let (name, body) = (words.next()?, words.next()?);
        let blob = STANDARD.decode(body).ok()?;
        // What begins with its own name is meant to be one, whatever is wrong with it.
        let named = blob.get(4..4 + name.len()) == Some(name.as_bytes());
        named.then(|| Self::from_blob(&blob))
    }

    /// The public half of a key.
    pub(in crate::link) fn of(key: &PublicKey) -> Result<Self, String> {
        let blob = key.to_bytes().map_err(|error| error.to_string())?;
        Self::from_blob(&blob)
    }

    pub(in crate::link) fn form(&self) -> &Form {
        &self.form
    }

    /// Its wire form.
    pub(in crate::link) fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The key; of a certificate, the one it is for.
    pub(in crate::link) fn key_data(&self) -> &KeyData {
        match &self.form {
            Form::Key(key) => key.key_data(),
            Form::Certificate(certificate) => certificate.public_key(),
        }
    }

    pub(in crate::link) fn certificate(&self) -> Option<&Certificate> {
        match &self.form {
            Form::Key(_) => None,
            Form::Certificate(certificate) => Some(certificate),
        }
    }

    /// Whether it is the very same key or certificate.
    pub(in crate::link) fn is(&self, other: &Self) -> bool {
        self.blob == other.blob
    }

    /// Whether both are for one private key.
    pub(in crate::link) fn shares_key(&self, other: &Self) -> bool {
        self.key_data() == other.key_data()
    }

    pub(in crate::link) fn is_rsa(&self) -> bool {
        matches!(self.key_data().algorithm(), Algorithm::Rsa { .. })
    }

    /// Whether its private half is in an authenticator (OpenSSH's PROTOCOL.u2f), and what a file
    /// holds is a handle of it.
    pub(in crate::link) fn is_security_key(&self) -> bool {
        matches!(
            self.key_data().algorithm(),
            Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
        )
    }

    /// The length of an RSA key.
    pub(in crate::link) fn rsa_bits(&self) -> Option<u32> {
        let key = self.key_data().rsa()?;
        let modulus = key.n().as_positive_bytes()?;
        let first = modulus.first()?;
        let bits = modulus.len() as u64 * 8 - u64::from(first.leading_zeros());
        Some(u32::try_from(bits).unwrap_or(u32::MAX))
    }

    /// The name of the algorithm by which it signs, with this hash where it is RSA.
    pub(in crate::link) fn algorithm(&self, hash: Option<HashAlg>) -> String {
        let algorithm = match self.key_data().algorithm() {
            Algorithm::Rsa { .. } => Algorithm::Rsa { hash },
            other => other,
        };
        match &self.form {
            Form::Key(_) => algorithm.as_str().to_owned(),
            Form::Certificate(_) => algorithm.to_certificate_type(),
        }
    }

    /// `ssh-ed25519 SHA256:…`, for logs.
    pub(in crate::link) fn description(&self) -> String {
        let fingerprint = self.key_data().fingerprint(HashAlg::Sha256);
        format!("{} {fingerprint}", self.algorithm(None))
    }
}

#[cfg(test)]
mod tests {
    use rmux_proto::wire::put_string;

    use super::*;

    /// A certificate that says it was signed by `authority`, as deep as wanted.
    fn certificate(authority: &[u8]) -> Vec<u8> {
        let mut blob = Vec::with_capacity(authority.len() + 256);
        put_string(&mut blob, b"ssh-ed25519-cert-v01@openssh.com");
        put_string(&mut blob, &[1; 32]);
        put_string(&mut blob, &[2; 32]);
        // Serial, kind, id, principals, dates, options, extensions, reserved.
        blob.extend_from_slice(&[0; 8]);
        blob.extend_from_slice(&[0, 0, 0, 1]);
        put_string(&mut blob, b"");
        put_string(&mut blob, b"");
        blob.extend_from_slice(&[0; 16]);
        for _ in 0..3 {
            put_string(&mut blob, b"");
        }
        put_string(&mut blob, authority);
        let mut signature = Vec::new();
        put_string(&mut signature, b"ssh-ed25519");
        put_string(&mut signature, &[3; 64]);
        put_string(&mut blob, &signature);
        blob
    }

    #[test]
    fn a_certificate_signed_by_a_certificate_without_end_does_not_end_the_stack() {
        let mut key = Vec::new();
        put_string(&mut key, b"ssh-ed25519");
        put_string(&mut key, &[4; 32]);
        let honest = Public::from_blob(&certificate(&key)).unwrap();
        assert!(honest.certificate().is_some());
        let mut blob = key;
        for _ in 0..3000 {
            blob = certificate(&blob);
        }
        assert!(Public::from_blob(&blob).is_err());
    }

    #[test]
    fn what_is_no_public_key_line_is_none() {
        for text in [
            "",
            "# only this",
            "one",
            "ssh-ed25519 !!!",
            "ssh-ed25519 AAAA x",
        ] {
            assert!(Public::from_text(text).is_none(), "{text:?}");
        }
        let line = "\n# mine\n  ssh-ed25519 \
            AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti a b\n";
        let key = Public::from_text(line).unwrap().unwrap();
        assert_eq!(key.algorithm(None), "ssh-ed25519");
        assert!(key.certificate().is_none() && key.rsa_bits().is_none());
    }
}
