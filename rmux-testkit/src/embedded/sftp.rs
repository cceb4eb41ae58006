//! The SFTP subsystem, version 3, over the real file system and with the rights of the current
//! user (draft-ietf-secsh-filexfer-02). Names are UTF-8. Must not know channels.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode,
};
use russh_sftp::server::{Handler, StatusReply};

use super::program::Program;

/// Files and folders a client may have open at once.
const MAX_HANDLES: usize = 1024;
/// Bytes given out by one read: what fits a packet of 256 KiB, as OpenSSH's server.
const MAX_READ: u32 = (256 << 10) - 1024;
/// Names in one answer.
const NAMES: usize = 100;
/// Bytes between the channel and the server, each way.
const PIPE: usize = 512 << 10;

/// Starts a server that ends with its input. Relative paths begin at `home`.
pub(super) fn start(home: &Path) -> Program {
    // One way each. Dropping an end ends the other.
    let (input, stdin) = tokio::io::duplex(PIPE);
    let (stdout, output) = tokio::io::duplex(PIPE);
    let server = Sftp {
        home: home.to_owned(),
        handles: HashMap::new(),
        next: 0,
    };
    let stream = tokio::io::join(input, output);
    tokio::spawn(async move { russh_sftp::server::run(stream, server).await });
    Program {
        stdin: Box::new(stdin),
        stdout: Box::new(stdout),
        stderr: None,
        terminal: None,
        process: None,
    }
}

struct Sftp {
    home: PathBuf,
    handles: HashMap<String, Open>,
    next: u64,
}

enum Open {
    File(Arc<File>),
    /// The names not yet listed, last first.
    Folder {
        path: PathBuf,
        names: Vec<PathBuf>,
    },
}

type Reply<T> = Result<T, StatusReply>;

impl Sftp {
    fn path(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    fn insert(&mut self, id: u32, open: Open) -> Reply<Handle> {
        if self.handles.len() >= MAX_HANDLES {
            return Err(StatusCode::Failure.with_message("too many open handles"));
        }
        self.next += 1;
        let handle = self.next.to_string();
        self.handles.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    fn file(&self, handle: &str) -> Reply<Arc<File>> {
        match self.handles.get(handle) {
            Some(Open::File(file)) => Ok(file.clone()),
            Some(Open::Folder { .. }) | None => Err(no_such_handle()),
        }
    }
}

fn no_such_handle() -> StatusReply {
    StatusCode::Failure.with_message("no such handle")
}

/// Runs what may block on the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Reply<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| reply(&error)),
        Err(_) => Err(StatusCode::Failure.into()),
    }
}

fn reply(error: &io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        io::ErrorKind::UnexpectedEof => StatusCode::Eof,
        io::ErrorKind::Unsupported => StatusCode::OpUnsupported,
        _ => StatusCode::Failure,
    };
    code.with_message(error.to_string())
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".into(),
        language_tag: "en".into(),
    }
}

fn attributes(metadata: &Metadata) -> FileAttributes {
    let mut attributes = FileAttributes::empty();
    attributes.size = Some(metadata.size());
    attributes.uid = Some(metadata.uid());
    attributes.gid = Some(metadata.gid());
    attributes.permissions = Some(metadata.mode());
    attributes.atime = Some(metadata.atime() as u32);
    attributes.mtime = Some(metadata.mtime() as u32);
    attributes
}

/// Applies what a client has set, to an open file.
fn set(file: &File, attributes: &FileAttributes) -> io::Result<()> {
    if let Some(size) = attributes.size {
        file.set_len(size)?;
    }
    if let Some(mode) = attributes.permissions {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(mode & 0o7777))?;
    }
    if let (Some(accessed), Some(modified)) = (attributes.atime, attributes.mtime) {
        let at = |seconds: u32| UNIX_EPOCH + Duration::from_secs(seconds.into());
        let times = std::fs::FileTimes::new()
            .set_accessed(at(accessed))
            .set_modified(at(modified));
        file.set_times(times)?;
    }
    if let (Some(uid), Some(gid)) = (attributes.uid, attributes.gid) {
        std::os::unix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// As [`set`], by name: not everything whose mode can be set can be opened.
fn set_path(path: &Path, attributes: &FileAttributes) -> io::Result<()> {
    if let Some(size) = attributes.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if let (Some(accessed), Some(modified)) = (attributes.atime, attributes.mtime) {
        let at = |seconds: u32| UNIX_EPOCH + Duration::from_secs(seconds.into());
        let times = std::fs::FileTimes::new()
            .set_accessed(at(accessed))
            .set_modified(at(modified));
        File::open(path)?.set_times(times)?;
    }
    if let (Some(uid), Some(gid)) = (attributes.uid, attributes.gid) {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))?;
    }
    // Last: it may take the right to do the others away.
    if let Some(mode) = attributes.permissions {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o7777))?;
    }
    Ok(())
}

/// The absolute path, with links resolved as far as it exists.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            Component::CurDir => {}
            other => found.push(other),
        }
    }
    Ok(found)
}

fn name(id: u32, path: &Path) -> Name {
    Name {
        id,
        files: vec![Entry::dummy(path.to_string_lossy())],
    }
}

impl Handler for Sftp {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported.into()
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        attributes: FileAttributes,
    ) -> Reply<Handle> {
        let path = self.path(&filename);
        let file = blocking(move || {
            let has = |flag| flags.contains(flag);
            let is_writing = has(OpenFlags::WRITE) || has(OpenFlags::APPEND);
            let mut options = OpenOptions::new();
            options
                .read(has(OpenFlags::READ))
                .mode(attributes.permissions.unwrap_or(0o666) & 0o7777);
            if is_writing {
                let is_new = has(OpenFlags::CREATE) && has(OpenFlags::EXCLUDE);
                let is_append = has(OpenFlags::APPEND);
                options
                    .write(true)
                    .append(is_append)
                    .create(has(OpenFlags::CREATE))
                    .create_new(is_new)
                    .truncate(has(OpenFlags::TRUNCATE) && !is_append);
            }
            let file = options.open(path)?;
            // Opening a folder succeeds here and fails at the first read, which is too late.
            if file.metadata()?.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok(file)
        })
        .await?;
        self.insert(id, Open::File(Arc::new(file)))
    }

    async fn close(&mut self, id: u32, handle: String) -> Reply<Status> {
        self.handles.remove(&handle).ok_or_else(no_such_handle)?;
        Ok(done(id))
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, length: u32) -> Reply<Data> {
        let file = self.file(&handle)?;
        let data = blocking(move || {
            let mut data = vec![0; length.min(MAX_READ) as usize];
            let count = file.read_at(&mut data, offset)?;
            data.truncate(count);
            Ok(data)
        })
        .await?;
        if data.is_empty() && length > 0 {
            return Err(StatusCode::Eof.into());
        }
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Reply<Status> {
        let file = self.file(&handle)?;
        blocking(move || file.write_all_at(&data, offset)).await?;
        Ok(done(id))
    }

    async fn lstat(&mut self, id: u32, path: String) -> Reply<Attrs> {
        let path = self.path(&path);
        let metadata = blocking(move || path.symlink_metadata()).await?;
        Ok(Attrs {
            id,
            attrs: attributes(&metadata),
        })
    }

    async fn stat(&mut self, id: u32, path: String) -> Reply<Attrs> {
        let path = self.path(&path);
        let metadata = blocking(move || path.metadata()).await?;
        Ok(Attrs {
            id,
            attrs: attributes(&metadata),
        })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Reply<Attrs> {
        let file = self.file(&handle)?;
        let metadata = blocking(move || file.metadata()).await?;
        Ok(Attrs {
            id,
            attrs: attributes(&metadata),
        })
    }

    async fn setstat(&mut self, id: u32, path: String, attrs: FileAttributes) -> Reply<Status> {
        let path = self.path(&path);
        blocking(move || set_path(&path, &attrs)).await?;
        Ok(done(id))
    }

    async fn fsetstat(&mut self, id: u32, handle: String, attrs: FileAttributes) -> Reply<Status> {
        let file = self.file(&handle)?;
        blocking(move || set(&file, &attrs)).await?;
        Ok(done(id))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Reply<Handle> {
        let path = self.path(&path);
        let folder = path.clone();
        let names = blocking(move || {
            let mut names = vec![PathBuf::from(".."), PathBuf::from(".")];
            for entry in folder.read_dir()? {
                names.push(entry?.file_name().into());
            }
            names.reverse();
            Ok(names)
        })
        .await?;
        self.insert(id, Open::Folder { path, names })
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Reply<Name> {
        let Some(Open::Folder { path, names }) = self.handles.get_mut(&handle) else {
            return Err(no_such_handle());
        };
        if names.is_empty() {
            return Err(StatusCode::Eof.into());
        }
        let path = path.clone();
        let names = names.split_off(names.len().saturating_sub(NAMES));
        let files = blocking(move || {
            let entry = |name: PathBuf| {
                // One that is gone by now is listed without attributes.
                let metadata = path.join(&name).symlink_metadata();
                let attributes =
                    metadata.map_or_else(|_| FileAttributes::empty(), |m| attributes(&m));
                Entry::new(name.to_string_lossy(), attributes)
            };
            Ok(names.into_iter().rev().map(entry).collect())
        })
        .await?;
        Ok(Name { id, files })
    }

    async fn remove(&mut self, id: u32, filename: String) -> Reply<Status> {
        let path = self.path(&filename);
        blocking(move || std::fs::remove_file(path)).await?;
        Ok(done(id))
    }

    async fn mkdir(&mut self, id: u32, path: String, attrs: FileAttributes) -> Reply<Status> {
        let path = self.path(&path);
        let mode = attrs.permissions.unwrap_or(0o777) & 0o7777;
        blocking(move || std::fs::DirBuilder::new().mode(mode).create(path)).await?;
        Ok(done(id))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Reply<Status> {
        let path = self.path(&path);
        blocking(move || std::fs::remove_dir(path)).await?;
        Ok(done(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Reply<Name> {
        let path = self.path(&path);
        let path = blocking(move || real_path(&path)).await?;
        Ok(name(id, &path))
    }

    async fn rename(&mut self, id: u32, old: String, new: String) -> Reply<Status> {
        let (old, new) = (self.path(&old), self.path(&new));
        blocking(move || {
            // Version 3 does not replace.
            if new.symlink_metadata().is_ok() {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            std::fs::rename(old, new)
        })
        .await?;
        Ok(done(id))
    }

    async fn readlink(&mut self, id: u32, path: String) -> Reply<Name> {
        let path = self.path(&path);
        let target = blocking(move || path.read_link()).await?;
        Ok(name(id, &target))
    }

    /// OpenSSH sends the target first, against the draft, and everybody has followed it.
    async fn symlink(&mut self, id: u32, target: String, link: String) -> Reply<Status> {
        let link = self.path(&link);
        blocking(move || std::os::unix::fs::symlink(target, link)).await?;
        Ok(done(id))
    }
}
