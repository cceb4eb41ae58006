//! Answers the questions of connecting by asking a person.
//!
//! Must not know when a question is asked, nor what is done with the answer.

mod askpass;
mod dialog;
mod way;
mod wording;

use std::io;

use rmux_core::{
    AgentKeyPrompt, Answer, Error, ErrorKind, HostKeyPrompt, HostKeysPrompt,
    KeyboardInteractivePrompt, PassphrasePrompt, PasswordPrompt, Prompter, Secret,
};

use crate::input::{self, StandingStill};
use crate::message::printable;
use crate::terminal::{self, Changed};
use askpass::Askpass;
use dialog::Dialog;
use way::{Way, Ways};
use wording::again;

/// Asks one question at a time.
#[derive(Debug)]
pub(crate) struct Asking {
    ways: Ways,
    turn: tokio::sync::Mutex<()>,
}

impl Asking {
    /// `None` where this process has nobody to ask.
    pub(crate) fn new() -> Option<Self> {
        let ways = Ways::choose(|name| std::env::var_os(name), || Dialog::open().is_ok())?;
        Some(Self {
            ways,
            turn: tokio::sync::Mutex::default(),
        })
    }

    async fn ask<T>(
        &self,
        way: &Way,
        dialog: impl AsyncFnOnce(&mut Asker) -> io::Result<T>,
    ) -> rmux_core::Result<T> {
        let _turn = self.turn.lock().await;
        // What many hosts write, and their bar, would go over the question.
        let _held = crate::gate::hold();
        let asked = async {
            let mut asker = match way {
                Way::Terminal => Asker::Terminal(Dialog::open()?),
                Way::Program(path) => Asker::Program(Askpass::new(path.clone())),
            };
            dialog(&mut asker).await
        };
        asked.await.map_err(|error| {
            let text = format!("nobody could be asked: {error}");
            Error::new(ErrorKind::Io, "ask", text).with_source(error)
        })
    }
}

impl Prompter for Asking {
    fn host_key<'a>(&'a self, prompt: &'a HostKeyPrompt) -> Answer<'a, bool> {
        let way = &self.ways.typed;
        Box::pin(self.ask(way, async |asker| wording::host_key(asker, prompt).await))
    }

    fn host_keys<'a>(&'a self, prompt: &'a HostKeysPrompt) -> Answer<'a, bool> {
        Box::pin(self.ask(&self.ways.typed, async |asker| {
            // The session goes on, and may have the terminal.
            let _lent = asker.borrow_terminal()?;
            wording::host_keys(asker, prompt).await
        }))
    }

    fn passphrase<'a>(&'a self, prompt: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        let again = again(prompt.attempt);
        let question = format!("{again}Passphrase of {}: ", prompt.path.display());
        Box::pin(self.ask(&self.ways.typed, async move |asker| {
            let answer = asker.line(&question, false).await?;
            // An empty line means: not this key.
            Ok(answer.filter(|answer| !answer.expose().is_empty()))
        }))
    }

    fn agent_key<'a>(&'a self, prompt: &'a AgentKeyPrompt) -> Answer<'a, bool> {
        let way = &self.ways.permission;
        Box::pin(self.ask(way, async |asker| wording::agent_key(asker, prompt).await))
    }

    fn password<'a>(&'a self, prompt: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        let again = again(prompt.attempt);
        let question = format!("{again}Password of {}@{}: ", prompt.user, prompt.host);
        let way = &self.ways.typed;
        Box::pin(self.ask(way, async move |asker| asker.line(&question, false).await))
    }

    fn keyboard_interactive<'a>(
        &'a self,
        prompt: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        let way = &self.ways.typed;
        Box::pin(self.ask(way, async |asker| wording::round(asker, prompt).await))
    }
}

/// Ends a question that is still asked, since nobody waits for its answer any more: what is written
/// next begins a line.
pub(crate) fn end() {
    dialog::cut_off();
    askpass::end();
}

/// Whoever puts a question.
enum Asker {
    Terminal(Dialog),
    Program(Askpass),
}

impl Asker {
    /// Takes the terminal from whoever reads it, until what is returned is dropped.
    fn borrow_terminal(&self) -> io::Result<Option<(Changed, StandingStill)>> {
        match self {
            Self::Terminal(dialog) => {
                let still = input::stand_still();
                Ok(Some((terminal::lend(dialog.terminal())?, still)))
            }
            Self::Program(_) => Ok(None),
        }
    }

    /// Shows a text that goes before the next question.
    fn show(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Terminal(dialog) => dialog.show(text),
            Self::Program(askpass) => {
                askpass.show(text);
                Ok(())
            }
        }
    }

    /// One line of an answer, shown while it is typed if `echo`. `None` where the person gave up.
    async fn line(&mut self, question: &str, echo: bool) -> io::Result<Option<Secret>> {
        match self {
            Self::Terminal(dialog) => dialog.line(question, echo).await,
            Self::Program(askpass) => askpass.line(question).await,
        }
    }

    /// Whether something may be done: a typed yes, or a program's button.
    async fn permission(&mut self, question: &str) -> io::Result<bool> {
        match self {
            Self::Terminal(_) => {
                wording::yes_or_no(self, &format!("{question} (yes or no) ")).await
            }
            Self::Program(askpass) => askpass.permission(question).await,
        }
    }
}

/// What may be shown to a person.
fn shown(text: &str) -> String {
    printable(text, |c| c == '\n')
}
