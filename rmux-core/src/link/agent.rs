//! The user's SSH agent: what it holds, and signatures by it.

use std::path::Path;
use std::time::Duration;

use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};

use super::keys::SignError;
use crate::deadline::Deadline;

/// An agent that does not list its keys within this time is left alone.
const LIST_DEADLINE: Duration = Duration::from_secs(5);
/// A signature may need a person's touch or confirmation.
const SIGN_DEADLINE: Duration = Duration::from_secs(60);

type Stream = Box<dyn AgentStream + Send + Unpin>;

/// A connection to an agent.
pub(super) struct Agent {
    /// `None` once an answer was not awaited: it would be taken for that to the next question.
    client: Option<AgentClient<Stream>>,
    pub(super) identities: Vec<AgentIdentity>,
    /// Stands still while the agent signs, because a person may have to confirm it.
    deadline: Deadline,
}

impl Agent {
    /// Connects and lists the keys.
    pub(super) async fn connect(socket: &Path, deadline: &Deadline) -> Result<Self, String> {
        let listing = async {
            let mut client = connect(socket).await?;
            let identities = client
                .request_identities()
                .await
                .map_err(|error| error.to_string())?;
            Ok(Self {
                client: Some(client),
                identities,
                deadline: deadline.clone(),
            })
        };
        match tokio::time::timeout(LIST_DEADLINE, listing).await {
            Ok(listed) => listed,
            Err(_) => Err(format!("it did not answer within {LIST_DEADLINE:?}")),
        }
    }

    /// Whether it can no longer be asked.
    pub(super) fn is_gone(&self) -> bool {
        self.client.is_none()
    }
}

#[cfg(unix)]
async fn connect(socket: &Path) -> Result<AgentClient<Stream>, String> {
    let client = AgentClient::connect_uds(socket)
        .await
        .map_err(|error| error.to_string())?;
    Ok(client.dynamic())
}

#[cfg(windows)]
async fn connect(pipe: &Path) -> Result<AgentClient<Stream>, String> {
    let client = AgentClient::connect_named_pipe(pipe)
        .await
        .map_err(|error| error.to_string())?;
    Ok(client.dynamic())
}

impl russh::Signer for Agent {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let Some(mut client) = self.client.take() else {
            return Err(SignError::Skip("the agent no longer answers".into()));
        };
        let _pause = self.deadline.pause();
        let signing = client.sign_request(identity, hash, to_sign);
        let signed = tokio::time::timeout(SIGN_DEADLINE, signing).await;
        // Only after these is it certain that nothing more will come.
        if matches!(signed, Ok(Ok(_) | Err(russh::keys::Error::AgentFailure))) {
            self.client = Some(client);
        }
        match signed {
            Ok(Ok(signed)) => Ok(signed),
            Ok(Err(error)) => Err(SignError::Skip(format!("the agent did not sign: {error}"))),
            Err(_) => Err(SignError::Skip(format!(
                "the agent did not sign within {SIGN_DEADLINE:?}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use russh::Signer as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_is_late_is_not_asked_again_and_has_its_time() {
        let (ours, _silent) = tokio::io::duplex(4096);
        let deadline = Deadline::after(Duration::from_secs(10));
        let mut agent = Agent {
            client: Some(AgentClient::connect(ours).dynamic()),
            identities: Vec::new(),
            deadline: deadline.clone(),
        };
        let key = russh::keys::PublicKey::from_openssh(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti",
        );
        let identity = AgentIdentity::PublicKey {
            key: key.unwrap(),
            comment: String::new(),
        };
        let begun = Instant::now();
        let work = async {
            for _ in 0..2 {
                let signed = agent.auth_sign(&identity, None, Vec::new()).await;
                assert!(matches!(signed, Err(SignError::Skip(_))));
            }
        };
        assert!(deadline.run(work).await.is_ok(), "the deadline stood still");
        assert_eq!(begun.elapsed(), SIGN_DEADLINE, "and only one was asked for");
        assert!(agent.is_gone());
    }
}
