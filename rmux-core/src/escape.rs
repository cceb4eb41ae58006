//! The escapes that are typed at the beginning of a line, `~.` and its kin: found in the input of a
//! terminal, one piece after the other.
//!
//! What ssh does was seen on OpenSSH 9.2. Must not know what an escape does.

/// What was typed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// Bytes for the remote.
    Bytes(Vec<u8>),
    /// An escape, without its escape character.
    Escape(Escape),
}

/// An escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// `~.`: end the connection.
    End,
    /// `~?`: show what escapes there are.
    Help,
    /// `~#`: list what is open.
    List,
    /// `~^Z`: stop rmux itself.
    Suspend,
    /// `~&`: go on in the background.
    Background,
    /// `~B`: send a BREAK.
    Break,
    /// `~C`: open the command line.
    CommandLine,
    /// `~R`: renew the keys.
    Rekey,
    /// `~v`: log more.
    Louder,
    /// `~V`: log less.
    Quieter,
}

/// Who is shown what escapes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Who has the connection.
    Own,
    /// Who shares another process' connection, which does not stop or change its log for one of many.
    Client,
}

/// Finds them.
#[derive(Debug)]
pub struct Escapes {
    character: u8,
    at_line_start: bool,
    /// The escape character was the last byte, at the beginning of a line.
    pending: bool,
}

impl Escapes {
    /// With this escape character. The first byte of all is at the beginning of a line.
    pub fn new(character: u8) -> Self {
        Self {
            character,
            at_line_start: true,
            pending: false,
        }
    }

    /// What the next piece of input holds.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<Typed> {
        let mut found = Vec::new();
        let mut bytes = Vec::with_capacity(piece.len());
        for &byte in piece {
            if std::mem::take(&mut self.pending) {
                if let Some(escape) = escape(byte) {
                    if !bytes.is_empty() {
                        found.push(Typed::Bytes(std::mem::take(&mut bytes)));
                    }
                    found.push(Typed::Escape(escape));
                    continue;
                }
                // Twice the escape character stands for it once.
                if byte != self.character {
                    bytes.push(self.character);
                }
            } else if self.at_line_start && byte == self.character {
                self.pending = true;
                continue;
            }
            self.at_line_start = matches!(byte, b'\r' | b'\n');
            bytes.push(byte);
        }
        if !bytes.is_empty() {
            found.push(Typed::Bytes(bytes));
        }
        found
    }
}

fn escape(byte: u8) -> Option<Escape> {
    Some(match byte {
        b'.' => Escape::End,
        b'?' => Escape::Help,
        b'#' => Escape::List,
        0x1a => Escape::Suspend,
        b'&' => Escape::Background,
        b'B' => Escape::Break,
        b'C' => Escape::CommandLine,
        b'R' => Escape::Rekey,
        b'v' => Escape::Louder,
        b'V' => Escape::Quieter,
        _ => return None,
    })
}

/// What `~?` shows, a line each.
pub fn help(character: u8, audience: Audience) -> Vec<String> {
    let c = printed(character);
    let mut lines = vec![
        "Supported escape sequences:".to_owned(),
        format!(" {c}.   - terminate connection"),
    ];
    if audience == Audience::Own {
        lines.push(format!(" {c}V/v - decrease/increase verbosity (LogLevel)"));
        lines.push(format!(
            " {c}C   - open a command line (where EnableEscapeCommandline allows it)"
        ));
        lines.push(format!(" {c}^Z  - suspend rmux"));
    }
    lines.extend([
        format!(" {c}#   - list what is open on this connection"),
        format!(" {c}?   - this message"),
        format!(" {c}{c}   - send the escape character by typing it twice"),
        "(Note that escapes are only recognized immediately after newline.)".to_owned(),
    ]);
    lines
}

/// The escape character as it can be shown.
pub fn printed(character: u8) -> String {
    match character {
        0x7f => "^?".to_owned(),
        control @ ..0x20 => format!("^{}", char::from(control + 0x40)),
        other => char::from(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &[u8]) -> Typed {
        Typed::Bytes(text.to_vec())
    }

    fn feed(text: &[u8]) -> Vec<Typed> {
        Escapes::new(b'~').feed(text)
    }

    #[test]
    fn only_the_beginning_of_a_line_counts() {
        assert_eq!(feed(b"~."), [Typed::Escape(Escape::End)]);
        assert_eq!(feed(b"a~."), [bytes(b"a~.")]);
        assert_eq!(feed(b" ~."), [bytes(b" ~.")]);
        assert_eq!(feed(b"a\r~."), [bytes(b"a\r"), Typed::Escape(Escape::End)]);
        assert_eq!(
            feed(b"a\n~?b"),
            [bytes(b"a\n"), Typed::Escape(Escape::Help), bytes(b"b")]
        );
        assert_eq!(feed(b"a\t~."), [bytes(b"a\t~.")]);
    }

    #[test]
    fn after_an_escape_the_line_has_still_just_begun() {
        assert_eq!(
            feed(b"~?~#~."),
            [Escape::Help, Escape::List, Escape::End].map(Typed::Escape)
        );
    }

    #[test]
    fn twice_is_once_and_an_unknown_one_is_no_escape() {
        assert_eq!(feed(b"~~."), [bytes(b"~.")]);
        assert_eq!(feed(b"~~~."), [bytes(b"~~.")]);
        assert_eq!(feed(b"~x~."), [bytes(b"~x~.")]);
        assert_eq!(feed(b"~\r~."), [bytes(b"~\r"), Typed::Escape(Escape::End)]);
        assert_eq!(feed(b"~\0"), [bytes(b"~\0")]);
    }

    #[test]
    fn one_may_come_in_pieces() {
        let whole = b"ls\r~~x\r~?y\n~z\r~.";
        let all = {
            let mut escapes = Escapes::new(b'~');
            let mut joined: Vec<Typed> = Vec::new();
            for byte in whole.chunks(1) {
                for typed in escapes.feed(byte) {
                    match (joined.last_mut(), typed) {
                        (Some(Typed::Bytes(before)), Typed::Bytes(more)) => before.extend(more),
                        (_, typed) => joined.push(typed),
                    }
                }
            }
            joined
        };
        assert_eq!(all, feed(whole));
        assert_eq!(
            all,
            [
                bytes(b"ls\r~x\r"),
                Typed::Escape(Escape::Help),
                bytes(b"y\n~z\r"),
                Typed::Escape(Escape::End)
            ]
        );
        let mut escapes = Escapes::new(b'~');
        assert_eq!(escapes.feed(b"~"), [], "it waits for the next byte");
        assert_eq!(escapes.feed(b""), []);
        assert_eq!(escapes.feed(b"."), [Typed::Escape(Escape::End)]);
    }

    #[test]
    fn another_escape_character() {
        let mut escapes = Escapes::new(0x02);
        assert_eq!(
            escapes.feed(b"~.\r\x02."),
            [bytes(b"~.\r"), Typed::Escape(Escape::End)]
        );
        assert_eq!(printed(0x02), "^B");
        assert_eq!(printed(b'~'), "~");
        let help = |audience| help(0x02, audience).join("\n");
        assert!(help(Audience::Own).contains(" ^B^Z "));
        assert!(help(Audience::Client).contains(" ^B. "));
        assert!(!help(Audience::Client).contains(" ^B^Z "));
    }
}
