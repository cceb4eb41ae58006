//! What the addon hands to JavaScript: results, failures, events and questions, as plain values.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use napi::Either;
use napi::bindgen_prelude::{Buffer, BufferSlice, Either13, Env, FnArgs, Null};
use napi_derive::napi;
use rmux_core::{CutOff, Error, Host, RemoteEnd, SessionEvent};

use crate::child::NativeChild;
use crate::completed::{Completed, Exit, Ran, Stopped};
use crate::forward::{Reached, ReachedValue};
use crate::found::{Found, FoundValue};
use crate::prompts::Thrown;
use crate::resolve::ResolvedSetting;
use crate::session::NativeSession;
use crate::stats::Severed;

/// An error of the core, or of writing to a command that reads no more (`EPIPE`).
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Failure {
    /// The kind's stable name, for example `TIMED_OUT`.
    pub code: String,
    /// The verb of what failed.
    pub operation: String,
    /// The host as the user named it.
    pub host: Option<String>,
    /// One clear line with all of that.
    pub message: String,
    /// What the error below it said.
    pub source: Option<String>,
    /// The number of the question whose callback threw.
    pub question: Option<u32>,
    /// Whether the remote has confirmed the end of a command that was ended for it.
    pub confirmed: Option<bool>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            code: error.kind().code().to_owned(),
            operation: error.operation().to_owned(),
            host: error.host().map(str::to_owned),
            message: error.to_string(),
            source: error.source().map(ToString::to_string),
            question: thrown(&error),
            confirmed: error.remote_end().map(|end| end == RemoteEnd::Confirmed),
        }
    }
}

/// The question whose callback threw, if that is what the error comes from.
fn thrown(error: &Error) -> Option<u32> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(Thrown(number)) = inner.downcast_ref() {
            return Some(*number);
        }
        source = inner.source();
    }
    None
}

impl Failure {
    /// The command's standard input takes nothing more.
    pub(crate) fn broken_pipe(host: &str) -> Self {
        Self {
            code: "EPIPE".to_owned(),
            operation: "write".to_owned(),
            host: Some(host.to_owned()),
            message: format!("write: {host}: the remote command takes no more input"),
            source: None,
            question: None,
            confirmed: None,
        }
    }
}

/// What came of one host of many: `completed`, or `failure` where there is nothing of it.
#[napi(object, object_from_js = false)]
pub struct HostOutcome {
    /// Which of the hosts it is.
    pub index: u32,
    /// The host as it was named.
    pub host: String,
    pub completed: Option<Completed>,
    pub failure: Option<Failure>,
}

/// What a destination resolved to.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// The host as the user named it.
    pub name: String,
    pub hostname: String,
    pub user: String,
    pub port: u32,
}

impl From<&Host> for HostFacts {
    fn from(host: &Host) -> Self {
        Self {
            name: host.name.clone(),
            hostname: host.hostname.clone(),
            user: host.user.clone(),
            port: host.port.into(),
        }
    }
}

/// A step in a session's life. Which of the optional fields are there depends on `type`.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Event {
    #[napi(js_name = "type")]
    pub name: String,
    pub host: Option<HostFacts>,
    /// As `127.0.0.1:22`.
    pub address: Option<String>,
    pub text: Option<String>,
    pub user: Option<String>,
    pub method: Option<String>,
    pub reason: Option<Failure>,
}

impl From<SessionEvent> for Event {
    fn from(event: SessionEvent) -> Self {
        let mut facts = Self {
            name: event.name().to_owned(),
            host: None,
            address: None,
            text: None,
            user: None,
            method: None,
            reason: None,
        };
        match event {
            SessionEvent::Connecting { host } => facts.host = Some(HostFacts::from(&*host)),
            SessionEvent::Connected { address } => facts.address = Some(address.to_string()),
            SessionEvent::Banner { text } => facts.text = Some(text),
            SessionEvent::Authenticated { user, method } => {
                facts.user = Some(user);
                facts.method = Some(method.to_owned());
            }
            SessionEvent::Lost { reason } => facts.reason = Some(reason.into()),
            _ => {}
        }
        facts
    }
}

/// A question of connecting, or of a session, that the program answers with `Bridge.answer`. Which of the optional
/// fields are there depends on `kind`.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Question {
    /// `hostKey`, `passphrase`, `password`, `keyboardInteractive`, `agentKey` or `hostKeys`.
    pub kind: String,
    /// The number to answer with.
    pub number: u32,
    pub host: String,
    pub known_as: Option<String>,
    pub algorithm: Option<String>,
    pub fingerprint: Option<String>,
    pub path: Option<String>,
    pub user: Option<String>,
    pub attempt: Option<u32>,
    pub name: Option<String>,
    pub instructions: Option<String>,
    pub prompts: Option<Vec<PromptLine>>,
    pub comment: Option<String>,
    pub learned: Option<Vec<KeyFacts>>,
    pub outdated: Option<Vec<KeyFacts>>,
}

/// A key, as a question shows it.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct KeyFacts {
    pub algorithm: String,
    pub fingerprint: String,
}

/// One line of a keyboard-interactive question.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct PromptLine {
    pub text: String,
    pub echo: bool,
}

/// The result of an operation, on its way to the JavaScript thread.
pub(crate) enum Outcome {
    Nothing,
    Session(NativeSession),
    /// How a session ended.
    Ended(Event),
    Child(NativeChild),
    Completed(Ran),
    /// One host of many.
    Host {
        index: usize,
        host: Arc<str>,
        result: Result<Ran, Failure>,
    },
    Exit(Exit),
    Stopped(Stopped),
    /// Output, in the pieces it came in; nothing at its end.
    Output(Vec<Bytes>),
    Resolved(Vec<ResolvedSetting>),
    /// What a shutdown cut off.
    CutOff(Vec<CutOff>),
    Found(Found),
    Reached(Reached),
}

/// Everything that goes from the core's tasks to JavaScript.
pub(crate) enum Message {
    Settled(u32, Result<Outcome, Failure>),
    Event(u32, Event),
    Question(u32, Question),
    /// Nobody waits for the answer to this question any more.
    Withdrawn(u32),
    /// Nothing will be heard of this operation any more.
    Gone(u32),
}

type Value = Either13<
    NativeSession,
    NativeChild,
    Completed,
    Exit,
    Buffer,
    Event,
    Question,
    Vec<ResolvedSetting>,
    Vec<Severed>,
    HostOutcome,
    FoundValue,
    ReachedValue,
    Stopped,
>;

/// What the program's `deliver` function is called with: what it is, the operation (or question) it
/// is about, the failure and the value.
pub(crate) type Arguments = FnArgs<(
    &'static str,
    u32,
    Either<Failure, Null>,
    Either<Value, Null>,
)>;

impl Message {
    /// Makes JavaScript values of it. All bytes are copied into Node's own memory, because V8 with
    /// pointer compression, as in Electron, takes no foreign one.
    pub(crate) fn into_arguments(self, env: &Env) -> napi::Result<Arguments> {
        let (what, operation, failure, value) = match self {
            Self::Settled(operation, Err(failure)) => ("settled", operation, Some(failure), None),
            Self::Settled(operation, Ok(outcome)) => {
                ("settled", operation, None, outcome.into_value(env)?)
            }
            Self::Event(operation, event) => ("event", operation, None, Some(Value::F(event))),
            Self::Question(operation, question) => {
                ("question", operation, None, Some(Value::G(question)))
            }
            Self::Withdrawn(question) => ("withdrawn", question, None, None),
            Self::Gone(operation) => ("gone", operation, None, None),
        };
        Ok(FnArgs::from((
            what,
            operation,
            failure.map_or(Either::B(Null), Either::A),
            value.map_or(Either::B(Null), Either::A),
        )))
    }
}

impl Outcome {
    fn into_value(self, env: &Env) -> napi::Result<Option<Value>> {
        Ok(Some(match self {
            Self::Nothing => return Ok(None),
            Self::Session(session) => Value::A(session),
            Self::Ended(event) => Value::F(event),
            Self::Child(child) => Value::B(child),
            Self::Completed(ran) => Value::C(ran.into_completed(env)?),
            Self::Host {
                index,
                host,
                result,
            } => {
                let (completed, failure) = match result {
                    Ok(ran) => (Some(ran.into_completed(env)?), None),
                    Err(failure) => (None, Some(failure)),
                };
                Value::J(HostOutcome {
                    // An array of hosts has no more than JavaScript can count.
                    index: index as u32,
                    host: host.to_string(),
                    completed,
                    failure,
                })
            }
            Self::Exit(exit) => Value::D(exit),
            Self::Stopped(stopped) => Value::M(stopped),
            Self::Resolved(settings) => Value::H(settings),
            Self::CutOff(cut_off) => Value::I(cut_off.into_iter().map(Into::into).collect()),
            Self::Found(found) => Value::K(found.into_value(env)?),
            Self::Reached(reached) => Value::L(reached.into_value()),
            Self::Output(pieces) if pieces.is_empty() => return Ok(None),
            Self::Output(pieces) => Value::E(match pieces.as_slice() {
                [piece] => copied(env, piece)?,
                pieces => copied(env, &pieces.concat())?,
            }),
        }))
    }
}

/// The bytes in memory of Node's own.
pub(crate) fn copied(env: &Env, data: &[u8]) -> napi::Result<Buffer> {
    BufferSlice::copy_from(env, data)?.into_buffer(env)
}
