//! The local terminal's modes: changed for a while, and always put back.
//!
//! Every change is noted in one place of the process, so that each way out can undo it: the end of
//! a guard, a signal, a panic, an exit. Must not know what the modes are changed for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr,
    tcsetattr,
};

/// What a terminal was like before it was changed.
struct Saved {
    number: u64,
    terminal: OwnedFd,
    modes: Termios,
    kind: Kind,
}

/// What a change is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Raw,
    Silent,
    /// Lent to a question amid a session: changes made meanwhile come into effect behind it.
    Lent,
}

struct Changes {
    last_number: u64,
    saved: Vec<Saved>,
}

static CHANGES: Mutex<Changes> = Mutex::new(Changes {
    last_number: 0,
    saved: Vec::new(),
});

fn changes() -> MutexGuard<'static, Changes> {
    // What is in there is whole even after a panic, and a panic is when it is needed.
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A change of modes; dropping it undoes it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Changed(u64);

impl Drop for Changed {
    fn drop(&mut self) {
        let mut changes = changes();
        let place = |saved: &Saved| saved.number == self.0;
        // Not there where everything was undone before.
        if let Some(index) = changes.saved.iter().position(place) {
            undo_from(&mut changes, index);
        }
    }
}

/// Every key goes through as it is typed, and output as it is written.
pub(crate) fn raw(terminal: impl AsFd) -> io::Result<Changed> {
    change(
        terminal.as_fd(),
        OptionalActions::Drain,
        Kind::Raw,
        |modes| {
            modes.input_modes |= InputModes::IGNPAR;
            modes.input_modes -= InputModes::ISTRIP
                | InputModes::INLCR
                | InputModes::IGNCR
                | InputModes::ICRNL
                | InputModes::IXON
                | InputModes::IXANY
                | InputModes::IXOFF;
            modes.local_modes -= LocalModes::ISIG
                | LocalModes::ICANON
                | LocalModes::ECHO
                | LocalModes::ECHOE
                | LocalModes::ECHOK
                | LocalModes::ECHONL
                | LocalModes::IEXTEN;
            modes.output_modes -= OutputModes::OPOST;
            modes.special_codes[SpecialCodeIndex::VMIN] = 1;
            modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        },
    )
}

/// What is typed is not shown. Throws away what was typed before.
pub(crate) fn no_echo(terminal: impl AsFd) -> io::Result<Changed> {
    change(
        terminal.as_fd(),
        OptionalActions::Flush,
        Kind::Silent,
        |modes| {
            modes.local_modes -= LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK;
            modes.local_modes |= LocalModes::ECHONL;
            // A shell that took over at a stop would find the terminal without echo.
            modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        },
    )
}

/// As it was before all changes, for a question amid a session. If the terminal becomes raw
/// meanwhile, that waits for the end of this.
pub(crate) fn lend(terminal: impl AsFd) -> io::Result<Changed> {
    let first = changes().saved.first().map(|saved| saved.modes.clone());
    change(
        terminal.as_fd(),
        OptionalActions::Drain,
        Kind::Lent,
        |modes| {
            if let Some(first) = first {
                *modes = first;
            }
        },
    )
}

/// Undoes every change.
pub(crate) fn restore() {
    let mut changes = changes();
    undo_from(&mut changes, 0);
}

/// Whether a terminal is in raw mode now.
pub(crate) fn is_raw() -> bool {
    changes()
        .saved
        .last()
        .is_some_and(|saved| saved.kind == Kind::Raw)
}

/// From now on a panic finds the terminal as it was.
pub(crate) fn restore_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        report(panic);
    }));
}

fn change(
    terminal: impl AsFd,
    when: OptionalActions,
    kind: Kind,
    alter: impl FnOnce(&mut Termios),
) -> io::Result<Changed> {
    let modes = tcgetattr(&terminal)?;
    let terminal = rustix::io::fcntl_dupfd_cloexec(terminal, 3)?;
    let mut changes = changes();
    changes.last_number += 1;
    let number = changes.last_number;
    let mut saved = Saved {
        number,
        terminal,
        modes,
        kind,
    };
    if kind == Kind::Raw
        && let Some(mut lent) = changes.saved.pop_if(|last| last.kind == Kind::Lent)
    {
        saved.modes = lent.modes.clone();
        alter(&mut lent.modes);
        changes.saved.extend([saved, lent]);
        return Ok(Changed(number));
    }
    let mut altered = saved.modes.clone();
    alter(&mut altered);
    // Under the lock: whoever restores meanwhile does so after this.
    tcsetattr(&saved.terminal, when, &altered)?;
    changes.saved.push(saved);
    Ok(Changed(number))
}

/// Undoes the change at this place and those that were made upon it.
fn undo_from(changes: &mut Changes, index: usize) {
    while changes.saved.len() > index
        && let Some(last) = changes.saved.pop()
    {
        // Not after the output has drained: a stopped terminal would keep rmux from ending. It
        // fails where the terminal is gone.
        let _ = tcsetattr(&last.terminal, OptionalActions::Now, &last.modes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    fn pair() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let terminal = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        (master, terminal)
    }

    fn local_modes(terminal: &OwnedFd) -> LocalModes {
        tcgetattr(terminal).unwrap().local_modes
    }

    // One test: the changes are the process'.
    #[test]
    fn modes_come_back_by_guard_by_restore_and_by_panic() {
        let (_master, terminal) = pair();
        let before = local_modes(&terminal);
        assert!(before.contains(LocalModes::ECHO | LocalModes::ICANON));

        let outer = raw(&terminal).unwrap();
        assert!(is_raw());
        assert!(!local_modes(&terminal).intersects(LocalModes::ECHO | LocalModes::ICANON));
        drop(no_echo(&terminal).unwrap());
        assert!(!local_modes(&terminal).contains(LocalModes::ICANON));
        let question = lend(&terminal).unwrap();
        assert!(!is_raw());
        assert_eq!(local_modes(&terminal), before);
        drop(question);
        assert!(is_raw());
        assert!(!local_modes(&terminal).intersects(LocalModes::ECHO | LocalModes::ICANON));
        drop(outer);
        assert!(!is_raw());
        assert_eq!(local_modes(&terminal), before);

        // Raw while it is lent: afterwards.
        let question = lend(&terminal).unwrap();
        let late = raw(&terminal).unwrap();
        assert!(!is_raw());
        assert_eq!(local_modes(&terminal), before);
        drop(question);
        assert!(is_raw());
        assert!(!local_modes(&terminal).contains(LocalModes::ICANON));
        drop(late);
        assert_eq!(local_modes(&terminal), before);
        let question = lend(&terminal).unwrap();
        let late = raw(&terminal).unwrap();
        restore();
        assert_eq!(local_modes(&terminal), before);
        drop((question, late));
        assert_eq!(local_modes(&terminal), before);

        let silent = no_echo(&terminal).unwrap();
        assert!(!local_modes(&terminal).contains(LocalModes::ECHO));
        restore();
        assert_eq!(local_modes(&terminal), before);
        drop(silent);
        assert_eq!(local_modes(&terminal), before);

        let kept = raw(&terminal).unwrap();
        restore_on_panic();
        let panicked = std::thread::spawn(|| panic!("on purpose")).join();
        assert!(panicked.is_err());
        assert_eq!(local_modes(&terminal), before);
        drop(kept);
    }
}
