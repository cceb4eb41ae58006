//! A pool, as the JavaScript layer holds it.

use napi_derive::napi;
use rmux_core::{Config, Pool};

use crate::delivery::Outcome;
use crate::mailbox::Mailbox;
use crate::session::NativeSession;

/// Sessions that are shared by all who want the same host. Letting go of it ends those that nobody
/// uses.
#[napi]
pub struct NativePool {
    pool: Pool,
    mailbox: Mailbox,
}

impl NativePool {
    pub(crate) fn new(config: Config, mailbox: Mailbox) -> Self {
        Self {
            pool: Pool::new(config),
            mailbox,
        }
    }
}

#[napi]
impl NativePool {
    /// The session of a destination; settled with a `NativeSession`.
    #[napi]
    pub fn session(&self, operation: u32, destination: String) {
        let (pool, mailbox) = (self.pool.clone(), self.mailbox.clone());
        self.mailbox.start(operation, async move {
            let session = pool
                .session(&destination)
                .await
                .map_err(|error| error.with_host(&destination))?;
            Ok(Outcome::Session(NativeSession::new(session, mailbox)))
        });
    }

    /// The sessions that are connected now.
    #[napi]
    pub fn sessions(&self) -> Vec<NativeSession> {
        let sessions = self.pool.sessions().into_iter();
        sessions
            .map(|session| NativeSession::new(session, self.mailbox.clone()))
            .collect()
    }

    /// Closes the sessions that are connected now; settled with null when they are closed.
    #[napi]
    pub fn close(&self, operation: u32) {
        let pool = self.pool.clone();
        self.mailbox.start(operation, async move {
            pool.close().await;
            Ok(Outcome::Nothing)
        });
    }
}
