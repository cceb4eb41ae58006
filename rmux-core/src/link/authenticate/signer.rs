//! Makes the signature that proves a key, when the server has said that it would take it: by the
//! agent or with a key file.
//!
//! Does not know which keys there are.

use rmux_proto::wire::{Reader, Truncated, put_string};
use russh::keys::agent::AgentIdentity;
use russh::keys::{HashAlg, PrivateKey};

use super::candidates::Candidate;
use crate::ask::Asker;
use crate::error::{Error, ErrorKind};
use crate::link::agent::{Agent, NotSigned};
use crate::link::keys::{Public, sign};

const NO_PASSPHRASE: &str = "it is encrypted and no passphrase was given";

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

/// Signs for one key or certificate that is offered.
pub(super) struct Signer<'a> {
    /// What is offered.
    pub(super) shown: &'a Public,
    /// Who signs for it.
    pub(super) by: &'a Candidate,
    pub(super) agent: Option<&'a mut Agent>,
    pub(super) asker: &'a Asker,
    pub(super) prompts: u32,
    /// The server's host key, where the request is to name it.
    pub(super) host_key: Option<&'a [u8]>,
    /// The private key, where it had to be unlocked before the server was asked about it; and the
    /// one that was read from a file, afterwards.
    pub(super) unlocked: Option<PrivateKey>,
    /// Whether the request named the host key.
    pub(super) host_bound: bool,
    /// Whether the signature is the agent's.
    pub(super) agent_signed: bool,
}

impl Signer<'_> {
    async fn by_agent(&mut self, hash: Option<HashAlg>, data: &[u8]) -> Option<Signed> {
        let agent = self.agent.as_deref_mut().filter(|agent| !agent.is_gone())?;
        let key = self.by.public.as_ref().filter(|_| self.by.in_agent)?;
        match agent.sign(key, hash, data).await {
            Ok(signature) => {
                self.agent_signed = true;
                Some(Ok(signature))
            }
            Err(NotSigned::Refused(why)) => Some(Err(SignError::Skip(why))),
            // Nobody has said no: the file, where there is one, is as good.
            Err(NotSigned::Broken(why)) if self.has_file() => {
                tracing::debug!(why, "signing with the file instead");
                None
            }
            Err(NotSigned::Broken(why)) => Some(Err(SignError::Skip(why))),
        }
    }

    fn has_file(&self) -> bool {
        let file = self.by.file.as_ref();
        file.is_some_and(|file| file.unusable.is_none())
    }

    async fn by_file(&mut self, hash: Option<HashAlg>, data: &[u8]) -> Signed {
        let Some(file) = self.by.file.as_ref().filter(|_| self.has_file()) else {
            return Err(SignError::Skip("the agent no longer answers".into()));
        };
        let key = match self.unlocked.take() {
            Some(key) => key,
            None => match file.unlock(self.asker, self.prompts).await {
                Ok(Some(key)) => key,
                Ok(None) => return Err(SignError::Skip(NO_PASSPHRASE.into())),
                Err(error) if error.kind() == ErrorKind::Cancelled => {
                    return Err(SignError::Stop(error));
                }
                Err(error) => return Err(SignError::Skip(error.message().to_owned())),
            },
        };
        if key.public_key().key_data() != self.shown.key_data() {
            let path = file.path.display();
            let why = format!("the private key in {path} is another one");
            return Err(SignError::Skip(why));
        }
        let signature = sign(&key, hash, data)
            .map_err(|error| SignError::Skip(format!("it cannot sign: {error}")))?;
        self.unlocked = Some(key);
        Ok(signature)
    }
}

type Signed = Result<Vec<u8>, SignError>;

impl russh::Signer for Signer<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        tracing::debug!("Server accepts key: {}", self.shown.description());
        let mut request = match self.host_key {
            Some(host_key) if self.by.in_agent => {
                self.host_bound = true;
                host_bound(&request, host_key)
                    .map_err(|error| SignError::Skip(format!("it cannot sign: {error}")))?
            }
            _ => request,
        };
        let signature = match self.by_agent(hash, &request).await {
            Some(signed) => signed?,
            None => self.by_file(hash, &request).await?,
        };
        put_string(&mut request, &signature);
        Ok(request)
    }
}

/// The same request by the method that names the server's host key, so that an agent can see where
/// the signature is good for (OpenSSH's PROTOCOL, section 3.1). The engine sends what it gets back
/// from the session's id on, whatever it is.
fn host_bound(request: &[u8], host_key: &[u8]) -> Result<Vec<u8>, Truncated> {
    let mut reader = Reader::new(request);
    // Session id, message number, user, service.
    reader.string()?;
    reader.u8()?;
    reader.string()?;
    reader.string()?;
    let head = request.len() - reader.rest().len();
    reader.string()?;
    let mut bound = request[..head].to_vec();
    put_string(&mut bound, b"publickey-hostbound-v00@openssh.com");
    bound.extend_from_slice(reader.rest());
    put_string(&mut bound, host_key);
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_bound_request_differs_in_its_method_and_ends_with_the_host_key() {
        let write = |method: &[u8], host_key: Option<&[u8]>| {
            let mut out = Vec::new();
            put_string(&mut out, b"session");
            out.push(50);
            for part in [&b"user"[..], b"ssh-connection", method] {
                put_string(&mut out, part);
            }
            out.push(1);
            put_string(&mut out, b"ssh-ed25519");
            put_string(&mut out, b"key");
            host_key.inspect(|key| put_string(&mut out, key));
            out
        };
        let plain = write(b"publickey", None);
        let bound = write(b"publickey-hostbound-v00@openssh.com", Some(b"host"));
        assert_eq!(host_bound(&plain, b"host"), Ok(bound));
        assert!(host_bound(&plain[..12], b"host").is_err());
    }
}
