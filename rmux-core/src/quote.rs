//! Words that every login shell reads alike: sh, bash, zsh, fish, csh and tcsh.
//!
//! SSH has no argument vector: the server hands one string to the account's shell (RFC 4254,
//! section 6.5). Which shell that is cannot be known before it runs, so a word is spelled only
//! with what all of them agree on:
//!
//! - inside single quotes everything is literal but `'` itself, `\` (fish unescapes it), `!`
//!   (history in csh) and a newline (an error in csh);
//! - `"'"` is a single quote, `\\` outside quotes a backslash, `\!` an exclamation mark;
//! - a newline has no common spelling. A command that holds one is spelled in octal and decoded by
//!   the remote's `sh` and `printf` ([`posix_script`]).
//!
//! What is longer than one argument may be is read from standard input ([`in_front_of_input`]).

/// Appends `word`, quoted. `word` must hold neither newline nor NUL.
fn push_word(out: &mut Vec<u8>, word: &[u8]) {
    debug_assert!(!word.iter().any(|b| matches!(b, b'\n' | 0)));
    if word.is_empty() {
        out.extend_from_slice(b"''");
        return;
    }
    let mut quoted = false;
    for &byte in word {
        let outside: &[u8] = match byte {
            b'\'' => b"\"'\"",
            b'\\' => b"\\\\",
            b'!' => b"\\!",
            _ => b"",
        };
        if outside.is_empty() != quoted {
            out.push(b'\'');
            quoted = !quoted;
        }
        if outside.is_empty() {
            out.push(byte);
        } else {
            out.extend_from_slice(outside);
        }
    }
    if quoted {
        out.push(b'\'');
    }
}

/// Whether `word` needs no quotes in any shell, in any place but the first.
fn is_plain(word: &[u8]) -> bool {
    !word.is_empty()
        && word
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b','))
}

/// Spells `words` so that any of the shells reads exactly these words. The first one is always
/// quoted, so that no alias or keyword of the shell takes its place.
///
/// The words must not hold NUL, which no argument can.
pub(crate) fn command_line<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    if words.iter().any(|word| word.as_ref().contains(&b'\n')) {
        // In the place of the `sh` that decodes it, whose process group is then the command's.
        return posix_script(&[b"exec ", &posix_words(words)[..]].concat());
    }
    let mut out = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let word = word.as_ref();
        if index > 0 {
            out.push(b' ');
        }
        if index > 0 && is_plain(word) {
            out.extend_from_slice(word);
        } else {
            push_word(&mut out, word);
        }
    }
    out
}

/// Spells one word so that any of the shells reads it alike, in any place. It must hold neither newline
/// nor NUL.
pub(crate) fn word(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_word(&mut out, word);
    out
}

/// Spells `words` for a POSIX shell only.
pub(crate) fn posix_words<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in words {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.push(b'\'');
        for &byte in word.as_ref() {
            if byte == b'\'' {
                out.extend_from_slice(b"'\\''");
            } else {
                out.push(byte);
            }
        }
        out.push(b'\'');
    }
    out
}

/// Spells a command for any shell that makes `sh` run `script`, whatever bytes (but NUL) it holds.
///
/// `printf` takes its format from octal escapes (POSIX, `printf`, "EXTENDED DESCRIPTION"), and
/// backslashes before digits are literal inside single quotes in every shell, fish included.
pub(crate) fn posix_script(script: &[u8]) -> Vec<u8> {
    let mut out = b"exec sh -c 'eval \"$(printf \"".to_vec();
    for &byte in script {
        if byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'.' | b'/' | b',') {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        }
    }
    out.extend_from_slice(b"\")\"'");
    out
}

/// A POSIX script that reads another one from standard input and runs it, and what to send for it to
/// read. Not a byte behind that is read.
///
/// `dd` with `count=1` reads once, so that it takes what has come and never more than it was asked
/// for. What is sent is all printable ASCII: a shell that counts characters counts bytes, and a
/// piece that ends in a newline would lose it. `printf` decodes it.
pub(crate) fn in_front_of_input(script: &[u8]) -> (String, Vec<u8>) {
    // So that `printf` cannot take the first word for an option.
    let mut sent = b":;".to_vec();
    for &byte in script {
        match byte {
            b'%' => sent.extend_from_slice(b"%%"),
            b'\\' => sent.extend_from_slice(b"\\134"),
            b' '..=b'~' => sent.push(byte),
            _ => sent.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
    let reader = format!(
        "_rmux_n={} _rmux_s=; \
         while [ $_rmux_n -gt 0 ]; do \
         _rmux_b=$_rmux_n; [ $_rmux_b -gt 65536 ] && _rmux_b=65536; \
         _rmux_p=$(dd bs=$_rmux_b count=1 2>/dev/null); \
         if [ -z \"$_rmux_p\" ]; then echo \"the command did not come whole\" >&2; exit 255; fi; \
         _rmux_s=$_rmux_s$_rmux_p; _rmux_n=$((_rmux_n - ${{#_rmux_p}})); done; \
         _rmux_s=$(printf \"$_rmux_s\"); \
         eval \"unset _rmux_n _rmux_b _rmux_p _rmux_s; $_rmux_s\"",
        sent.len()
    );
    (reader, sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        String::from_utf8(command_line(words)).unwrap()
    }

    #[test]
    fn plain_words_stay_readable_and_the_program_is_always_quoted() {
        assert_eq!(line(&["ls", "-l", "/tmp"]), "'ls' -l /tmp");
        assert_eq!(line(&["echo", ""]), "'echo' ''");
    }

    #[test]
    fn what_shells_disagree_on_is_spelled_outside_single_quotes() {
        assert_eq!(line(&["echo", "it's"]), "'echo' 'it'\"'\"'s'");
        assert_eq!(line(&["echo", "a\\b!"]), "'echo' 'a'\\\\'b'\\!");
    }

    #[test]
    fn a_newline_goes_through_printf() {
        let line = line(&["echo", "a\nb"]);
        assert!(!line.contains('\n'));
        assert!(line.starts_with("exec sh -c '"));
    }

    #[test]
    fn what_is_sent_in_front_of_the_input_is_printable_and_as_long_as_the_reader_counts() {
        let (reader, sent) = in_front_of_input(b"echo '100%\\\n\xff'\n");
        assert_eq!(sent, b":;echo '100%%\\134\\012\\377'\\012");
        assert!(reader.starts_with(&format!("_rmux_n={} ", sent.len())));
    }
}
