//! Splits a line of ssh_config into its keyword and arguments.
//!
//! OpenSSH has two ways to do it, with different ideas of quotes, `=` and white space: an older
//! one for the keyword and for `Match`, a newer one for arguments. Both are here. Nothing here
//! knows what a keyword means.

/// What separates words for [`next_word`] and is stripped at the end of a line.
const WHITE: &[u8] = b" \t\r\n";

/// A line split at its keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The keyword in lower case.
    pub(super) keyword: Vec<u8>,
    /// What follows it, without white space in front; `None` if nothing does.
    pub(super) rest: Option<&'a [u8]>,
}

/// Splits off the keyword. `None` for an empty line and a comment.
pub(super) fn split_line(line: &[u8]) -> Option<Line<'_>> {
    // Lines are C strings to OpenSSH: what follows a NUL is not there.
    let end = line.iter().position(|&c| c == 0).unwrap_or(line.len());
    let mut line = &line[..end];
    // The first byte is never stripped, whatever it is.
    while line.len() > 1
        && line
            .last()
            .is_some_and(|c| WHITE.contains(c) || *c == b'\x0c')
    {
        line = &line[..line.len() - 1];
    }
    if line.is_empty() {
        return None;
    }
    let mut rest = Some(line);
    let mut keyword = next_word(&mut rest)?;
    if keyword.is_empty() {
        keyword = next_word(&mut rest)?;
    }
    if keyword.first().is_none_or(|c| matches!(c, b'#' | b'\n')) {
        return None;
    }
    keyword.make_ascii_lowercase();
    let rest = rest.map(skip_white).filter(|r| !r.is_empty());
    Some(Line { keyword, rest })
}

/// The next word the older way: white space or one `=` ends it, a double-quoted part runs to its
/// closing quote and ends it too. `None` at the end and for a quote that is not closed; the rest
/// is `None` once the last word is out.
pub(super) fn next_word(rest: &mut Option<&[u8]>) -> Option<Vec<u8>> {
    let text = (*rest)?;
    let is_delimiter = |c: &u8| WHITE.contains(c) || matches!(c, b'"' | b'=');
    let Some(at) = text.iter().position(is_delimiter) else {
        *rest = None;
        return Some(text.to_vec());
    };
    if text[at] == b'"' {
        let quoted = &text[at + 1..];
        let Some(end) = quoted.iter().position(|&c| c == b'"') else {
            *rest = None;
            return None;
        };
        *rest = Some(skip_white(&quoted[end + 1..]));
        return Some([&text[..at], &quoted[..end]].concat());
    }
    let mut after = skip_white(&text[at + 1..]);
    if text[at] != b'=' && after.first() == Some(&b'=') {
        after = skip_white(&after[1..]);
    }
    *rest = Some(after);
    Some(text[..at].to_vec())
}

/// A quote that is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnclosedQuote;

/// The arguments of a line the newer way: blanks separate them, single or double quotes may
/// surround any part, a backslash escapes quotes, itself and (outside quotes) a space, and a `#`
/// at the start of an argument begins a comment.
pub(super) fn arguments(text: &[u8]) -> Result<Vec<Vec<u8>>, UnclosedQuote> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b' ' | b'\t' => at += 1,
            b'#' => break,
            _ => out.push(argument(text, &mut at)?),
        }
    }
    Ok(out)
}

fn argument(text: &[u8], at: &mut usize) -> Result<Vec<u8>, UnclosedQuote> {
    let mut word = Vec::new();
    let mut quote = None;
    while let Some(&c) = text.get(*at) {
        let next = text.get(*at + 1);
        match (c, quote) {
            (b'\\', _) => {
                let escapes = matches!(next, Some(b'\'' | b'"' | b'\\'))
                    || (quote.is_none() && next == Some(&b' '));
                *at += usize::from(escapes);
                word.push(text[*at]);
            }
            (b' ' | b'\t', None) => return Ok(word),
            (b'"' | b'\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            _ => word.push(c),
        }
        *at += 1;
    }
    if quote.is_some() {
        Err(UnclosedQuote)
    } else {
        Ok(word)
    }
}

/// What is left of `text` after white space, and after `=` signs among it.
pub(super) fn raw_value(text: &[u8]) -> &[u8] {
    let skip = text
        .iter()
        .take_while(|c| WHITE.contains(c) || **c == b'=')
        .count();
    &text[skip..]
}

fn skip_white(text: &[u8]) -> &[u8] {
    let skip = text.iter().take_while(|c| WHITE.contains(c)).count();
    &text[skip..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Option<(String, Option<String>)> {
        let line = split_line(line.as_bytes())?;
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        Some((text(&line.keyword), line.rest.map(text)))
    }

    fn args(text: &str) -> Vec<String> {
        let words = arguments(text.as_bytes()).unwrap();
        words
            .into_iter()
            .map(|w| String::from_utf8(w).unwrap())
            .collect()
    }

    #[test]
    fn a_keyword_ends_at_white_space_or_one_equals_sign() {
        let port = |rest: &str| Some(("port".to_owned(), Some(rest.to_owned())));
        for line in [
            "Port 22",
            " \tPORT\t22 ",
            "Port=22",
            "port = 22\r",
            "Port  =22\x0c",
            "\"Port\" 22",
        ] {
            assert_eq!(split(line), port("22"), "{line:?}");
        }
        assert_eq!(split("Port = = 22"), port("= 22"));
        assert_eq!(split("Port"), Some(("port".to_owned(), None)));
        assert_eq!(split("Port\0 22"), Some(("port".to_owned(), None)));
    }

    #[test]
    fn comments_and_empty_lines_are_nothing() {
        for line in ["", "\n", "   ", "# a", "\t#\"", "\"unclosed"] {
            assert_eq!(split(line), None, "{line:?}");
        }
    }

    #[test]
    fn quotes_and_escapes_in_arguments() {
        assert_eq!(args(r#"a "b c" 'd "e' f\ g"#), ["a", "b c", "d \"e", "f g"]);
        assert_eq!(
            args(r#""a"'b'c \"x\" \y "\z\"""#),
            ["abc", "\"x\"", "\\y", "\\z\""]
        );
        assert_eq!(args("a # comment \"never closed"), ["a"]);
        assert_eq!(args("a#b"), ["a#b"]);
        assert_eq!(args("\"\""), [""]);
        assert_eq!(arguments(b"it's"), Err(UnclosedQuote));
    }
}
