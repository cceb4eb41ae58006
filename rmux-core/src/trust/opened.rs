//! Opening and reading files that users name, so that none of them can keep a connection waiting:
//! neither a pipe to which nobody writes nor a device without an end.
//!
//! Knows nothing of what a file holds.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file, or a character device such as `/dev/null`, without waiting for anybody.
/// `options` with flags of its own would lose them.
///
/// # Errors
/// That of opening it, and [`io::ErrorKind::InvalidInput`] for anything else, such as a pipe or a
/// folder.
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    // A pipe is waited for already while it is opened; a terminal must not become this program's.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).expect("flags of open(2) are an int");
    let file = options.clone().custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_char_device() {
        let message = "it is neither a regular file nor a character device";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(file)
}

/// The bytes of a file, which must not be larger than this.
pub(super) fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    read_to_end(open(path, OpenOptions::new().read(true))?, largest)
}

/// What is still to be read, which must not be more than this.
pub(super) fn read_to_end(file: impl Read, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        let message = format!("it is larger than {largest} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_pipe_is_neither_waited_for_nor_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let (sender, done) = mpsc::channel();
        std::thread::spawn(move || sender.send(read(&path, 100)));
        let answer = done.recv_timeout(Duration::from_secs(10));
        let error = answer.expect("nobody waits").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }

    #[test]
    fn only_files_and_character_devices_are_read_and_only_so_far() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), 100).is_err());
        assert_eq!(read(Path::new("/dev/null"), 0).unwrap(), b"");
        let endless = read(Path::new("/dev/zero"), 1 << 16).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
        let path = folder.path().join("file");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert!(read(&path, 3).is_err());
        let missing = read(&folder.path().join("missing"), 3).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
