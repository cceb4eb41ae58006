//! Paths of the remote: bytes, whatever their encoding, with `/` between the names.

use std::fmt;

/// A path of the remote. It need not be UTF-8; [`Display`](fmt::Display) shows what cannot be
/// printed as escapes.
///
/// Relative paths begin where the account's SFTP server does, which is the home directory unless the
/// server's administrator chose otherwise. `~` and `~/…` are the home directory, and `~user` another
/// account's where the server can tell it; `./~` is a file of that name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePath(Vec<u8>);

impl RemotePath {
    /// The path of these bytes.
    pub fn new(path: impl Into<Vec<u8>>) -> Self {
        Self(path.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The path as text, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// This path with another behind it, which replaces it if it is absolute.
    pub fn join(&self, path: impl AsRef<[u8]>) -> Self {
        let path = path.as_ref();
        if path.starts_with(b"/") || self.0.is_empty() {
            return Self(path.to_vec());
        }
        let slash: &[u8] = if self.0.ends_with(b"/") { b"" } else { b"/" };
        Self([&self.0, slash, path].concat())
    }

    /// The last name of it; `None` where it ends with `..`, `.` or the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        let (_, name) = split(&self.0);
        (!matches!(name, b"" | b"." | b"..")).then_some(name)
    }

    /// The path without its last name; `None` for the root and for the empty path.
    pub fn parent(&self) -> Option<Self> {
        let trimmed = trim(&self.0);
        if trimmed.is_empty() || trimmed == b"/" {
            return None;
        }
        let (parent, _) = split(&self.0);
        Some(Self(parent.to_vec()))
    }
}

/// A path without slashes at its end, but for the root's.
fn trim(path: &[u8]) -> &[u8] {
    let end = path
        .iter()
        .rposition(|&b| b != b'/')
        .map_or(0, |last| last + 1);
    match end {
        0 => &path[..path.len().min(1)],
        end => &path[..end],
    }
}

/// The directory, which may be empty, and the last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let path = trim(path);
    match path.iter().rposition(|&b| b == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(slash) => (trim(&path[..slash]), &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Bytes of a remote name, to stand in a message: quoted, with what cannot be printed escaped.
pub(crate) fn shown(path: &[u8]) -> String {
    const MAX_SHOWN: usize = 300;
    let mut text = String::from("\"");
    for (count, chunk) in path.utf8_chunks().enumerate() {
        if count > MAX_SHOWN || text.len() > 4 * MAX_SHOWN {
            text.push('…');
            break;
        }
        for c in chunk.valid().chars().take(4 * MAX_SHOWN) {
            let plain = crate::printable::printable(c.encode_utf8(&mut [0; 4]));
            if plain.is_empty() || matches!(c, '"' | '\\') {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text.push('"');
    text
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = shown(&self.0);
        f.write_str(&shown[1..shown.len() - 1])
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl AsRef<[u8]> for RemotePath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for RemotePath {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl From<String> for RemotePath {
    fn from(path: String) -> Self {
        Self(path.into())
    }
}

impl From<Vec<u8>> for RemotePath {
    fn from(path: Vec<u8>) -> Self {
        Self(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_parents_are_those_of_posix() {
        for (path, parent, name) in [
            ("/a/b", Some("/a"), Some("b")),
            ("/a//b//", Some("/a"), Some("b")),
            ("/a", Some("/"), Some("a")),
            ("a", Some(""), Some("a")),
            ("a/..", Some("a"), None),
            ("/", None, None),
            ("//", None, None),
            ("", None, None),
        ] {
            let path = RemotePath::from(path);
            assert_eq!(path.parent(), parent.map(RemotePath::from), "{path}");
            assert_eq!(path.file_name(), name.map(str::as_bytes), "{path}");
        }
        assert_eq!(RemotePath::from("a").join("b").as_bytes(), b"a/b");
        assert_eq!(RemotePath::from("/").join("b").as_bytes(), b"/b");
        assert_eq!(RemotePath::from("a").join("/b").as_bytes(), b"/b");
        assert_eq!(RemotePath::from("").join("b").as_bytes(), b"b");
    }

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        let path = RemotePath::new(b"a\xff\n\"\xc5\xbc\x1b[2J".to_vec());
        assert_eq!(format!("{path:?}"), "\"a\\xff\\n\\\"\u{17c}\\u{1b}[2J\"");
        assert_eq!(path.to_str(), None);
        assert!(RemotePath::new(vec![0xff; 1 << 16]).to_string().len() < 10_000);
    }
}
