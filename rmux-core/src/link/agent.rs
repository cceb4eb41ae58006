//! The user's SSH agent: what it holds, and signatures by it.

use std::path::Path;
use std::time::Duration;

use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};

use super::keys::SignError;

/// An agent that does not list its keys within this time is left alone.
const LIST_DEADLINE: Duration = Duration::from_secs(5);
/// A signature may need a person's touch or confirmation.
const SIGN_DEADLINE: Duration = Duration::from_secs(60);

type Stream = Box<dyn AgentStream + Send + Unpin>;

/// A connection to an agent.
pub(super) struct Agent {
    client: AgentClient<Stream>,
    pub(super) identities: Vec<AgentIdentity>,
}

impl Agent {
    /// Connects and lists the keys.
    pub(super) async fn connect(socket: &Path) -> Result<Self, String> {
        let listing = async {
            let mut client = connect(socket).await?;
            let identities = client
                .request_identities()
                .await
                .map_err(|error| error.to_string())?;
            Ok(Self { client, identities })
        };
        match tokio::time::timeout(LIST_DEADLINE, listing).await {
            Ok(listed) => listed,
            Err(_) => Err(format!("it did not answer within {LIST_DEADLINE:?}")),
        }
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
        let signing = self.client.sign_request(identity, hash, to_sign);
        match tokio::time::timeout(SIGN_DEADLINE, signing).await {
            Ok(Ok(signed)) => Ok(signed),
            Ok(Err(error)) => Err(SignError::Skip(format!("the agent did not sign: {error}"))),
            Err(_) => Err(SignError::Skip(format!(
                "the agent did not sign within {SIGN_DEADLINE:?}"
            ))),
        }
    }
}
