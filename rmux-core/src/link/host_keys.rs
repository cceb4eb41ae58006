//! What the server says of its host keys once the session has begun (`hostkeys-00@openssh.com`),
//! and its proof that they are its own.
//!
//! Goes on beside the session, which never waits for it. What is learnt, and whether, is for
//! `trust` to decide.

use std::sync::{Arc, Weak};
use std::time::Duration;

use russh::client::Handle;
use russh::keys::key::parse_public_key;
use tokio::sync::{oneshot, watch};

use super::Lost;
use super::handler::Handler;
use crate::trust::Learner;

/// How long the server may take for its proof.
const PROOF: Duration = Duration::from_secs(30);
/// How long the end of a session waits for what is under way: so that a command which ends at once
/// does not keep rmux from learning.
const AT_THE_END: Duration = Duration::from_secs(2);

/// The keys that a server says it has, as blobs.
pub(super) type Announced = Vec<Vec<u8>>;

/// Whether something is being learnt.
#[derive(Debug, Clone)]
pub(super) struct Learning(watch::Receiver<bool>);

impl Learning {
    /// Waits for what has begun, for a moment at most.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub(super) async fn settled(&mut self) {
        let done = self.0.wait_for(|busy| !busy);
        // An error is an end too.
        let _ = tokio::time::timeout(AT_THE_END, done).await;
    }
}

/// Learns from what the server announces, once, if it does. Must be called within a runtime. Only
/// what is being written when the session ends is seen through.
pub(super) fn learn(
    handle: &Arc<Handle<Handler>>,
    announced: oneshot::Receiver<Announced>,
    learner: Learner,
    mut lost: Lost,
) -> Learning {
    let (busy, learning) = watch::channel(false);
    let handle = Arc::downgrade(handle);
    tokio::spawn(async move {
        let Ok(keys) = announced.await else {
            return;
        };
        busy.send_replace(true);
        let proposal = async {
            let proposal = learner.consider(&keys).await?;
            let blobs: Announced = proposal.to_prove().map(<[u8]>::to_vec).collect();
            let proved = blobs.is_empty() || is_proved(&handle, &blobs).await;
            proved.then_some(proposal)
        };
        let proposal = tokio::select! {
            proposal = proposal => proposal,
            () = lost.gone() => None,
        };
        let Some(proposal) = proposal else {
            return;
        };
        if learner.asks() {
            // The end of the session does not wait for a person: it ends the question.
            busy.send_replace(false);
            let agreed = tokio::select! {
                biased;
                agreed = learner.is_agreed(&proposal) => agreed,
                _ = lost.wait() => false,
            };
            if !agreed {
                return;
            }
            busy.send_replace(true);
        }
        learner.record(proposal).await;
    });
    Learning(learning)
}

/// Whether the server signs, for this session, with each of the keys.
async fn is_proved(handle: &Weak<Handle<Handler>>, blobs: &[Vec<u8>]) -> bool {
    let Some(handle) = handle.upgrade() else {
        return false;
    };
    let keys = blobs.iter().map(|blob| parse_public_key(blob));
    let Ok(keys) = keys.collect::<Result<Vec<_>, _>>() else {
        return false;
    };
    match tokio::time::timeout(PROOF, handle.hostkeys_prove(keys)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!("the server did not prove that its new host keys are its own: {error}");
            false
        }
        Err(_) => {
            tracing::warn!("the server did not prove its new host keys within {PROOF:?}");
            false
        }
    }
}
