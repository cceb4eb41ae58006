//! Public keys as SSH blobs and as lines of text: which type they are and when two are the same.
//!
//! Checks the shape of a key (RFC 4253 section 6.6, RFC 5656, RFC 8709, PROTOCOL.u2f) and does no
//! cryptography: whether a point lies on its curve is for the caller to know. What a certificate
//! says is read by its own module, [`certificate`](crate::certificate).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificate::Certificate;
use crate::wire::{Reader, put_string};

/// The type of a plain public key, curve included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyType {
    /// `ssh-ed25519`
    Ed25519,
    /// `ssh-rsa`, whatever the hash of its signatures
    Rsa,
    /// `ssh-dss`
    Dsa,
    /// `ecdsa-sha2-nistp256`
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`
    EcdsaP521,
    /// `sk-ssh-ed25519@openssh.com`
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`
    SkEcdsaP256,
}

use KeyType::*;

impl KeyType {
    /// The name written before such a key in files and blobs.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// The name written before a certificate over such a key (PROTOCOL.certkeys).
    pub fn certificate_name(self) -> &'static str {
        self.names().1
    }

    /// Of the plain key, and of a certificate over it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Ed25519 => ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
            Rsa => ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com"),
            Dsa => ("ssh-dss", "ssh-dss-cert-v01@openssh.com"),
            EcdsaP256 => (
                "ecdsa-sha2-nistp256",
                "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            ),
            EcdsaP384 => (
                "ecdsa-sha2-nistp384",
                "ecdsa-sha2-nistp384-cert-v01@openssh.com",
            ),
            EcdsaP521 => (
                "ecdsa-sha2-nistp521",
                "ecdsa-sha2-nistp521-cert-v01@openssh.com",
            ),
            SkEd25519 => (
                "sk-ssh-ed25519@openssh.com",
                "sk-ssh-ed25519-cert-v01@openssh.com",
            ),
            SkEcdsaP256 => (
                "sk-ecdsa-sha2-nistp256@openssh.com",
                "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
            ),
        }
    }

    /// The key type behind a host key algorithm, and whether the algorithm is one of certificates:
    /// `rsa-sha2-512` is an RSA key. `None` for a name nobody here knows.
    pub fn of_algorithm(name: &str) -> Option<(Self, bool)> {
        // Algorithms that are named by their signature, not by their key.
        match name {
            "rsa-sha2-256" | "rsa-sha2-512" => return Some((Rsa, false)),
            "rsa-sha2-256-cert-v01@openssh.com" | "rsa-sha2-512-cert-v01@openssh.com" => {
                return Some((Rsa, true));
            }
            "webauthn-sk-ecdsa-sha2-nistp256@openssh.com" => return Some((SkEcdsaP256, false)),
            _ => {}
        }
        ALL.into_iter().find_map(|key_type| {
            let (plain, certificate) = key_type.names();
            (name == plain || name == certificate).then_some((key_type, name == certificate))
        })
    }
}

const ALL: [KeyType; 8] = [
    Ed25519,
    Rsa,
    Dsa,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    SkEd25519,
    SkEcdsaP256,
];

impl std::fmt::Display for KeyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A blob that is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// The blob ends early, goes on too long, or holds a field of the wrong size.
    #[error("the key is damaged")]
    Damaged,
    /// A type of key that is not supported.
    #[error("the type of the key is unknown")]
    UnknownType,
    /// An RSA key under 1024 bits, which OpenSSH does not accept either.
    #[error("the RSA key is too short")]
    TooShort,
    /// The text before a key names another type than the key is of.
    #[error("the key is of another type than the text before it says")]
    OtherType,
    /// A certificate where only a plain key may stand.
    #[error("the key is a certificate")]
    IsCertificate,
    /// The key that signed a certificate cannot be read, or is a certificate itself.
    #[error("the key that signed the certificate cannot be read")]
    Authority,
    /// The signature of a certificate has not the form that its authority's type of key gives it.
    #[error("the signature of the certificate is damaged")]
    Signature,
}

impl From<crate::wire::Truncated> for BadKey {
    fn from(_: crate::wire::Truncated) -> Self {
        Self::Damaged
    }
}

/// A public key, or a certificate over one.
///
/// Two plain keys are equal as ssh judges it: by value, so leading zeros in a number change
/// nothing. Two certificates are equal if they are the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Plain { key_type: KeyType, blob: Vec<u8> },
    Certified(Box<Certificate>),
}

impl HostKey {
    /// Reads a key or certificate from its blob (RFC 4253 section 6.6, PROTOCOL.certkeys).
    pub fn from_blob(blob: &[u8]) -> Result<Self, BadKey> {
        match Self::plain_from_blob(blob) {
            Err(BadKey::IsCertificate) => {
                let certificate = Certificate::from_blob(blob)?;
                Ok(Self(Form::Certified(Box::new(certificate))))
            }
            read => read,
        }
    }

    /// Reads a key from its blob; one that is a certificate is refused.
    pub fn plain_from_blob(blob: &[u8]) -> Result<Self, BadKey> {
        let mut reader = Reader::new(blob);
        let (key_type, is_certificate) = read_type(&mut reader)?;
        if is_certificate {
            return Err(BadKey::IsCertificate);
        }
        let key = Self::read_fields(key_type, &mut reader)?;
        if !reader.rest().is_empty() {
            return Err(BadKey::Damaged);
        }
        Ok(key)
    }

    /// Reads a key from text: its type, its blob in base64, and whatever follows as a comment, as
    /// in the files that `ssh-keygen` writes (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options).
    pub fn from_line(line: &[u8]) -> Result<Self, BadKey> {
        // OpenSSH reads lines as C strings: what follows a NUL is not there.
        let line = line.split(|&c| c == 0).next().unwrap_or_default();
        let mut words = line
            .split(|c| matches!(c, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(BadKey::Damaged);
        };
        let named = algorithm(name)?;
        let key = Self::from_base64(base64)?;
        if named != (key.key_type(), key.certificate().is_some()) {
            return Err(BadKey::OtherType);
        }
        Ok(key)
    }

    /// Decodes base64. White space inside is skipped, as the C library does; a CR before the
    /// newline counts as such.
    pub(crate) fn from_base64(base64: &[u8]) -> Result<Self, BadKey> {
        let is_space = |c: &u8| matches!(c, b' ' | b'\t'..=b'\r');
        let blob = if base64.iter().any(is_space) {
            let text: Vec<u8> = base64.iter().copied().filter(|c| !is_space(c)).collect();
            STANDARD.decode(text)
        } else {
            STANDARD.decode(base64)
        };
        Self::from_blob(&blob.map_err(|_| BadKey::Damaged)?)
    }

    /// Reads what follows the name of the type in the blob of a key, or the nonce in that of a
    /// certificate.
    pub(crate) fn read_fields(key_type: KeyType, from: &mut Reader<'_>) -> Result<Self, BadKey> {
        let mut blob = Vec::with_capacity(64);
        put_string(&mut blob, key_type.name().as_bytes());
        copy_fields(key_type, from, &mut blob)?;
        Ok(Self(Form::Plain { key_type, blob }))
    }

    /// The type of the plain key.
    pub fn key_type(&self) -> KeyType {
        match &self.0 {
            Form::Plain { key_type, .. } => *key_type,
            Form::Certified(certificate) => certificate.key().key_type(),
        }
    }

    /// The name of its type as the blob begins with it: that of a certificate is another one than
    /// that of its plain key.
    pub fn type_name(&self) -> &'static str {
        match &self.0 {
            Form::Plain { key_type, .. } => key_type.name(),
            Form::Certified(certificate) => certificate.key().key_type().certificate_name(),
        }
    }

    /// The size of an RSA key: the bits of its modulus, also where it is in a certificate. `None`
    /// for keys of other types, whose size is their type's.
    pub fn rsa_bits(&self) -> Option<u32> {
        let mut reader = Reader::new(self.plain_blob());
        if read_type(&mut reader).ok()? != (Rsa, false) {
            return None;
        }
        reader.string().ok()?; // the exponent
        u32::try_from(bits(reader.string().ok()?)).ok()
    }

    /// The plain key as a blob, without its certificate and in its shortest form. Fingerprints are
    /// taken of this.
    pub fn plain_blob(&self) -> &[u8] {
        match &self.0 {
            Form::Plain { blob, .. } => blob,
            Form::Certified(certificate) => certificate.key().plain_blob(),
        }
    }

    /// What goes over the wire: the certificate, or the plain key in its shortest form.
    pub fn blob(&self) -> &[u8] {
        match &self.0 {
            Form::Plain { blob, .. } => blob,
            Form::Certified(certificate) => certificate.blob(),
        }
    }

    /// What the certificate says, if this is one.
    pub fn certificate(&self) -> Option<&Certificate> {
        match &self.0 {
            Form::Plain { .. } => None,
            Form::Certified(certificate) => Some(certificate),
        }
    }

    /// The same key without its certificate.
    pub fn without_certificate(&self) -> Self {
        match &self.0 {
            Form::Plain { .. } => self.clone(),
            Form::Certified(certificate) => certificate.key().clone(),
        }
    }
}

/// The type of key that a blob begins with, and whether a certificate of one follows.
pub(crate) fn read_type(reader: &mut Reader<'_>) -> Result<(KeyType, bool), BadKey> {
    algorithm(c_string(reader.string()?)?)
}

/// Bytes that OpenSSH reads as a C string: a NUL may stand at the end only, and is no part of it.
pub(crate) fn c_string(bytes: &[u8]) -> Result<&[u8], BadKey> {
    let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if text.contains(&0) {
        return Err(BadKey::Damaged);
    }
    Ok(text)
}

fn algorithm(name: &[u8]) -> Result<(KeyType, bool), BadKey> {
    std::str::from_utf8(name)
        .ok()
        .and_then(KeyType::of_algorithm)
        .ok_or(BadKey::UnknownType)
}

/// The bits under which ssh refuses an RSA key outright.
const SHORTEST_RSA: usize = 1024;
/// The longest number that OpenSSH reads, in bytes.
const LONGEST_NUMBER: usize = 2048;

fn copy_fields(key_type: KeyType, from: &mut Reader<'_>, to: &mut Vec<u8>) -> Result<(), BadKey> {
    match key_type {
        Ed25519 | SkEd25519 => {
            let point = from.string()?;
            if point.len() != 32 {
                return Err(BadKey::Damaged);
            }
            put_string(to, point);
        }
        Rsa => {
            put_string(to, number(from.string()?)?);
            let modulus = number(from.string()?)?;
            if bits(modulus) < SHORTEST_RSA {
                return Err(BadKey::TooShort);
            }
            put_string(to, modulus);
        }
        Dsa => {
            for _ in 0..4 {
                put_string(to, number(from.string()?)?);
            }
        }
        EcdsaP256 | SkEcdsaP256 => copy_point(b"nistp256", 32, from, to)?,
        EcdsaP384 => copy_point(b"nistp384", 48, from, to)?,
        EcdsaP521 => copy_point(b"nistp521", 66, from, to)?,
    }
    if matches!(key_type, SkEd25519 | SkEcdsaP256) {
        put_string(to, c_string(from.string()?)?);
    }
    Ok(())
}

fn copy_point(
    curve: &[u8],
    coordinate: usize,
    from: &mut Reader<'_>,
    to: &mut Vec<u8>,
) -> Result<(), BadKey> {
    if c_string(from.string()?)? != curve {
        return Err(BadKey::Damaged);
    }
    let point = from.string()?;
    if point.len() != 1 + 2 * coordinate || point[0] != 4 {
        return Err(BadKey::Damaged);
    }
    put_string(to, curve);
    put_string(to, point);
    Ok(())
}

/// A non-negative `mpint`, without the zeros in front that do not change its value.
fn number(mpint: &[u8]) -> Result<&[u8], BadKey> {
    if mpint.first().is_some_and(|&b| b & 0x80 != 0) {
        return Err(BadKey::Damaged);
    }
    let zeros = mpint.iter().take_while(|&&b| b == 0).count();
    // One zero stays where the value would otherwise read as negative.
    let keep = usize::from(mpint.get(zeros).is_some_and(|&b| b & 0x80 != 0));
    let shortest = &mpint[zeros - keep..];
    if shortest.len() - keep > LONGEST_NUMBER {
        return Err(BadKey::Damaged);
    }
    Ok(shortest)
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&b| b == 0).count();
    match &number[zeros..] {
        [] => 0,
        [first, rest @ ..] => rest.len() * 8 + 8 - first.leading_zeros() as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsa(modulus: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-rsa");
        put_string(&mut blob, &[1, 0, 1]);
        put_string(&mut blob, modulus);
        blob
    }

    #[test]
    fn zeros_in_front_of_a_number_do_not_make_another_key() {
        let modulus = [vec![0], vec![0xc5; 128]].concat();
        let padded = [vec![0, 0, 0], vec![0xc5; 128]].concat();
        let key = HostKey::from_blob(&rsa(&modulus)).unwrap();
        assert_eq!(key, HostKey::from_blob(&rsa(&padded)).unwrap());
        assert_eq!(key.plain_blob(), rsa(&modulus));
    }

    #[test]
    fn rsa_keys_are_measured_by_their_modulus() {
        for (modulus, bits) in [
            ([vec![0, 0x80], vec![7; 127]].concat(), 1024),
            ([vec![1], vec![7; 256]].concat(), 2049),
            ([vec![0, 0xc5], vec![7; 2047]].concat(), 16384),
        ] {
            let key = HostKey::from_blob(&rsa(&modulus)).unwrap();
            assert_eq!(key.rsa_bits(), Some(bits));
            assert_eq!(key.type_name(), "ssh-rsa");
        }
        let mut ed25519 = Vec::new();
        put_string(&mut ed25519, b"ssh-ed25519");
        put_string(&mut ed25519, &[7; 32]);
        assert_eq!(HostKey::from_blob(&ed25519).unwrap().rsa_bits(), None);
    }

    #[test]
    fn every_type_is_found_by_both_of_its_names() {
        for key_type in ALL {
            let (plain, certificate) = (key_type.name(), key_type.certificate_name());
            assert_eq!(KeyType::of_algorithm(plain), Some((key_type, false)));
            assert_eq!(KeyType::of_algorithm(certificate), Some((key_type, true)));
        }
        let by_signature = "rsa-sha2-512-cert-v01@openssh.com";
        assert_eq!(KeyType::of_algorithm(by_signature), Some((Rsa, true)));
        assert_eq!(KeyType::of_algorithm("ssh-ed448"), None);
    }

    #[test]
    fn damaged_keys_are_refused() {
        assert_eq!(
            HostKey::from_blob(&rsa(&[0x7f; 127])),
            Err(BadKey::TooShort)
        );
        assert_eq!(HostKey::from_blob(&rsa(&[0xc5; 128])), Err(BadKey::Damaged));
        let mut trailing = rsa(&[0x7f; 129]);
        trailing.push(0);
        assert_eq!(HostKey::from_blob(&trailing), Err(BadKey::Damaged));
        assert_eq!(HostKey::from_blob(b""), Err(BadKey::Damaged));
        assert_eq!(
            HostKey::from_blob(&[0, 0, 0, 1, b'x']),
            Err(BadKey::UnknownType)
        );
    }
}
