//! OpenSSH certificates (PROTOCOL.certkeys): what one says, and which bytes its signature covers.
//!
//! Reads what OpenSSH reads and refuses what it refuses, except for the signature itself: nothing
//! here does cryptography. Who accepts a certificate must check that
//! [`signature`](Certificate::signature) is one by [`authority`](Certificate::authority) over
//! [`signed_part`](Certificate::signed_part), then hold it against [`CertificateChecks`], and trust
//! the authority.

mod checks;

use std::fmt;
use std::ops::Range;

pub use checks::{CertificateChecks, CertificateFault};

use crate::public_key::{BadKey, HostKey, KeyType, c_string, read_type};
use crate::wire::Reader;

/// The most names that OpenSSH reads from one certificate.
const MOST_PRINCIPALS: usize = 256;

/// The algorithm of signatures that a browser made with a security key.
const WEBAUTHN: &str = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com";

/// Whom a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateKind {
    /// Proves to servers who a user is.
    User,
    /// Proves to clients which host a server is.
    Host,
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Host => "host",
        })
    }
}

/// A critical option or an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateOption<'a> {
    /// Its name, such as `force-command` or `permit-pty`.
    pub name: &'a [u8],
    /// Its data as it is in the certificate; empty for a flag.
    pub data: &'a [u8],
}

impl<'a> CertificateOption<'a> {
    /// The text in the data, where the data is one SSH string, as in the options that OpenSSH
    /// defines; `None` for a flag or anything else.
    pub fn value(&self) -> Option<&'a [u8]> {
        let mut reader = Reader::new(self.data);
        let value = reader.string().ok()?;
        reader.rest().is_empty().then_some(value)
    }
}

/// What a certificate says. That its signature is good is the caller's to check.
///
/// Two are equal if they are the same bytes. It keeps one copy of those; what the accessors give
/// borrows from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    blob: Vec<u8>,
    key: HostKey,
    kind: CertificateKind,
    serial: u64,
    key_id: Range<usize>,
    principals: Range<usize>,
    valid_after: u64,
    valid_before: u64,
    critical_options: Range<usize>,
    extensions: Range<usize>,
    authority: HostKey,
    signed: usize,
    signature: Range<usize>,
    signature_algorithm: &'static str,
}

impl Certificate {
    /// Reads a certificate from its blob: all of it, or nothing.
    ///
    /// As OpenSSH does, it does not mind options that are unsorted or given twice, keeps those it
    /// does not know, and takes any key but a certificate as an authority. At most 256 principals.
    ///
    /// # Errors
    /// The [`BadKey`] of a blob that is no certificate: damaged, too long, of a type nobody here
    /// knows, or a plain key ([`BadKey::OtherType`]).
    pub fn from_blob(blob: &[u8]) -> Result<Self, BadKey> {
        let mut reader = Reader::new(blob);
        let (key_type, is_certificate) = read_type(&mut reader)?;
        if !is_certificate {
            return Err(BadKey::OtherType);
        }
        reader.string()?; // the nonce
        let key = HostKey::read_fields(key_type, &mut reader)?;
        let serial = reader.u64()?;
        let kind = reader.u32()?;
        let key_id = range(&mut reader, blob)?;
        c_string(&blob[key_id.clone()])?;
        let principals = range(&mut reader, blob)?;
        let valid_after = reader.u64()?;
        let valid_before = reader.u64()?;
        let critical_options = range(&mut reader, blob)?;
        let extensions = range(&mut reader, blob)?;
        reader.string()?; // reserved
        let authority = reader.string()?;
        let signed = blob.len() - reader.rest().len();
        let signature = range(&mut reader, blob)?;
        if !reader.rest().is_empty() {
            return Err(BadKey::Damaged);
        }
        check_principals(&blob[principals.clone()])?;
        check_options(&blob[critical_options.clone()])?;
        check_options(&blob[extensions.clone()])?;
        let authority = HostKey::plain_from_blob(authority).map_err(|_| BadKey::Authority)?;
        let signature_algorithm = check_signature(authority.key_type(), &blob[signature.clone()])
            .ok_or(BadKey::Signature)?;
        Ok(Self {
            blob: blob.to_vec(),
            key,
            kind: match kind {
                1 => CertificateKind::User,
                2 => CertificateKind::Host,
                _ => return Err(BadKey::Damaged),
            },
            serial,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            authority,
            signed,
            signature,
            signature_algorithm,
        })
    }

    /// The certificate as it was read.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The key it certifies, plain.
    pub fn key(&self) -> &HostKey {
        &self.key
    }

    /// Whom it is for.
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// The number its authority gave it; 0 if none.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The name its authority gave it, for logs and revocation. Need not be UTF-8, holds no NUL.
    pub fn key_id(&self) -> &[u8] {
        without_nul(&self.blob[self.key_id.clone()])
    }

    /// The users or hosts it is for, in its order. Need not be UTF-8, hold no NUL.
    pub fn principals(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut reader = Reader::new(&self.blob[self.principals.clone()]);
        std::iter::from_fn(move || reader.string().ok().map(without_nul))
    }

    /// Seconds since 1970 from which on it is valid.
    pub fn valid_after(&self) -> u64 {
        self.valid_after
    }

    /// Seconds since 1970 from which on it is valid no more; [`u64::MAX`] for ever.
    pub fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// What must be understood by whoever accepts it, in its order.
    pub fn critical_options(&self) -> impl Iterator<Item = CertificateOption<'_>> + Clone {
        options(&self.blob[self.critical_options.clone()])
    }

    /// What may be passed over if it is not understood, in its order.
    pub fn extensions(&self) -> impl Iterator<Item = CertificateOption<'_>> + Clone {
        options(&self.blob[self.extensions.clone()])
    }

    /// The key that signed it. Never a certificate.
    pub fn authority(&self) -> &HostKey {
        &self.authority
    }

    /// The bytes that the signature covers: all in front of it.
    pub fn signed_part(&self) -> &[u8] {
        &self.blob[..self.signed]
    }

    /// The signature as a blob that begins with the name of its algorithm (RFC 4253 section 6.6).
    /// That it has the form which fits the authority's type of key is checked; nothing else is.
    pub fn signature(&self) -> &[u8] {
        &self.blob[self.signature.clone()]
    }

    /// The algorithm of the signature, such as `rsa-sha2-512` of an authority with an RSA key.
    pub fn signature_algorithm(&self) -> &'static str {
        self.signature_algorithm
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("kind", &self.kind)
            .field("key_type", &self.key.key_type())
            .field("serial", &self.serial)
            .field("key_id", &String::from_utf8_lossy(self.key_id()))
            .field("valid_after", &self.valid_after)
            .field("valid_before", &self.valid_before)
            .field("authority_type", &self.authority.key_type())
            .field("signature_algorithm", &self.signature_algorithm)
            .finish_non_exhaustive()
    }
}

/// The entry for fuzzers: reads `data` as a certificate and as a line of text, and asks all there
/// is to ask of it. Must return for any input.
pub fn fuzz_certificate(data: &[u8]) {
    let from_line = HostKey::from_line(data).ok();
    let from_blob = HostKey::from_blob(data).ok();
    if let Some(key) = &from_blob {
        assert_eq!(HostKey::from_blob(key.blob()).as_ref(), Ok(key));
        assert_eq!(
            HostKey::plain_from_blob(key.plain_blob()),
            Ok(key.without_certificate())
        );
    }
    for key in [from_line, from_blob].into_iter().flatten() {
        let Some(certificate) = key.certificate() else {
            continue;
        };
        let signature = certificate.signature();
        assert!(certificate.blob().starts_with(certificate.signed_part()));
        assert!(certificate.blob().ends_with(signature));
        assert!(certificate.principals().count() <= MOST_PRINCIPALS);
        for option in certificate
            .critical_options()
            .chain(certificate.extensions())
        {
            assert!(option.value().is_none_or(|v| v.len() < option.data.len()));
        }
        let first = certificate.principals().next().unwrap_or(b"web1");
        for now in [0, certificate.valid_after(), certificate.valid_before()] {
            let checks = CertificateChecks::new(now, "ssh-ed25519,rsa-*");
            let _ = checks.check(certificate, first);
            let _ = checks.require_principals(true).check(certificate, b"web1");
        }
        let _ = format!("{certificate:?} {:?}", certificate.key_id());
    }
}

/// The next string, as its place in `blob`.
fn range(reader: &mut Reader<'_>, blob: &[u8]) -> Result<Range<usize>, BadKey> {
    let length = reader.string()?.len();
    let end = blob.len() - reader.rest().len();
    Ok(end - length..end)
}

fn without_nul(text: &[u8]) -> &[u8] {
    text.strip_suffix(&[0]).unwrap_or(text)
}

fn options(list: &[u8]) -> impl Iterator<Item = CertificateOption<'_>> + Clone {
    let mut reader = Reader::new(list);
    std::iter::from_fn(move || {
        Some(CertificateOption {
            name: reader.string().ok()?,
            data: reader.string().ok()?,
        })
    })
}

fn check_principals(list: &[u8]) -> Result<(), BadKey> {
    let mut reader = Reader::new(list);
    for _ in 0..MOST_PRINCIPALS {
        if reader.rest().is_empty() {
            return Ok(());
        }
        c_string(reader.string()?)?;
    }
    if reader.rest().is_empty() {
        Ok(())
    } else {
        Err(BadKey::Damaged)
    }
}

fn check_options(list: &[u8]) -> Result<(), BadKey> {
    let mut reader = Reader::new(list);
    while !reader.rest().is_empty() {
        reader.string()?;
        reader.string()?;
    }
    Ok(())
}

/// Checks that a signature has the form of one by such a key, and gives the name of its algorithm
/// (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, PROTOCOL.u2f).
fn check_signature(signer: KeyType, signature: &[u8]) -> Option<&'static str> {
    let mut reader = Reader::new(signature);
    let name = c_string(reader.string().ok()?).ok()?;
    let algorithms = match signer {
        KeyType::Rsa => &["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"][..],
        KeyType::SkEcdsaP256 => &[signer.name(), WEBAUTHN],
        _ => &[signer.name()],
    };
    let algorithm = *algorithms.iter().find(|a| a.as_bytes() == name)?;
    reader.string().ok()?;
    if matches!(signer, KeyType::SkEd25519 | KeyType::SkEcdsaP256) {
        reader.u8().ok()?; // flags: whether the key was touched
        reader.u32().ok()?; // counter
    }
    if algorithm == WEBAUTHN {
        for _ in ["origin", "client data", "extensions"] {
            reader.string().ok()?;
        }
    }
    reader.rest().is_empty().then_some(algorithm)
}
