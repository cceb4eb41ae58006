//! Pseudo-terminals: opening one with the modes and size that were asked for, and its master
//! side as streams. Must not know what runs on it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use russh::Pty;
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, Winsize,
};
use tokio::net::unix::pipe;

/// What a `pty-req` asks for. RFC 4254, section 6.2.
#[derive(Clone)]
pub(super) struct TerminalRequest {
    pub(super) term: String,
    pub(super) size: Size,
    pub(super) modes: Vec<(Pty, u32)>,
}

/// Columns and rows, and the same in pixels (zero if unknown).
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The master side of a terminal, which hangs up when this and its streams are dropped.
pub(super) struct Terminal {
    master: OwnedFd,
}

/// A newly opened terminal.
pub(super) struct Opened {
    pub(super) terminal: Terminal,
    /// What is typed.
    pub(super) input: pipe::Sender,
    /// What is shown. Linux ends it with an error once no program has the terminal open.
    pub(super) output: pipe::Receiver,
    /// The side for the program, and its name.
    pub(super) slave: OwnedFd,
    pub(super) name: PathBuf,
}

impl Terminal {
    /// Opens a terminal.
    pub(super) fn open(request: &TerminalRequest) -> io::Result<Opened> {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        rustix::io::fcntl_setfd(&master, FdFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
        let mut modes = rustix::termios::tcgetattr(&slave)?;
        for (mode, value) in &request.modes {
            set_mode(&mut modes, *mode, *value);
        }
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes)?;
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        // Unchecked, because a terminal is no pipe; it is read, written and polled like one.
        let input = pipe::Sender::from_owned_fd_unchecked(master.try_clone()?)?;
        let output = pipe::Receiver::from_owned_fd_unchecked(master.try_clone()?)?;
        let terminal = Self { master };
        terminal.resize(request.size)?;
        let name = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
        Ok(Opened {
            terminal,
            input,
            output,
            slave,
            name,
        })
    }

    /// Sets the size; the foreground program is told by SIGWINCH.
    pub(super) fn resize(&self, size: Size) -> io::Result<()> {
        let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        let size = Winsize {
            ws_row: short(size.rows),
            ws_col: short(size.columns),
            ws_xpixel: short(size.width),
            ws_ypixel: short(size.height),
        };
        Ok(rustix::termios::tcsetwinsize(&self.master, size)?)
    }
}

/// RFC 4254, section 8. Modes a system does not have, and speeds, are left as they are.
fn set_mode(modes: &mut Termios, mode: Pty, value: u32) {
    use SpecialCodeIndex as Code;
    let code = match mode {
        Pty::VINTR => Some(Code::VINTR),
        Pty::VQUIT => Some(Code::VQUIT),
        Pty::VERASE => Some(Code::VERASE),
        Pty::VKILL => Some(Code::VKILL),
        Pty::VEOF => Some(Code::VEOF),
        Pty::VEOL => Some(Code::VEOL),
        Pty::VEOL2 => Some(Code::VEOL2),
        Pty::VSTART => Some(Code::VSTART),
        Pty::VSTOP => Some(Code::VSTOP),
        Pty::VSUSP => Some(Code::VSUSP),
        Pty::VREPRINT => Some(Code::VREPRINT),
        Pty::VWERASE => Some(Code::VWERASE),
        Pty::VLNEXT => Some(Code::VLNEXT),
        Pty::VDISCARD => Some(Code::VDISCARD),
        _ => None,
    };
    if let Some(code) = code {
        // 255 means "none", which is zero everywhere but on BSD, where it is 255.
        let none = if cfg!(target_vendor = "apple") {
            255
        } else {
            0
        };
        modes.special_codes[code] = u8::try_from(value)
            .ok()
            .filter(|v| *v != 255)
            .unwrap_or(none);
        return;
    }
    let on = value != 0;
    match mode {
        Pty::IGNPAR => modes.input_modes.set(InputModes::IGNPAR, on),
        Pty::PARMRK => modes.input_modes.set(InputModes::PARMRK, on),
        Pty::INPCK => modes.input_modes.set(InputModes::INPCK, on),
        Pty::ISTRIP => modes.input_modes.set(InputModes::ISTRIP, on),
        Pty::INLCR => modes.input_modes.set(InputModes::INLCR, on),
        Pty::IGNCR => modes.input_modes.set(InputModes::IGNCR, on),
        Pty::ICRNL => modes.input_modes.set(InputModes::ICRNL, on),
        Pty::IXON => modes.input_modes.set(InputModes::IXON, on),
        Pty::IXANY => modes.input_modes.set(InputModes::IXANY, on),
        Pty::IXOFF => modes.input_modes.set(InputModes::IXOFF, on),
        Pty::IMAXBEL => modes.input_modes.set(InputModes::IMAXBEL, on),
        Pty::IUTF8 => modes.input_modes.set(InputModes::IUTF8, on),
        Pty::ISIG => modes.local_modes.set(LocalModes::ISIG, on),
        Pty::ICANON => modes.local_modes.set(LocalModes::ICANON, on),
        Pty::ECHO => modes.local_modes.set(LocalModes::ECHO, on),
        Pty::ECHOE => modes.local_modes.set(LocalModes::ECHOE, on),
        Pty::ECHOK => modes.local_modes.set(LocalModes::ECHOK, on),
        Pty::ECHONL => modes.local_modes.set(LocalModes::ECHONL, on),
        Pty::NOFLSH => modes.local_modes.set(LocalModes::NOFLSH, on),
        Pty::TOSTOP => modes.local_modes.set(LocalModes::TOSTOP, on),
        Pty::IEXTEN => modes.local_modes.set(LocalModes::IEXTEN, on),
        Pty::ECHOCTL => modes.local_modes.set(LocalModes::ECHOCTL, on),
        Pty::ECHOKE => modes.local_modes.set(LocalModes::ECHOKE, on),
        Pty::PENDIN => modes.local_modes.set(LocalModes::PENDIN, on),
        Pty::OPOST => modes.output_modes.set(OutputModes::OPOST, on),
        Pty::ONLCR => modes.output_modes.set(OutputModes::ONLCR, on),
        Pty::OCRNL => modes.output_modes.set(OutputModes::OCRNL, on),
        Pty::ONOCR => modes.output_modes.set(OutputModes::ONOCR, on),
        Pty::ONLRET => modes.output_modes.set(OutputModes::ONLRET, on),
        _ => {}
    }
}
