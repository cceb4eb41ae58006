//! Questions that only a person, or the program that embeds rmux, can answer.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::sync::watch;

use crate::error::Result;
use crate::secret::Secret;

/// What an answering method returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A host key nobody has vouched for yet.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct HostKeyPrompt {
    /// The host as the user named it.
    pub host: String,
    /// The name it is looked up by in `known_hosts`, for example `[127.0.0.1]:2222`.
    pub known_as: String,
    /// The key's algorithm, for example `ssh-ed25519`.
    pub algorithm: String,
    /// The key's fingerprint as OpenSSH prints it: `SHA256:` and unpadded base64, unless
    /// `FingerprintHash` says `md5`.
    pub fingerprint: String,
}

/// A server that is trusted has other host keys than `known_hosts` says, and has proved that the new
/// ones are its own (`UpdateHostKeys ask`).
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct HostKeysPrompt {
    /// The host as the user named it.
    pub host: String,
    /// The name it is looked up by in `known_hosts`, for example `[127.0.0.1]:2222`.
    pub known_as: String,
    /// The keys that would be added.
    pub learned: Vec<KeyFingerprint>,
    /// The keys that would be removed: the server has them no more.
    pub outdated: Vec<KeyFingerprint>,
}

/// A key, as a question shows it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFingerprint {
    /// The key's algorithm, for example `ssh-ed25519`.
    pub algorithm: String,
    /// The key's fingerprint as OpenSSH prints it, by `FingerprintHash`.
    pub fingerprint: String,
}

/// A private key file that is encrypted.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct PassphrasePrompt {
    /// The host as the user named it.
    pub host: String,
    /// The file.
    pub path: PathBuf,
    /// 1 for the first question about this file, 2 after one wrong answer, and so on.
    pub attempt: u32,
}

/// A private key that was read from a file let the user in, and the agent could keep it
/// (`AddKeysToAgent ask`).
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct AgentKeyPrompt {
    /// The host as the user named it.
    pub host: String,
    /// The file.
    pub path: PathBuf,
    /// The key's comment, or the file's name where it has none.
    pub comment: String,
    /// The key's fingerprint: `SHA256:` and unpadded base64.
    pub fingerprint: String,
}

/// The server asks for the account's password.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct PasswordPrompt {
    /// The host as the user named it.
    pub host: String,
    /// The account.
    pub user: String,
    /// 1 for the first question, 2 after one wrong answer, and so on.
    pub attempt: u32,
}

/// One round of keyboard-interactive authentication (RFC 4256, section 3.2).
///
/// `name`, `instructions` and the questions' texts come from the server as they are: take control
/// characters out before showing them on a terminal.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct KeyboardInteractivePrompt {
    /// The host as the user named it.
    pub host: String,
    /// The account.
    pub user: String,
    /// The server's title for the round; often empty.
    pub name: String,
    /// The server's instructions; often empty.
    pub instructions: String,
    /// The questions. May be empty: then the server only wants an empty list of answers.
    pub questions: Vec<Question>,
}

/// One question of a round. Its text comes from the server as it is: take control characters out
/// before showing it on a terminal.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Question {
    /// The text to show.
    pub text: String,
    /// Whether what is typed may be shown.
    pub echo: bool,
}

/// Answers the questions of connecting.
///
/// Every method has a default that declines, so that a program answers only what it can. The
/// connect deadline does not run while an answer is awaited.
pub trait Prompter: Send + Sync + 'static {
    /// Whether to trust an unknown host key, which is then added to `known_hosts`.
    fn host_key<'a>(&'a self, prompt: &'a HostKeyPrompt) -> Answer<'a, bool> {
        let _ = prompt;
        Box::pin(async { Ok(false) })
    }

    /// Whether to write down that a trusted server's host keys have changed. Asked while the session
    /// goes on, and only where the user set `UpdateHostKeys ask`.
    fn host_keys<'a>(&'a self, prompt: &'a HostKeysPrompt) -> Answer<'a, bool> {
        let _ = prompt;
        Box::pin(async { Ok(false) })
    }

    /// The passphrase of a private key file; `None` skips the key.
    fn passphrase<'a>(&'a self, prompt: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        let _ = prompt;
        Box::pin(async { Ok(None) })
    }

    /// Whether to give a key that was read from a file to the agent. Asked where the user set
    /// `AddKeysToAgent ask`, after the key was accepted.
    fn agent_key<'a>(&'a self, prompt: &'a AgentKeyPrompt) -> Answer<'a, bool> {
        let _ = prompt;
        Box::pin(async { Ok(false) })
    }

    /// The account's password; `None` gives up on passwords.
    fn password<'a>(&'a self, prompt: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        let _ = prompt;
        Box::pin(async { Ok(None) })
    }

    /// One answer a question, in order; `None` gives up on keyboard-interactive, which counts as a
    /// failed attempt with the server.
    fn keyboard_interactive<'a>(
        &'a self,
        prompt: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        let _ = prompt;
        Box::pin(async { Ok(None) })
    }
}

/// How many questions are open, for who must not count the time meanwhile. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct OpenQuestions(watch::Sender<usize>);

/// A question that is open until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenQuestion(OpenQuestions);

impl OpenQuestions {
    /// One more.
    pub(crate) fn open(&self) -> OpenQuestion {
        self.0.send_modify(|open| *open += 1);
        OpenQuestion(self.clone())
    }

    /// How many there are, from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }
}

impl Default for OpenQuestions {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open -= 1);
    }
}
