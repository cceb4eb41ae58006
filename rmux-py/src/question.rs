//! Questions of connecting, on their way to the program's callbacks and back.
//!
//! A callback runs where the program waits: in the thread that connects, or on its event loop. So
//! the prompter only passes the question on and awaits the answer.

use std::sync::Mutex;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use rmux_core::{
    Answer, Error, ErrorKind, HostKeyPrompt, KeyboardInteractivePrompt, PassphrasePrompt,
    PasswordPrompt, Prompter, Secret,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

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

/// A question and where its answer goes.
pub(crate) struct Asked {
    prompt: Prompt,
    reply: oneshot::Sender<PyResult<Reply>>,
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

/// A prompter that passes questions on.
pub(crate) struct Passing {
    questions: UnboundedSender<Asked>,
    answers: Answers,
}

impl Passing {
    /// A prompter, and where its questions come out.
    pub(crate) fn new(answers: Answers) -> (Self, UnboundedReceiver<Asked>) {
        let (questions, asked) = unbounded_channel();
        (Self { questions, answers }, asked)
    }

    async fn ask(&self, prompt: Prompt, host: &str) -> rmux_core::Result<Reply> {
        let what = prompt.kind();
        let (reply, replied) = oneshot::channel();
        let _ = self.questions.send(Asked { prompt, reply });
        match replied.await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(exception)) => Err(cancelled(what, "failed", host).with_source(exception)),
            Err(_) => Err(cancelled(what, "gave no answer", host)),
        }
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

/// A question of connecting. One of `reply` and `fail` answers it; letting go of it declines and
/// ends the connecting.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Question {
    prompt: Prompt,
    reply: Mutex<Option<oneshot::Sender<PyResult<Reply>>>>,
}

impl Question {
    pub(crate) fn new(asked: Asked) -> Self {
        Self {
            prompt: asked.prompt,
            reply: Mutex::new(Some(asked.reply)),
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

    /// Ends the connecting, with this exception as the cause.
    fn fail(&self, exception: Bound<'_, PyAny>) -> PyResult<()> {
        self.settle(Err(PyErr::from_value(exception)))
    }
}
