//! Questions of connecting, on their way to the program's callbacks and back.
//!
//! A callback runs where the program waits: in a thread that connects, or on an event loop. So the
//! prompter only passes the question on and awaits the answer.

use std::convert::Infallible;
use std::sync::Mutex;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use rmux_core::{
    Answer, Error, ErrorKind, HostKeyPrompt, KeyboardInteractivePrompt, PassphrasePrompt,
    PasswordPrompt, Prompter, Secret,
};
use tokio::sync::oneshot;

use crate::operation::Operation;
use crate::waiting::Waiters;

/// What is asked.
#[derive(Clone)]
enum Prompt {
    HostKey(HostKeyPrompt),
    Passphrase(PassphrasePrompt),
    Password(PasswordPrompt),
    KeyboardInteractive(KeyboardInteractivePrompt),
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

/// Which questions the program has a callback for; the others are declined at once.
#[derive(Default, Clone, Copy)]
pub(crate) struct Answers {
    pub(crate) host_key: bool,
    pub(crate) passphrase: bool,
    pub(crate) password: bool,
    pub(crate) keyboard_interactive: bool,
}

impl Answers {
    pub(crate) fn any(self) -> bool {
        self.host_key || self.passphrase || self.password || self.keyboard_interactive
    }
}

/// A prompter that passes questions on to those who wait, one after the other until one answers.
pub(crate) struct Passing {
    waiters: Waiters,
    answers: Answers,
}

impl Passing {
    pub(crate) fn new(waiters: Waiters, answers: Answers) -> Self {
        Self { waiters, answers }
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
        }
    }
}

/// A question of connecting. One of `reply` and `fail` answers it. Letting go of it leaves it to
/// others who wait for the same connection; where there are none, connecting ends.
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
    /// `host_key`, `passphrase`, `password` or `keyboard_interactive`.
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
        };
        Ok(fields.into_any().unbind())
    }

    /// Answers: a bool for a host key, a list of str for keyboard-interactive, else a str; or
    /// None, which declines.
    fn reply(&self, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        let reply = match &self.prompt {
            _ if answer.is_none() => Ok(Reply::Declined),
            Prompt::HostKey(_) => answer.extract().map(|yes: bool| match yes {
                true => Reply::Yes,
                false => Reply::Declined,
            }),
            Prompt::Passphrase(_) | Prompt::Password(_) => answer
                .extract()
                .map(|secret: String| Reply::Secrets(vec![secret.into()])),
            Prompt::KeyboardInteractive(_) => answer.extract().map(|answers: Vec<String>| {
                Reply::Secrets(answers.into_iter().map(Secret::new).collect())
            }),
        };
        // The conversion's own message would show the value.
        self.settle(reply.map_err(|_: PyErr| {
            PyTypeError::new_err(format!(
                "the {} callback returned a wrong type",
                self.kind()
            ))
        }))
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
