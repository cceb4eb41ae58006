//! Private keys in files: found, decrypted when a signature is wanted, and no sooner.

use std::path::{Path, PathBuf};

use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::ask::Asker;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// How often the passphrase of one file is asked for, as ssh does.
const PASSPHRASE_PROMPTS: u32 = 3;
/// No private key is longer; a longer file is something else.
const MAX_KEY_FILE: u64 = 1 << 20;

/// An identity file that exists.
#[derive(Debug, Clone)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// What the server is asked about. `None` where only the passphrase reveals it.
    pub(super) public: Option<PublicKey>,
}

impl KeyFile {
    /// Reads what can be read without a passphrase: the key file itself, or the `.pub` file beside
    /// it. Only a `.pub` file is enough where an agent holds the key.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let beside = {
            let mut name = path.as_os_str().to_owned();
            name.push(".pub");
            PathBuf::from(name)
        };
        let from_public = |path: &Path| russh::keys::load_public_key(path).ok();
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                return match from_public(&beside) {
                    Some(public) => Ok(Self {
                        path: path.to_owned(),
                        public: Some(public),
                    }),
                    None => Err(error.to_string()),
                };
            }
        };
        let public = match PrivateKey::from_openssh(text.as_bytes()) {
            Ok(key) => Some(key.public_key().clone()),
            Err(_) => match russh::keys::decode_secret_key(&text, None) {
                Ok(key) => Some(key.public_key().clone()),
                Err(russh::keys::Error::KeyIsEncrypted) => from_public(&beside),
                Err(_) if text.contains("ENCRYPTED") => from_public(&beside),
                Err(error) => match from_public(path) {
                    Some(public) => Some(public),
                    None => return Err(format!("no private key that can be read: {error}")),
                },
            },
        };
        Ok(Self {
            path: path.to_owned(),
            public,
        })
    }

    /// The private key, asking for its passphrase if it is encrypted. `None` where nobody gave one.
    pub(super) async fn unlock(&self, asker: &Asker) -> Result<Option<PrivateKey>> {
        let text = read(&self.path)
            .map_err(|error| Error::io("read identity", self.path.display(), error))?;
        if let Ok(key) = russh::keys::decode_secret_key(&text, None) {
            return Ok(Some(key));
        }
        for attempt in 1..=PASSPHRASE_PROMPTS {
            let Some(passphrase) = asker.passphrase(&self.path, attempt).await? else {
                return Ok(None);
            };
            if let Some(key) = self.decrypt(&text, passphrase).await {
                return Ok(Some(key));
            }
        }
        Err(Error::new(
            ErrorKind::AuthFailed,
            "read identity",
            format!("wrong passphrase for {}", self.path.display()),
        ))
    }

    /// bcrypt takes a good part of a second: not on the runtime's own threads.
    async fn decrypt(&self, text: &Zeroizing<String>, passphrase: Secret) -> Option<PrivateKey> {
        let text = text.clone();
        tokio::task::spawn_blocking(move || {
            russh::keys::decode_secret_key(&text, Some(passphrase.expose())).ok()
        })
        .await
        .ok()
        .flatten()
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let length = std::fs::metadata(path)?.len();
    if length > MAX_KEY_FILE {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("{length} bytes are too many for a private key"),
        ));
    }
    // Read into a buffer that never grows: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(length as usize + 1));
    std::io::Read::read_to_string(
        &mut std::io::Read::take(std::fs::File::open(path)?, MAX_KEY_FILE),
        &mut text,
    )?;
    Ok(text)
}

/// Why a signature was not made.
#[derive(Debug)]
pub(super) enum SignError {
    /// Nobody gave the passphrase, or the agent refused: the next identity may do.
    Skip(String),
    /// The attempt as a whole is over.
    Stop(Error),
}

impl From<russh::SendError> for SignError {
    fn from(_: russh::SendError) -> Self {
        Self::Skip("the connection was lost".into())
    }
}

/// Signs with a key file.
pub(super) struct FileSigner<'a> {
    pub(super) file: &'a KeyFile,
    pub(super) asker: &'a Asker,
}

impl russh::Signer for FileSigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _: &russh::keys::agent::AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let key = match self.file.unlock(self.asker).await {
            Ok(Some(key)) => key,
            Ok(None) => {
                return Err(SignError::Skip(
                    "it is encrypted and no passphrase was given".into(),
                ));
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                return Err(SignError::Stop(error));
            }
            Err(error) => return Err(SignError::Skip(error.message().to_owned())),
        };
        let unusable =
            |error: &dyn std::fmt::Display| SignError::Skip(format!("it cannot sign: {error}"));
        let signature = match key.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign),
            pair => pair.try_sign(&to_sign),
        }
        .map_err(|error| unusable(&error))?;
        let encoded = signature.encode_vec().map_err(|error| unusable(&error))?;
        encoded
            .encode(&mut to_sign)
            .map_err(|error| unusable(&error))?;
        Ok(to_sign)
    }
}
