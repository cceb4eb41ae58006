//! A command line that no shell sees, split into its words.
//!
//! Knows quotes and backslashes, and neither tokens nor variables.

/// The words of a command line, as ssh splits that of KnownHostsCommand: at spaces and tabs; single
/// and double quotes hold words together; a backslash stands before a quote or another backslash,
/// and outside of quotes before a space. `None` where a quote is not closed.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut at = 0;
    while let Some(&c) = line.get(at) {
        at += 1;
        match (c, quote) {
            (b' ' | b'\t', None) => words.extend(word.take()),
            (b'\\', _) => {
                let next = line.get(at).copied();
                let escaped = match next {
                    Some(b'\'' | b'"' | b'\\') => true,
                    Some(b' ') => quote.is_none(),
                    _ => false,
                };
                at += usize::from(escaped);
                let literal = next.filter(|_| escaped).unwrap_or(c);
                word.get_or_insert_default().push(literal);
            }
            (b'\'' | b'"', None) => {
                quote = Some(c);
                // Quotes around nothing are a word too.
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
        Some(split(line.as_bytes())?.into_iter().map(text).collect())
    }

    #[test]
    fn quotes_hold_words_together_and_backslashes_hold_off() {
        for (line, expected) in [
            ("  /bin/echo a\tb  ", &["/bin/echo", "a", "b"][..]),
            (r#"x 'a b' "c d" e"f g"h"#, &["x", "a b", "c d", "ef gh"]),
            (
                r"x a\ b 'c\ d' \n \' \\",
                &["x", "a b", r"c\ d", r"\n", "'", r"\"],
            ),
            (r#"x "a\"b" '' "#, &["x", r#"a"b"#, ""]),
            ("a#b # c", &["a#b", "#", "c"]),
            ("", &[]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("a \"b\\\""), None);
        assert_eq!(words("a\\"), Some(vec!["a\\".to_owned()]));
    }
}
