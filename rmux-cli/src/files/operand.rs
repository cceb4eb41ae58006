//! What a word of the command line names: a local path, a path of a host, or a standard stream.
//!
//! As scp(1) reads it: a colon in front of any slash ends a host. Must not look at any of them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// What a word names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Local(PathBuf),
    /// A destination as `rmux ssh` takes it, and a path.
    Remote(String, Vec<u8>),
    /// Standard input or standard output.
    Stream,
}

impl Operand {
    /// The error is one line.
    pub(super) fn parse(word: &OsStr) -> Result<Self, String> {
        let bytes = word.as_bytes();
        if bytes == b"-" {
            return Ok(Self::Stream);
        }
        let Some(colon) = colon(bytes) else {
            return Ok(Self::Local(word.into()));
        };
        let host = OsString::from_vec(bytes[..colon].to_vec());
        let host = host
            .into_string()
            .map_err(|host| format!("the host {host:?} is not UTF-8"))?;
        let path = match &bytes[colon + 1..] {
            // Where the account's files are.
            b"" => b".",
            path => path,
        };
        Ok(Self::Remote(without_brackets(&host), path.to_vec()))
    }

    /// One that has to be of a host.
    pub(super) fn remote(word: &OsStr) -> Result<(String, Vec<u8>), String> {
        match Self::parse(word)? {
            Self::Remote(host, path) => Ok((host, path)),
            _ => Err(format!("{}: name a host, as in host:path", word.display())),
        }
    }
}

/// The colon that ends a host.
fn colon(word: &[u8]) -> Option<usize> {
    let mut in_brackets = false;
    for (at, byte) in word.iter().enumerate() {
        match byte {
            b'[' if at == 0 || word[at - 1] == b'@' => in_brackets = true,
            b']' => in_brackets = false,
            b'/' => return None,
            b':' if at == 0 => return None,
            b':' if !in_brackets => return Some(at),
            _ => {}
        }
    }
    None
}

/// An address in brackets, which only keep its colons apart.
fn without_brackets(host: &str) -> String {
    let (user, name) = match host.rsplit_once('@') {
        Some((user, name)) => (Some(user), name),
        None => (None, host),
    };
    let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match (user, inner) {
        (Some(user), Some(inner)) => format!("{user}@{inner}"),
        (None, Some(inner)) => inner.to_owned(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_scp_reads_them() {
        let remote = |host: &str, path: &str| Operand::Remote(host.into(), path.into());
        let local = |path: &str| Operand::Local(path.into());
        for (word, expected) in [
            ("file", local("file")),
            ("./a:b", local("./a:b")),
            ("/a:b", local("/a:b")),
            (":a", local(":a")),
            ("host:", remote("host", ".")),
            ("host:a:b", remote("host", "a:b")),
            ("me@host:/a", remote("me@host", "/a")),
            ("[::1]:a", remote("::1", "a")),
            ("me@[fe80::1%eth0]:~/a", remote("me@fe80::1%eth0", "~/a")),
            ("-", Operand::Stream),
            ("./-", local("./-")),
        ] {
            assert_eq!(Operand::parse(word.as_ref()), Ok(expected), "{word}");
        }
        let path = OsStr::from_bytes(b"host:\xff");
        assert_eq!(
            Operand::parse(path),
            Ok(Operand::Remote("host".into(), vec![0xff]))
        );
        assert!(Operand::parse(OsStr::from_bytes(b"\xff:a")).is_err());
        assert!(Operand::remote("local".as_ref()).is_err());
    }
}
