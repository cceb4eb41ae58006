//! The path of a control socket: made so that only its owner can use it and nobody's is taken away.

use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::master::ControlMaster;
use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;

/// What the system's limit (108 with its end) leaves when a name beside the path needs 17 more.
const LONGEST: usize = 90;
/// How many clients may wait to be taken in is the system's affair; how many random names are tried
/// is ours.
const TRIES: usize = 8;

/// A control socket that listens, and serves nobody yet. Dropping it removes it.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    pub(super) bound: Bound,
}

impl ControlSocket {
    /// Whether a master could listen there, as far as the path itself tells: it is to be known before
    /// anybody is asked for a password.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path of more than 90 bytes, or with a NUL byte.
    pub fn check(path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = path.as_os_str().as_bytes();
        let what = if bytes.len() > LONGEST {
            format!(
                "the control path {} has {} bytes; a unix socket has room for {LONGEST}",
                path.display(),
                bytes.len()
            )
        } else if bytes.contains(&0) {
            format!("the control path {path:?} holds a NUL byte")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidInput, "listen", what))
    }

    /// Listens at `path`. The socket has mode 0600 from the beginning, and appears all at once: of two
    /// who try, one gets it. What is there is left alone, be it in use or not.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where there is something; as [`check`](Self::check), and what the
    /// system says of the directory.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::check(path)?;
        let failed = |error| Error::io("listen", path.display(), error);
        let (listener, temporary) = listen_beside(path).map_err(failed)?;
        let made = appear(&temporary, path);
        let _ = std::fs::remove_file(&temporary);
        Ok(Self {
            listener,
            bound: made.map_err(failed)?,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.bound.path
    }

    /// Serves a session there, until the master [ends](ControlMaster::ended).
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn serve(self, session: Session) -> ControlMaster {
        ControlMaster::start(self, session)
    }
}

/// The socket's name in the file system. Dropping it removes the name, unless that is another's by
/// now.
#[derive(Debug)]
pub(super) struct Bound {
    path: PathBuf,
    identity: (u64, u64),
}

impl Bound {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A listener under a name that nobody knows.
fn listen_beside(path: &Path) -> io::Result<(UnixListener, PathBuf)> {
    let mut tries = 0;
    loop {
        let mut name = path.as_os_str().to_owned();
        let mut random = String::new();
        write!(random, ".{:016x}", rand::random::<u64>()).expect("a string takes all");
        name.push(random);
        tries += 1;
        match UnixListener::bind(&name) {
            Ok(listener) => return Ok((listener, name.into())),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gives the socket its name. Nobody but its owner may use it by then.
fn appear(temporary: &Path, path: &Path) -> io::Result<Bound> {
    std::fs::set_permissions(temporary, PermissionsExt::from_mode(0o600))?;
    let identity = identity(temporary)?;
    std::fs::hard_link(temporary, path)?;
    Ok(Bound {
        path: path.to_owned(),
        identity,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_two_leaves_the_first_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = ControlSocket::bind(&path).unwrap();
        assert_eq!(first.path(), path);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = ControlSocket::bind(&path).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::AlreadyExists);
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        drop(first);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_name_that_is_another_s_by_now_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = ControlSocket::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = ControlSocket::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn of_many_who_race_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let bound: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| ControlSocket::bind(&path)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1);
        let names = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 1, "no temporary name is left");
    }

    #[test]
    fn paths_that_no_socket_can_have_are_refused_with_the_reason() {
        let long = "/".repeat(91);
        let error = ControlSocket::check(&long).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("91 bytes"), "{error}");
        assert!(ControlSocket::check("/".repeat(90)).is_ok());
        let nowhere = ControlSocket::bind("/nonexistent/s").unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    }
}
