//! Proving to the server who the user is (RFC 4252): which method is tried when.
//!
//! The server's answers carry no tag, so an attempt that was begun is always seen through; what
//! ends early ends the connection.

mod algorithm;
mod answers;
mod candidates;
mod files;
mod public_keys;
mod signer;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentSessionBinding;

use self::algorithm::{Accepted, Listed};
use self::candidates::Candidates;
use super::Lost;
use super::agent::Agent;
use super::handler::Handler;
use crate::ask::Asker;
use crate::config::Config;
use crate::deadline::Expired;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::secret::Secret;

/// How the server answered one attempt.
enum Answer {
    Accepted,
    /// Refused, or accepted as one step of several; what may be tried now.
    GoOn {
        allowed: Vec<MethodKind>,
        step_done: bool,
    },
}

struct Attempt<'a> {
    handle: &'a mut Handle<Handler>,
    host: &'a Host,
    asker: &'a Asker,
    /// The one that the program set; taken by the first question or attempt it is given to.
    password: Option<Secret>,
    lost: &'a Lost,
    /// What the server calls itself.
    server: &'a str,
    /// By which an agent knows the server, where the engine has it.
    binding: Option<AgentSessionBinding>,
    agent: Option<Agent>,
    candidates: Candidates,
    accepted: Accepted,
    /// What the server says of RSA signatures, once it was asked.
    listed: Option<Listed>,
    /// Whether requests that name the host key have not failed yet.
    host_bound: bool,
    /// The key that was accepted in the step just done.
    taken: Option<usize>,
    /// Whether a step that was accepted may ask somebody when it is done again.
    may_ask: bool,
    /// The user's agent is left alone.
    without_agent: bool,
    /// How many keys the server was asked about.
    offered: usize,
    /// What the final error says about why this and that did not do.
    notes: Vec<String>,
}

/// Who wants to be let in, and where.
pub(super) struct Knocking<'a> {
    pub(super) host: &'a Host,
    pub(super) config: &'a Config,
    pub(super) asker: &'a Asker,
    pub(super) lost: &'a Lost,
    /// What the server calls itself (RFC 4253, section 4.2).
    pub(super) server: &'a str,
    /// The user's agent is left alone.
    pub(super) without_agent: bool,
}

/// How the account was let in.
pub(super) struct LetIn {
    /// The name of the method that did it.
    pub(super) method: &'static str,
    /// Whether somebody else than the program's prompter may have been asked, or will be the next
    /// time: by an agent, or by the server's own questions.
    pub(super) may_ask: bool,
}

/// Authenticates within the asker's deadline.
pub(super) async fn authenticate(
    handle: &mut Handle<Handler>,
    knocking: Knocking<'_>,
) -> Result<LetIn> {
    let Knocking {
        host,
        config,
        asker,
        lost,
        server,
        without_agent,
    } = knocking;
    let work = async {
        let mut attempt = Attempt {
            binding: handle.agent_session_binding().cloned(),
            handle,
            host,
            asker,
            password: config.password.clone(),
            lost,
            server,
            agent: None,
            candidates: Candidates::default(),
            accepted: Accepted::of(host),
            listed: None,
            host_bound: host.pubkey_host_bound,
            taken: None,
            may_ask: false,
            without_agent,
            offered: 0,
            notes: host.notes.clone(),
        };
        let method = attempt.run().await?;
        Ok::<_, Error>(LetIn {
            method,
            may_ask: attempt.may_ask,
        })
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
            self.find_keys().await;
        }
        // Keys cost the server nothing to be asked about, so begin with them; without any, ask
        // first what the server takes (RFC 4252, section 5.2).
        let mut allowed = None;
        if self.candidates.is_empty() {
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
                let refused = matches!(
                    answer,
                    None | Some(Answer::GoOn {
                        step_done: false,
                        ..
                    })
                );
                self.may_ask |= !refused && *kind == MethodKind::KeyboardInteractive;
                match answer {
                    None => {}
                    Some(Answer::Accepted) => {
                        tracing::debug!("Authenticated using {name:?}");
                        return Ok(name);
                    }
                    Some(Answer::GoOn {
                        allowed: now,
                        step_done,
                    }) => {
                        let methods = names(&now);
                        tracing::debug!("Authentications that can continue: {methods}");
                        allowed = Some(now);
                        if step_done {
                            tracing::debug!("Authenticated using {name:?} with partial success");
                            self.candidates.begin_step(self.taken.take());
                            continue 'step;
                        }
                    }
                }
            }
            return Err(self.failed(allowed.as_deref().unwrap_or_default()));
        }
    }

    fn failed(&self, allowed: &[MethodKind]) -> Error {
        let mut message = format!("{} was not let in", self.host.user);
        if !allowed.is_empty() {
            message += &format!("; the server takes {}", names(allowed));
        }
        with_notes(message, &self.notes)
    }

    async fn none(&mut self) -> Result<Answer> {
        let result = self.handle.authenticate_none(&self.host.user).await;
        self.answer(result.map_err(|_| ())).await
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
        let (user, offered) = (self.host.user.clone(), self.offered);
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
            if offered > 1 && message.contains("Too many authentication failures") {
                message += &format!(
                    "; it was asked about {offered} keys: name the right one with IdentityFile, \
                     and set IdentitiesOnly to leave out others that an agent holds"
                );
            }
            with_notes(message, &notes)
        }
    }
}

fn with_notes(mut message: String, notes: &[String]) -> Error {
    for note in notes {
        message += "; ";
        message += note;
    }
    Error::new(ErrorKind::AuthFailed, "authenticate", message)
}

fn names(methods: &[MethodKind]) -> String {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    names.join(", ")
}
