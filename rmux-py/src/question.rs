//! Questions of connecting, on their way to the program's callbacks and back.
//!
//! A callback runs where the program waits: in a thread that connects, or on an event loop. So the
//! prompter only passes the question on and awaits the answer. A question that comes up later, when
//! nobody waits, goes to the program by a way of its own.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use rmux_core::{
    AgentKeyPrompt, Answer, Error, ErrorKind, HostKeyPrompt, HostKeysPrompt, KeyFingerprint,
    KeyboardInteractivePrompt, PassphrasePrompt, PasswordPrompt, Prompter, Secret,
};
use tokio::sync::oneshot;

use crate::delivery::deliver;
use crate::operation::Operation;
use crate::waiting::Waiters;

/// What is asked.
#[derive(Clone)]
enum Prompt {
    HostKey(HostKeyPrompt),
    Passphrase(PassphrasePrompt),
    Password(PasswordPrompt),
    KeyboardInteractive(KeyboardInteractivePrompt),
    AgentKey(AgentKeyPrompt),
    HostKeys(HostKeysPrompt),
}

/// What was answered.
enum Reply {
    /// No, or nothing to say.
    Declined,
    Yes,
    Secrets(Vec<Secret>),
}

/// A question and where its answer goes. Who lets go of it leaves it to others who wait.
pub(crate) struct Asked {
    prompt: Prompt,
    reply: oneshot::Sender<PyResult<Reply>>,
    /// Ends when nobody wants the answer any more.
    over: oneshot::Receiver<Infallible>,
}

/// Which questions of the login the program has a callback for; the others are declined at once.
#[derive(Default, Clone, Copy)]
pub(crate) struct Answers {
    pub(crate) host_key: bool,
    pub(crate) passphrase: bool,
    pub(crate) password: bool,
    pub(crate) keyboard_interactive: bool,
    pub(crate) agent_key: bool,
}

impl Answers {
    pub(crate) fn any(self) -> bool {
        self.host_key
            || self.passphrase
            || self.password
            || self.keyboard_interactive
            || self.agent_key
    }
}

/// A prompter that passes questions on to those who wait, one after the other until one answers.
pub(crate) struct Passing {
    waiters: Waiters,
    answers: Answers,
    /// Called with the questions that come up when nobody waits.
    later: Option<Arc<Py<PyAny>>>,
}

impl Passing {
    /// `later` is called with the questions that come up when nobody waits, from a thread of rmux: it
    /// must only pass them on. Without it they are declined.
    pub(crate) fn new(waiters: Waiters, answers: Answers, later: Option<Py<PyAny>>) -> Self {
        Self {
            waiters,
            answers,
            later: later.map(Arc::new),
        }
    }

    async fn ask(&self, prompt: Prompt, host: &str) -> rmux_core::Result<Reply> {
        let what = prompt.kind();
        let mut asked = Vec::new();
        while let Some(waiter) = self.waiters.next(host, &mut asked) {
            let (reply, replied) = oneshot::channel();
            let (_wanted, over) = oneshot::channel();
            let prompt = prompt.clone();
            let _ = waiter.send(Asked {
                prompt,
                reply,
                over,
            });
            match replied.await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(exception)) => {
                    return Err(cancelled(what, "failed", host).with_source(exception));
                }
                // That one does not wait any more.
                Err(_) => {}
            }
        }
        Err(cancelled(what, "gave no answer", host))
    }

    /// Asks where nobody waits. Whatever goes wrong there is told there, and is no yes.
    async fn ask_later(&self, prompt: Prompt) -> bool {
        let Some(later) = self.later.clone() else {
            return false;
        };
        let (reply, replied) = oneshot::channel();
        let (_wanted, over) = oneshot::channel();
        let asked = Asked {
            prompt,
            reply,
            over,
        };
        deliver(move |py| {
            if let Err(error) = later.call1(py, (Question::new(asked),)) {
                error.write_unraisable(py, None);
            }
        });
        matches!(replied.await, Ok(Ok(Reply::Yes)))
    }
}

fn cancelled(what: &str, how: &str, host: &str) -> Error {
    // The exception's own text is left to the cause: it may hold what was typed.
    let message = format!("the program's {what} callback {how}");
    Error::new(ErrorKind::Cancelled, "ask", message).with_host(host)
}

impl Prompter for Passing {
    fn host_key<'a>(&'a self, prompt: &'a HostKeyPrompt) -> Answer<'a, bool> {
        Box::pin(async move {
            if !self.answers.host_key {
                return Ok(false);
            }
            let reply = self.ask(Prompt::HostKey(prompt.clone()), &prompt.host);
            Ok(matches!(reply.await?, Reply::Yes))
        })
    }

    fn passphrase<'a>(&'a self, prompt: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        Box::pin(async move {
            if !self.answers.passphrase {
                return Ok(None);
            }
            let reply = self.ask(Prompt::Passphrase(prompt.clone()), &prompt.host);
            Ok(reply.await?.secret())
        })
    }

    fn password<'a>(&'a self, prompt: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        Box::pin(async move {
            if !self.answers.password {
                return Ok(None);
            }
            let reply = self.ask(Prompt::Password(prompt.clone()), &prompt.host);
            Ok(reply.await?.secret())
        })
    }

    fn keyboard_interactive<'a>(
        &'a self,
        prompt: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        Box::pin(async move {
            if !self.answers.keyboard_interactive {
                return Ok(None);
            }
            let reply = self.ask(Prompt::KeyboardInteractive(prompt.clone()), &prompt.host);
            Ok(match reply.await? {
                Reply::Secrets(answers) => Some(answers),
                Reply::Declined | Reply::Yes => None,
            })
        })
    }

    fn agent_key<'a>(&'a self, prompt: &'a AgentKeyPrompt) -> Answer<'a, bool> {
        Box::pin(async move {
            if !self.answers.agent_key {
                return Ok(false);
            }
            let reply = self.ask(Prompt::AgentKey(prompt.clone()), &prompt.host);
            Ok(matches!(reply.await?, Reply::Yes))
        })
    }

    fn host_keys<'a>(&'a self, prompt: &'a HostKeysPrompt) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.ask_later(Prompt::HostKeys(prompt.clone())).await) })
    }
}

impl Reply {
    fn secret(self) -> Option<Secret> {
        match self {
            Self::Secrets(secrets) => secrets.into_iter().next(),
            Self::Declined | Self::Yes => None,
        }
    }
}

impl Prompt {
    fn kind(&self) -> &'static str {
        match self {
            Self::HostKey(_) => "host_key",
            Self::Passphrase(_) => "passphrase",
            Self::Password(_) => "password",
            Self::KeyboardInteractive(_) => "keyboard_interactive",
            Self::AgentKey(_) => "agent_key",
            Self::HostKeys(_) => "host_keys",
        }
    }
}

/// Keys as pairs of algorithm and fingerprint.
fn shown(keys: &[KeyFingerprint]) -> Vec<(&str, &str)> {
    keys.iter()
        .map(|key| (&*key.algorithm, &*key.fingerprint))
        .collect()
}

/// A question of connecting. One of `reply` and `fail` answers it. Letting go of it leaves it to
/// others who wait for the same connection; where there are none, connecting ends. `host_keys` is
/// for nobody else, and ends nothing: there letting go of it declines.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Question {
    prompt: Prompt,
    reply: Mutex<Option<oneshot::Sender<PyResult<Reply>>>>,
    over: Mutex<Option<oneshot::Receiver<Infallible>>>,
}

impl Question {
    pub(crate) fn new(asked: Asked) -> Self {
        Self {
            prompt: asked.prompt,
            reply: Mutex::new(Some(asked.reply)),
            over: Mutex::new(Some(asked.over)),
        }
    }

    fn settle(&self, result: PyResult<Reply>) -> PyResult<()> {
        let mut reply = self.reply.lock().unwrap_or_else(|e| e.into_inner());
        let reply = reply
            .take()
            .ok_or_else(|| PyRuntimeError::new_err("a question is answered once"))?;
        // An error means that the connecting was given up.
        let _ = reply.send(result);
        Ok(())
    }
}

#[pymethods]
impl Question {
    /// `host_key`, `passphrase`, `password`, `keyboard_interactive`, `agent_key` or `host_keys`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.prompt.kind()
    }

    /// The fields of the prompt, in the order of the class of that kind.
    #[getter]
    fn fields(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let fields = match &self.prompt {
            Prompt::HostKey(p) => {
                (&p.host, &p.known_as, &p.algorithm, &p.fingerprint).into_pyobject(py)?
            }
            Prompt::Passphrase(p) => (&p.host, p.path.as_os_str(), p.attempt).into_pyobject(py)?,
            Prompt::Password(p) => (&p.host, &p.user, p.attempt).into_pyobject(py)?,
            Prompt::KeyboardInteractive(p) => {
                let questions: Vec<_> = p.questions.iter().map(|q| (&q.text, q.echo)).collect();
                (&p.host, &p.user, &p.name, &p.instructions, questions).into_pyobject(py)?
            }
            Prompt::AgentKey(p) => {
                (&p.host, p.path.as_os_str(), &p.comment, &p.fingerprint).into_pyobject(py)?
            }
            Prompt::HostKeys(p) => {
                let (learned, outdated) = (shown(&p.learned), shown(&p.outdated));
                (&p.host, &p.known_as, learned, outdated).into_pyobject(py)?
            }
        };
        Ok(fields.into_any().unbind())
    }

    /// Answers: a bool for keys that may be trusted or kept, a list of str for
    /// keyboard-interactive, else a str; or None, which declines.
    fn reply(&self, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        let reply = match &self.prompt {
            _ if answer.is_none() => Ok(Reply::Declined),
            Prompt::HostKey(_) | Prompt::AgentKey(_) | Prompt::HostKeys(_) => {
                answer.extract().map(|yes: bool| match yes {
                    true => Reply::Yes,
                    false => Reply::Declined,
                })
            }
            Prompt::Passphrase(_) | Prompt::Password(_) => answer
                .extract()
                .map(|secret: String| Reply::Secrets(vec![secret.into()])),
            Prompt::KeyboardInteractive(_) => answer.extract().map(|answers: Vec<String>| {
                Reply::Secrets(answers.into_iter().map(Secret::new).collect())
            }),
        };
        // The conversion's own message would show the value.
        let reply = reply.map_err(|_: PyErr| {
            PyTypeError::new_err(format!(
                "the {} callback returned a wrong type",
                self.kind()
            ))
        });
        match (&self.prompt, reply) {
            // Nobody waits who could be told of it, but for the one who answers.
            (Prompt::HostKeys(_), Err(wrong)) => {
                self.leave();
                Err(wrong)
            }
            (_, reply) => self.settle(reply),
        }
    }

    /// Lets go of it.
    fn leave(&self) {
        drop(self.reply.lock().unwrap_or_else(|e| e.into_inner()).take());
    }

    /// Waits until nobody wants the answer any more, because it was given or because everyone has
    /// gone.
    fn over(&self) -> Operation {
        let over = self.over.lock().unwrap_or_else(|e| e.into_inner()).take();
        let call = async move {
            if let Some(over) = over {
                let _ = over.await;
            }
            Ok(())
        };
        Operation::new(call, |py, ()| Ok(py.None()))
    }

    /// Ends the connecting, with this exception as the cause.
    fn fail(&self, exception: Bound<'_, PyAny>) -> PyResult<()> {
        self.settle(Err(PyErr::from_value(exception)))
    }
}
