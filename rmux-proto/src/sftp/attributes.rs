//! What is known of a file, or to be set: the attribute block (draft, section 5).

use super::{Violation, cut};
use crate::wire::{Reader, put_string, put_u32};

const SIZE: u32 = 1;
const OWNER: u32 = 1 << 1;
const PERMISSIONS: u32 = 1 << 2;
const TIMES: u32 = 1 << 3;
const EXTENDED: u32 = 1 << 31;

/// The bits of [`Attributes::permissions`] that tell the type of a file, as in POSIX.
const TYPE_MASK: u32 = 0o170_000;

/// What is known of a file, or to be set: what is `None` is unknown, or stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The length in bytes.
    pub size: Option<u64>,
    /// The numbers of the user and the group.
    pub owner: Option<(u32, u32)>,
    /// The type of the file and its permission bits, as in POSIX's `st_mode`.
    pub permissions: Option<u32>,
    /// When it was last read and last written, in seconds since 1970.
    pub times: Option<(u32, u32)>,
    /// Names and values of extensions.
    pub extended: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device of blocks.
    BlockDevice,
    /// A device of characters.
    CharDevice,
}

impl Attributes {
    /// The type, where the other side tells it.
    pub fn file_type(&self) -> Option<FileType> {
        Some(match self.permissions? & TYPE_MASK {
            0o100_000 => FileType::File,
            0o040_000 => FileType::Directory,
            0o120_000 => FileType::Symlink,
            0o010_000 => FileType::Fifo,
            0o140_000 => FileType::Socket,
            0o060_000 => FileType::BlockDevice,
            0o020_000 => FileType::CharDevice,
            _ => return None,
        })
    }

    /// Appends the block.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flag = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        put_u32(
            out,
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), TIMES)
                | flag(!self.extended.is_empty(), EXTENDED),
        );
        if let Some(size) = self.size {
            out.extend_from_slice(&size.to_be_bytes());
        }
        if let Some((user, group)) = self.owner {
            put_u32(out, user);
            put_u32(out, group);
        }
        if let Some(permissions) = self.permissions {
            put_u32(out, permissions);
        }
        if let Some((accessed, modified)) = self.times {
            put_u32(out, accessed);
            put_u32(out, modified);
        }
        if !self.extended.is_empty() {
            put_u32(out, self.extended.len() as u32);
            for (name, value) in &self.extended {
                put_string(out, name);
                put_string(out, value);
            }
        }
    }

    /// Reads a block from the front, in a packet of type `kind`. Bits that version 3 does not know
    /// have no values, so they are passed over.
    pub(super) fn decode(kind: u8, reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let cut = cut(kind);
        let flags = reader.u32().map_err(&cut)?;
        let mut read = Self::default();
        if flags & SIZE != 0 {
            read.size = Some(reader.u64().map_err(&cut)?);
        }
        if flags & OWNER != 0 {
            read.owner = Some((reader.u32().map_err(&cut)?, reader.u32().map_err(&cut)?));
        }
        if flags & PERMISSIONS != 0 {
            read.permissions = Some(reader.u32().map_err(&cut)?);
        }
        if flags & TIMES != 0 {
            read.times = Some((reader.u32().map_err(&cut)?, reader.u32().map_err(&cut)?));
        }
        if flags & EXTENDED != 0 {
            let count = reader.u32().map_err(&cut)?;
            // Two strings, of four bytes at least each.
            let most = reader.rest().len() / 8;
            if count as usize > most {
                return Err(Violation::Count {
                    what: "extended attributes",
                    count,
                    most,
                });
            }
            for _ in 0..count {
                let name = reader.string().map_err(&cut)?.to_vec();
                read.extended
                    .push((name, reader.string().map_err(&cut)?.to_vec()));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Attributes, Violation> {
        Attributes::decode(105, &mut Reader::new(bytes))
    }

    #[test]
    fn each_value_stands_where_the_draft_has_it() {
        let all = Attributes {
            size: Some(1 << 40),
            owner: Some((7, 8)),
            permissions: Some(0o100_644),
            times: Some((9, 10)),
            extended: vec![(b"a@b".to_vec(), vec![0xff])],
        };
        let mut out = Vec::new();
        all.encode(&mut out);
        let expected: Vec<u8> = [
            &[0x80, 0, 0, 0x0f][..],
            &[0, 0, 1, 0, 0, 0, 0, 0],
            &[0, 0, 0, 7, 0, 0, 0, 8],
            &[0, 0, 0x81, 0xa4],
            &[0, 0, 0, 9, 0, 0, 0, 10],
            &[0, 0, 0, 1, 0, 0, 0, 3, b'a', b'@', b'b', 0, 0, 0, 1, 0xff],
        ]
        .concat();
        assert_eq!(out, expected);
        assert_eq!(decode(&out), Ok(all));
    }

    #[test]
    fn a_count_without_room_for_it_is_refused_before_anything_is_kept() {
        let block = [0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(
            decode(&block),
            Err(Violation::Count {
                what: "extended attributes",
                count: u32::MAX,
                most: 0
            })
        );
    }

    #[test]
    fn the_type_is_in_the_permissions() {
        let of = |mode| {
            let permissions = Some(mode);
            Attributes {
                permissions,
                ..Attributes::default()
            }
            .file_type()
        };
        assert_eq!(of(0o100_600), Some(FileType::File));
        assert_eq!(of(0o041_777), Some(FileType::Directory));
        assert_eq!(of(0o120_777), Some(FileType::Symlink));
        assert_eq!(of(0o644), None);
        assert_eq!(Attributes::default().file_type(), None);
    }
}
