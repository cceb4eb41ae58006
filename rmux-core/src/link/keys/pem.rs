//! The armour of private keys: PEM with its old encryption (RFC 1421, and what OpenSSL made of it).
//!
//! Knows nothing of what is inside.

use aes::{Aes128, Aes192, Aes256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, KeyInit, KeyIvInit as _};
use des::TdesEde3;
use zeroize::Zeroizing;

/// What stands between `BEGIN` and `END`.
pub(super) struct Pem<'a> {
    /// `RSA PRIVATE KEY`, say.
    pub(super) label: &'a str,
    /// The decoded body; encrypted where there is a `seal`.
    pub(super) body: Zeroizing<Vec<u8>>,
    /// `DEK-Info`: the cipher and its initialisation vector, where the body is encrypted.
    seal: Option<(&'a str, &'a str)>,
}

/// Why the body cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// It is encrypted by means that are not known here.
    Unsupported(String),
    WrongPassphrase,
}

impl<'a> Pem<'a> {
    /// Finds the first armoured block; `None` where there is none, or it is broken.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let label = lines.find_map(|line| {
            line.strip_prefix("-----BEGIN ")
                .and_then(|rest| rest.strip_suffix("-----"))
        })?;
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        let (mut seal, mut ended) = (None, false);
        for line in lines {
            if let Some(rest) = line.strip_prefix("-----END ") {
                ended = rest.strip_suffix("-----") == Some(label);
                break;
            }
            match line.split_once(':') {
                Some(("DEK-Info", info)) => seal = Some(info.trim().split_once(',')?),
                Some(_) => {}
                None => base64.push_str(line),
            }
        }
        if !ended {
            return None;
        }
        let mut body = Zeroizing::new(vec![0; base64.len() / 4 * 3 + 3]);
        let length = STANDARD.decode_slice(&*base64, &mut body).ok()?;
        body.truncate(length);
        Some(Self { label, body, seal })
    }

    /// Whether the armour itself is encrypted.
    pub(super) fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// Decrypts the body in place, where it is encrypted.
    pub(super) fn unseal(&mut self, passphrase: &str) -> Result<(), Sealed> {
        let Some((cipher, vector)) = self.seal else {
            return Ok(());
        };
        let vector = unhex(vector).unwrap_or_default();
        let open = match cipher {
            "AES-128-CBC" => decrypt::<Aes128>,
            "AES-192-CBC" => decrypt::<Aes192>,
            "AES-256-CBC" => decrypt::<Aes256>,
            "DES-EDE3-CBC" => decrypt::<TdesEde3>,
            other => return Err(Sealed::Unsupported(other.to_owned())),
        };
        let length = open(&mut self.body, passphrase, &vector).ok_or(Sealed::WrongPassphrase)?;
        self.body.truncate(length);
        self.seal = None;
        Ok(())
    }
}

/// How much of `body` is left when it is decrypted, or `None`.
fn decrypt<C>(body: &mut [u8], passphrase: &str, vector: &[u8]) -> Option<usize>
where
    C: BlockCipherDecrypt + KeyInit,
{
    let mut key = Zeroizing::new(vec![0; C::key_size()]);
    derive(&mut key, passphrase, vector.get(..8)?);
    let cipher = Decryptor::<C>::new_from_slices(&key, vector).ok()?;
    Some(cipher.decrypt_padded::<Pkcs7>(body).ok()?.len())
}

/// OpenSSL's key derivation of old: MD5 over the digest before, the passphrase and the salt.
fn derive(key: &mut [u8], passphrase: &str, salt: &[u8]) {
    let mut digest = Zeroizing::new(Vec::new());
    for part in key.chunks_mut(16) {
        let mut context = md5::Context::new();
        context.consume(&*digest);
        context.consume(passphrase);
        context.consume(salt);
        *digest = context.finalize().0.to_vec();
        part.copy_from_slice(&digest[..part.len()]);
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_armour_without_its_end_or_with_another_s_is_none() {
        assert!(Pem::parse("-----BEGIN A-----\nAAAA\n").is_none());
        assert!(Pem::parse("-----BEGIN A-----\nAAAA\n-----END B-----\n").is_none());
        assert!(Pem::parse("-----BEGIN A-----\n*\n-----END A-----\n").is_none());
        let pem =
            Pem::parse("said before\r\n-----BEGIN A-----\r\nAAAA\r\n-----END A-----").unwrap();
        assert_eq!((pem.label, &pem.body[..]), ("A", &[0, 0, 0][..]));
    }

    #[test]
    fn broken_encryption_is_a_wrong_passphrase_or_unsupported_and_never_a_panic() {
        for info in [
            "AES-128-CBC,00",
            "AES-128-CBC,",
            "AES-256-CBC,zz",
            "DES-EDE3-CBC,0011",
        ] {
            let text = format!("-----BEGIN A-----\nDEK-Info: {info}\n\nAAAA\n-----END A-----");
            let mut pem = Pem::parse(&text).unwrap();
            assert!(pem.is_sealed());
            assert_eq!(pem.unseal("x"), Err(Sealed::WrongPassphrase), "{info}");
        }
        let text =
            "-----BEGIN A-----\nDEK-Info: CAST-CBC,0011223344556677\n\nAAAA\n-----END A-----";
        let unknown = Pem::parse(text).unwrap().unseal("x");
        assert_eq!(unknown, Err(Sealed::Unsupported("CAST-CBC".into())));
    }
}
