//! Puts questions to the program's prompter, with the connect deadline standing still meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::deadline::{Deadline, Pause};
use crate::error::Result;
use crate::host::Host;
use crate::prompt::{
    AgentKeyPrompt, HostKeyPrompt, HostKeysPrompt, KeyFingerprint, KeyboardInteractivePrompt,
    OpenQuestion, OpenQuestions, PassphrasePrompt, PasswordPrompt, Prompter, Question,
};
use crate::secret::Secret;

/// Asks on behalf of one connection attempt.
#[derive(Clone)]
pub(crate) struct Asker {
    prompter: Option<Arc<dyn Prompter>>,
    questions: OpenQuestions,
    host: String,
    user: String,
    deadline: Deadline,
    asked: Arc<AtomicBool>,
}

impl Asker {
    /// In batch mode nobody is asked.
    pub(crate) fn new(
        host: &Host,
        prompter: Option<Arc<dyn Prompter>>,
        deadline: Deadline,
    ) -> Self {
        Self {
            prompter: prompter.filter(|_| !host.batch_mode),
            questions: OpenQuestions::default(),
            host: host.name.clone(),
            user: host.user.clone(),
            deadline,
            asked: Arc::default(),
        }
    }

    /// The same, with its questions counted among these while they are open.
    pub(crate) fn counted_by(mut self, questions: &OpenQuestions) -> Self {
        self.questions = questions.clone();
        self
    }

    /// The deadline of the attempt.
    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Whether there is anybody to ask.
    pub(crate) fn can_ask(&self) -> bool {
        self.prompter.is_some()
    }

    /// Whether anybody was asked anything.
    pub(crate) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Who is asked, and what lasts as long as the question: the deadline's pause, and its being open
    /// for others who wait for the connection.
    fn begin(&self) -> Option<(&dyn Prompter, (Pause, OpenQuestion))> {
        let prompter = self.prompter.as_deref()?;
        self.asked.store(true, Ordering::Relaxed);
        Some((prompter, (self.deadline.pause(), self.questions.open())))
    }

    /// Whether to trust a host key.
    pub(crate) async fn host_key(
        &self,
        known_as: &str,
        algorithm: &str,
        fingerprint: &str,
    ) -> Result<bool> {
        let Some((prompter, _pause)) = self.begin() else {
            return Ok(false);
        };
        prompter
            .host_key(&HostKeyPrompt {
                host: self.host.clone(),
                known_as: known_as.to_owned(),
                algorithm: algorithm.to_owned(),
                fingerprint: fingerprint.to_owned(),
            })
            .await
    }

    /// Whether to write changed host keys of a trusted server down.
    pub(crate) async fn host_keys(
        &self,
        known_as: &str,
        learned: Vec<KeyFingerprint>,
        outdated: Vec<KeyFingerprint>,
    ) -> Result<bool> {
        let Some((prompter, _pause)) = self.begin() else {
            return Ok(false);
        };
        prompter
            .host_keys(&HostKeysPrompt {
                host: self.host.clone(),
                known_as: known_as.to_owned(),
                learned,
                outdated,
            })
            .await
    }

    /// The passphrase of a key file.
    pub(crate) async fn passphrase(&self, path: &Path, attempt: u32) -> Result<Option<Secret>> {
        let Some((prompter, _pause)) = self.begin() else {
            return Ok(None);
        };
        prompter
            .passphrase(&PassphrasePrompt {
                host: self.host.clone(),
                path: path.to_owned(),
                attempt,
            })
            .await
    }

    /// Whether to give a key to the agent.
    pub(crate) async fn agent_key(
        &self,
        path: &Path,
        comment: &str,
        fingerprint: &str,
    ) -> Result<bool> {
        let Some((prompter, _pause)) = self.begin() else {
            return Ok(false);
        };
        prompter
            .agent_key(&AgentKeyPrompt {
                host: self.host.clone(),
                path: path.to_owned(),
                comment: comment.to_owned(),
                fingerprint: fingerprint.to_owned(),
            })
            .await
    }

    /// The account's password.
    pub(crate) async fn password(&self, attempt: u32) -> Result<Option<Secret>> {
        let Some((prompter, _pause)) = self.begin() else {
            return Ok(None);
        };
        prompter
            .password(&PasswordPrompt {
                host: self.host.clone(),
                user: self.user.clone(),
                attempt,
            })
            .await
    }

    /// The answers to one round of questions.
    pub(crate) async fn keyboard_interactive(
        &self,
        name: String,
        instructions: String,
        questions: Vec<Question>,
    ) -> Result<Option<Vec<Secret>>> {
        let Some((prompter, _pause)) = self.begin() else {
            return Ok(None);
        };
        prompter
            .keyboard_interactive(&KeyboardInteractivePrompt {
                host: self.host.clone(),
                user: self.user.clone(),
                name,
                instructions,
                questions,
            })
            .await
    }
}
