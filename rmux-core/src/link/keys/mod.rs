//! Keys in files: what an identity file shows without a passphrase, and its private half, which is
//! decrypted when a signature is wanted and no sooner.
//!
//! Knows nothing of servers and agents.

mod decode;
mod file;
mod pem;
mod public;

use std::path::{Path, PathBuf};

use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};
use zeroize::Zeroizing;

pub use decode::fuzz_private_key;
pub(super) use public::{Form, Public};

use self::decode::Unreadable;
use self::file::{exposed, read};
use crate::ask::Asker;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// An identity file that shows something.
#[derive(Debug, Clone)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// What the server is asked about. `None` where only the passphrase reveals it.
    pub(super) public: Option<Public>,
    /// What a public file beside it shows, where that is another key: an agent may hold that one.
    pub(super) stray: Option<Public>,
    /// Why the private half in the file cannot be used, although an agent may hold it.
    pub(super) unusable: Option<String>,
}

impl KeyFile {
    /// Reads what can be read without a passphrase: the file itself as a public key, else the
    /// `.pub` file beside it, else what the private key shows; in ssh's order. Blocks.
    ///
    /// Where the public file beside is for another key than the private one, the private key
    /// counts, because no signature can be made for the other.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".pub");
        let beside = public_file(Path::new(&beside)).ok();
        let of = |public, unusable| Self {
            path: path.to_owned(),
            public,
            stray: None,
            unusable,
        };
        let file = match read(path) {
            Ok(file) => file,
            Err(error) => {
                let why = error.to_string();
                return match beside {
                    Some(public) => Ok(of(Some(public), Some(why))),
                    None => Err(why),
                };
            }
        };
        if let Some(public) = Public::from_text(&file.text) {
            return Ok(of(Some(public?), Some("it holds a public key only".into())));
        }
        let half = decode::public_half(&file.text).map(|key| Public::of(&key));
        let half = half.transpose()?;
        let handle = half.as_ref().is_some_and(Public::is_security_key);
        let unusable = match file.exposed {
            Some(mode) => Some(exposed(mode)),
            None => handle.then(|| "only an agent can ask the authenticator for it".to_owned()),
        };
        match (half, beside) {
            (Some(half), Some(beside)) if !half.shares_key(&beside) => Ok(Self {
                stray: Some(beside),
                ..of(Some(half), unusable)
            }),
            (_, Some(beside)) => Ok(of(Some(beside), unusable)),
            (Some(half), None) => Ok(of(Some(half), unusable)),
            (None, None) => match decode::private_key(&file.text, None) {
                Err(Unreadable::Malformed(why)) => Err(why),
                _ => Ok(of(None, unusable)),
            },
        }
    }

    /// The certificate in the file of this name with `-cert.pub` behind, where there is one.
    pub(super) fn certificate(&self) -> Option<Public> {
        let mut name = self.path.as_os_str().to_owned();
        name.push("-cert.pub");
        let public = public_file(Path::new(&name)).ok()?;
        public.certificate().is_some().then_some(public)
    }

    /// The private key, asking for its passphrase up to `prompts` times if it is encrypted. `None`
    /// where nobody gave one.
    pub(super) async fn unlock(&self, asker: &Asker, prompts: u32) -> Result<Option<PrivateKey>> {
        let failed = |error: std::io::Error| unreadable(error.to_string());
        let path = self.path.clone();
        let file = tokio::task::spawn_blocking(move || read(&path))
            .await
            .expect("reading a file does not panic")
            .map_err(failed)?;
        if let Some(mode) = file.exposed {
            let why = std::io::Error::new(std::io::ErrorKind::PermissionDenied, exposed(mode));
            return Err(failed(why));
        }
        let text = file.text;
        match decode::private_key(&text, None) {
            Ok(key) => return Ok(Some(key)),
            Err(Unreadable::Malformed(why)) => return Err(unreadable(why)),
            Err(_) => {}
        }
        for attempt in 1..=prompts {
            let given = asker.passphrase(&self.path, attempt).await?;
            // An empty one is how a person at ssh's prompt goes on to the next key.
            let Some(passphrase) = given.filter(|given| !given.expose().is_empty()) else {
                return Ok(None);
            };
            match decrypt(&text, passphrase).await {
                Ok(key) => return Ok(Some(key)),
                Err(Unreadable::Malformed(why)) => return Err(unreadable(why)),
                Err(_) => tracing::debug!(path = %self.path.display(), attempt, "wrong passphrase"),
            }
        }
        Err(unreadable("wrong passphrase".into()))
    }
}

/// Without the file's name, which whoever tells of it says first.
fn unreadable(why: String) -> Error {
    Error::new(ErrorKind::AuthFailed, "read identity", why)
}

/// The public key or certificate in a file. Blocks.
pub(super) fn public_file(path: &Path) -> Result<Public, String> {
    let file = read(path).map_err(|error| error.to_string())?;
    Public::from_text(&file.text).unwrap_or_else(|| Err("it holds no public key".into()))
}

/// Decryption takes a good part of a second: not on the runtime's own threads.
async fn decrypt(text: &Zeroizing<String>, passphrase: Secret) -> Result<PrivateKey, Unreadable> {
    let text = text.clone();
    let work = move || decode::private_key(&text, Some(passphrase.expose()));
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Unreadable::Malformed("decrypting it failed".into())))
}

/// A signature in its wire form: the algorithm's name and the signature (RFC 4253, section 6.6).
pub(super) fn sign(
    key: &PrivateKey,
    hash: Option<HashAlg>,
    data: &[u8],
) -> Result<Vec<u8>, String> {
    let signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(data),
        pair => pair.try_sign(data),
    };
    let signature = signature.map_err(|error| error.to_string())?;
    signature.encode_vec().map_err(|error| error.to_string())
}
