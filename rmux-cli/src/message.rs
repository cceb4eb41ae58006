//! What rmux itself has to say: lines of its log, and lines for the person at the terminal.
//!
//! Must not know who says it. Text that came from a server passes here too, so control characters, and
//! those that turn a line around, never reach the terminal.

use std::fmt::Display;
use std::io::Write as _;

use crate::log::{self, Level};
use crate::terminal;

/// Why rmux gives up.
pub(crate) fn error(text: impl Display) {
    log::write(Level::Fatal, text);
}

/// What failed, though rmux goes on.
pub(crate) fn failure(text: impl Display) {
    log::write(Level::Error, text);
}

/// Something that the user should know, and that stops nothing.
pub(crate) fn warning(text: impl Display) {
    log::write(Level::Info, format_args!("warning: {text}"));
}

/// What is said unasked and is no warning.
pub(crate) fn remark(text: impl Display) {
    log::write(Level::Info, text);
}

/// What came of a step, for those who want to know a little.
pub(crate) fn result(text: impl Display) {
    log::write(Level::Verbose, text);
}

/// What happens, for `-v`.
pub(crate) fn note(text: impl Display) {
    log::write(Level::Debug1, text);
}

/// Why the command line cannot be used: on standard error, whatever the log is like.
pub(crate) fn usage(text: impl Display) {
    line(format_args!("rmux: {text}"));
}

/// One line on standard error as it is, whatever it holds.
pub(crate) fn line(text: impl Display) {
    let mut line = printable(&text.to_string(), |_| false);
    line += line_end();
    to_stderr(&line);
}

/// A server's text, as many lines as it has and without a line end that it has not.
pub(crate) fn text(text: &str) {
    let text = printable(text, |c| matches!(c, '\n' | '\t'));
    if terminal::is_raw() {
        to_stderr(&text.replace('\n', line_end()));
    } else {
        to_stderr(&text);
    }
}

/// What is typed here, shown as it is typed.
pub(crate) fn echo(text: &str) {
    to_stderr(text);
}

fn to_stderr(text: &str) {
    // Nobody is left to be told that standard error cannot be written.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// In raw mode the terminal adds no carriage return.
pub(crate) fn line_end() -> &'static str {
    if terminal::is_raw() { "\r\n" } else { "\n" }
}

/// `text` without control characters and those that change how a line looks, except those that `allowed` lets pass. The carriage return of
/// a line end is dropped.
pub(crate) fn printable(text: &str, allowed: impl Fn(char) -> bool) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            c if allowed(c) => c,
            '\n' | '\t' => ' ',
            c if c.is_control() || is_misleading(c) => '?',
            c => c,
        })
        .collect()
}

/// Reverses or breaks a line that shows it, so that a person reads another text than is there.
fn is_misleading(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(printable("a\x1b[2J\nb\u{9b}c\td", |_| false), "a?[2J b?c d");
        assert_eq!(printable("a\nb\r", |c| c == '\n'), "a\nb?");
        assert_eq!(printable("a\r\nb\r\n", |c| c == '\n'), "a\nb\n");
    }

    #[test]
    fn what_turns_a_line_around_does_not_pass() {
        for c in [
            '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}',
            '\u{2066}', '\u{2069}',
        ] {
            assert_eq!(printable(&format!("a{c}b"), |c| c == '\n'), "a?b", "{c:?}");
        }
        assert_eq!(printable("grün שלום 日本", |_| false), "grün שלום 日本");
    }
}
