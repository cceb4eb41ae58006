//! A file that several programs append to and rewrite: locked, never truncated, replaced as a whole.
//!
//! Knows nothing of what the file holds.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::opened;

/// How long another program may hold the lock: a write takes a moment, and whoever waits here may
/// have a person waiting.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// An open file under an exclusive lock, which ends when this is dropped.
pub(super) struct Locked {
    file: File,
    /// Its path without symbolic links.
    path: PathBuf,
}

impl Locked {
    /// Opens a file for appending, and creates it, for the user alone, where there is none.
    pub(super) fn open_or_create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        Self::open(path, &options)
    }

    /// Opens a file that exists and that this user may write to.
    pub(super) fn open_existing(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().read(true).append(true))
    }

    fn open(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        let deadline = Instant::now() + LOCK_LIMIT;
        loop {
            let file = opened::open(path, options)?;
            if !file.metadata()?.is_file() {
                // A device such as /dev/null, which is nobody's to lock.
                let path = path.to_owned();
                return Ok(Self { file, path });
            }
            lock(&file, deadline)?;
            // Whoever held the lock may have put another file in its place.
            let (ours, there) = (file.metadata()?, std::fs::metadata(path)?);
            if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
                let path = std::fs::canonicalize(path)?;
                return Ok(Self { file, path });
            }
        }
    }

    /// All of it, which must not be larger than this.
    pub(super) fn read(&mut self, largest: u64) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(0))?;
        opened::read_to_end(&self.file, largest)
    }

    /// Adds lines at the end, on lines of their own.
    pub(super) fn append(mut self, lines: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(lines.len() + 1);
        if !self.ends_in_newline()? {
            text.push(b'\n');
        }
        text.extend_from_slice(lines);
        self.file.write_all(&text)?;
        if self.file.metadata()?.is_file() {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Puts a new file with these bytes in its place, of the same mode and owner. Whoever reads
    /// meanwhile sees the old one or the new one, and on an error the old one stays.
    pub(super) fn replace(self, bytes: &[u8]) -> io::Result<()> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let old = self.file.metadata()?;
        if !old.is_file() {
            let message = format!("{} is no regular file", self.path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut prefix = name.to_owned();
        prefix.push(".");
        let mut new = tempfile::Builder::new()
            .prefix(&prefix)
            .tempfile_in(folder)?;
        let fresh = new.as_file().metadata()?;
        if (fresh.uid(), fresh.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
        new.as_file().set_permissions(old.permissions())?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        new.persist(&self.path)?;
        // So that the name leads to the new file after a crash too. It does already for everybody
        // now, so that a failure changes nothing.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn ends_in_newline(&mut self) -> io::Result<bool> {
        if self.file.metadata()?.len() == 0 {
            return Ok(true);
        }
        self.file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        self.file.read_exact(&mut last)?;
        Ok(last == *b"\n")
    }
}

/// Creates a folder, and those above it, for the user alone.
pub(super) fn create_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn lock(file: &File, deadline: Instant) -> io::Result<()> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("another program has held its lock for {LOCK_LIMIT:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            // Some network file systems have no locks; ssh never takes one.
            Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// NFS without a lock daemon says ENOLCK.
fn has_no_locks(error: &io::Error) -> bool {
    let no_daemon = rustix::io::Errno::NOLCK.raw_os_error();
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(no_daemon)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
        Locked::open_existing(path)?.replace(bytes)
    }

    fn folder_with(name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, "old\n").unwrap();
        (folder, path)
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_behind() {
        let (folder, path) = folder_with("known_hosts");
        for mode in [0o600, 0o644, 0o640] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            replace(&path, format!("{mode:o}\n").as_bytes()).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                format!("{mode:o}\n")
            );
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let (folder, path) = folder_with("real");
        let link = folder.path().join("known_hosts");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"new\n").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    }

    #[test]
    fn a_device_takes_what_is_appended_and_is_never_replaced() {
        let null = Path::new("/dev/null");
        Locked::open_or_create(null)
            .unwrap()
            .append(b"x\n")
            .unwrap();
        assert!(replace(null, b"new\n").is_err());
        assert!(!null.metadata().unwrap().is_file());
    }

    #[test]
    fn a_pipe_takes_nothing() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(Locked::open_or_create(&path).is_err());
        assert!(replace(&path, b"new\n").is_err());
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        // The new file's name would be too long: a failure that root meets as well.
        let (folder, path) = folder_with(&"k".repeat(255));
        assert!(replace(&path, b"new\n").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("missing");
        assert!(replace(&missing, b"new\n").is_err());
        assert!(!missing.exists());
    }

    #[test]
    fn who_waits_for_the_lock_appends_to_the_file_that_took_its_place() {
        let (_folder, path) = folder_with("known_hosts");
        let held = Locked::open_existing(&path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Locked::open_or_create(&path)?.append(b"added\n"));
            std::thread::sleep(Duration::from_millis(100));
            held.replace(b"new\n").unwrap();
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\nadded\n");
    }

    #[test]
    fn a_file_system_without_locks_is_no_obstacle() {
        for errno in [rustix::io::Errno::NOLCK, rustix::io::Errno::OPNOTSUPP] {
            assert!(has_no_locks(&errno.into()), "{errno}");
        }
        assert!(!has_no_locks(&rustix::io::Errno::IO.into()));
    }

    #[test]
    fn a_lock_that_is_never_let_go_is_not_waited_for_for_ever() {
        let (_folder, path) = folder_with("known_hosts");
        let held = Locked::open_existing(&path).unwrap();
        let begun = Instant::now();
        let error = replace(&path, b"new\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < 2 * LOCK_LIMIT, "{:?}", begun.elapsed());
        drop(held);
        replace(&path, b"new\n").unwrap();
    }
}
