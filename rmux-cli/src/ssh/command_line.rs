//! The line that is typed behind the escape `~C`, at a terminal that echoes nothing by itself.
//!
//! Must not know what a line means.

/// The longest line.
const LONGEST: usize = 1024;

/// A line while it is typed.
#[derive(Debug, Default)]
pub(super) struct Line(Vec<u8>);

/// What came of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typing {
    /// What to show.
    pub(super) echo: String,
    /// The whole line, once it is; an empty one where it was given up.
    pub(super) line: Option<String>,
    /// Input behind the line.
    pub(super) rest: Vec<u8>,
}

impl Line {
    /// Takes in what was typed.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Typing {
        let mut echo = Vec::new();
        for (index, byte) in piece.iter().enumerate() {
            match byte {
                b'\r' | b'\n' => return self.end(echo, false, &piece[index + 1..]),
                // Ctrl-C, Ctrl-D and Ctrl-G.
                0x03 | 0x04 | 0x07 => return self.end(echo, true, &piece[index + 1..]),
                0x08 | 0x7f => self.rub_out(1, &mut echo),
                // Ctrl-U.
                0x15 => self.rub_out(usize::MAX, &mut echo),
                0x20.. if self.0.len() < LONGEST => {
                    self.0.push(*byte);
                    echo.push(*byte);
                }
                _ => {}
            }
        }
        Typing {
            echo: String::from_utf8_lossy(&echo).into_owned(),
            line: None,
            rest: Vec::new(),
        }
    }

    fn rub_out(&mut self, most: usize, echo: &mut Vec<u8>) {
        for _ in 0..most.min(self.0.len()) {
            self.0.pop();
            echo.extend(b"\x08 \x08");
        }
    }

    fn end(&mut self, mut echo: Vec<u8>, given_up: bool, rest: &[u8]) -> Typing {
        echo.extend(b"\r\n");
        let line = std::mem::take(&mut self.0);
        let line = String::from_utf8_lossy(&line).into_owned();
        Typing {
            echo: String::from_utf8_lossy(&echo).into_owned(),
            line: Some(if given_up { String::new() } else { line }),
            rest: rest.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_in_pieces_and_is_mended() {
        let mut line = Line::default();
        let typing = line.feed(b"-Lx\x7f8");
        assert_eq!((typing.echo.as_str(), typing.line), ("-Lx\x08 \x088", None));
        let typing = line.feed(b"0:h:80\rls\r");
        assert_eq!(typing.line.as_deref(), Some("-L80:h:80"));
        assert_eq!(typing.rest, b"ls\r");
        let typing = line.feed(b"all of it\x15-D1\n");
        assert_eq!(typing.line.as_deref(), Some("-D1"));
        let typing = line.feed(b"never mind\x03more");
        assert_eq!(typing.line.as_deref(), Some(""));
        assert_eq!(typing.rest, b"more");
        line.feed(&[b'x'; 5000]);
        assert_eq!(line.feed(b"\r").line.map(|line| line.len()), Some(LONGEST));
    }
}
