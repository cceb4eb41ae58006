//! Text of a peer's, made safe to stand in an error, a log or on a terminal. Knows nothing of where
//! the text came from or where it goes.

/// As much of a peer's text as is worth showing, in characters.
const MAX_SHOWN: usize = 400;

/// The text without what could move a cursor, break a line or change the direction of reading, and
/// of a bounded length.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|&c| is_printable(c))
        .take(MAX_SHOWN)
        .collect()
}

fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            // Line and paragraph separators.
            '\u{2028}' | '\u{2029}'
            // What changes the direction of reading (Unicode, UAX #9, section 2).
            | '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mislead_the_reader_is_dropped() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\n\tc\u{7f}\u{9b}d"),
            "a[2Jbcd",
            "control characters"
        );
        assert_eq!(printable("a\u{2028}b\u{2029}c"), "abc");
        assert_eq!(
            printable("\u{202e}txt.exe\u{2066}\u{2069}\u{200f}\u{61c}"),
            "txt.exe"
        );
        assert_eq!(printable("zażółć 你好 👍"), "zażółć 你好 👍");
    }

    #[test]
    fn the_length_is_bounded_in_characters() {
        assert_eq!(printable(&"ż".repeat(1000)), "ż".repeat(400));
        // What is dropped does not count.
        let noisy = "\u{7}a".repeat(300);
        assert_eq!(printable(&noisy), "a".repeat(300));
    }
}
