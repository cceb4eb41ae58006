//! A session, as the JavaScript layer holds it.

use std::sync::{Mutex, MutexGuard};

use napi_derive::napi;
use rmux_core::{
    CloseReason, Command, Error, ErrorKind, Files, Result, Session, SessionEvent, ShellContext,
};
use tokio::sync::watch;

use crate::child::NativeChild;
use crate::command::CommandSpec;
use crate::completed::Ran;
use crate::connect::milliseconds;
use crate::context::NativeContext;
use crate::delivery::{HostFacts, Outcome};
use crate::forward::{
    ForwardAsked, ForwardFigures, NativeConnection, NativeForward, NativeListener, Reached,
};
use crate::found::Found;
use crate::mailbox::Mailbox;
use crate::stats::SessionFigures;

/// A handle of a connected session. Giving it back, or letting go of it, and of its children, closes
/// the connection unless others use it or it lingers.
#[napi]
pub struct NativeSession {
    /// None when it was given back.
    session: Mutex<Option<Session>>,
    host: HostFacts,
    mailbox: Mailbox,
    /// Wakes who waits for the session's end by this handle.
    given_back: watch::Sender<bool>,
}

impl NativeSession {
    pub(crate) fn new(session: Session, mailbox: Mailbox) -> Self {
        Self {
            host: session.host().into(),
            session: Mutex::new(Some(session)),
            mailbox,
            given_back: watch::Sender::new(false),
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// The session, for one operation.
    pub(crate) fn session(&self) -> Result<Session> {
        self.held().clone().ok_or_else(|| {
            let what = "this handle of the session was given back";
            Error::new(ErrorKind::Closed, "files", what).with_host(&self.host.name)
        })
    }

    /// The files of its host, for one operation.
    pub(crate) fn files(&self) -> Result<Files> {
        self.session().map(|session| session.files())
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Does something with the session that gives a connection, a forward or a listener.
    fn reaching<F>(&self, operation: u32, what: &'static str, work: impl FnOnce(Session) -> F)
    where
        F: Future<Output = Result<Reached>> + Send + 'static,
    {
        let Some(session) = self.held().clone() else {
            let why = "this handle of the session was given back";
            let error = Error::new(ErrorKind::Closed, what, why).with_host(&self.host.name);
            return self.mailbox.settle(operation, Err(error.into()));
        };
        let (work, host) = (work(session), self.host.name.clone());
        self.mailbox.start(operation, async move {
            let reached = work.await.map_err(|error| error.with_host(&host))?;
            Ok(Outcome::Reached(reached))
        });
    }

    /// The core's session, for one use; none after it was given back.
    pub(crate) fn core(&self) -> Option<Session> {
        self.held().clone()
    }

    fn command(&self, spec: CommandSpec, context: Option<&ShellContext>) -> Result<Command> {
        let command = match &*self.held() {
            Some(session) => spec.into_command(session, context),
            None => Err(Error::new(
                ErrorKind::Closed,
                "run",
                "this handle of the session was given back",
            )),
        };
        command.map_err(|error| error.with_host(&self.host.name))
    }

    /// Runs a command to its end, in a context where there is one; settled with a `Completed`.
    pub(crate) fn run_in(&self, operation: u32, spec: CommandSpec, context: Option<&ShellContext>) {
        let check = spec.check == Some(true);
        // Only then is the command started so that it can be ended in order.
        let stoppable = spec.kill_on_drop;
        let command = match self.command(spec, context) {
            Ok(command) => command,
            Err(error) => return self.mailbox.settle(operation, Err(error.into())),
        };
        let host = self.host.name.clone();
        self.mailbox.start_stoppable(operation, |stop| async move {
            let stopped = async {
                if stop.await.is_err() {
                    std::future::pending().await
                }
            };
            let output = if stoppable {
                command.output_until(stopped).await
            } else {
                command.output().await
            };
            let output = match output {
                Ok(output) => output,
                Err(error) => return Ok(Outcome::Completed(Ran::ended(error)?)),
            };
            let failure = (check && !output.status.success())
                .then(|| output.clone().check().err())
                .flatten();
            let failure = failure.map(|error| error.with_host(&host));
            Ok(Outcome::Completed(Ran::from(output).failed(failure)))
        });
    }

    /// Likewise, starts a command; settled with a `NativeChild`.
    pub(crate) fn spawn_in(
        &self,
        operation: u32,
        spec: CommandSpec,
        context: Option<&ShellContext>,
    ) {
        let command = match self.command(spec, context) {
            Ok(command) => command,
            Err(error) => return self.mailbox.settle(operation, Err(error.into())),
        };
        let (host, mailbox) = (self.host.name.clone(), self.mailbox.clone());
        self.mailbox.start(operation, async move {
            let child = command.spawn().await?;
            Ok(Outcome::Child(NativeChild::new(child, host, mailbox)))
        });
    }
}

#[napi]
impl NativeSession {
    /// What the destination resolved to.
    #[napi(getter)]
    pub fn host(&self) -> HostFacts {
        self.host.clone()
    }

    /// Whether the session has ended, or this handle was given back.
    #[napi(getter)]
    pub fn is_closed(&self) -> bool {
        self.held().as_ref().is_none_or(Session::is_closed)
    }

    /// Runs a command to its end; settled with a `Completed`.
    #[napi]
    pub fn run(&self, operation: u32, spec: CommandSpec) {
        self.run_in(operation, spec, None);
    }

    /// Starts a command; settled with a `NativeChild`.
    #[napi]
    pub fn spawn(&self, operation: u32, spec: CommandSpec) {
        self.spawn_in(operation, spec, None);
    }

    /// A context that begins as any command does; null where this handle was given back.
    #[napi]
    pub fn context(&self) -> Option<NativeContext> {
        self.core()
            .map(|session| NativeContext::new(session.context()))
    }

    /// Connects from the host to there; settled with a `NativeConnection`.
    #[napi]
    pub fn reach(&self, operation: u32, to: String) {
        let (mailbox, host) = (self.mailbox.clone(), self.host.name.clone());
        self.reaching(operation, "connect", |session| async move {
            let stream = session.reach(&to.parse()?).await?;
            let connection = NativeConnection::new(stream, &host, &mailbox);
            Ok(Reached::Connection(connection))
        });
    }

    /// Has the host listen there; settled with a `NativeListener`.
    #[napi]
    pub fn listen(&self, operation: u32, at: String) {
        let (mailbox, host) = (self.mailbox.clone(), self.host.name.clone());
        self.reaching(operation, "forward", |session| async move {
            let listener = session.listen(&at.parse()?).await?;
            Ok(Reached::Listener(NativeListener::new(
                listener, &host, &mailbox,
            )))
        });
    }

    /// Forwards; settled with a `NativeForward`.
    #[napi]
    pub fn forward(&self, operation: u32, asked: ForwardAsked) {
        let mailbox = self.mailbox.clone();
        self.reaching(operation, "forward", |session| async move {
            let spec = asked.spec()?;
            let forward = match asked.remote {
                true => session.forward_remote(&spec).await?,
                false => session.forward_local(&spec).await?,
            };
            Ok(Reached::Forward(NativeForward::new(forward, mailbox)))
        });
    }

    /// What its forwards do; null where this handle was given back.
    #[napi]
    pub fn forwards(&self) -> Option<Vec<ForwardFigures>> {
        let forwards = self.held().as_ref().map(Session::forwards)?;
        Some(forwards.into_iter().map(Into::into).collect())
    }

    /// Gives this handle back: what runs by it goes on, and nothing new can be run.
    #[napi]
    pub fn release(&self) {
        let held = self.held().take();
        drop(held);
        self.given_back.send_replace(true);
    }

    /// Waits for the session's end; settled with an `Event`, or with null when the handle was given
    /// back or let go of before.
    #[napi]
    pub fn ended(&self, operation: u32) {
        let Some(session) = self.held().clone() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        let mut given_back = self.given_back.subscribe();
        self.mailbox.start(operation, async move {
            // Waiting is a use of the session, which must not outlast the handle.
            let reason = tokio::select! {
                reason = session.closed() => reason,
                _ = given_back.wait_for(|given_back| *given_back) => return Ok(Outcome::Nothing),
            };
            let end = match reason {
                CloseReason::Lost(reason) => SessionEvent::Lost { reason },
                _ => SessionEvent::Closed,
            };
            Ok(Outcome::Ended(end.into()))
        });
    }

    /// Closes the connection when nothing runs any more, or after so many milliseconds; settled with
    /// an array of `Severed`.
    #[napi]
    pub fn shutdown(&self, operation: u32, limit: f64) {
        let limit = match milliseconds(limit) {
            Ok(limit) => limit,
            Err(error) => return self.mailbox.settle(operation, Err(error.into())),
        };
        let session = self.held().clone();
        self.mailbox.start(operation, async move {
            Ok(Outcome::CutOff(match session {
                Some(session) => session.shutdown(limit).await,
                None => Vec::new(),
            }))
        });
    }

    /// What the host can do; settled with `Abilities`.
    #[napi]
    pub fn capabilities(&self, operation: u32) {
        let Some(session) = self.held().clone() else {
            let what = "this handle of the session was given back";
            let error = Error::new(ErrorKind::Closed, "capabilities", what);
            let error = error.with_host(&self.host.name);
            return self.mailbox.settle(operation, Err(error.into()));
        };
        self.mailbox.start(operation, async move {
            let able = session.capabilities().await?;
            Ok(Outcome::Found(Found::Abilities(able.into())))
        });
    }

    /// What the session does and has done; null where this handle was given back.
    #[napi]
    pub fn stats(&self) -> Option<SessionFigures> {
        self.held().as_ref().map(|session| session.stats().into())
    }

    /// Closes the connection, for all who use it; settled with null when it is closed.
    #[napi]
    pub fn close(&self, operation: u32) {
        let Some(session) = self.held().clone() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        self.mailbox.start(operation, async move {
            session.close().await;
            Ok(Outcome::Nothing)
        });
    }
}
