//! The addon's front door: one bridge for each JavaScript environment.

use napi::bindgen_prelude::{Env, Function};
use napi_derive::napi;
use rmux_core::Session;

use crate::connect::ConnectOptions;
use crate::delivery::{Arguments, Failure, Outcome};
use crate::logging;
use crate::mailbox::Mailbox;
use crate::prompts::Answer;
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
    /// `deliver` is called with what it is (`settled`, `event` or `question`), the operation's
    /// number, the failure or null, and the value or null. It must not throw.
    #[napi(
        constructor,
        ts_args_type = "deliver: (what: 'settled' | 'event' | 'question', operation: number, failure: Failure | null, value: unknown) => void"
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
        let config = match options.into_config(&mailbox, operation) {
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

    /// Stops an operation and undoes it as far as it can be. True: it will never be settled.
    /// False: its result is on its way already.
    #[napi]
    pub fn cancel(&self, operation: u32) -> bool {
        self.mailbox.cancel(operation)
    }

    /// Answers a question, by its number.
    #[napi]
    pub fn answer(&self, question: u32, answer: Answer) {
        self.mailbox.answer(question, answer);
    }
}
