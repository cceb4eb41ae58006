//! What rmux itself has to say: lines on standard error, in any mode of the terminal.
//!
//! Must not know who says it. Text that came from a server passes here too, so control characters
//! never reach the terminal.

use std::fmt::Display;
use std::io::Write as _;

use crate::terminal;

/// Why rmux gives up.
pub(crate) fn error(text: impl Display) {
    line(format_args!("rmux: {text}"));
}

/// Something that the user should know, and that stops nothing.
pub(crate) fn warning(text: impl Display) {
    line(format_args!("rmux: warning: {text}"));
}

/// What happens, for `-v`.
pub(crate) fn note(text: impl Display) {
    line(format_args!("rmux: {text}"));
}

/// One line as it is, whatever it holds.
pub(crate) fn line(text: impl Display) {
    let mut line = printable(&text.to_string(), |_| false);
    line += line_end();
    // Nobody is left to be told that standard error cannot be written.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A server's text of several lines.
pub(crate) fn text(text: &str) {
    for each in text.lines() {
        line(each);
    }
}

/// In raw mode the terminal adds no carriage return.
pub(crate) fn line_end() -> &'static str {
    if terminal::is_raw() { "\r\n" } else { "\n" }
}

/// `text` without control characters, except those that `allowed` lets pass.
pub(crate) fn printable(text: &str, allowed: impl Fn(char) -> bool) -> String {
    text.chars()
        .map(|c| match c {
            c if allowed(c) => c,
            '\n' | '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(printable("a\x1b[2J\nb\u{9b}c\td", |_| false), "a?[2J b?c d");
        assert_eq!(printable("a\nb\r", |c| c == '\n'), "a\nb?");
    }
}
