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
    /// Why the private half in the file cannot be used, although an agent may hold it.
    pub(super) unusable: Option<String>,
}

impl KeyFile {
    /// Reads what can be read without a passphrase: the key file itself, or the `.pub` file beside
    /// it. Only a `.pub` file is enough where an agent holds the key. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let beside = || {
            let mut name = path.as_os_str().to_owned();
            name.push(".pub");
            let text = read(Path::new(&name)).ok()?;
            public_line(&text.text)
        };
        let key = |public, unusable| Self {
            path: path.to_owned(),
            public,
            unusable,
        };
        let file = match read(path) {
            Ok(file) => file,
            Err(error) => {
                let why = error.to_string();
                return match beside() {
                    Some(public) => Ok(key(Some(public), Some(why))),
                    None => Err(why),
                };
            }
        };
        let public = match PrivateKey::from_openssh(file.text.as_bytes()) {
            Ok(private) => Some(private.public_key().clone()),
            Err(_) => match russh::keys::decode_secret_key(&file.text, None) {
                Ok(private) => Some(private.public_key().clone()),
                Err(russh::keys::Error::KeyIsEncrypted) => beside(),
                Err(_) if file.text.contains("ENCRYPTED") => beside(),
                Err(error) => {
                    let why = format!("no private key that can be read: {error}");
                    return match public_line(&file.text) {
                        Some(public) => Ok(key(Some(public), Some(why))),
                        None => Err(why),
                    };
                }
            },
        };
        Ok(key(public, file.exposed.map(exposed)))
    }

    /// The private key, asking for its passphrase if it is encrypted. `None` where nobody gave one.
    pub(super) async fn unlock(&self, asker: &Asker) -> Result<Option<PrivateKey>> {
        let failed = |error| Error::io("read identity", self.path.display(), error);
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

struct KeyText {
    text: Zeroizing<String>,
    /// The file's mode, where the file is ours and others may read it.
    exposed: Option<u32>,
}

fn read(path: &Path) -> std::io::Result<KeyText> {
    let refuse = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    // Opening a pipe would wait for whoever writes to it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refuse("it is no regular file".into()));
    }
    let length = metadata.len();
    if length > MAX_KEY_FILE {
        return Err(refuse(format!(
            "{length} bytes are too many for a private key"
        )));
    }
    // Read into a buffer that never grows: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(length as usize + 1));
    std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_KEY_FILE), &mut text)?;
    Ok(KeyText {
        text,
        exposed: exposure(&metadata),
    })
}

/// As ssh judges it: another owner's file is that owner's business.
#[cfg(unix)]
fn exposure(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = metadata.uid() == rustix::process::getuid().as_raw();
    (ours && metadata.mode() & 0o077 != 0).then_some(metadata.mode() & 0o777)
}

#[cfg(not(unix))]
fn exposure(_: &std::fs::Metadata) -> Option<u32> {
    None
}

fn exposed(mode: u32) -> String {
    format!(
        "it is ignored, as ssh does, because others may read it: \
         its mode is {mode:04o} and should be 0600"
    )
}

/// The public key on the first line that holds something.
fn public_line(text: &str) -> Option<PublicKey> {
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    PublicKey::from_openssh(line).ok()
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
    /// The private key, where it had to be unlocked before the server was asked about it.
    pub(super) unlocked: Option<PrivateKey>,
}

impl russh::Signer for FileSigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _: &russh::keys::agent::AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let unlocked = match self.unlocked.take() {
            Some(key) => Ok(Some(key)),
            None => self.file.unlock(self.asker).await,
        };
        let key = match unlocked {
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
