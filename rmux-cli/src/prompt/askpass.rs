//! Questions put by a program, as `SSH_ASKPASS` names one: the question is its argument, the first
//! line it prints is the answer, and any other exit status than 0 means that the person gave up.
//!
//! Must not know what is asked.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use rmux_core::Secret;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::dialog::secret;
use super::shown;
use crate::message;

/// Tells the program what kind of question it is, unless a line is to be typed.
const KIND: &str = "SSH_ASKPASS_PROMPT";

/// The longest answer, as ssh's.
const LONGEST: usize = 1023;

/// The program that asks now: one at a time does.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Ends the program that asks now.
pub(super) fn end() {
    if let Some(pid) = running().take() {
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn running() -> std::sync::MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program, while questions are asked.
pub(super) struct Askpass {
    program: OsString,
    before: String,
}

impl Askpass {
    pub(super) fn new(program: OsString) -> Self {
        Self {
            program,
            before: String::new(),
        }
    }

    /// Puts a text in front of the next question.
    pub(super) fn show(&mut self, text: &str) {
        self.before += text;
    }

    /// What the program answered. Dropping the future ends it.
    ///
    /// One that cannot be started counts as a person who gave up, as with ssh.
    pub(super) async fn line(&mut self, question: &str) -> io::Result<Option<Secret>> {
        self.run(question, None).await
    }

    /// Whether a permission is given: by a program that shows a button, which need not print
    /// anything then.
    pub(super) async fn permission(&mut self, question: &str) -> io::Result<bool> {
        let answer = self.run(question, Some("confirm")).await?;
        Ok(answer.is_some_and(|answer| {
            let answer = answer.expose();
            answer.is_empty() || answer.eq_ignore_ascii_case("yes")
        }))
    }

    async fn run(&mut self, question: &str, kind: Option<&str>) -> io::Result<Option<Secret>> {
        let text = shown(&(std::mem::take(&mut self.before) + question));
        let mut command = Command::new(&self.program);
        command
            .arg(text.trim_end())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(kind) = kind {
            command.env(KIND, kind);
        }
        let started = command.spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                let program = self.program.display();
                message::warning(format_args!("{program} cannot be run: {error}"));
                return Ok(None);
            }
        };
        let _mark = Mark::set(child.id());
        let mut stdout = child.stdout.take().expect("piped");
        // It never grows: growing would leave copies behind.
        let mut answer = Zeroizing::new(vec![0; LONGEST + 1]);
        let mut length = 0;
        while length < answer.len() {
            match stdout.read(&mut answer[length..]).await? {
                0 => break,
                more => length += more,
            }
        }
        drop(stdout);
        if length > LONGEST {
            return Err(io::Error::other("the answer is too long"));
        }
        if !child.wait().await?.success() {
            return Ok(None);
        }
        let line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        answer.truncate(length);
        if let Some(end) = answer.iter().position(line_end) {
            answer.truncate(end);
        }
        secret(answer, "the answer is not UTF-8").map(Some)
    }
}

/// Notes the program that asks, until it does no more.
struct Mark;

impl Mark {
    fn set(id: Option<u32>) -> Self {
        *running() = id
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        *running() = None;
    }
}
