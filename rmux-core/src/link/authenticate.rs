//! Proving to the server who the user is (RFC 4252): keys, questions, password.
//!
//! The server's answers carry no tag, so an attempt that was begun is always seen through; what
//! ends early ends the connection.

use std::path::{Path, PathBuf};

use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};

use super::Lost;
use super::agent::Agent;
use super::handler::Handler;
use super::keys::{FileSigner, KeyFile, SignError};
use crate::ask::Asker;
use crate::config::Config;
use crate::deadline::Expired;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::prompt::Question;
use crate::secret::Secret;

const PASSWORD_REFUSED: &str = "the password was not accepted";

/// How the server answered one attempt.
enum Answer {
    Accepted,
    /// Refused, or accepted as one step of several; what may be tried now.
    GoOn {
        allowed: Vec<MethodKind>,
        step_done: bool,
    },
}

/// A key to offer.
enum Candidate {
    Agent(Box<AgentIdentity>),
    File(KeyFile),
}

struct Attempt<'a> {
    handle: &'a mut Handle<Handler>,
    host: &'a Host,
    asker: &'a Asker,
    /// The one that the program set; taken by the first question or attempt it is given to.
    password: Option<Secret>,
    lost: &'a Lost,
    agent: Option<Agent>,
    candidates: std::vec::IntoIter<Candidate>,
    rsa_hash: Option<HashAlg>,
    /// What the final error says about why this and that did not do.
    notes: Vec<String>,
}

/// Authenticates within the asker's deadline; returns the name of the method that did it.
pub(super) async fn authenticate(
    handle: &mut Handle<Handler>,
    host: &Host,
    config: &Config,
    asker: &Asker,
    lost: &Lost,
) -> Result<&'static str> {
    let work = async {
        let mut attempt = Attempt {
            handle,
            host,
            asker,
            password: config.password.clone(),
            lost,
            agent: None,
            candidates: Vec::new().into_iter(),
            rsa_hash: None,
            notes: host.notes.clone(),
        };
        attempt.run().await
    };
    match asker.deadline().run(work).await {
        Ok(done) => done.map_err(|error| error.with_host(&host.name)),
        Err(Expired(allowed)) => Err(Error::new(
            ErrorKind::TimedOut,
            "authenticate",
            format!("the server did not finish authentication within {allowed:?}"),
        )
        .with_host(&host.name)),
    }
}

impl Attempt<'_> {
    async fn run(&mut self) -> Result<&'static str> {
        let order: Vec<(MethodKind, &'static str)> = self
            .host
            .auth_methods
            .iter()
            .filter_map(|name| match name.as_str() {
                "publickey" => Some((MethodKind::PublicKey, "publickey")),
                "keyboard-interactive" => {
                    Some((MethodKind::KeyboardInteractive, "keyboard-interactive"))
                }
                "password" => Some((MethodKind::Password, "password")),
                _ => None,
            })
            .collect();
        if order.iter().any(|(kind, _)| *kind == MethodKind::PublicKey) {
            self.find_keys().await?;
        }
        // Keys cost the server nothing to be asked about, so begin with them; without any, ask
        // first what the server takes (RFC 4252, section 5.2).
        let mut allowed = None;
        if self.candidates.len() == 0 {
            match self.none().await? {
                Answer::Accepted => return Ok("none"),
                Answer::GoOn { allowed: now, .. } => allowed = Some(now),
            }
        }
        'step: loop {
            for (kind, name) in &order {
                if allowed
                    .as_ref()
                    .is_some_and(|allowed| !allowed.contains(kind))
                {
                    continue;
                }
                let answer = match kind {
                    MethodKind::PublicKey => self.public_keys().await?,
                    MethodKind::KeyboardInteractive => self.keyboard_interactive().await?,
                    _ => self.passwords().await?,
                };
                match answer {
                    None => {}
                    Some(Answer::Accepted) => return Ok(name),
                    Some(Answer::GoOn {
                        allowed: now,
                        step_done,
                    }) => {
                        allowed = Some(now);
                        if step_done {
                            continue 'step;
                        }
                    }
                }
            }
            return Err(self.failed(allowed.as_deref().unwrap_or_default()));
        }
    }

    fn failed(&self, allowed: &[MethodKind]) -> Error {
        let methods: Vec<&str> = allowed.iter().map(Into::into).collect();
        let mut message = format!("{} was not let in", self.host.user);
        if !methods.is_empty() {
            message += &format!("; the server takes {}", methods.join(", "));
        }
        for note in &self.notes {
            message += "; ";
            message += note;
        }
        Error::new(ErrorKind::AuthFailed, "authenticate", message)
    }

    /// Agent keys that the identity files name, other agent keys unless they are ruled out, then
    /// the files the agent does not hold.
    async fn find_keys(&mut self) -> Result<()> {
        let paths = self.host.identity_files.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let open = |path: PathBuf| (KeyFile::open(&path), path);
            paths.into_iter().map(open).collect::<Vec<_>>()
        });
        let mut files = Vec::new();
        for (opened, path) in opening.await.expect("reading files does not panic") {
            match opened {
                Ok(file) => files.push(file),
                Err(why) => self.note_file(&path, &why),
            }
        }
        if let Some(socket) = &self.host.agent_socket {
            match Agent::connect(socket, self.asker.deadline()).await {
                Ok(agent) => self.agent = Some(agent),
                Err(why) => {
                    tracing::debug!(socket = %socket.display(), %why, "agent left out");
                    self.notes
                        .push(format!("agent {}: {why}", socket.display()));
                }
            }
        }
        let mut held = self
            .agent
            .as_ref()
            .map(|a| a.identities.clone())
            .unwrap_or_default();
        let mut candidates = Vec::new();
        let mut not_held = Vec::new();
        for file in files {
            if let Some(public) = &file.public {
                // Certificates for the key before the key itself, as ssh does.
                let certified = held.extract_if(.., |identity| is_certified(identity, public));
                candidates.extend(certified.map(|key| Candidate::Agent(Box::new(key))));
                if let Some(index) = held.iter().position(|key| is_plain(key, public)) {
                    candidates.push(Candidate::Agent(Box::new(held.remove(index))));
                    continue;
                }
            }
            match &file.unusable {
                Some(why) => self.note_file(&file.path, why),
                None => not_held.push(Candidate::File(file)),
            }
        }
        if !self.host.identities_only {
            candidates.extend(held.into_iter().map(|key| Candidate::Agent(Box::new(key))));
        }
        candidates.extend(not_held);
        self.candidates = candidates.into_iter();
        Ok(())
    }

    /// Only files that the user named are worth a word.
    fn note_file(&mut self, path: &Path, why: &str) {
        if self.host.identity_files_named {
            let path = path.display();
            self.notes.push(format!("identity file {path}: {why}"));
        }
    }

    async fn none(&mut self) -> Result<Answer> {
        let result = self.handle.authenticate_none(&self.host.user).await;
        self.answer(result.map_err(|_| ())).await
    }

    /// Offers the keys that were not offered yet; `None` where there is none.
    async fn public_keys(&mut self) -> Result<Option<Answer>> {
        let mut last = None;
        while let Some(candidate) = self.candidates.next() {
            let Some(answer) = self.offer(candidate).await? else {
                continue;
            };
            match answer {
                Answer::GoOn {
                    step_done: false,
                    ref allowed,
                } => {
                    let over = !allowed.contains(&MethodKind::PublicKey);
                    last = Some(answer);
                    if over {
                        break;
                    }
                }
                decided => return Ok(Some(decided)),
            }
        }
        Ok(last)
    }

    async fn offer(&mut self, candidate: Candidate) -> Result<Option<Answer>> {
        let user = self.host.user.clone();
        let (signed, what) = match candidate {
            Candidate::Agent(identity) => {
                let (algorithm, comment) = match &*identity {
                    AgentIdentity::PublicKey { key, comment } => (key.algorithm(), comment.clone()),
                    AgentIdentity::Certificate {
                        certificate,
                        comment,
                    } => (certificate.algorithm(), comment.clone()),
                };
                let hash = self.hash_for(&algorithm).await;
                let Some(agent) = self.agent.as_mut().filter(|agent| !agent.is_gone()) else {
                    return Ok(None);
                };
                let signed = match *identity {
                    AgentIdentity::PublicKey { key, .. } => {
                        self.handle
                            .authenticate_publickey_with(user, key, hash, agent)
                            .await
                    }
                    AgentIdentity::Certificate { certificate, .. } => {
                        self.handle
                            .authenticate_certificate_with(user, certificate, hash, agent)
                            .await
                    }
                };
                (signed, format!("agent key {comment:?}"))
            }
            Candidate::File(file) => {
                let Some((public, unlocked)) = self.public_part(&file).await? else {
                    return Ok(None);
                };
                let hash = self.hash_for(&public.algorithm()).await;
                let mut signer = FileSigner {
                    file: &file,
                    asker: self.asker,
                    unlocked,
                };
                let signed = self
                    .handle
                    .authenticate_publickey_with(user, public, hash, &mut signer)
                    .await;
                (signed, format!("identity file {}", file.path.display()))
            }
        };
        match signed {
            Ok(result) => self.answer(Ok(result)).await.map(Some),
            Err(SignError::Stop(error)) => Err(error),
            Err(SignError::Skip(why)) => {
                if self.handle.is_closed() {
                    return Err(self.closed().await);
                }
                self.notes.push(format!("{what}: {why}"));
                Ok(None)
            }
        }
    }

    /// The public half, for which an old-style encrypted file must be unlocked first; then with the
    /// key, so that nobody is asked for the passphrase again.
    async fn public_part(
        &mut self,
        file: &KeyFile,
    ) -> Result<Option<(PublicKey, Option<PrivateKey>)>> {
        if let Some(public) = &file.public {
            return Ok(Some((public.clone(), None)));
        }
        match file.unlock(self.asker).await {
            Ok(Some(key)) => Ok(Some((key.public_key().clone(), Some(key)))),
            Ok(None) => {
                let path = file.path.display();
                self.notes.push(format!(
                    "identity file {path}: it is encrypted and no passphrase was given"
                ));
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                self.notes.push(error.message().to_owned());
                Ok(None)
            }
        }
    }

    /// RSA keys sign with SHA-2: what the server lists (RFC 8308), else SHA-512 as ssh does.
    async fn hash_for(&mut self, algorithm: &Algorithm) -> Option<HashAlg> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return None;
        }
        if self.rsa_hash.is_none() {
            let listed = self
                .handle
                .best_supported_rsa_hash()
                .await
                .ok()
                .flatten()
                .flatten();
            self.rsa_hash = Some(listed.unwrap_or(HashAlg::Sha512));
        }
        self.rsa_hash
    }

    async fn passwords(&mut self) -> Result<Option<Answer>> {
        let mut last = None;
        for attempt in 1..=self.host.password_prompts {
            let password = match self.password.take() {
                Some(password) => password,
                None => match self.asker.password(attempt).await? {
                    Some(password) => password,
                    None => break,
                },
            };
            let result = self
                .handle
                .authenticate_password(&self.host.user, password.expose())
                .await;
            match self.answer(result.map_err(|_| ())).await? {
                answer @ Answer::GoOn {
                    step_done: false, ..
                } => last = Some(answer),
                decided => return Ok(Some(decided)),
            }
        }
        if last.is_some() {
            self.notes.push(PASSWORD_REFUSED.into());
        }
        Ok(last)
    }

    async fn keyboard_interactive(&mut self) -> Result<Option<Answer>> {
        let mut last = None;
        for _ in 0..self.host.password_prompts {
            if self.password.is_none() && !self.asker.can_ask() {
                break;
            }
            let (answer, declined) = self.conversation().await?;
            match answer {
                answer @ Answer::GoOn {
                    step_done: false, ..
                } => last = Some(answer),
                decided => return Ok(Some(decided)),
            }
            if declined {
                break;
            }
        }
        Ok(last)
    }

    /// One attempt by keyboard-interactive, and whether a question in it was declined.
    async fn conversation(&mut self) -> Result<(Answer, bool)> {
        let (mut declined, mut password_used) = (false, false);
        let mut round = self
            .handle
            .authenticate_keyboard_interactive_start(&self.host.user, None)
            .await;
        loop {
            match round {
                Ok(KeyboardInteractiveAuthResponse::Success) => {
                    return Ok((Answer::Accepted, declined));
                }
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    if password_used && !partial_success {
                        self.notes.push(PASSWORD_REFUSED.into());
                    }
                    let failure = AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    };
                    return Ok((self.answer(Ok(failure)).await?, declined));
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest {
                    name,
                    instructions,
                    prompts,
                }) => {
                    let questions: Vec<Question> = prompts
                        .into_iter()
                        .map(|prompt| Question {
                            text: prompt.prompt,
                            echo: prompt.echo,
                        })
                        .collect();
                    let count = questions.len();
                    let answers = if declined || questions.is_empty() {
                        None
                    } else if is_for_password(&questions) && self.password.is_some() {
                        password_used = true;
                        self.password.take().map(|password| vec![password])
                    } else {
                        let asking = self
                            .asker
                            .keyboard_interactive(name, instructions, questions);
                        let answers = asking.await?;
                        declined = answers.is_none();
                        answers
                    };
                    let answers: Vec<String> = match answers {
                        Some(answers) if answers.len() != count => {
                            return Err(Error::new(
                                ErrorKind::InvalidInput,
                                "authenticate",
                                format!(
                                    "the prompter gave {} answers to {count} questions",
                                    answers.len()
                                ),
                            ));
                        }
                        Some(answers) => answers.iter().map(|a| a.expose().to_owned()).collect(),
                        // The engine takes nothing but answers now, so declining too is to
                        // answer, with nothing, until the server gives up; ssh does the same.
                        None => vec![String::new(); count],
                    };
                    round = self
                        .handle
                        .authenticate_keyboard_interactive_respond(answers)
                        .await;
                }
                Err(_) => return Err(self.closed().await),
            }
        }
    }

    async fn answer(&mut self, result: Result<AuthResult, ()>) -> Result<Answer> {
        match result {
            Ok(AuthResult::Success) => Ok(Answer::Accepted),
            // Without a method left the engine ends the connection, and an end looks like this too.
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) if remaining_methods.is_empty() => Err(self.closed().await),
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => Ok(Answer::GoOn {
                allowed: remaining_methods.to_vec(),
                step_done: partial_success,
            }),
            Err(()) => Err(self.closed().await),
        }
    }

    /// The connection ended while authenticating. A server that says so has had enough of us.
    fn closed(&self) -> impl Future<Output = Error> + Send + use<> {
        let (mut lost, notes) = (self.lost.clone(), self.notes.clone());
        let user = self.host.user.clone();
        async move {
            let reason = lost.wait().await;
            let source = std::error::Error::source(&reason);
            let mut message = match source.map(|source| source.downcast_ref::<russh::Error>()) {
                None => reason.message().to_owned(),
                Some(Some(russh::Error::NoAuthMethod)) => {
                    format!("{user} was not let in; the server takes no other method")
                }
                Some(_) => return reason,
            };
            for note in notes {
                message += "; ";
                message += &note;
            }
            Error::new(ErrorKind::AuthFailed, "authenticate", message)
        }
    }
}

/// Whether the server asks for the account's password and nothing else: it must not be given to a
/// question for something else, which may come from elsewhere than the host.
fn is_for_password(questions: &[Question]) -> bool {
    matches!(questions, [only] if !only.echo && only.text.to_lowercase().contains("password"))
}

fn is_certified(identity: &AgentIdentity, public: &PublicKey) -> bool {
    match identity {
        AgentIdentity::PublicKey { .. } => false,
        AgentIdentity::Certificate { certificate, .. } => {
            certificate.public_key() == public.key_data()
        }
    }
}

fn is_plain(identity: &AgentIdentity, public: &PublicKey) -> bool {
    match identity {
        AgentIdentity::PublicKey { key, .. } => key.key_data() == public.key_data(),
        AgentIdentity::Certificate { .. } => false,
    }
}
