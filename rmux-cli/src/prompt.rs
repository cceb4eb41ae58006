//! The questions of connecting, asked on the terminal that rmux was started from.
//!
//! Through `/dev/tty`, so that the streams may be redirected. Must not know when a question is
//! asked, nor what is done with the answer.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rmux_core::{
    Answer, Error, ErrorKind, HostKeyPrompt, KeyboardInteractivePrompt, PassphrasePrompt,
    PasswordPrompt, Prompter, Secret,
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::message::printable;
use crate::terminal;

const TERMINAL: &str = "/dev/tty";
/// The longest line that a terminal gives at once.
const LONGEST: usize = 4096;

/// Asks on the terminal, one question at a time.
#[derive(Debug)]
pub(crate) struct TerminalPrompter {
    turn: Arc<Mutex<()>>,
}

impl TerminalPrompter {
    /// `None` where this process has no terminal.
    pub(crate) fn new() -> Option<Self> {
        open(Path::new(TERMINAL)).ok().map(|_| Self {
            turn: Arc::default(),
        })
    }

    /// Runs `dialog` off the runtime's own threads: people take their time.
    async fn ask<T: Send + 'static>(
        &self,
        dialog: impl FnOnce(&mut Dialog) -> io::Result<T> + Send + 'static,
    ) -> rmux_core::Result<T> {
        let turn = Arc::clone(&self.turn);
        let asked = tokio::task::spawn_blocking(move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            dialog(&mut Dialog(open(Path::new(TERMINAL))?))
        })
        .await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Error::new(
                ErrorKind::Io,
                "ask",
                format!("the terminal cannot be used: {error}"),
            )
            .with_source(error)),
            Err(_) => Err(Error::new(
                ErrorKind::Cancelled,
                "ask",
                "the question was cut off",
            )),
        }
    }
}

impl Prompter for TerminalPrompter {
    fn host_key<'a>(&'a self, prompt: &'a HostKeyPrompt) -> Answer<'a, bool> {
        let prompt = prompt.clone();
        Box::pin(self.ask(move |dialog| dialog.host_key(&prompt)))
    }

    fn passphrase<'a>(&'a self, prompt: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        let again = again(prompt.attempt);
        let question = format!("{again}Passphrase of {}: ", prompt.path.display());
        Box::pin(self.ask(move |dialog| {
            let answer = dialog.secret(&question)?;
            // An empty line means: not this key.
            Ok(answer.filter(|answer| !answer.expose().is_empty()))
        }))
    }

    fn password<'a>(&'a self, prompt: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        let again = again(prompt.attempt);
        let question = format!("{again}Password of {}@{}: ", prompt.user, prompt.host);
        Box::pin(self.ask(move |dialog| dialog.secret(&question)))
    }

    fn keyboard_interactive<'a>(
        &'a self,
        prompt: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        let prompt = prompt.clone();
        Box::pin(self.ask(move |dialog| dialog.questions(&prompt)))
    }
}

fn again(attempt: u32) -> &'static str {
    if attempt > 1 { "That was wrong. " } else { "" }
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32)
        .open(path)
}

/// The terminal, while questions are asked.
struct Dialog(File);

impl Dialog {
    fn host_key(&mut self, prompt: &HostKeyPrompt) -> io::Result<bool> {
        self.show(&format!(
            "{} is not known yet under the name {}. It shows this host key:\n  {} {}\n",
            prompt.host, prompt.known_as, prompt.algorithm, prompt.fingerprint
        ))?;
        let mut question = "Connect and remember the key (yes, no, or its fingerprint)? ";
        loop {
            let Some(answer) = self.line(question, true)? else {
                return Ok(false);
            };
            let answer = answer.expose().trim();
            if answer.eq_ignore_ascii_case("yes") || answer == prompt.fingerprint {
                return Ok(true);
            }
            if answer.eq_ignore_ascii_case("no") {
                return Ok(false);
            }
            question = if answer.starts_with("SHA256:") {
                "That is another key's fingerprint. Connect all the same (yes or no)? "
            } else {
                "Please type yes, no, or the fingerprint: "
            };
        }
    }

    fn secret(&mut self, question: &str) -> io::Result<Option<Secret>> {
        self.line(question, false)
    }

    fn questions(&mut self, prompt: &KeyboardInteractivePrompt) -> io::Result<Option<Vec<Secret>>> {
        for text in [&prompt.name, &prompt.instructions] {
            if !text.is_empty() {
                self.show(&format!("{}\n", text.trim_end()))?;
            }
        }
        // The server writes the questions: say whose they are.
        let asks = format!("({}@{}) ", prompt.user, prompt.host);
        prompt
            .questions
            .iter()
            .map(|question| self.line(&format!("{asks}{}", question.text), question.echo))
            .collect()
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        let text = printable(text, |c| c == '\n');
        self.0.write_all(text.as_bytes())
    }

    /// One line as typed, without its end. `None` where there is none (end of file).
    fn line(&mut self, question: &str, echo: bool) -> io::Result<Option<Secret>> {
        let silent = if echo {
            None
        } else {
            Some(terminal::no_echo(&self.0)?)
        };
        self.show(question)?;
        // It never grows: growing would leave copies behind.
        let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
        let mut byte = Zeroizing::new([0]);
        let ended = loop {
            match self.0.read(&mut byte[..]) {
                Ok(0) => break false,
                Ok(_) if matches!(byte[0], b'\n' | b'\r') => break true,
                Ok(_) if typed.len() == LONGEST => {
                    return Err(io::Error::other("the line is too long"));
                }
                Ok(_) => typed.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        drop(silent);
        if !ended && typed.is_empty() {
            self.show("\n")?;
            return Ok(None);
        }
        match String::from_utf8(std::mem::take(&mut *typed)) {
            Ok(line) => Ok(Some(Secret::new(line))),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(io::Error::other("what was typed is not UTF-8"))
            }
        }
    }
}
