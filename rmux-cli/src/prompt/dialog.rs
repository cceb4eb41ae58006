//! Questions and answers on the terminal that rmux was started from.
//!
//! Must not know what is asked.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rmux_core::Secret;
use zeroize::{Zeroize as _, Zeroizing};

use super::shown;
use crate::terminal;

const TERMINAL: &str = "/dev/tty";
/// The longest line that a terminal gives at once.
const LONGEST: usize = 4096;

/// One thread at a time reads the terminal; it may outlive a question that is given up.
static READING: Mutex<()> = Mutex::new(());

/// The terminal whose last line is a question without an answer.
static ASKED: Mutex<Option<Arc<File>>> = Mutex::new(None);

/// Ends the line of a question that nobody waits for any more.
pub(super) fn cut_off() {
    if let Some(terminal) = asked().take() {
        // It may be gone.
        let _ = (&*terminal).write_all(b"\n");
    }
}

fn asked() -> std::sync::MutexGuard<'static, Option<Arc<File>>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal, while questions are asked.
pub(super) struct Dialog(Arc<File>);

impl Dialog {
    /// Fails where this process has no terminal.
    pub(super) fn open() -> io::Result<Self> {
        let terminal = open(Path::new(TERMINAL))?;
        Ok(Self(Arc::new(terminal)))
    }

    /// The terminal itself.
    pub(super) fn terminal(&self) -> &File {
        &self.0
    }

    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        (&*self.0).write_all(shown(text).as_bytes())
    }

    /// One line as typed, without its end. `None` where there is none (end of file).
    pub(super) async fn line(&mut self, question: &str, echo: bool) -> io::Result<Option<Secret>> {
        let terminal = Arc::clone(&self.0);
        let question = shown(question);
        // Off the runtime's own threads: people take their time.
        let read = tokio::task::spawn_blocking(move || {
            let _turn = READING.lock().unwrap_or_else(PoisonError::into_inner);
            read_line(&terminal, &question, echo)
        });
        read.await
            .unwrap_or_else(|_| Err(io::Error::other("the question was cut off")))
    }
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32)
        .open(path)
}

fn read_line(shared: &Arc<File>, question: &str, echo: bool) -> io::Result<Option<Secret>> {
    let mut terminal = &**shared;
    let silent = if echo {
        None
    } else {
        Some(terminal::no_echo(terminal)?)
    };
    terminal.write_all(question.as_bytes())?;
    *asked() = Some(Arc::clone(shared));
    // It never grows: growing would leave copies behind.
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0]);
    let ended = loop {
        match terminal.read(&mut byte[..]) {
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
    if ended {
        *asked() = None;
    } else if typed.is_empty() {
        cut_off();
        return Ok(None);
    }
    secret(typed, "what was typed is not UTF-8").map(Some)
}

/// The answer, which is nowhere else in memory afterwards.
pub(super) fn secret(mut typed: Zeroizing<Vec<u8>>, refusal: &'static str) -> io::Result<Secret> {
    String::from_utf8(std::mem::take(&mut *typed))
        .map(Secret::new)
        .map_err(|error| {
            error.into_bytes().zeroize();
            io::Error::other(refusal)
        })
}
