//! What a client asks (draft, section 6), extensions included.

use bytes::Bytes;

use super::extension::{Extension, put_ids};
use super::{Attributes, Frame, MAX_HANDLE, Violation, cut, finish, kind};
use crate::wire::{Reader, put_string, put_u32};

/// Data below this size travels in one piece with what stands in front of it.
const SMALL: usize = 4 << 10;

/// How a file is opened (draft, section 6.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// For reading.
    pub const READ: Self = Self(1);
    /// For writing.
    pub const WRITE: Self = Self(1 << 1);
    /// Every write goes to the end.
    pub const APPEND: Self = Self(1 << 2);
    /// Make it where there is none.
    pub const CREATE: Self = Self(1 << 3);
    /// Empty it.
    pub const TRUNCATE: Self = Self(1 << 4);
    /// With [`CREATE`](Self::CREATE): fail where there is one.
    pub const EXCLUSIVE: Self = Self(1 << 5);

    /// Whether all of `other` is in it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for OpenFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a client asks. Paths and handles are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what their names say")]
pub enum Request<'a> {
    /// Open a file.
    Open {
        path: &'a [u8],
        flags: OpenFlags,
        attributes: Attributes,
    },
    /// Close what a handle stands for.
    Close { handle: &'a [u8] },
    /// Read at most so many bytes.
    Read {
        handle: &'a [u8],
        offset: u64,
        length: u32,
    },
    /// Write all of the data.
    Write {
        handle: &'a [u8],
        offset: u64,
        data: Bytes,
    },
    /// Attributes, of a link itself.
    Lstat { path: &'a [u8] },
    /// Attributes of an open file.
    Fstat { handle: &'a [u8] },
    /// Set attributes.
    Setstat {
        path: &'a [u8],
        attributes: Attributes,
    },
    /// Set attributes of an open file.
    Fsetstat {
        handle: &'a [u8],
        attributes: Attributes,
    },
    /// Open a directory for listing.
    Opendir { path: &'a [u8] },
    /// The next names.
    Readdir { handle: &'a [u8] },
    /// Remove a file.
    Remove { path: &'a [u8] },
    /// Make a directory.
    Mkdir {
        path: &'a [u8],
        attributes: Attributes,
    },
    /// Remove an empty directory.
    Rmdir { path: &'a [u8] },
    /// The absolute path.
    Realpath { path: &'a [u8] },
    /// Attributes, behind links.
    Stat { path: &'a [u8] },
    /// Rename, where the new name is free.
    Rename { from: &'a [u8], to: &'a [u8] },
    /// Where a symbolic link points to.
    Readlink { path: &'a [u8] },
    /// Make a symbolic link. On the wire in the order of OpenSSH, which is not the draft's and which
    /// everybody has followed.
    Symlink { target: &'a [u8], link: &'a [u8] },
    /// [`Extension::PosixRename`]
    PosixRename { from: &'a [u8], to: &'a [u8] },
    /// [`Extension::Statvfs`]
    Statvfs { path: &'a [u8] },
    /// [`Extension::Fstatvfs`]
    Fstatvfs { handle: &'a [u8] },
    /// [`Extension::Hardlink`]
    Hardlink { from: &'a [u8], to: &'a [u8] },
    /// [`Extension::Fsync`]
    Fsync { handle: &'a [u8] },
    /// [`Extension::Lsetstat`]
    Lsetstat {
        path: &'a [u8],
        attributes: Attributes,
    },
    /// [`Extension::Limits`]
    Limits,
    /// [`Extension::ExpandPath`]
    ExpandPath { path: &'a [u8] },
    /// [`Extension::CopyData`]; a length of 0 means to the end.
    CopyData {
        from: &'a [u8],
        from_offset: u64,
        length: u64,
        to: &'a [u8],
        to_offset: u64,
    },
    /// [`Extension::HomeDirectory`]; an empty name means the account's own.
    HomeDirectory { user: &'a [u8] },
    /// [`Extension::UsersGroupsById`]
    UsersGroupsById { users: Vec<u32>, groups: Vec<u32> },
}

/// Which replies fit a request. One of failure always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// That it is done.
    Done,
    /// A handle.
    Handle,
    /// At most so much data.
    Data(u32),
    /// Names.
    Names,
    /// One name.
    Name,
    /// Attributes.
    Attributes,
    /// The answer to an extension, in a form of its own.
    Extended,
}

/// A request ready to be sent, but for its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    head: Vec<u8>,
    data: Bytes,
    expect: Expect,
}

impl Outgoing {
    /// Which replies fit.
    pub fn expect(&self) -> Expect {
        self.expect
    }

    /// Gives it its number.
    pub fn set_id(&mut self, id: u32) {
        self.head[5..9].copy_from_slice(&id.to_be_bytes());
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.head.len() + self.data.len()
    }

    /// Never: a packet has a head.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The packet in two parts; the second, which may be empty, is the data of a write, not copied.
    pub fn into_parts(self) -> (Vec<u8>, Bytes) {
        (self.head, self.data)
    }
}

impl<'a> Request<'a> {
    /// The packet.
    ///
    /// # Panics
    /// If it is longer than a packet can say.
    pub fn encode(self) -> Outgoing {
        let expect = self.expect();
        let mut head = vec![0; 9];
        head[4] = self.kind();
        let data = self.put(&mut head);
        let length = u32::try_from(head.len() - 4 + data.len()).expect("a packet is shorter");
        head[..4].copy_from_slice(&length.to_be_bytes());
        Outgoing { head, data, expect }
    }

    /// Reads a client's packet: the number and what is asked. `body` is what the frame holds, which
    /// has to be one piece for it.
    ///
    /// # Errors
    /// [`Violation`]; [`Violation::Unexpected`] for a type that no request has, and for extensions
    /// that are not known here.
    pub fn decode(kind: u8, body: &'a Bytes) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let request = Self::read(kind, body, &mut reader)?;
        finish(kind, reader.rest())?;
        Ok(request)
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => kind::OPEN,
            Self::Close { .. } => kind::CLOSE,
            Self::Read { .. } => kind::READ,
            Self::Write { .. } => kind::WRITE,
            Self::Lstat { .. } => kind::LSTAT,
            Self::Fstat { .. } => kind::FSTAT,
            Self::Setstat { .. } => kind::SETSTAT,
            Self::Fsetstat { .. } => kind::FSETSTAT,
            Self::Opendir { .. } => kind::OPENDIR,
            Self::Readdir { .. } => kind::READDIR,
            Self::Remove { .. } => kind::REMOVE,
            Self::Mkdir { .. } => kind::MKDIR,
            Self::Rmdir { .. } => kind::RMDIR,
            Self::Realpath { .. } => kind::REALPATH,
            Self::Stat { .. } => kind::STAT,
            Self::Rename { .. } => kind::RENAME,
            Self::Readlink { .. } => kind::READLINK,
            Self::Symlink { .. } => kind::SYMLINK,
            _ => kind::EXTENDED,
        }
    }

    fn extension(&self) -> Option<Extension> {
        Some(match self {
            Self::PosixRename { .. } => Extension::PosixRename,
            Self::Statvfs { .. } => Extension::Statvfs,
            Self::Fstatvfs { .. } => Extension::Fstatvfs,
            Self::Hardlink { .. } => Extension::Hardlink,
            Self::Fsync { .. } => Extension::Fsync,
            Self::Lsetstat { .. } => Extension::Lsetstat,
            Self::Limits => Extension::Limits,
            Self::ExpandPath { .. } => Extension::ExpandPath,
            Self::CopyData { .. } => Extension::CopyData,
            Self::HomeDirectory { .. } => Extension::HomeDirectory,
            Self::UsersGroupsById { .. } => Extension::UsersGroupsById,
            _ => return None,
        })
    }

    fn expect(&self) -> Expect {
        match self {
            Self::Open { .. } | Self::Opendir { .. } => Expect::Handle,
            Self::Read { length, .. } => Expect::Data(*length),
            Self::Lstat { .. } | Self::Fstat { .. } | Self::Stat { .. } => Expect::Attributes,
            Self::Readdir { .. } => Expect::Names,
            Self::Realpath { .. }
            | Self::Readlink { .. }
            | Self::ExpandPath { .. }
            | Self::HomeDirectory { .. } => Expect::Name,
            Self::Statvfs { .. }
            | Self::Fstatvfs { .. }
            | Self::Limits
            | Self::UsersGroupsById { .. } => Expect::Extended,
            _ => Expect::Done,
        }
    }

    /// Appends all but the head and the data of a long write, which it gives back.
    fn put(self, out: &mut Vec<u8>) -> Bytes {
        if let Some(extension) = self.extension() {
            put_string(out, extension.name());
        }
        match self {
            Self::Open {
                path,
                flags,
                attributes,
            } => {
                put_string(out, path);
                put_u32(out, flags.0);
                attributes.encode(out);
            }
            Self::Read {
                handle,
                offset,
                length,
            } => {
                put_string(out, handle);
                put_u64(out, offset);
                put_u32(out, length);
            }
            Self::Write {
                handle,
                offset,
                data,
            } => {
                put_string(out, handle);
                put_u64(out, offset);
                if data.len() < SMALL {
                    put_string(out, &data);
                } else {
                    put_u32(out, data.len() as u32);
                    return data;
                }
            }
            Self::Setstat { path, attributes }
            | Self::Mkdir { path, attributes }
            | Self::Lsetstat { path, attributes }
            | Self::Fsetstat {
                handle: path,
                attributes,
            } => {
                put_string(out, path);
                attributes.encode(out);
            }
            Self::Lstat { path: one }
            | Self::Stat { path: one }
            | Self::Opendir { path: one }
            | Self::Remove { path: one }
            | Self::Rmdir { path: one }
            | Self::Realpath { path: one }
            | Self::Readlink { path: one }
            | Self::Statvfs { path: one }
            | Self::ExpandPath { path: one }
            | Self::HomeDirectory { user: one }
            | Self::Close { handle: one }
            | Self::Fstat { handle: one }
            | Self::Readdir { handle: one }
            | Self::Fstatvfs { handle: one }
            | Self::Fsync { handle: one } => put_string(out, one),
            Self::Rename { from, to }
            | Self::PosixRename { from, to }
            | Self::Hardlink { from, to }
            | Self::Symlink {
                target: from,
                link: to,
            } => {
                put_string(out, from);
                put_string(out, to);
            }
            Self::Limits => {}
            Self::CopyData {
                from,
                from_offset,
                length,
                to,
                to_offset,
            } => {
                put_string(out, from);
                put_u64(out, from_offset);
                put_u64(out, length);
                put_string(out, to);
                put_u64(out, to_offset);
            }
            Self::UsersGroupsById { users, groups } => {
                put_ids(out, &users);
                put_ids(out, &groups);
            }
        }
        Bytes::new()
    }

    fn read(kind: u8, body: &'a Bytes, reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let cut = cut(kind);
        macro_rules! string {
            () => {
                reader.string().map_err(&cut)?
            };
        }
        macro_rules! handle {
            () => {
                checked_handle(string!())?
            };
        }
        macro_rules! number {
            ($method:ident) => {
                reader.$method().map_err(&cut)?
            };
        }
        Ok(match kind {
            kind::OPEN => Self::Open {
                path: string!(),
                flags: OpenFlags(number!(u32)),
                attributes: Attributes::decode(kind, reader)?,
            },
            kind::CLOSE => Self::Close { handle: handle!() },
            kind::READ => Self::Read {
                handle: handle!(),
                offset: number!(u64),
                length: number!(u32),
            },
            kind::WRITE => Self::Write {
                handle: handle!(),
                offset: number!(u64),
                data: body.slice_ref(string!()),
            },
            kind::LSTAT => Self::Lstat { path: string!() },
            kind::FSTAT => Self::Fstat { handle: handle!() },
            kind::SETSTAT => Self::Setstat {
                path: string!(),
                attributes: Attributes::decode(kind, reader)?,
            },
            kind::FSETSTAT => Self::Fsetstat {
                handle: handle!(),
                attributes: Attributes::decode(kind, reader)?,
            },
            kind::OPENDIR => Self::Opendir { path: string!() },
            kind::READDIR => Self::Readdir { handle: handle!() },
            kind::REMOVE => Self::Remove { path: string!() },
            kind::MKDIR => Self::Mkdir {
                path: string!(),
                attributes: Attributes::decode(kind, reader)?,
            },
            kind::RMDIR => Self::Rmdir { path: string!() },
            kind::REALPATH => Self::Realpath { path: string!() },
            kind::STAT => Self::Stat { path: string!() },
            kind::RENAME => Self::Rename {
                from: string!(),
                to: string!(),
            },
            kind::READLINK => Self::Readlink { path: string!() },
            kind::SYMLINK => Self::Symlink {
                target: string!(),
                link: string!(),
            },
            kind::EXTENDED => {
                let name = string!();
                let known = Extension::ALL.iter().find(|one| one.name() == name);
                match known.ok_or(Violation::Unexpected(kind))? {
                    Extension::PosixRename => Self::PosixRename {
                        from: string!(),
                        to: string!(),
                    },
                    Extension::Statvfs => Self::Statvfs { path: string!() },
                    Extension::Fstatvfs => Self::Fstatvfs { handle: handle!() },
                    Extension::Hardlink => Self::Hardlink {
                        from: string!(),
                        to: string!(),
                    },
                    Extension::Fsync => Self::Fsync { handle: handle!() },
                    Extension::Lsetstat => Self::Lsetstat {
                        path: string!(),
                        attributes: Attributes::decode(kind, reader)?,
                    },
                    Extension::Limits => Self::Limits,
                    Extension::ExpandPath => Self::ExpandPath { path: string!() },
                    Extension::CopyData => Self::CopyData {
                        from: handle!(),
                        from_offset: number!(u64),
                        length: number!(u64),
                        to: handle!(),
                        to_offset: number!(u64),
                    },
                    Extension::HomeDirectory => Self::HomeDirectory { user: string!() },
                    Extension::UsersGroupsById => Self::UsersGroupsById {
                        users: ids(string!())?,
                        groups: ids(string!())?,
                    },
                }
            }
            other => return Err(Violation::Unexpected(other)),
        })
    }
}

impl Frame {
    /// The frame with its body in one piece, as [`Request::decode`] needs it.
    pub fn joined(self) -> (u8, u32, Bytes) {
        (self.kind, self.id, self.body.into_bytes())
    }
}

pub(super) fn checked_handle(handle: &[u8]) -> Result<&[u8], Violation> {
    if handle.len() > MAX_HANDLE {
        return Err(Violation::LongHandle(handle.len()));
    }
    Ok(handle)
}

fn ids(list: &[u8]) -> Result<Vec<u32>, Violation> {
    let (whole, rest) = list.as_chunks::<4>();
    finish(kind::EXTENDED, rest)?;
    Ok(whole.iter().map(|id| u32::from_be_bytes(*id)).collect())
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_long_write_is_not_copied() {
        let data = Bytes::from(vec![b'x'; 100_000]);
        let write = |data: &Bytes| {
            Request::Write {
                handle: b"h",
                offset: 1,
                data: data.clone(),
            }
            .encode()
        };
        let (head, sent) = write(&data).into_parts();
        assert_eq!(sent.as_ptr(), data.as_ptr());
        assert_eq!(head[..4], (head.len() as u32 - 4 + 100_000).to_be_bytes());
        let (head, sent) = write(&data.slice(..10)).into_parts();
        assert!(sent.is_empty() && head.ends_with(b"xxxxxxxxxx"));
    }

    #[test]
    fn a_symlink_has_its_target_first_as_openssh_sends_it() {
        let (head, _) = Request::Symlink {
            target: b"to",
            link: b"at",
        }
        .encode()
        .into_parts();
        assert_eq!(head[9..], *b"\0\0\0\x02to\0\0\0\x02at");
    }

    #[test]
    fn a_long_handle_and_an_unknown_extension_are_refused() {
        let long = vec![b'h'; MAX_HANDLE + 1];
        let (head, _) = Request::Close { handle: &long }.encode().into_parts();
        let body = Bytes::from(head).slice(9..);
        assert_eq!(
            Request::decode(kind::CLOSE, &body),
            Err(Violation::LongHandle(MAX_HANDLE + 1))
        );
        let body = Bytes::from_static(b"\0\0\0\x01?");
        assert_eq!(
            Request::decode(kind::EXTENDED, &body),
            Err(Violation::Unexpected(kind::EXTENDED))
        );
    }
}
