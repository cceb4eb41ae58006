//! A pool, as the JavaScript layer holds it.

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use rmux_core::{Config, Pool, Result};

use crate::command::CommandSpec;
use crate::connect::milliseconds;
use crate::delivery::{Failure, Outcome};
use crate::fan_out::{ManySpec, NativeHostOutputs};
use crate::mailbox::Mailbox;
use crate::session::NativeSession;
use crate::stats::PoolFigures;

/// What limits a pool, beside how it connects. Times are in milliseconds.
#[napi(object, object_to_js = false)]
pub struct PoolLimits {
    /// How long sessions stay that nobody uses.
    pub linger: Option<f64>,
    /// At least 1.
    pub max_connections: Option<u32>,
    pub max_connections_per_host: Option<u32>,
    pub acquire_timeout: Option<f64>,
}

impl PoolLimits {
    pub(crate) fn apply(self, mut config: Config) -> Result<Config> {
        if let Some(linger) = self.linger {
            config = config.linger(milliseconds(linger)?);
        }
        if let Some(number) = self.max_connections {
            config = config.max_connections(number as usize);
        }
        if let Some(number) = self.max_connections_per_host {
            config = config.max_connections_per_host(number as usize);
        }
        if let Some(timeout) = self.acquire_timeout {
            config = config.acquire_timeout(milliseconds(timeout)?);
        }
        Ok(config)
    }
}

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

    /// Runs a command on many hosts. It begins with the first result that is waited for.
    #[napi]
    pub fn run_many(
        &self,
        many: ManySpec,
        command: CommandSpec,
    ) -> Either<NativeHostOutputs, Failure> {
        match NativeHostOutputs::new(&self.pool, many, command, self.mailbox.clone()) {
            Ok(outputs) => Either::A(outputs),
            Err(error) => Either::B(error.into()),
        }
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

    /// Ends the pool when nothing runs any more, or after so many milliseconds; settled with an array
    /// of `Severed`.
    #[napi]
    pub fn shutdown(&self, operation: u32, limit: f64) {
        let limit = match milliseconds(limit) {
            Ok(limit) => limit,
            Err(error) => return self.mailbox.settle(operation, Err(error.into())),
        };
        let pool = self.pool.clone();
        self.mailbox.start(operation, async move {
            Ok(Outcome::CutOff(pool.shutdown(limit).await))
        });
    }

    /// What the pool does and has done.
    #[napi]
    pub fn stats(&self) -> PoolFigures {
        self.pool.stats().into()
    }
}
