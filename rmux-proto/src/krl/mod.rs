//! Revoked keys: what a file named by RevokedHostKeys says of a key or certificate.
//!
//! Such a file is either a key revocation list as `ssh-keygen -k` writes it (PROTOCOL.krl), or text
//! with a public key a line. Follows OpenSSH 9.2. Knows no files and does no cryptography but
//! SHA-1 and SHA-256 of keys.
//!
//! ```
//! use rmux_proto::krl::Revocations;
//! use rmux_proto::public_key::HostKey;
//!
//! let file = b"# stolen\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK8CzXf2N2ATFiVEaAnZ6DSvkrUvWyDk2uIUvpkUZqzX old\n";
//! let revoked = Revocations::parse(file)?;
//! let key = HostKey::from_line(&file[9..])?;
//! assert!(revoked.revokes(&key));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod binary;
mod serials;

use std::collections::HashSet;

pub use binary::Krl;

use crate::public_key::{BadKey, HostKey};

/// Why a file of revoked keys cannot be read.
///
/// What it revokes is unknown then, so the caller must refuse every key: so does ssh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRevocations {
    /// A key revocation list that ends early, or holds a field of the wrong size or form.
    #[error("the key revocation list is damaged")]
    Damaged,
    /// A version of the format other than 1.
    #[error("the key revocation list has version {0} of the format, which is not supported")]
    Version(u32),
    /// A kind of section that is not known.
    #[error("the key revocation list holds a section of the unknown type {0}")]
    Section(u8),
    /// An extension that must be understood and is not.
    #[error("the key revocation list needs the extension {0:?}, which is not supported")]
    Extension(String),
    /// The serial number 0, which certificates without a number have; a range that ends before it
    /// begins; or serial numbers past the largest one.
    #[error("the key revocation list holds a serial number that cannot be revoked")]
    Serial,
    /// A key in the list, or one that signed it, cannot be read.
    #[error("the key revocation list holds a key that cannot be read: {0}")]
    Key(BadKey),
    /// A signature of the list, or of a certificate in it, is not good; or one key signed twice.
    #[error("a signature in the file of revoked keys is not good")]
    Signature,
    /// All keys that signed the list are revoked by it.
    #[error("all keys that signed the key revocation list are revoked")]
    SignersRevoked,
    /// A line of text that is neither a public key nor a comment.
    #[error("line {line} of the file of revoked keys holds no key that can be read: {reason}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: BadKey,
    },
}

impl From<crate::wire::Truncated> for BadRevocations {
    fn from(_: crate::wire::Truncated) -> Self {
        Self::Damaged
    }
}

/// What a file of revoked keys holds.
#[derive(Debug, Clone)]
pub struct Revocations(Form);

#[derive(Debug, Clone)]
enum Form {
    Krl(Box<Krl>),
    /// The plain blobs of the keys that are listed.
    Keys(HashSet<Vec<u8>>),
}

/// Judges a signature: by this plain key, over these bytes, the signature as a blob.
type Verify<'a> = dyn FnMut(&HostKey, &[u8], &[u8]) -> bool + 'a;

impl Revocations {
    /// Reads a file: a key revocation list if it begins like one, else text, one public key a line.
    /// An empty file revokes nothing. What is kept in memory is in proportion to the file.
    ///
    /// Signatures in the file are not checked, as in OpenSSH since 9.4; nobody but OpenSSH's own
    /// tests writes signed lists. [`parse_verified`](Self::parse_verified) checks them.
    ///
    /// Sections for extensions, which OpenSSH 9.2 refuses and 9.4 introduced, are passed over
    /// unless they are marked as critical.
    ///
    /// # Errors
    /// [`BadRevocations`] for a file of which any part cannot be read. Refuse every key then, and
    /// also if the file itself cannot be opened: so does ssh.
    pub fn parse(file: &[u8]) -> Result<Self, BadRevocations> {
        Self::parse_verified(file, |_, _, _| true)
    }

    /// The same, but each signature must be good: those of a signed list, and those of certificates
    /// in the file (whose plain keys are what is revoked). So does OpenSSH up to 9.3.
    ///
    /// `verify` is asked whether the signature, a blob that begins with the name of its algorithm,
    /// is one by the plain key over the bytes: `verify(key, bytes, signature)`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and [`BadRevocations::Signature`].
    pub fn parse_verified(
        file: &[u8],
        mut verify: impl FnMut(&HostKey, &[u8], &[u8]) -> bool,
    ) -> Result<Self, BadRevocations> {
        let form = if Krl::is_one(file) {
            Form::Krl(Box::new(Krl::parse(file, &mut verify)?))
        } else {
            Form::Keys(parse_text(file, &mut verify)?)
        };
        Ok(Self(form))
    }

    /// Whether `key` must not be accepted: it is revoked itself, with or without its certificate;
    /// or it is a certificate that is revoked, or whose authority is.
    pub fn revokes(&self, key: &HostKey) -> bool {
        match &self.0 {
            Form::Krl(krl) => krl.revokes(key),
            Form::Keys(keys) => {
                let authority = key.certificate().map(|c| c.authority().plain_blob());
                keys.contains(key.plain_blob()) || authority.is_some_and(|a| keys.contains(a))
            }
        }
    }

    /// The key revocation list, if the file is one.
    pub fn krl(&self) -> Option<&Krl> {
        match &self.0 {
            Form::Krl(krl) => Some(krl),
            Form::Keys(_) => None,
        }
    }
}

/// Reads text. A line with a certificate lists its plain key. An RSA key that is too short to be
/// accepted anyway is passed over.
fn parse_text(file: &[u8], verify: &mut Verify<'_>) -> Result<HashSet<Vec<u8>>, BadRevocations> {
    let mut keys = HashSet::new();
    for (index, text) in file.split(|&c| c == b'\n').enumerate() {
        let start = text.iter().position(|c| !matches!(c, b' ' | b'\t'));
        let Some(text) = start.map(|start| &text[start..]) else {
            continue;
        };
        // OpenSSH reads lines as C strings: one that begins with a NUL is empty.
        if matches!(text[0], b'#' | 0) {
            continue;
        }
        match HostKey::from_line(text) {
            Ok(key) => {
                check_certificate(&key, verify)?;
                keys.insert(key.plain_blob().to_vec());
            }
            Err(BadKey::TooShort) => {}
            Err(reason) => {
                let line = index + 1;
                return Err(BadRevocations::Line { line, reason });
            }
        }
    }
    Ok(keys)
}

/// Reads a key or certificate inside a key revocation list.
fn read_key(blob: &[u8], verify: &mut Verify<'_>) -> Result<HostKey, BadRevocations> {
    let key = HostKey::from_blob(blob).map_err(BadRevocations::Key)?;
    check_certificate(&key, verify)?;
    Ok(key)
}

fn check_certificate(key: &HostKey, verify: &mut Verify<'_>) -> Result<(), BadRevocations> {
    let good = key
        .certificate()
        .is_none_or(|c| verify(c.authority(), c.signed_part(), c.signature()));
    if good {
        Ok(())
    } else {
        Err(BadRevocations::Signature)
    }
}

/// The entry for fuzzers: reads `data` as a file and asks for keys and certificates that it may or
/// may not revoke. Must return for any input.
pub fn fuzz_krl(data: &[u8]) {
    let mut asked = 0_u32;
    let verified = Revocations::parse_verified(data, |_, signed, signature| {
        asked += 1;
        signed.len() > signature.len()
    });
    let read = Revocations::parse(data);
    assert!(
        read.is_ok() || verified.is_err(),
        "checking more reads less"
    );
    assert!(read.is_err() || verified.is_ok() || asked > 0);
    let Ok(revocations) = read else { return };
    for line in data.split(|&c| c == b'\n') {
        if let Ok(key) = HostKey::from_line(line) {
            revocations.revokes(&key);
        }
    }
    if let Some(krl) = revocations.krl() {
        krl.exercise();
    } else {
        assert!(!Krl::is_one(data));
    }
}
