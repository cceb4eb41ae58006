//! The messages of the agent protocol (draft-miller-ssh-agent, and OpenSSH's PROTOCOL.agent), as
//! bytes.
//!
//! Knows no sockets. Answers may come from an agent that somebody else runs.

use std::time::Duration;

use rmux_proto::wire::{Reader, Truncated, put_string, put_u32};
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::{EcdsaKeypair, KeypairData};
use russh::keys::{Algorithm, HashAlg, PrivateKey};
use zeroize::Zeroizing;

use crate::link::keys::Public;

/// Answers are at most this long, as OpenSSH has it.
pub(super) const MAX_ANSWER: usize = 256 << 10;
/// And list at most so many keys.
const MAX_IDENTITIES: usize = 2048;

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const ADD_IDENTITY: u8 = 17;
const ADD_CONSTRAINED: u8 = 25;
const EXTENSION: u8 = 27;
const EXTENSION_FAILURE: u8 = 28;
const CONSTRAIN_LIFETIME: u8 = 1;
const CONSTRAIN_CONFIRM: u8 = 2;

/// What is sent: the length and the message. A private key may be inside.
pub(super) type Frame = Zeroizing<Vec<u8>>;

/// What an answer was not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unexpected {
    /// The agent said no.
    Refused,
    /// The agent does not speak the protocol.
    Garbled,
}

impl From<Truncated> for Unexpected {
    fn from(_: Truncated) -> Self {
        Self::Garbled
    }
}

/// A key the agent holds, as it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    pub(super) blob: &'a [u8],
    pub(super) comment: String,
}

/// How a key is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::link) struct Constraints {
    pub(in crate::link) lifetime: Option<Duration>,
    pub(in crate::link) confirm: bool,
}

fn frame(kind: u8, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
    // As large as it becomes: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity + 64));
    bytes.extend_from_slice(&[0, 0, 0, 0, kind]);
    write(&mut bytes);
    let length = u32::try_from(bytes.len() - 4).expect("a key is shorter than 4 GiB");
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

pub(super) fn request_identities() -> Frame {
    frame(REQUEST_IDENTITIES, 0, |_| ())
}

pub(super) fn identities(answer: &[u8]) -> Result<Vec<Listed<'_>>, Unexpected> {
    let mut reader = expect(answer, IDENTITIES_ANSWER)?;
    let count = reader.u32()? as usize;
    if count > MAX_IDENTITIES {
        return Err(Unexpected::Garbled);
    }
    let listed = |_| {
        Ok(Listed {
            blob: reader.string()?,
            comment: String::from_utf8_lossy(reader.string()?).into_owned(),
        })
    };
    (0..count).map(listed).collect()
}

pub(super) fn sign_request(key: &[u8], data: &[u8], flags: u32) -> Frame {
    frame(SIGN_REQUEST, key.len() + data.len(), |out| {
        put_string(out, key);
        put_string(out, data);
        put_u32(out, flags);
    })
}

/// The flags of a request to sign (draft-miller-ssh-agent, section 4.5.1).
pub(super) fn sign_flags(key: &Public, hash: Option<HashAlg>) -> u32 {
    match hash {
        Some(HashAlg::Sha256) if key.is_rsa() => 2,
        Some(HashAlg::Sha512) if key.is_rsa() => 4,
        _ => 0,
    }
}

/// The signature: the algorithm's name, and what belongs to it.
pub(super) fn signature(answer: &[u8]) -> Result<&[u8], Unexpected> {
    Ok(expect(answer, SIGN_RESPONSE)?.string()?)
}

/// `session-bind@openssh.com`: which server the connection to the agent is used for.
pub(super) fn bind(
    host_key: &[u8],
    session_id: &[u8],
    signature: &[u8],
    forwarding: bool,
) -> Frame {
    frame(EXTENSION, host_key.len() + signature.len() + 256, |out| {
        put_string(out, b"session-bind@openssh.com");
        put_string(out, host_key);
        put_string(out, session_id);
        put_string(out, signature);
        out.push(forwarding.into());
    })
}

/// Gives the agent a key, or a certificate with its key. `None` for a kind of key that is never in
/// a file whole.
pub(super) fn add(
    key: &PrivateKey,
    certificate: Option<&Public>,
    comment: &str,
    constraints: Constraints,
) -> Option<Frame> {
    let mut private = Zeroizing::new(Vec::with_capacity(16 << 10));
    match certificate {
        None => key.key_data().encode(&mut *private).ok()?,
        Some(certificate) => {
            put_string(&mut private, certificate.algorithm(None).as_bytes());
            put_string(&mut private, certificate.blob());
            match key.key_data() {
                KeypairData::Rsa(pair) => pair.private().encode(&mut *private).ok()?,
                KeypairData::Ed25519(pair) => pair.encode(&mut *private).ok()?,
                KeypairData::Ecdsa(pair) => match pair {
                    EcdsaKeypair::NistP256 { private: d, .. } => d.encode(&mut *private),
                    EcdsaKeypair::NistP384 { private: d, .. } => d.encode(&mut *private),
                    EcdsaKeypair::NistP521 { private: d, .. } => d.encode(&mut *private),
                }
                .ok()?,
                _ => return None,
            }
        }
    }
    if !matches!(
        key.algorithm(),
        Algorithm::Rsa { .. } | Algorithm::Ed25519 | Algorithm::Ecdsa { .. }
    ) {
        return None;
    }
    let kind = match constraints == Constraints::default() {
        true => ADD_IDENTITY,
        false => ADD_CONSTRAINED,
    };
    Some(frame(kind, private.len() + comment.len(), |out| {
        out.extend_from_slice(&private);
        put_string(out, comment.as_bytes());
        if let Some(lifetime) = constraints.lifetime {
            out.push(CONSTRAIN_LIFETIME);
            put_u32(out, u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX));
        }
        if constraints.confirm {
            out.push(CONSTRAIN_CONFIRM);
        }
    }))
}

/// Whether the agent did as it was told.
pub(super) fn success(answer: &[u8]) -> Result<(), Unexpected> {
    expect(answer, SUCCESS).map(drop)
}

fn expect(answer: &[u8], kind: u8) -> Result<Reader<'_>, Unexpected> {
    let mut reader = Reader::new(answer);
    match reader.u8()? {
        found if found == kind => Ok(reader),
        FAILURE | EXTENSION_FAILURE => Err(Unexpected::Refused),
        _ => Err(Unexpected::Garbled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_any_bytes_are_refused_or_read_and_never_more() {
        let mut all = vec![IDENTITIES_ANSWER, 0, 0, 0, 2];
        put_string(&mut all, b"key");
        put_string(&mut all, b"comment \xff");
        put_string(&mut all, b"key 2");
        put_string(&mut all, b"");
        let listed = identities(&all).unwrap();
        assert_eq!(listed[0].blob, b"key");
        assert_eq!(listed[0].comment, "comment \u{fffd}");
        assert_eq!(listed.len(), 2);
        for length in 0..all.len() {
            assert_eq!(identities(&all[..length]), Err(Unexpected::Garbled));
        }
        let many = [IDENTITIES_ANSWER, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(identities(&many), Err(Unexpected::Garbled));
        assert_eq!(identities(&[FAILURE]), Err(Unexpected::Refused));
        assert_eq!(signature(&[SUCCESS]), Err(Unexpected::Garbled));
        assert_eq!(success(&[EXTENSION_FAILURE]), Err(Unexpected::Refused));
    }
}
