//! The program's callbacks as the core's prompter.

use std::sync::Arc;

use napi_derive::napi;
use rmux_core::{
    AgentKeyPrompt, Answer as Answering, Error, ErrorKind, HostKeyPrompt, HostKeysPrompt,
    KeyboardInteractivePrompt, PassphrasePrompt, PasswordPrompt, Prompter, Result, Secret,
};

use crate::connect::Line;
use crate::delivery::{KeyFacts, PromptLine, Question};

/// Which questions the program has a callback for.
#[napi(object, object_to_js = false)]
pub struct Asked {
    pub host_key: bool,
    pub passphrase: bool,
    pub password: bool,
    pub keyboard_interactive: bool,
    pub agent_key: bool,
    pub host_keys: bool,
}

/// The answer to a question. With neither field the program declines.
#[napi(object, object_to_js = false)]
pub struct Answer {
    /// Whether to trust the host key, to keep the key, or to write the host keys down.
    pub accepted: Option<bool>,
    /// The passphrase or password, or one answer for each prompt.
    pub secrets: Option<Vec<String>>,
    /// The callback threw.
    pub failed: Option<bool>,
}

/// A callback threw: the program knows what, by the question's number.
#[derive(Debug)]
pub(crate) struct Thrown(pub(crate) u32);

impl std::fmt::Display for Thrown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the callback threw")
    }
}

impl std::error::Error for Thrown {}

pub(crate) struct Prompts {
    line: Arc<Line>,
    asked: Asked,
}

impl Prompts {
    pub(crate) fn new(line: Arc<Line>, asked: Asked) -> Self {
        Self { line, asked }
    }

    async fn ask(&self, question: Question) -> Result<Answer> {
        let (kind, host) = (question.kind.clone(), question.host.clone());
        let failed =
            |message: String| Error::new(ErrorKind::Cancelled, "connect", message).with_host(&host);
        match self.line.ask(question).await {
            Some((_, answer)) if answer.failed != Some(true) => Ok(answer),
            Some((number, _)) => {
                Err(failed(format!("the callback for {kind} failed")).with_source(Thrown(number)))
            }
            None => Err(failed(format!("nobody is left to answer for {kind}"))),
        }
    }

    async fn agreed(&self, asked: bool, question: Question) -> Result<bool> {
        Ok(asked && self.ask(question).await?.accepted == Some(true))
    }

    async fn secret(&self, asked: bool, question: Question) -> Result<Option<Secret>> {
        if !asked {
            return Ok(None);
        }
        let secrets = self.ask(question).await?.secrets.unwrap_or_default();
        Ok(secrets.into_iter().next().map(Secret::new))
    }
}

/// A question with nothing but its kind and host.
fn question(kind: &str, host: &str) -> Question {
    Question {
        kind: kind.to_owned(),
        number: 0,
        host: host.to_owned(),
        known_as: None,
        algorithm: None,
        fingerprint: None,
        path: None,
        user: None,
        attempt: None,
        name: None,
        instructions: None,
        prompts: None,
        comment: None,
        learned: None,
        outdated: None,
    }
}

/// Keys, as a question shows them.
fn shown(keys: &[rmux_core::KeyFingerprint]) -> Vec<KeyFacts> {
    let one = |key: &rmux_core::KeyFingerprint| KeyFacts {
        algorithm: key.algorithm.clone(),
        fingerprint: key.fingerprint.clone(),
    };
    keys.iter().map(one).collect()
}

impl Prompter for Prompts {
    fn host_key<'a>(&'a self, prompt: &'a HostKeyPrompt) -> Answering<'a, bool> {
        Box::pin(self.agreed(
            self.asked.host_key,
            Question {
                known_as: Some(prompt.known_as.clone()),
                algorithm: Some(prompt.algorithm.clone()),
                fingerprint: Some(prompt.fingerprint.clone()),
                ..question("hostKey", &prompt.host)
            },
        ))
    }

    fn passphrase<'a>(&'a self, prompt: &'a PassphrasePrompt) -> Answering<'a, Option<Secret>> {
        Box::pin(self.secret(
            self.asked.passphrase,
            Question {
                path: Some(prompt.path.display().to_string()),
                attempt: Some(prompt.attempt),
                ..question("passphrase", &prompt.host)
            },
        ))
    }

    fn password<'a>(&'a self, prompt: &'a PasswordPrompt) -> Answering<'a, Option<Secret>> {
        Box::pin(self.secret(
            self.asked.password,
            Question {
                user: Some(prompt.user.clone()),
                attempt: Some(prompt.attempt),
                ..question("password", &prompt.host)
            },
        ))
    }

    fn keyboard_interactive<'a>(
        &'a self,
        prompt: &'a KeyboardInteractivePrompt,
    ) -> Answering<'a, Option<Vec<Secret>>> {
        Box::pin(async move {
            if !self.asked.keyboard_interactive {
                return Ok(None);
            }
            let lines = prompt.questions.iter().map(|line| PromptLine {
                text: line.text.clone(),
                echo: line.echo,
            });
            let answer = self
                .ask(Question {
                    user: Some(prompt.user.clone()),
                    name: Some(prompt.name.clone()),
                    instructions: Some(prompt.instructions.clone()),
                    prompts: Some(lines.collect()),
                    ..question("keyboardInteractive", &prompt.host)
                })
                .await?;
            Ok(answer
                .secrets
                .map(|secrets| secrets.into_iter().map(Secret::new).collect()))
        })
    }

    fn agent_key<'a>(&'a self, prompt: &'a AgentKeyPrompt) -> Answering<'a, bool> {
        Box::pin(self.agreed(
            self.asked.agent_key,
            Question {
                path: Some(prompt.path.display().to_string()),
                comment: Some(prompt.comment.clone()),
                fingerprint: Some(prompt.fingerprint.clone()),
                ..question("agentKey", &prompt.host)
            },
        ))
    }

    fn host_keys<'a>(&'a self, prompt: &'a HostKeysPrompt) -> Answering<'a, bool> {
        Box::pin(self.agreed(
            self.asked.host_keys,
            Question {
                known_as: Some(prompt.known_as.clone()),
                learned: Some(shown(&prompt.learned)),
                outdated: Some(shown(&prompt.outdated)),
                ..question("hostKeys", &prompt.host)
            },
        ))
    }
}
