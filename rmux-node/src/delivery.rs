//! What the addon hands to JavaScript: results, failures, events and questions, as plain values.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use napi::Either;
use napi::bindgen_prelude::{Buffer, BufferSlice, Either12, Env, FnArgs, Null};
use napi_derive::napi;
use rmux_core::{CutOff, Error, ExitStatus, Host, Output, RemoteEnd, SessionEvent};

use crate::child::NativeChild;
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

impl Outcome {
    /// What `run` fails with, where there is something that the command had written.
    pub(crate) fn ended(error: &Error) -> Option<Self> {
        let written = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
        let (stdout, stderr) = (error.partial_stdout(), error.partial_stderr());
        match (written(stdout), written(stderr)) {
            (Some(stdout), Some(stderr)) => Some(Self::Completed {
                exit: Exit {
                    exit_code: None,
                    signal: None,
                },
                stdout,
                stderr,
                more: More::default(),
                failure: Some(error.clone().into()),
            }),
            _ => None,
        }
    }
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

/// How a command ended: a status, or the signal that ended it, as `SIGTERM`.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Exit {
    pub exit_code: Option<i32>,
    pub signal: Option<String>,
}

impl From<&ExitStatus> for Exit {
    fn from(status: &ExitStatus) -> Self {
        Self {
            exit_code: status.code(),
            signal: status.signal().map(ToString::to_string),
        }
    }
}

/// What a command wrote and how it ended; `failure` where it was to be checked and failed, or where it
/// was ended before its time: then `exit` is empty, and what it wrote is what had come until then.
#[napi(object, object_from_js = false)]
pub struct Completed {
    pub exit: Exit,
    pub stdout: Buffer,
    pub stderr: Buffer,
    pub more: More,
    pub failure: Option<Failure>,
}

/// What came of one host of many: `completed` or `failure`.
#[napi(object, object_from_js = false)]
pub struct HostOutcome {
    /// Which of the hosts it is.
    pub index: u32,
    /// The host as it was named.
    pub host: String,
    pub completed: Option<Completed>,
    pub failure: Option<Failure>,
}

/// What of a command's output is not in memory.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone, Default)]
pub struct More {
    /// How many bytes were dropped.
    pub stdout_dropped: f64,
    pub stderr_dropped: f64,
    /// The files with everything.
    pub stdout_file: Option<String>,
    pub stderr_file: Option<String>,
}

impl From<&Output> for More {
    fn from(output: &Output) -> Self {
        let file = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| path.to_string_lossy().into_owned())
        };
        Self {
            stdout_dropped: output.stdout_dropped as f64,
            stderr_dropped: output.stderr_dropped as f64,
            stdout_file: file(&output.stdout_file),
            stderr_file: file(&output.stderr_file),
        }
    }
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
    Completed {
        exit: Exit,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
        more: More,
        failure: Option<Failure>,
    },
    /// One host of many: how its command ended and what it wrote.
    Host {
        index: usize,
        host: Arc<str>,
        result: Result<(Exit, Vec<u8>, Vec<u8>), Failure>,
    },
    Exit(Exit),
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

type Value = Either12<
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
            Self::Completed {
                exit,
                stdout,
                stderr,
                more,
                failure,
            } => Value::C(Completed {
                exit,
                stdout: copied(env, &stdout)?,
                stderr: copied(env, &stderr)?,
                more,
                failure,
            }),
            Self::Host {
                index,
                host,
                result,
            } => {
                let (completed, failure) = match result {
                    Err(failure) => (None, Some(failure)),
                    Ok((exit, stdout, stderr)) => {
                        let completed = Completed {
                            exit,
                            stdout: copied(env, &stdout)?,
                            stderr: copied(env, &stderr)?,
                            more: More::default(),
                            failure: None,
                        };
                        (Some(completed), None)
                    }
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
