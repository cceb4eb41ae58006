//! What operations on files hand to JavaScript.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use napi::Either;
use napi::bindgen_prelude::{Buffer, Either9, Env};
use napi_derive::napi;
use rmux_core::{
    Capabilities, DirEntry, DiskSpace, FileType, Metadata, RemotePath, TransferEvent,
    TransferReport,
};

use crate::delivery::copied;
use crate::directory::NativeDirectory;
use crate::file::NativeFile;
use crate::transfer::{NativeDropped, TransferStep, TransferSummary};

/// What is known of a file; a server may leave anything out.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct FileFacts {
    /// Type and permission bits, as `st_mode` of POSIX.
    pub mode: Option<u32>,
    pub size: f64,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Milliseconds since 1970, whole seconds.
    pub accessed: Option<f64>,
    pub modified: Option<f64>,
}

impl From<&Metadata> for FileFacts {
    fn from(known: &Metadata) -> Self {
        let kind = known.file_type().map_or(0, |kind| match kind {
            FileType::File => 0o100_000,
            FileType::Directory => 0o040_000,
            FileType::Symlink => 0o120_000,
            FileType::Fifo => 0o010_000,
            FileType::Socket => 0o140_000,
            FileType::BlockDevice => 0o060_000,
            FileType::CharDevice => 0o020_000,
            _ => 0,
        });
        Self {
            mode: known.mode().map(|mode| kind | mode),
            size: known.len() as f64,
            uid: known.uid(),
            gid: known.gid(),
            accessed: known.accessed().and_then(milliseconds),
            modified: known.modified().and_then(milliseconds),
        }
    }
}

fn milliseconds(time: SystemTime) -> Option<f64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs_f64() * 1000.0)
}

/// A name in a directory, and its path: each text, or bytes that are none.
#[napi(object, object_from_js = false)]
pub struct Entry {
    pub name: Either<String, Buffer>,
    pub path: Either<String, Buffer>,
    pub facts: FileFacts,
}

/// The room of a file system, in bytes and in files.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Room {
    pub total: f64,
    pub free: f64,
    pub available: f64,
    pub files: f64,
    pub files_available: f64,
    pub longest_name: f64,
    pub read_only: bool,
}

impl From<DiskSpace> for Room {
    fn from(room: DiskSpace) -> Self {
        Self {
            total: room.total as f64,
            free: room.free as f64,
            available: room.available as f64,
            files: room.files as f64,
            files_available: room.files_available as f64,
            longest_name: room.longest_name as f64,
            read_only: room.read_only,
        }
    }
}

/// What a host can do.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Abilities {
    /// `sftp`, `shell` or `none`.
    pub files: &'static str,
    pub files_why: Option<String>,
    pub sftp_extensions: Vec<String>,
    pub channels: Option<u32>,
}

impl From<Capabilities> for Abilities {
    fn from(able: Capabilities) -> Self {
        Self {
            files: able.files.as_str(),
            files_why: able.files_why,
            sftp_extensions: able.sftp_extensions,
            channels: able.channels.and_then(|most| u32::try_from(most).ok()),
        }
    }
}

/// The result of an operation on files, where it is no `Outcome` of others.
pub(crate) enum Found {
    /// Also where there is nothing in them.
    Bytes(Bytes),
    File(NativeFile),
    Directory(NativeDirectory),
    Facts(FileFacts),
    Entries(Vec<DirEntry>),
    Room(Room),
    Step(TransferEvent),
    Summary(TransferReport),
    Dropped(NativeDropped),
    Abilities(Abilities),
}

pub(crate) type FoundValue = Either<
    Buffer,
    Either9<
        NativeFile,
        NativeDirectory,
        FileFacts,
        Vec<Entry>,
        Room,
        TransferStep,
        TransferSummary,
        NativeDropped,
        Abilities,
    >,
>;

impl From<RemotePath> for Found {
    fn from(path: RemotePath) -> Self {
        Self::Bytes(path.into_bytes().into())
    }
}

impl Found {
    pub(crate) fn into_value(self, env: &Env) -> napi::Result<FoundValue> {
        Ok(Either::B(match self {
            Self::Bytes(bytes) => return Ok(Either::A(copied(env, &bytes)?)),
            Self::File(file) => Either9::A(file),
            Self::Directory(directory) => Either9::B(directory),
            Self::Facts(facts) => Either9::C(facts),
            Self::Entries(entries) => {
                let entries = entries.iter().map(|entry| to_js(env, entry));
                Either9::D(entries.collect::<napi::Result<_>>()?)
            }
            Self::Room(room) => Either9::E(room),
            Self::Step(event) => Either9::F(TransferStep::new(env, event)?),
            Self::Summary(report) => Either9::G(TransferSummary::new(env, report)?),
            Self::Dropped(dropped) => Either9::H(dropped),
            Self::Abilities(able) => Either9::I(able),
        }))
    }
}

fn to_js(env: &Env, entry: &DirEntry) -> napi::Result<Entry> {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Either::A(text.to_owned())),
        Err(_) => copied(env, bytes).map(Either::B),
    };
    Ok(Entry {
        name: text(entry.file_name())?,
        path: text(entry.path().as_bytes())?,
        facts: entry.metadata().into(),
    })
}
