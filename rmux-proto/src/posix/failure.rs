//! What a tool means by what it says on standard error, in the C locale.

use crate::sftp::{Status, StatusCode};

/// How the systems and shells spell what went wrong, and what SFTP calls it. All end their messages
/// with it, behind a colon. Dash has words of its own for a file that it cannot open.
const SPELLINGS: [(&[u8], StatusCode); 17] = [
    (b"No such file or directory", StatusCode::NoSuchFile),
    (b"No such file", StatusCode::NoSuchFile),
    (b"nonexistent directory", StatusCode::NoSuchFile),
    (b"Directory nonexistent", StatusCode::NoSuchFile),
    (b"Not a directory", StatusCode::NoSuchFile),
    (b"Too many levels of symbolic links", StatusCode::NoSuchFile),
    (b"Too many symbolic links", StatusCode::NoSuchFile),
    (b"Symbolic link loop", StatusCode::NoSuchFile),
    (b"Permission denied", StatusCode::PermissionDenied),
    (b"Operation not permitted", StatusCode::PermissionDenied),
    (b"File name too long", StatusCode::BadMessage),
    (b"Filename too long", StatusCode::BadMessage),
    (b"Invalid argument", StatusCode::BadMessage),
    (b"Operation not supported", StatusCode::OpUnsupported),
    (b"Function not implemented", StatusCode::OpUnsupported),
    (b"not found", StatusCode::OpUnsupported),
    (b"Not supported", StatusCode::OpUnsupported),
];

/// The status that says the same: of the first line that ends in words that are known, or
/// [`StatusCode::Failure`] with the first line. Only what stands behind the last colon counts, since
/// a name may hold anything.
pub fn failure(said: &[u8]) -> Status {
    let lines = || said.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let known = lines().find_map(|line| {
        let behind = line.iter().rposition(|byte| *byte == b':')?;
        let reason = line[behind + 1..].trim_ascii();
        let spelling = SPELLINGS
            .iter()
            .find(|(spelling, _)| reason.eq_ignore_ascii_case(spelling))?;
        Some((line, spelling.1))
    });
    let first = || lines().find(|line| !line.is_empty()).unwrap_or_default();
    let (line, code) = known.unwrap_or_else(|| (first(), StatusCode::Failure));
    Status {
        code,
        message: line[..line.len().min(256)].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_of_each_system_say_is_understood() {
        let code = |said: &str| failure(said.as_bytes()).code;
        for said in [
            "ls: cannot access '/x': No such file or directory\n",
            "stat: can't stat '/x': No such file or directory\n",
            "stat: /x: stat: No such file or directory\n",
            "rmux: 1: cannot open /x: No such file\n",
            "rmux: 1: cannot create /x/y: Directory nonexistent\n",
            "rmux: line 1: /x: No such file or directory\n",
            "rmdir: failed to remove '/x': Not a directory\n",
        ] {
            assert_eq!(code(said), StatusCode::NoSuchFile, "{said}");
        }
        assert_eq!(
            code("mv: cannot move 'a' to 'b': Permission denied\n"),
            StatusCode::PermissionDenied
        );
        assert_eq!(
            code("rmdir: 'a': Directory not empty\n"),
            StatusCode::Failure
        );
        assert_eq!(code(""), StatusCode::Failure);
        assert_eq!(
            code("0+1 records in\ndd: error writing 'a': Permission denied\n"),
            StatusCode::PermissionDenied
        );
    }

    #[test]
    fn a_name_that_looks_like_a_reason_is_none() {
        let said = b"mv: cannot move 'x: Permission denied' to 'b': Directory not empty\n";
        assert_eq!(failure(said).code, StatusCode::Failure);
    }
}
