//! Public keys and host certificates as SSH blobs: which type they are and when two are the same.
//!
//! Checks the shape of a key (RFC 4253 section 6.6, RFC 5656, RFC 8709, PROTOCOL.certkeys) and
//! does no cryptography: whether a certificate's signature is good, and whether a point lies on
//! its curve, is for the caller to know.

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
        match self {
            Ed25519 => "ssh-ed25519",
            Rsa => "ssh-rsa",
            Dsa => "ssh-dss",
            EcdsaP256 => "ecdsa-sha2-nistp256",
            EcdsaP384 => "ecdsa-sha2-nistp384",
            EcdsaP521 => "ecdsa-sha2-nistp521",
            SkEd25519 => "sk-ssh-ed25519@openssh.com",
            SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// The key type behind a host key algorithm, and whether the algorithm is one of certificates:
    /// `rsa-sha2-512` is an RSA key. `None` for a name nobody here knows.
    pub fn of_algorithm(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "ssh-ed25519" => (Ed25519, false),
            "ssh-ed25519-cert-v01@openssh.com" => (Ed25519, true),
            "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" => (Rsa, false),
            "ssh-rsa-cert-v01@openssh.com"
            | "rsa-sha2-256-cert-v01@openssh.com"
            | "rsa-sha2-512-cert-v01@openssh.com" => (Rsa, true),
            "ssh-dss" => (Dsa, false),
            "ssh-dss-cert-v01@openssh.com" => (Dsa, true),
            "ecdsa-sha2-nistp256" => (EcdsaP256, false),
            "ecdsa-sha2-nistp256-cert-v01@openssh.com" => (EcdsaP256, true),
            "ecdsa-sha2-nistp384" => (EcdsaP384, false),
            "ecdsa-sha2-nistp384-cert-v01@openssh.com" => (EcdsaP384, true),
            "ecdsa-sha2-nistp521" => (EcdsaP521, false),
            "ecdsa-sha2-nistp521-cert-v01@openssh.com" => (EcdsaP521, true),
            "sk-ssh-ed25519@openssh.com" => (SkEd25519, false),
            "sk-ssh-ed25519-cert-v01@openssh.com" => (SkEd25519, true),
            "sk-ecdsa-sha2-nistp256@openssh.com"
            | "webauthn-sk-ecdsa-sha2-nistp256@openssh.com" => (SkEcdsaP256, false),
            "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" => (SkEcdsaP256, true),
            _ => return None,
        })
    }
}

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
}

impl From<crate::wire::Truncated> for BadKey {
    fn from(_: crate::wire::Truncated) -> Self {
        Self::Damaged
    }
}

/// A public key, or a certificate over one.
///
/// Two are equal as ssh judges it: by value, so leading zeros in a number change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    key_type: KeyType,
    plain: Vec<u8>,
    certificate: Option<Certificate>,
}

/// What a certificate says. That its signature is good is the caller's to check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// 1 for a user, 2 for a host.
    pub kind: u32,
    /// Who may use it; empty means anyone.
    pub principals: Vec<Vec<u8>>,
    /// Seconds since 1970 from which it is valid.
    pub valid_after: u64,
    /// Seconds since 1970 from which it is valid no more.
    pub valid_before: u64,
    /// Whether it holds critical options; none is defined for hosts.
    pub has_critical_options: bool,
    /// The algorithm of the authority's signature.
    pub signature_algorithm: Vec<u8>,
    /// The authority's key as a blob, in the form [`HostKey::plain_blob`] gives.
    pub authority: Vec<u8>,
}

impl HostKey {
    /// Reads a key or certificate from its blob (RFC 4253 section 6.6).
    pub fn from_blob(blob: &[u8]) -> Result<Self, BadKey> {
        let mut reader = Reader::new(blob);
        let name = text(reader.string()?)?;
        let (key_type, is_certificate) = KeyType::of_algorithm(name).ok_or(BadKey::UnknownType)?;
        if is_certificate {
            reader.string()?; // the nonce
        }
        let mut plain = Vec::with_capacity(blob.len());
        put_string(&mut plain, key_type.name().as_bytes());
        copy_fields(key_type, &mut reader, &mut plain)?;
        let certificate = if is_certificate {
            Some(read_certificate(&mut reader)?)
        } else {
            None
        };
        if !reader.rest().is_empty() {
            return Err(BadKey::Damaged);
        }
        Ok(Self {
            key_type,
            plain,
            certificate,
        })
    }

    /// The type of the plain key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The plain key as a blob, without its certificate and in its shortest form.
    pub fn plain_blob(&self) -> &[u8] {
        &self.plain
    }

    /// What the certificate says, if this is one.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// The same key without its certificate.
    pub fn without_certificate(&self) -> Self {
        Self {
            certificate: None,
            ..self.clone()
        }
    }
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
        put_string(to, text(from.string()?)?.as_bytes());
    }
    Ok(())
}

fn copy_point(
    curve: &[u8],
    coordinate: usize,
    from: &mut Reader<'_>,
    to: &mut Vec<u8>,
) -> Result<(), BadKey> {
    if from.string()? != curve {
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

fn text(bytes: &[u8]) -> Result<&str, BadKey> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|s| !s.contains('\0'))
        .ok_or(BadKey::Damaged)
}

fn read_certificate(reader: &mut Reader<'_>) -> Result<Certificate, BadKey> {
    reader.u64()?; // the serial number
    let kind = reader.u32()?;
    if kind != 1 && kind != 2 {
        return Err(BadKey::Damaged);
    }
    text(reader.string()?)?; // the identity, for logs
    let mut names = Reader::new(reader.string()?);
    let mut principals = Vec::new();
    while !names.rest().is_empty() {
        principals.push(names.string()?.to_vec());
    }
    let valid_after = reader.u64()?;
    let valid_before = reader.u64()?;
    let critical = reader.string()?;
    pairs(critical)?;
    pairs(reader.string()?)?; // extensions
    reader.string()?; // reserved
    let authority = HostKey::from_blob(reader.string()?)?;
    if authority.certificate.is_some() {
        return Err(BadKey::Damaged);
    }
    let signature_algorithm = Reader::new(reader.string()?).string()?.to_vec();
    Ok(Certificate {
        kind,
        principals,
        valid_after,
        valid_before,
        has_critical_options: !critical.is_empty(),
        signature_algorithm,
        authority: authority.plain,
    })
}

fn pairs(list: &[u8]) -> Result<(), BadKey> {
    let mut reader = Reader::new(list);
    while !reader.rest().is_empty() {
        reader.string()?;
        reader.string()?;
    }
    Ok(())
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
