//! The user's SSH agent: what it holds, signatures by it, and keys given to it.
//!
//! An agent may be slow, silent, locked or gone: whatever is asked of it has a deadline, and one
//! that let a deadline pass is not asked again, because its late answer would be taken for another.

mod messages;

use std::path::Path;
use std::time::Duration;

use rmux_proto::wire::Reader;
use russh::keys::agent::AgentSessionBinding;
use russh::keys::{HashAlg, PrivateKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(super) use self::messages::Constraints;
use self::messages::{Frame, Unexpected};
use super::keys::Public;
use super::transport::Bytestream;
use crate::deadline::Deadline;
use crate::printable::printable;

/// An agent that does not list its keys within this time is left alone.
const LIST_DEADLINE: Duration = Duration::from_secs(5);
/// A signature may need a person's touch or confirmation.
const SIGN_DEADLINE: Duration = Duration::from_secs(60);

/// What an agent's socket is to the rest.
pub(super) type Socket = Box<dyn Bytestream>;

/// A connection to an agent.
pub(super) struct Agent {
    /// `None` once an answer was not awaited: it would be taken for that to the next question.
    socket: Option<Socket>,
    /// Whether the agent knows which server it is asked for.
    bound: bool,
    /// Stands still while the agent is asked, because a person may have to confirm it.
    deadline: Deadline,
}

/// A key that the agent holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) public: Public,
    pub(super) comment: String,
}

/// Why the agent did not do what it was asked.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Refused,
    Broken(String),
}

/// Why the agent made no signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotSigned {
    /// It, or the person it asked, said no.
    Refused(String),
    /// It is no use any more.
    Broken(String),
}

impl From<Failure> for NotSigned {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused => Self::Refused("the agent refused to sign".into()),
            Failure::Broken(why) => Self::Broken(format!("the agent did not sign: {why}")),
        }
    }
}

impl From<Unexpected> for Failure {
    fn from(unexpected: Unexpected) -> Self {
        match unexpected {
            Unexpected::Refused => Self::Refused,
            Unexpected::Garbled => Self::Broken("it does not speak the agent protocol".into()),
        }
    }
}

impl Agent {
    /// Connects, tells the agent the server by `binding` where it takes that, and lists its keys.
    /// Keys of kinds unknown here are left out.
    pub(super) async fn open(
        path: &Path,
        binding: Option<&AgentSessionBinding>,
        deadline: &Deadline,
    ) -> Result<(Self, Vec<Held>), String> {
        let _pause = deadline.pause();
        let work = async {
            let mut agent = Self::connect(path, deadline).await?;
            if let Some(binding) = binding {
                agent.bound = agent.bind(binding, false).await;
                if agent.is_gone() {
                    // One that hangs up on what it does not know.
                    agent = Self::connect(path, deadline).await?;
                }
            }
            let held = agent.list().await?;
            Ok((agent, held))
        };
        tokio::time::timeout(LIST_DEADLINE, work)
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer within {LIST_DEADLINE:?}")))
    }

    async fn connect(path: &Path, deadline: &Deadline) -> Result<Self, String> {
        let socket = connect(path).await.map_err(|error| error.to_string())?;
        Ok(Self {
            socket: Some(socket),
            bound: false,
            deadline: deadline.clone(),
        })
    }

    /// A connection to hand over to the other side of the link, told by `binding` that it is.
    pub(super) async fn forwarded(
        path: &Path,
        binding: Option<&AgentSessionBinding>,
    ) -> Result<Socket, String> {
        let deadline = Deadline::after(Duration::MAX);
        let work = async {
            let mut agent = Self::connect(path, &deadline).await?;
            if let Some(binding) = binding {
                agent.bind(binding, true).await;
            }
            match agent.socket.take() {
                Some(socket) => Ok(socket),
                None => connect(path).await.map_err(|error| error.to_string()),
            }
        };
        tokio::time::timeout(LIST_DEADLINE, work)
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer within {LIST_DEADLINE:?}")))
    }

    /// Whether it can no longer be asked.
    pub(super) fn is_gone(&self) -> bool {
        self.socket.is_none()
    }

    /// Whether the agent took the server's binding: it may then insist on seeing the server's key
    /// in what it signs.
    pub(super) fn is_bound(&self) -> bool {
        self.bound
    }

    /// Sends one message and reads its answer.
    async fn ask(&mut self, message: Frame) -> Result<Vec<u8>, Failure> {
        let gone = || Failure::Broken("the agent no longer answers".into());
        let mut socket = self.socket.take().ok_or_else(gone)?;
        let talk = async {
            socket.write_all(&message).await?;
            socket.flush().await?;
            let length = socket.read_u32().await? as usize;
            if length > messages::MAX_ANSWER {
                return Ok(None);
            }
            let mut answer = vec![0; length];
            socket.read_exact(&mut answer).await?;
            Ok(Some(answer))
        };
        let answer: std::io::Result<Option<Vec<u8>>> = talk.await;
        match answer {
            Ok(Some(answer)) => {
                self.socket = Some(socket);
                Ok(answer)
            }
            Ok(None) => Err(Unexpected::Garbled.into()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(Failure::Broken("it hung up".into()))
            }
            Err(error) => Err(Failure::Broken(error.to_string())),
        }
    }

    async fn bind(&mut self, binding: &AgentSessionBinding, forwarding: bool) -> bool {
        let (host_key, signature) = (binding.host_key(), binding.signature());
        let message = messages::bind(host_key, binding.session_id(), signature, forwarding);
        let bound = match self.ask(message).await {
            Ok(answer) => messages::success(&answer).is_ok(),
            Err(_) => false,
        };
        tracing::debug!(bound, forwarding, "agent told which server it is used for");
        bound
    }

    async fn list(&mut self) -> Result<Vec<Held>, String> {
        let answer = self.ask(messages::request_identities()).await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        let listed = messages::identities(&answer).map_err(Failure::from);
        let listed = listed.map_err(|failure| failure.to_string())?;
        tracing::debug!("agent returned {} keys", listed.len());
        let held = listed.into_iter().filter_map(|listed| {
            let comment = printable(&listed.comment);
            match Public::from_blob(listed.blob) {
                Ok(public) => Some(Held { public, comment }),
                Err(why) => {
                    tracing::debug!(comment, why, "agent key left out");
                    None
                }
            }
        });
        Ok(held.collect())
    }

    /// A signature over `data` by the key of `public`, in its wire form.
    pub(super) async fn sign(
        &mut self,
        public: &Public,
        hash: Option<HashAlg>,
        data: &[u8],
    ) -> Result<Vec<u8>, NotSigned> {
        let pause = self.deadline.pause();
        let flags = messages::sign_flags(public, hash);
        let asking = self.ask(messages::sign_request(public.blob(), data, flags));
        let answer = tokio::time::timeout(SIGN_DEADLINE, asking).await;
        drop(pause);
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Broken(format!(
                "no answer within {SIGN_DEADLINE:?}"
            ))),
        }?;
        let signature = messages::signature(&answer).map_err(Failure::from)?;
        if public.is_rsa() {
            // Agents of old sign with SHA-1 whatever they are asked for, which no server takes.
            let name = match hash {
                Some(HashAlg::Sha256) => &b"rsa-sha2-256"[..],
                Some(HashAlg::Sha512) => b"rsa-sha2-512",
                _ => b"ssh-rsa",
            };
            let made = Reader::new(signature).string().unwrap_or_default();
            if made != name {
                return Err(NotSigned::Refused(format!(
                    "the agent signed with {}, and {} was wanted",
                    printable(&String::from_utf8_lossy(made)),
                    String::from_utf8_lossy(name)
                )));
            }
        }
        Ok(signature.to_vec())
    }

    /// Gives the agent at `path` a key, and the certificate it was used with.
    pub(super) async fn give(
        path: &Path,
        key: &PrivateKey,
        certificate: Option<&Public>,
        comment: &str,
        constraints: Constraints,
        deadline: &Deadline,
    ) -> Result<(), String> {
        let _pause = deadline.pause();
        let work = async {
            let mut agent = Self::connect(path, deadline).await?;
            for certificate in std::iter::once(None).chain(certificate.map(Some)) {
                let message = messages::add(key, certificate, comment, constraints);
                let message = message.ok_or("it is of a kind that agents do not take")?;
                let added = match agent.ask(message).await {
                    Ok(answer) => messages::success(&answer).map_err(Failure::from),
                    Err(failure) => Err(failure),
                };
                added.map_err(|failure| failure.to_string())?;
            }
            Ok(())
        };
        tokio::time::timeout(LIST_DEADLINE, work)
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer within {LIST_DEADLINE:?}")))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("it refused"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

async fn connect(path: &Path) -> std::io::Result<Socket> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_is_late_is_not_asked_again_and_has_its_time() {
        let (ours, _silent) = tokio::io::duplex(4096);
        let deadline = Deadline::after(Duration::from_secs(10));
        let mut agent = Agent {
            socket: Some(Box::new(ours)),
            bound: false,
            deadline: deadline.clone(),
        };
        let line = "ssh-ed25519 \
             AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let key = Public::from_text(line).unwrap().unwrap();
        let begun = Instant::now();
        let work = async {
            for _ in 0..2 {
                assert!(agent.sign(&key, None, b"data").await.is_err());
            }
        };
        assert!(deadline.run(work).await.is_ok(), "the deadline stood still");
        assert_eq!(begun.elapsed(), SIGN_DEADLINE, "and only one was asked for");
        assert!(agent.is_gone());
    }
}
