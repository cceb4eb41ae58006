//! The key revocation list of OpenSSH as bytes (PROTOCOL.krl).
//!
//! Knows sections and what they revoke; no text files, and no cryptography but hashes of keys.

use std::collections::{HashMap, HashSet};

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::serials::Certificates;
use super::{BadRevocations, Verify, read_key};
use crate::public_key::{HostKey, c_string};
use crate::wire::Reader;

const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
const FORMAT_VERSION: u32 = 1;

// Sections.
const CERTIFICATES: u8 = 1;
const EXPLICIT_KEY: u8 = 2;
const FINGERPRINT_SHA1: u8 = 3;
const SIGNATURE: u8 = 4;
const FINGERPRINT_SHA256: u8 = 5;
const EXTENSION: u8 = 255;

// Sections inside one of certificates.
const SERIAL_LIST: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
const SERIAL_BITMAP: u8 = 0x22;
const KEY_ID: u8 = 0x23;
const CERTIFICATE_EXTENSION: u8 = 0x39;

/// A key revocation list: the binary form that `ssh-keygen -k` writes. Read one with
/// [`Revocations::parse`](super::Revocations::parse).
#[derive(Debug, Clone, Default)]
pub struct Krl {
    version: u64,
    generated: u64,
    comment: Vec<u8>,
    keys: HashSet<Box<[u8]>>,
    sha1: HashSet<[u8; 20]>,
    sha256: HashSet<[u8; 32]>,
    /// By the plain blob of their authority; `None` holds for every authority.
    certificates: HashMap<Option<Box<[u8]>>, Certificates>,
    signers: Vec<HostKey>,
}

impl Krl {
    /// The number of this list, which grows with each change of it (`ssh-keygen -z`).
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was made, in seconds since 1970.
    pub fn generated(&self) -> u64 {
        self.generated
    }

    /// Its comment, as bytes.
    pub fn comment(&self) -> &[u8] {
        &self.comment
    }

    /// The keys that signed it; none, as a rule. Whether the signatures are good is only known if
    /// the list came from [`Revocations::parse_verified`](super::Revocations::parse_verified).
    pub fn signers(&self) -> &[HostKey] {
        &self.signers
    }

    /// Whether a file begins like a key revocation list.
    pub(super) fn is_one(file: &[u8]) -> bool {
        file.starts_with(MAGIC)
    }

    pub(super) fn parse(file: &[u8], verify: &mut Verify<'_>) -> Result<Self, BadRevocations> {
        let mut reader = Reader::new(file);
        reader.bytes(MAGIC.len())?;
        let format = reader.u32()?;
        if format != FORMAT_VERSION {
            return Err(BadRevocations::Version(format));
        }
        let mut krl = Self {
            version: reader.u64()?,
            generated: reader.u64()?,
            ..Self::default()
        };
        reader.u64()?; // flags: none is defined
        reader.string()?; // reserved
        krl.comment = text(reader.string()?)?.to_vec();
        while !reader.rest().is_empty() {
            let section = reader.u8()?;
            let data = reader.string()?;
            if section == SIGNATURE {
                let signed = &file[..file.len() - reader.rest().len()];
                krl.read_signature(data, signed, reader.string()?, verify)?;
            } else if krl.signers.is_empty() {
                krl.read_section(section, data, verify)?;
            } else {
                // Nothing that is not signed may stand behind a signature.
                return Err(BadRevocations::Damaged);
            }
        }
        for certificates in krl.certificates.values_mut() {
            certificates.finish();
        }
        if !krl.signers.is_empty() && krl.signers.iter().all(|key| krl.revokes(key)) {
            return Err(BadRevocations::SignersRevoked);
        }
        Ok(krl)
    }

    pub(super) fn revokes(&self, key: &HostKey) -> bool {
        if self.revokes_plain(key.plain_blob()) {
            return true;
        }
        key.certificate().is_some_and(|certificate| {
            let authority = certificate.authority().plain_blob();
            self.revokes_certificate(authority, certificate.serial(), certificate.key_id())
                || self.revokes_plain(authority)
        })
    }

    fn revokes_plain(&self, blob: &[u8]) -> bool {
        // Most lists hold few kinds of sections: no hash is taken for nothing.
        self.keys.contains(blob)
            || (!self.sha1.is_empty() && self.sha1.contains(&<[u8; 20]>::from(Sha1::digest(blob))))
            || (!self.sha256.is_empty()
                && self
                    .sha256
                    .contains(&<[u8; 32]>::from(Sha256::digest(blob))))
    }

    fn revokes_certificate(&self, authority: &[u8], serial: u64, key_id: &[u8]) -> bool {
        [Some(authority.into()), None].iter().any(|authority| {
            self.certificates
                .get(authority)
                .is_some_and(|certificates| certificates.contains(serial, key_id))
        })
    }

    fn read_section(
        &mut self,
        section: u8,
        data: &[u8],
        verify: &mut Verify<'_>,
    ) -> Result<(), BadRevocations> {
        let mut reader = Reader::new(data);
        match section {
            CERTIFICATES => return self.read_certificates(data, verify),
            EXTENSION => return pass_over_extension(data),
            EXPLICIT_KEY => {
                while !reader.rest().is_empty() {
                    self.keys.insert(reader.string()?.into());
                }
            }
            FINGERPRINT_SHA1 => {
                while !reader.rest().is_empty() {
                    self.sha1.insert(fingerprint(reader.string()?)?);
                }
            }
            FINGERPRINT_SHA256 => {
                while !reader.rest().is_empty() {
                    self.sha256.insert(fingerprint(reader.string()?)?);
                }
            }
            other => return Err(BadRevocations::Section(other)),
        }
        Ok(())
    }

    fn read_certificates(
        &mut self,
        data: &[u8],
        verify: &mut Verify<'_>,
    ) -> Result<(), BadRevocations> {
        let mut reader = Reader::new(data);
        let authority = reader.string()?;
        reader.string()?; // reserved
        let mut of_nobody = Certificates::default();
        let certificates = if authority.is_empty() {
            self.certificates.entry(None).or_default()
        } else {
            let authority = read_key(authority, verify)?;
            if authority.certificate().is_some() {
                // It must be well-formed, but no certificate is signed by a certificate.
                &mut of_nobody
            } else {
                let plain = Some(authority.plain_blob().into());
                self.certificates.entry(plain).or_default()
            }
        };
        while !reader.rest().is_empty() {
            let section = reader.u8()?;
            read_certificate_section(section, reader.string()?, certificates)?;
        }
        Ok(())
    }

    fn read_signature(
        &mut self,
        key: &[u8],
        signed: &[u8],
        signature: &[u8],
        verify: &mut Verify<'_>,
    ) -> Result<(), BadRevocations> {
        let signer = read_key(key, verify)?;
        let good = verify(&signer.without_certificate(), signed, signature);
        if !good || self.signers.contains(&signer) {
            return Err(BadRevocations::Signature);
        }
        self.signers.push(signer);
        Ok(())
    }

    /// Asks for much that the list may revoke, for fuzzers.
    pub(super) fn exercise(&self) {
        for blob in &self.keys {
            assert!(self.revokes_plain(blob));
            if let Ok(key) = HostKey::from_blob(blob) {
                let shortest = blob[..] == *key.plain_blob();
                assert!(self.revokes(&key) || !shortest);
            }
        }
        for (authority, certificates) in &self.certificates {
            let authority = authority.as_deref().unwrap_or(b"any");
            for serial in certificates.edges() {
                for near in [serial.wrapping_sub(1), serial, serial.wrapping_add(1)] {
                    self.revokes_certificate(authority, near, &self.comment);
                }
            }
            assert!(!certificates.contains(0, b"\0"));
        }
    }
}

fn read_certificate_section(
    section: u8,
    data: &[u8],
    into: &mut Certificates,
) -> Result<(), BadRevocations> {
    let mut reader = Reader::new(data);
    match section {
        SERIAL_LIST => {
            while !reader.rest().is_empty() {
                let serial = reader.u64()?;
                into.add_range(serial, serial)?;
            }
        }
        SERIAL_RANGE => into.add_range(reader.u64()?, reader.u64()?)?,
        SERIAL_BITMAP => into.add_bitmap(reader.u64()?, reader.string()?)?,
        KEY_ID => {
            while !reader.rest().is_empty() {
                into.add_key_id(text(reader.string()?)?);
            }
        }
        CERTIFICATE_EXTENSION => return pass_over_extension(data),
        other => return Err(BadRevocations::Section(other)),
    }
    if reader.rest().is_empty() {
        Ok(())
    } else {
        Err(BadRevocations::Damaged)
    }
}

/// No extension is known, so one that must be understood is an error.
fn pass_over_extension(data: &[u8]) -> Result<(), BadRevocations> {
    let mut reader = Reader::new(data);
    let name = text(reader.string()?)?;
    let critical = reader.u8()? != 0;
    reader.string()?;
    if !reader.rest().is_empty() {
        return Err(BadRevocations::Damaged);
    }
    if critical {
        let name = String::from_utf8_lossy(name).into_owned();
        return Err(BadRevocations::Extension(name));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&[u8], BadRevocations> {
    c_string(bytes).map_err(|_| BadRevocations::Damaged)
}

fn fingerprint<const N: usize>(hash: &[u8]) -> Result<[u8; N], BadRevocations> {
    hash.try_into().map_err(|_| BadRevocations::Damaged)
}
