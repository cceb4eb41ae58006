//! Just enough of Rust's lexical structure for the rules: blanked text, tokens, paths.
//!
//! It is no parser: macros are not expanded and names are not resolved. Knows nothing of any rule.

/// The text with comments and the insides of string and character literals turned into spaces.
/// Line breaks stay, so lines and columns are those of the original.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => wipe(&mut out, at, line_end(bytes, at)),
            b'/' if bytes.get(at + 1) == Some(&b'*') => wipe(&mut out, at, comment_end(bytes, at)),
            b'"' => {
                let end = string_end(bytes, at + 1);
                wipe(&mut out, at + 1, end.saturating_sub(1));
                end
            }
            b'\'' => match char_end(text, at) {
                Some(end) => {
                    wipe(&mut out, at + 1, end - 1);
                    end
                }
                None => at + 1,
            },
            b if is_ident(b) => {
                let end = ident_end(bytes, at);
                // r"…", br#"…"#, cr"…": a raw literal's prefix ends in r.
                if matches!(&bytes[at..end], b"r" | b"br" | b"cr") {
                    match raw_end(bytes, end) {
                        Some(stop) => wipe(&mut out, end, stop),
                        None => end,
                    }
                } else {
                    end
                }
            }
            _ => at + 1,
        };
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// One identifier, `::`, or single character of punctuation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
    /// How many inline `mod name { … }` stand around it.
    pub(crate) inline_modules: usize,
}

impl Token<'_> {
    pub(crate) fn is_name(&self) -> bool {
        self.text.bytes().next().is_some_and(is_ident)
    }
}

/// The tokens of blanked code.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut out: Vec<Token<'_>> = Vec::new();
    // One entry for each open brace: whether it opened an inline module.
    let mut braces: Vec<bool> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let end = match bytes[at] {
            b if is_ident(b) => ident_end(bytes, at),
            b':' if bytes.get(at + 1) == Some(&b':') => at + 2,
            b if b.is_ascii() => at + 1,
            _ => at + code[at..].chars().next().map_or(1, char::len_utf8),
        };
        let text = &code[at..end];
        match text {
            "\n" => line += 1,
            "{" => braces.push(opens_module(&out)),
            "}" => {
                braces.pop();
            }
            _ => {}
        }
        if !text.trim().is_empty() {
            out.push(Token {
                text,
                line,
                inline_modules: braces.iter().filter(|is_module| **is_module).count(),
            });
        }
        at = end;
    }
    out
}

/// A path that starts at a given root, its `use` groups spread out: `root::{a, b::c}` gives two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// What follows the root.
    pub(crate) parts: Vec<&'a str>,
    pub(crate) line: usize,
}

/// Every path in the code that starts with `root::`.
pub(crate) fn paths_from<'a>(tokens: &[Token<'a>], root: &str) -> Vec<Path<'a>> {
    let mut out = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        // `use ::std::fs` is the same path; `other::std::fs` is not.
        let inside = i >= 2 && tokens[i - 1].text == "::" && continues(tokens[i - 2]);
        if token.text == root && !inside && tokens.get(i + 1).is_some_and(|t| t.text == "::") {
            spread(tokens, i + 2, &[], &mut out);
        }
    }
    out
}

/// Follows one path or group from `at`; returns where it ended.
fn spread<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    before: &[&'a str],
    out: &mut Vec<Path<'a>>,
) -> usize {
    let mut parts = before.to_vec();
    let line = tokens.get(at).map_or(0, |t| t.line);
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            at += 1;
            while let Some(inner) = tokens.get(at) {
                match inner.text {
                    "}" => return at + 1,
                    "," => at += 1,
                    _ => {
                        let next = spread(tokens, at, &parts, out);
                        at = skip_alias(tokens, next.max(at + 1));
                    }
                }
            }
            return at;
        }
        if token.is_name() || token.text == "*" {
            parts.push(token.text);
            at += 1;
        }
        if tokens.get(at).is_some_and(|t| t.text == "::") {
            at += 1;
        } else {
            break;
        }
    }
    if !parts.is_empty() {
        out.push(Path { parts, line });
    }
    at
}

/// Whether a path can go on after this token: a name, and no keyword that a path may follow.
fn continues(token: Token<'_>) -> bool {
    const KEYWORDS: &[&str] = &[
        "as", "dyn", "else", "for", "if", "impl", "in", "match", "mut", "return", "use", "where",
    ];
    token.is_name() && !KEYWORDS.contains(&token.text)
}

fn skip_alias(tokens: &[Token<'_>], at: usize) -> usize {
    if tokens.get(at).is_some_and(|t| t.text == "as") {
        at + 2
    } else {
        at
    }
}

fn opens_module(before: &[Token<'_>]) -> bool {
    matches!(before, [.., key, name] if key.text == "mod" && name.is_name())
}

fn is_ident(b: u8) -> bool {
    b == b'_' || b.is_ascii_alphanumeric()
}

fn ident_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while end < bytes.len() && is_ident(bytes[end]) {
        end += 1;
    }
    end
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes[at..].iter().position(|b| *b == b'\n');
    rest.map_or(bytes.len(), |n| at + n)
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The place right after the closing quote of a string whose inside starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a character literal that starts at `at`, or nothing for a lifetime.
fn char_end(text: &str, at: usize) -> Option<usize> {
    let mut chars = text[at + 1..].char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        // What follows the backslash may itself be a quote.
        chars.next()?;
        let close = text[at + 3..].find('\'')?;
        return Some(at + 3 + close + 1);
    }
    let (offset, second) = chars.next()?;
    (second == '\'').then_some(at + 1 + offset + 1)
}

fn raw_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at..].iter().take_while(|b| **b == b'#').count();
    if bytes.get(at + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let inside = at + hashes + 1;
    let found = bytes[inside..]
        .windows(close.len())
        .position(|window| window == close);
    Some(found.map_or(bytes.len(), |n| inside + n + close.len()))
}

fn wipe(out: &mut [u8], from: usize, to: usize) -> usize {
    let to = to.min(out.len());
    for byte in out.iter_mut().take(to).skip(from) {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: &str) -> Vec<String> {
        let blanked = blank(code);
        tokens(&blanked)
            .iter()
            .filter(|t| t.is_name())
            .map(|t| t.text.to_owned())
            .collect()
    }

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        let code = r####"let a = "x // y"; // gone
            /* gone /* nested */ gone */ let b = 'c'; let q = '\''; let s: &'static str = r#"in " side"#;
            let c = b"gone \" gone"; fn keep<'a>() {}"####;
        assert_eq!(
            names(code),
            [
                "let", "a", "let", "b", "let", "q", "let", "s", "static", "str", "r", "let", "c",
                "b", "fn", "keep", "a"
            ]
        );
        assert_eq!(blank(code).lines().count(), code.lines().count());
    }

    #[test]
    fn a_string_over_lines_keeps_the_line_numbers() {
        let blanked = blank("let a = \"one\n two\";\nhere");
        let found = tokens(&blanked);
        assert_eq!(found.last().map(|t| (t.text, t.line)), Some(("here", 3)));
    }

    #[test]
    fn groups_are_spread_out() {
        let blanked =
            blank("use std::{fs, io::{self as x, Read}, time::*};\nlet a = std::env::var(b);");
        let tokens = tokens(&blanked);
        let found: Vec<String> = paths_from(&tokens, "std")
            .iter()
            .map(|p| p.parts.join("::"))
            .collect();
        assert_eq!(found, ["fs", "io::self", "io::Read", "time::*", "env::var"]);
    }

    #[test]
    fn a_path_inside_another_path_has_another_root() {
        let blanked = blank("use abc::std::fs; use ::std::net;");
        let tokens = tokens(&blanked);
        let found = paths_from(&tokens, "std");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].parts, ["net"]);
    }

    #[test]
    fn inline_modules_are_counted() {
        let blanked = blank("fn a() { one } mod tests { fn b() { two } } three");
        let depths: Vec<usize> = tokens(&blanked)
            .iter()
            .filter(|t| matches!(t.text, "one" | "two" | "three"))
            .map(|t| t.inline_modules)
            .collect();
        assert_eq!(depths, [0, 1, 0]);
    }
}
