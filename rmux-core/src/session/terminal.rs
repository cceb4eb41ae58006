//! The terminal of a remote command: what to ask the server for, and what the local one is like.

use crate::link::{PtyRequest, WindowSize};

/// A pseudo-terminal to run a command in (RFC 4254, section 6.2).
///
/// Default: `xterm`, 80 columns, 24 rows, no modes, which leaves them to the server.
#[derive(Debug, Clone)]
pub struct Pty {
    request: PtyRequest,
    optional: bool,
}

impl Default for Pty {
    fn default() -> Self {
        Self::new("xterm")
    }
}

impl Pty {
    /// A terminal of the type that `TERM` shall name.
    pub fn new(term: impl Into<String>) -> Self {
        let request = PtyRequest {
            term: term.into(),
            size: WindowSize {
                columns: 80,
                rows: 24,
                width: 0,
                height: 0,
            },
            modes: Vec::new(),
        };
        Self {
            request,
            optional: false,
        }
    }

    /// Its size in characters.
    #[must_use]
    pub fn size(mut self, columns: u32, rows: u32) -> Self {
        self.request.size.columns = columns;
        self.request.size.rows = rows;
        self
    }

    /// Its size in pixels; 0, the default, means unknown.
    #[must_use]
    pub fn pixels(mut self, width: u32, height: u32) -> Self {
        self.request.size.width = width;
        self.request.size.height = height;
        self
    }

    /// Sets a mode by its opcode (RFC 4254, section 8): 53 (ECHO) with 0 turns echo off. Opcodes
    /// that the RFC does not list are left out.
    #[must_use]
    pub fn mode(mut self, opcode: u8, value: u32) -> Self {
        self.request.modes.push((opcode, value));
        self
    }

    /// Runs the command without a terminal where the server refuses one, as `ssh` does;
    /// [`Child::has_pty`](crate::Child::has_pty) tells. Default: the command then fails to start.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(super) fn is_optional(&self) -> bool {
        self.optional
    }

    pub(super) fn request(&self) -> PtyRequest {
        self.request.clone()
    }

    /// A terminal like the local one behind `fd`: its size and its modes, with `TERM` as given.
    ///
    /// # Errors
    /// Where `fd` is no terminal.
    #[cfg(unix)]
    pub fn like(fd: impl std::os::fd::AsFd, term: impl Into<String>) -> std::io::Result<Self> {
        let size = rustix::termios::tcgetwinsize(&fd)?;
        let modes = local::modes(&rustix::termios::tcgetattr(&fd)?);
        let mut pty = Self::new(term)
            .size(size.ws_col.into(), size.ws_row.into())
            .pixels(size.ws_xpixel.into(), size.ws_ypixel.into());
        pty.request.modes = modes;
        Ok(pty)
    }
}

#[cfg(unix)]
mod local {
    //! A local terminal's settings as RFC 4254, section 8, numbers them.

    use rustix::termios::{
        ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex as Code, Termios,
    };

    const CHARACTERS: &[(u8, Code)] = &[
        (1, Code::VINTR),
        (2, Code::VQUIT),
        (3, Code::VERASE),
        (4, Code::VKILL),
        (5, Code::VEOF),
        (6, Code::VEOL),
        (7, Code::VEOL2),
        (8, Code::VSTART),
        (9, Code::VSTOP),
        (10, Code::VSUSP),
        (12, Code::VREPRINT),
        (13, Code::VWERASE),
        (14, Code::VLNEXT),
        (18, Code::VDISCARD),
    ];
    const INPUT: &[(u8, InputModes)] = &[
        (30, InputModes::IGNPAR),
        (31, InputModes::PARMRK),
        (32, InputModes::INPCK),
        (33, InputModes::ISTRIP),
        (34, InputModes::INLCR),
        (35, InputModes::IGNCR),
        (36, InputModes::ICRNL),
        (38, InputModes::IXON),
        (39, InputModes::IXANY),
        (40, InputModes::IXOFF),
        (41, InputModes::IMAXBEL),
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        (42, InputModes::IUTF8),
    ];
    const LOCAL: &[(u8, LocalModes)] = &[
        (50, LocalModes::ISIG),
        (51, LocalModes::ICANON),
        (53, LocalModes::ECHO),
        (54, LocalModes::ECHOE),
        (55, LocalModes::ECHOK),
        (56, LocalModes::ECHONL),
        (57, LocalModes::NOFLSH),
        (58, LocalModes::TOSTOP),
        (59, LocalModes::IEXTEN),
        (60, LocalModes::ECHOCTL),
        (61, LocalModes::ECHOKE),
    ];
    const OUTPUT: &[(u8, OutputModes)] = &[
        (70, OutputModes::OPOST),
        (72, OutputModes::ONLCR),
        (73, OutputModes::OCRNL),
        (74, OutputModes::ONOCR),
        (75, OutputModes::ONLRET),
    ];
    const CONTROL: &[(u8, ControlModes)] = &[
        (90, ControlModes::CS7),
        (91, ControlModes::CS8),
        (92, ControlModes::PARENB),
        (93, ControlModes::PARODD),
    ];
    /// TTY_OP_ISPEED and TTY_OP_OSPEED.
    const SPEEDS: (u8, u8) = (128, 129);

    pub(super) fn modes(termios: &Termios) -> Vec<(u8, u32)> {
        let mut modes = vec![
            (SPEEDS.0, termios.input_speed()),
            (SPEEDS.1, termios.output_speed()),
        ];
        // 0 is the local way to say "none"; on the wire it is 255.
        modes.extend(CHARACTERS.iter().map(|(opcode, code)| {
            let character = termios.special_codes[*code];
            (
                *opcode,
                if character == 0 {
                    255
                } else {
                    character.into()
                },
            )
        }));
        let flag = |on: bool| u32::from(on);
        modes.extend(
            INPUT
                .iter()
                .map(|(op, bit)| (*op, flag(termios.input_modes.contains(*bit)))),
        );
        modes.extend(
            LOCAL
                .iter()
                .map(|(op, bit)| (*op, flag(termios.local_modes.contains(*bit)))),
        );
        modes.extend(
            OUTPUT
                .iter()
                .map(|(op, bit)| (*op, flag(termios.output_modes.contains(*bit)))),
        );
        modes.extend(
            CONTROL
                .iter()
                .map(|(op, bit)| (*op, flag(termios.control_modes.contains(*bit)))),
        );
        modes
    }
}
