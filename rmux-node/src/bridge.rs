//! The addon's front door: one bridge for each JavaScript environment.

use napi::bindgen_prelude::{Either, Env, Function};
use napi_derive::napi;
use rmux_core::{HostSpec, Session};

use crate::connect::{ConnectOptions, Line, milliseconds};
use crate::delivery::{Arguments, Failure, Outcome};
use crate::logging;
use crate::mailbox::Mailbox;
use crate::pool::{NativePool, PoolLimits};
use crate::prompts::Answer;
use crate::resolve::{ResolveOptions, settings};
use crate::session::NativeSession;

/// Starts operations for one environment and delivers what comes of them to one function.
///
/// Every operation is numbered by the caller. It is settled by exactly one call of that function,
/// unless `cancel` said that there will be none.
#[napi]
pub struct Bridge {
    mailbox: Mailbox,
}

#[napi]
impl Bridge {
    /// `deliver` is called with what it is, a number, the failure or null, and the value or null. It
    /// must not throw. The number is that of the operation, but for `withdrawn` that of the
    /// question; after `gone` nothing more is heard of it.
    #[napi(
        constructor,
        ts_args_type = "deliver: (what: 'settled' | 'event' | 'question' | 'withdrawn' | 'gone', number: number, failure: Failure | null, value: unknown) => void"
    )]
    pub fn new(env: Env, deliver: Function<'_, Arguments, ()>) -> napi::Result<Self> {
        logging::set_up();
        let mailbox = Mailbox::new(&deliver)?;
        env.add_env_cleanup_hook(mailbox.clone(), |mailbox| mailbox.close())?;
        Ok(Self { mailbox })
    }

    /// Connects; settled with a `NativeSession`.
    #[napi]
    pub fn connect(&self, operation: u32, destination: String, options: ConnectOptions) {
        let mailbox = self.mailbox.clone();
        let config = match options.into_config(Line::new(&mailbox, operation)) {
            Ok(config) => config,
            Err(error) => {
                let failure = Failure::from(error.with_host(&destination));
                return mailbox.settle(operation, Err(failure));
            }
        };
        self.mailbox.start(operation, async move {
            let session = Session::connect(&destination, config)
                .await
                .map_err(|error| error.with_host(&destination))?;
            Ok(Outcome::Session(NativeSession::new(session, mailbox)))
        });
    }

    /// A pool, whose events and questions are those of `number`.
    #[napi]
    pub fn pool(
        &self,
        number: u32,
        options: ConnectOptions,
        limits: PoolLimits,
    ) -> Either<NativePool, Failure> {
        let config = options
            .into_config(Line::new(&self.mailbox, number))
            .and_then(|config| limits.apply(config));
        match config {
            Ok(config) => Either::A(NativePool::new(config, self.mailbox.clone())),
            Err(error) => Either::B(error.into()),
        }
    }

    /// Resolves a destination; settled with an array of `ResolvedSetting`.
    #[napi]
    pub fn resolve(&self, operation: u32, destination: String, options: ResolveOptions) {
        self.mailbox.start(operation, async move {
            let resolving = async {
                let config = options.into_config("resolve")?;
                rmux_core::resolve(&HostSpec::parse(&destination)?, &config).await
            };
            let resolved = resolving
                .await
                .map_err(|error| error.with_host(&destination))?;
            Ok(Outcome::Resolved(settings(&resolved)))
        });
    }

    /// Tells an operation to end in order. True: it will, and is settled then.
    #[napi]
    pub fn stop(&self, operation: u32) -> bool {
        self.mailbox.stop(operation)
    }

    /// Stops an operation and undoes it as far as it can be. True: it will never be settled.
    /// False: its result is on its way already.
    #[napi]
    pub fn cancel(&self, operation: u32) -> bool {
        self.mailbox.cancel(operation)
    }

    /// Closes all sessions of this process, and returns when they are closed or after so many
    /// milliseconds: for a process that is about to end.
    #[napi]
    pub fn close_all(&self, limit: f64) {
        // Errors mean that there is nothing that could be closed from here.
        if let Ok(limit) = milliseconds(limit) {
            let _ = rmux_core::blocking::close_all(limit);
        }
    }

    /// Answers a question, by its number.
    #[napi]
    pub fn answer(&self, question: u32, answer: Answer) {
        self.mailbox.answer(question, answer);
    }
}
