//! Certificates and revocation lists put together field by field, so that each field can be wrong.

#![allow(unreachable_pub)]
#![allow(dead_code)]

use rmux_proto::wire::{put_string, put_u32};

pub const CERTIFIED_ED25519: &[u8] = b"ssh-ed25519-cert-v01@openssh.com";

/// What stands in a certificate in front of its signature. Lists are as they are on the wire.
#[derive(Debug, Clone)]
pub struct Body {
    pub name: Vec<u8>,
    pub nonce: Vec<u8>,
    /// The fields of the plain key behind its name, lengths included.
    pub key_fields: Vec<u8>,
    pub serial: u64,
    pub kind: u32,
    pub key_id: Vec<u8>,
    pub principals: Vec<u8>,
    pub valid: (u64, u64),
    pub critical: Vec<u8>,
    pub extensions: Vec<u8>,
    pub reserved: Vec<u8>,
    pub authority: Vec<u8>,
}

impl Body {
    /// A certificate for any host over the plain key with this blob.
    pub fn new(plain: &[u8], authority: &[u8]) -> Self {
        let length = u32::from_be_bytes(plain[..4].try_into().expect("a blob")) as usize;
        let (name, key_fields) = plain[4..].split_at(length);
        let name = match name.strip_suffix(b"@openssh.com") {
            Some(name) => [name, b"-cert-v01@openssh.com"].concat(),
            None => [name, b"-cert-v01@openssh.com"].concat(),
        };
        Self {
            name,
            nonce: vec![7; 32],
            key_fields: key_fields.to_vec(),
            serial: 1,
            kind: 2,
            key_id: b"id".to_vec(),
            principals: Vec::new(),
            valid: (0, u64::MAX),
            critical: Vec::new(),
            extensions: Vec::new(),
            reserved: Vec::new(),
            authority: authority.to_vec(),
        }
    }

    /// The bytes that are signed.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, &self.name);
        put_string(&mut out, &self.nonce);
        out.extend_from_slice(&self.key_fields);
        out.extend_from_slice(&self.serial.to_be_bytes());
        put_u32(&mut out, self.kind);
        put_string(&mut out, &self.key_id);
        put_string(&mut out, &self.principals);
        out.extend_from_slice(&self.valid.0.to_be_bytes());
        out.extend_from_slice(&self.valid.1.to_be_bytes());
        for field in [
            &self.critical,
            &self.extensions,
            &self.reserved,
            &self.authority,
        ] {
            put_string(&mut out, field);
        }
        out
    }

    /// The whole certificate with a signature that was made elsewhere, or made up.
    pub fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        let mut out = self.bytes();
        put_string(&mut out, signature);
        out
    }
}

/// Strings one after the other.
pub fn strings<T: AsRef<[u8]>>(all: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut out = Vec::new();
    for one in all {
        put_string(&mut out, one.as_ref());
    }
    out
}

/// A plain ed25519 key.
pub fn ed25519(point: [u8; 32]) -> Vec<u8> {
    strings([&b"ssh-ed25519"[..], &point])
}

/// A signature in the form of an ed25519 key's, which is good for nothing.
pub fn made_up_signature() -> Vec<u8> {
    strings([&b"ssh-ed25519"[..], &[0; 64]])
}

/// A revocation list of sections as they are given.
pub fn by_hand(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"SSHKRL\n\0\0\0\0\x01".to_vec();
    out.extend([0; 24]);
    out.extend(strings(["", "by hand"]));
    for (kind, data) in sections {
        out.push(*kind);
        out.extend(strings([data]));
    }
    out
}

/// A section of certificates with one section inside.
pub fn certificates(authority: &[u8], kind: u8, data: &[u8]) -> (u8, Vec<u8>) {
    let mut out = strings([authority, b""]);
    out.push(kind);
    out.extend(strings([data]));
    (1, out)
}
