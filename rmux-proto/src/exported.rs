//! What a shell prints for `export -p`: the variables that it exports, spelled so that a shell can
//! read them back (POSIX, `export`, "STDOUT").
//!
//! Each shell has its own spelling: dash and busybox write `export NAME='value'`, bash
//! `declare -x NAME="value"`, or `$'value'` where there are control characters, and in its POSIX mode
//! `export NAME="value"`. All of them are words of one grammar, which is read here and never run.

use std::collections::BTreeMap;
use std::fmt;

/// Variables by name.
pub type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

/// The text is not what a shell prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUnderstood {
    /// The offset of the statement that could not be read.
    pub at: usize,
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the statement at byte {} exports nothing", self.at)
    }
}

impl std::error::Error for NotUnderstood {}

/// Reads the variables that have a value. Arrays, which no environment holds, are left out.
///
/// # Errors
/// [`NotUnderstood`] for any text that is no list of such statements.
pub fn parse(text: &[u8]) -> Result<Variables, NotUnderstood> {
    let mut all = Variables::new();
    let mut reader = Reader { text, at: 0 };
    while reader.at < text.len() {
        let at = reader.at;
        if let Some((name, value)) = reader.statement().ok_or(NotUnderstood { at })? {
            all.insert(name, value);
        }
    }
    Ok(all)
}

/// Whether a shell takes this for the name of a variable (POSIX, XBD 3.235).
pub fn is_name(name: &[u8]) -> bool {
    let sound = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(sound)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn while_it(&mut self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let from = self.at;
        while self.peek().is_some_and(&is) {
            self.at += 1;
        }
        &self.text[from..self.at]
    }

    /// One statement with the end of its line: a name and its value, if it has one.
    fn statement(&mut self) -> Option<Option<(Vec<u8>, Vec<u8>)>> {
        let verb = self.while_it(|b| b.is_ascii_lowercase());
        if !matches!(verb, b"export" | b"declare" | b"typeset") || !self.take(b' ') {
            return None;
        }
        let mut is_array = false;
        while self.peek() == Some(b'-') {
            let options = self.while_it(|b| b == b'-' || b.is_ascii_alphanumeric());
            is_array |= options.iter().any(|b| matches!(b, b'a' | b'A'));
            if !self.take(b' ') {
                return None;
            }
        }
        let name = self.while_it(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name(name) {
            return None;
        }
        if !self.take(b'=') {
            return self.ends().then_some(None);
        }
        let value = self.word(is_array)?;
        Some((!is_array).then(|| (name.to_vec(), value)))
    }

    fn ends(&mut self) -> bool {
        self.take(b'\n') || self.peek().is_none()
    }

    /// A word, up to the end of its line; an array is words in parentheses.
    fn word(&mut self, is_array: bool) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        while !self.ends() {
            match self.next()? {
                b'\'' => {
                    value.extend_from_slice(self.while_it(|b| b != b'\''));
                    self.take(b'\'').then_some(())?;
                }
                b'"' => self.double_quoted(&mut value)?,
                b'$' if self.take(b'\'') => self.dollar_quoted(&mut value)?,
                b'\\' => value.push(self.next()?),
                0 => return None,
                // What would be more than a word: another command, an expansion.
                b' ' | b'\t' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' | b'$' | b'`'
                    if !is_array =>
                {
                    return None;
                }
                plain => value.push(plain),
            }
        }
        (!value.contains(&0)).then_some(value)
    }

    /// Behind the opening `"` (POSIX, XCU 2.2.3).
    fn double_quoted(&mut self, value: &mut Vec<u8>) -> Option<()> {
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'$' | b'`' => return None,
                b'\\' => match self.next()? {
                    b'\n' => {}
                    byte @ (b'$' | b'`' | b'"' | b'\\') => value.push(byte),
                    byte => value.extend([b'\\', byte]),
                },
                byte => value.push(byte),
            }
        }
    }

    /// Behind the opening `$'` (POSIX, XCU 2.2.4).
    fn dollar_quoted(&mut self, value: &mut Vec<u8>) -> Option<()> {
        loop {
            let byte = match self.next()? {
                b'\'' => return Some(()),
                b'\\' => match self.next()? {
                    b'a' => 7,
                    b'b' => 8,
                    b'e' | b'E' => 27,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    b'x' => self.number(2, 16)?,
                    b'0'..=b'7' => {
                        self.at -= 1;
                        self.number(3, 8)?
                    }
                    byte @ (b'\\' | b'\'' | b'"' | b'?') => byte,
                    _ => return None,
                },
                byte => byte,
            };
            value.push(byte);
        }
    }

    fn number(&mut self, digits: usize, base: u32) -> Option<u8> {
        let from = self.at;
        let mut number = 0;
        while self.at - from < digits
            && let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(base))
        {
            number = number * base + digit;
            self.at += 1;
        }
        (self.at > from).then_some(())?;
        u8::try_from(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
        let all = parse(text).ok()?.into_iter();
        Some(
            all.map(|(name, value)| (String::from_utf8(name).unwrap(), value))
                .collect(),
        )
    }

    fn one(text: &[u8]) -> Option<Vec<u8>> {
        let all = read(text)?;
        assert_eq!(all.len(), 1, "{all:?}");
        Some(all[0].1.clone())
    }

    #[test]
    fn every_shell_s_spelling_is_read() {
        for text in [
            &b"export A='it'\"'\"'s\n\" x'\n"[..],
            b"export A='it'\\''s\n\" x'",
            b"declare -x A=$'it\\'s\\n\" x'\n",
            b"declare -rx A=\"it's\n\\\" x\"\n",
            b"export -i10 A=it\\'s$'\\n'\\\"' x'\n",
            b"typeset -x A=$'it\\x27s\\012\\\" x'\n",
        ] {
            let shown = String::from_utf8_lossy(text).into_owned();
            assert_eq!(one(text).as_deref(), Some(&b"it's\n\" x"[..]), "{shown}");
        }
        assert_eq!(one(b"export A=\n"), Some(Vec::new()));
        assert_eq!(
            one(b"export A=\"\\$a \\`b\\` \\\\ \\x\"\n").unwrap(),
            b"$a `b` \\ \\x"
        );
        assert_eq!(one(b"export A='\xff\xfe'\n").unwrap(), b"\xff\xfe");
        assert_eq!(
            one(b"declare -x A=$'\\377\\001\\E'\n").unwrap(),
            b"\xff\x01\x1b"
        );
    }

    #[test]
    fn what_no_environment_holds_is_left_out() {
        let text = b"export NONE\ndeclare -ax arr=([0]=\"1\" [1]=\"b c\")\nexport B='2'\n";
        assert_eq!(read(text), Some(vec![("B".to_owned(), b"2".to_vec())]));
        assert_eq!(read(b""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_such_list_is_refused_and_told_where() {
        for text in [
            &b"exports A=1\n"[..],
            b"export A=1 B=2\n",
            b"export A=1; rm\n",
            b"export A=$(id)\n",
            b"export A=\"$(id)\"\n",
            b"export A=`id`\n",
            b"export A='open\n",
            b"export A=\"open\n",
            b"export A=$'open\n",
            b"export A=$'\\777'\n",
            b"export A=$'\\q'\n",
            b"export A=$'\\0'\n",
            b"export A=\0\n",
            b"export 1A=1\n",
            b"export =1\n",
            b"export A-B=1\n",
            b"A=1\n",
            b"export A='1'\n\n",
        ] {
            assert!(parse(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(
            parse(b"export A='1'\nnoise\n"),
            Err(NotUnderstood { at: 13 })
        );
    }
}
