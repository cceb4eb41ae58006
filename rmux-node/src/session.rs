//! A session, as the JavaScript layer holds it.

use napi_derive::napi;
use rmux_core::Session;

use crate::child::NativeChild;
use crate::command::CommandSpec;
use crate::delivery::{Exit, Failure, HostFacts, Outcome};
use crate::mailbox::Mailbox;

/// A connected session. Letting go of it, and of its children, closes the connection.
#[napi]
pub struct NativeSession {
    session: Session,
    mailbox: Mailbox,
}

impl NativeSession {
    pub(crate) fn new(session: Session, mailbox: Mailbox) -> Self {
        Self { session, mailbox }
    }

    fn failure(&self, error: rmux_core::Error) -> Failure {
        Failure::from(error.with_host(&self.session.host().name))
    }
}

#[napi]
impl NativeSession {
    /// What the destination resolved to.
    #[napi(getter)]
    pub fn host(&self) -> HostFacts {
        HostFacts::from(self.session.host())
    }

    /// Whether the session has ended.
    #[napi(getter)]
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Runs a command to its end; settled with a `Completed`.
    #[napi]
    pub fn run(&self, operation: u32, spec: CommandSpec) {
        let check = spec.check == Some(true);
        let command = match spec.into_command(&self.session) {
            Ok(command) => command,
            Err(error) => return self.mailbox.settle(operation, Err(self.failure(error))),
        };
        let host = self.session.host().name.clone();
        self.mailbox.start(operation, async move {
            let output = command.output().await?;
            let failure = (check && !output.status.success())
                .then(|| output.clone().check().err())
                .flatten();
            Ok(Outcome::Completed {
                exit: Exit::from(&output.status),
                stdout: output.stdout,
                stderr: output.stderr,
                failure: failure.map(|error| error.with_host(&host).into()),
            })
        });
    }

    /// Starts a command; settled with a `NativeChild`.
    #[napi]
    pub fn spawn(&self, operation: u32, spec: CommandSpec) {
        let command = match spec.into_command(&self.session) {
            Ok(command) => command,
            Err(error) => return self.mailbox.settle(operation, Err(self.failure(error))),
        };
        let (host, mailbox) = (self.session.host().name.clone(), self.mailbox.clone());
        self.mailbox.start(operation, async move {
            let child = command.spawn().await?;
            Ok(Outcome::Child(NativeChild::new(child, host, mailbox)))
        });
    }

    /// Closes the connection; settled with null when it is closed.
    #[napi]
    pub fn close(&self, operation: u32) {
        let session = self.session.clone();
        self.mailbox.start(operation, async move {
            session.close().await;
            Ok(Outcome::Nothing)
        });
    }
}
