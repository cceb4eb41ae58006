//! The files of a session's host, for blocking code.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::runtime;
use crate::error::Result;
use crate::files::{self, DirEntry, DiskSpace, Metadata, OpenOptions, RemotePath, WriteOptions};

/// [`Files`](crate::Files) for blocking code.
#[derive(Debug, Clone)]
pub struct Files(pub(super) files::Files);

macro_rules! wait_for {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $given:ty;)*) => {
        impl Files {
            $(
                #[doc = concat!("As [`Files::", stringify!($name), "`](crate::Files::", stringify!($name), ").")]
                ///
                /// # Errors
                /// As there, and those of [`runtime`].
                pub fn $name(&self, $($argument: $kind),*) -> Result<$given> {
                    runtime()?.block_on(self.0.$name($($argument),*))
                }
            )*
        }
    };
}

wait_for! {
    read(path: impl AsRef<[u8]>) -> Vec<u8>;
    read_range(path: impl AsRef<[u8]>, range: Range<u64>) -> Vec<u8>;
    write(path: impl AsRef<[u8]>, contents: impl Into<Bytes>) -> ();
    write_with(path: impl AsRef<[u8]>, contents: impl Into<Bytes>, options: &WriteOptions) -> ();
    append(path: impl AsRef<[u8]>, contents: impl Into<Bytes>) -> ();
    replace_text(path: impl AsRef<[u8]>, old: impl AsRef<[u8]>, new: impl AsRef<[u8]>) -> ();
    metadata(path: impl AsRef<[u8]>) -> Metadata;
    symlink_metadata(path: impl AsRef<[u8]>) -> Metadata;
    exists(path: impl AsRef<[u8]>) -> bool;
    canonicalize(path: impl AsRef<[u8]>) -> RemotePath;
    read_link(path: impl AsRef<[u8]>) -> RemotePath;
    symlink(target: impl AsRef<[u8]>, link: impl AsRef<[u8]>) -> ();
    hard_link(file: impl AsRef<[u8]>, link: impl AsRef<[u8]>) -> ();
    rename(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> ();
    copy(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> ();
    remove_file(path: impl AsRef<[u8]>) -> ();
    create_dir(path: impl AsRef<[u8]>) -> ();
    create_dir_all(path: impl AsRef<[u8]>) -> ();
    create_dir_with(path: impl AsRef<[u8]>, parents: bool, exist_ok: bool) -> ();
    temp_dir(prefix: impl AsRef<[u8]>) -> RemotePath;
    remove_dir(path: impl AsRef<[u8]>) -> ();
    remove_dir_all(path: impl AsRef<[u8]>) -> ();
    set_mode(path: impl AsRef<[u8]>, mode: u32) -> ();
    set_owner(path: impl AsRef<[u8]>, uid: u32, gid: u32) -> ();
    set_link_owner(path: impl AsRef<[u8]>, uid: u32, gid: u32) -> ();
    set_times(path: impl AsRef<[u8]>, accessed: SystemTime, modified: SystemTime) -> ();
    disk_space(path: impl AsRef<[u8]>) -> DiskSpace;
}

impl Files {
    pub(super) fn new(files: files::Files) -> Self {
        Self(files)
    }

    /// As [`Files::open`](crate::Files::open).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn open(&self, path: impl AsRef<[u8]>, options: &OpenOptions) -> Result<File> {
        runtime()?.block_on(self.0.open(path, options)).map(File)
    }

    /// As [`Files::create`](crate::Files::create).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn create(&self, path: impl AsRef<[u8]>, options: &WriteOptions) -> Result<File> {
        runtime()?.block_on(self.0.create(path, options)).map(File)
    }

    /// As [`Files::temp_file`](crate::Files::temp_file).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn temp_file(&self, directory: impl AsRef<[u8]>) -> Result<(RemotePath, File)> {
        let (path, file) = runtime()?.block_on(self.0.temp_file(directory))?;
        Ok((path, File(file)))
    }

    /// As [`Files::read_dir`](crate::Files::read_dir).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn read_dir(&self, path: impl AsRef<[u8]>) -> Result<ReadDir> {
        runtime()?.block_on(self.0.read_dir(path)).map(ReadDir)
    }

    /// As [`Files::walk`](crate::Files::walk).
    pub fn walk(&self, directory: impl AsRef<[u8]>) -> Walk {
        Walk(self.0.walk(directory))
    }

    /// As [`Files::glob`](crate::Files::glob).
    ///
    /// # Errors
    /// As there.
    pub fn glob(&self, directory: impl AsRef<[u8]>, pattern: impl AsRef<[u8]>) -> Result<Walk> {
        self.0.glob(directory, pattern).map(Walk)
    }
}

/// What is found below a directory, as it comes.
#[derive(Debug)]
pub struct Walk(files::Walk);

impl Iterator for Walk {
    type Item = Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        match runtime() {
            Ok(runtime) => runtime.block_on(self.0.next_entry()).transpose(),
            Err(error) => Some(Err(error)),
        }
    }
}

/// The names in a directory, as they come.
#[derive(Debug)]
pub struct ReadDir(files::ReadDir);

impl Iterator for ReadDir {
    type Item = Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        match runtime() {
            Ok(runtime) => runtime.block_on(self.0.next_entry()).transpose(),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A [`File`](crate::File) for blocking code.
#[derive(Debug)]
pub struct File(files::File);

impl File {
    /// As [`File::position`](crate::File::position).
    pub fn position(&self) -> u64 {
        self.0.position()
    }

    /// As [`File::metadata`](crate::File::metadata).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn metadata(&self) -> Result<Metadata> {
        runtime()?.block_on(self.0.metadata())
    }

    /// As [`File::set_len`](crate::File::set_len).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn set_len(&mut self, length: u64) -> Result<()> {
        runtime()?.block_on(self.0.set_len(length))
    }

    /// As [`File::sync_all`](crate::File::sync_all).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn sync_all(&mut self) -> Result<()> {
        runtime()?.block_on(self.0.sync_all())
    }

    /// As [`File::close`](crate::File::close).
    ///
    /// # Errors
    /// As there, and those of [`runtime`].
    pub fn close(self) -> Result<()> {
        runtime()?.block_on(self.0.close())
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        runtime()?.block_on(self.0.read(buffer))
    }
}

impl Write for File {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        runtime()?.block_on(self.0.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        runtime()?.block_on(self.0.flush())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        runtime()?.block_on(self.0.seek(to))
    }
}
