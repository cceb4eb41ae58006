//! OpenSSH's extensions: their names, and what the answers hold that version 3 has no form for.

use super::{Violation, cut, finish, kind};
use crate::wire::{Reader, put_u32};

/// What a server may be able to do besides version 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// Rename over what is there, in one step.
    PosixRename,
    /// The room of a file system, by path.
    Statvfs,
    /// The room of a file system, by handle.
    Fstatvfs,
    /// A second name for a file.
    Hardlink,
    /// Write what is still in memory to the disk.
    Fsync,
    /// Set attributes of a symbolic link itself.
    Lsetstat,
    /// How much the server takes and gives at once.
    Limits,
    /// The absolute path of one that may begin with `~`.
    ExpandPath,
    /// Copy from one open file to another on the server.
    CopyData,
    /// The home directory of a user.
    HomeDirectory,
    /// The names of users and groups, by their numbers.
    UsersGroupsById,
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::PosixRename,
        Self::Statvfs,
        Self::Fstatvfs,
        Self::Hardlink,
        Self::Fsync,
        Self::Lsetstat,
        Self::Limits,
        Self::ExpandPath,
        Self::CopyData,
        Self::HomeDirectory,
        Self::UsersGroupsById,
    ];

    /// The name by which a server offers it and a request names it.
    pub fn name(self) -> &'static [u8] {
        match self {
            Self::PosixRename => b"posix-rename@openssh.com",
            Self::Statvfs => b"statvfs@openssh.com",
            Self::Fstatvfs => b"fstatvfs@openssh.com",
            Self::Hardlink => b"hardlink@openssh.com",
            Self::Fsync => b"fsync@openssh.com",
            Self::Lsetstat => b"lsetstat@openssh.com",
            Self::Limits => b"limits@openssh.com",
            Self::ExpandPath => b"expand-path@openssh.com",
            Self::CopyData => b"copy-data",
            Self::HomeDirectory => b"home-directory",
            Self::UsersGroupsById => b"users-groups-by-id@openssh.com",
        }
    }

    /// The revision that is understood here.
    pub fn revision(self) -> &'static [u8] {
        match self {
            Self::Statvfs | Self::Fstatvfs => b"2",
            _ => b"1",
        }
    }
}

/// How much a server takes and gives at once; 0 where it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// The longest packet that it takes.
    pub packet: u64,
    /// The most that one read gives.
    pub read: u64,
    /// The most that one write carries.
    pub write: u64,
    /// How many files may be open at once.
    pub handles: u64,
}

impl Limits {
    /// Reads the answer to [`Request::Limits`](super::Request::Limits).
    ///
    /// # Errors
    /// [`Violation`] where the body is not one.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let [packet, read, write, handles] = numbers(body)?;
        Ok(Self {
            packet,
            read,
            write,
            handles,
        })
    }

    /// The body of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            packet,
            read,
            write,
            handles,
        } = *self;
        put_numbers([packet, read, write, handles])
    }
}

/// The room of a file system, as POSIX's `statvfs` tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statvfs {
    /// Size of a block.
    pub block_size: u64,
    /// Size of a fragment: what the blocks below are counted in.
    pub fragment_size: u64,
    /// How many blocks there are.
    pub blocks: u64,
    /// How many are free.
    pub free: u64,
    /// How many are free for this user.
    pub available: u64,
    /// How many files there can be.
    pub files: u64,
    /// How many more there can be.
    pub files_free: u64,
    /// How many more this user can make.
    pub files_available: u64,
    /// A number of the file system.
    pub id: u64,
    /// Bit 0: it can only be read. Bit 1: set-user-id has no effect.
    pub flags: u64,
    /// The longest name, in bytes.
    pub longest_name: u64,
}

impl Statvfs {
    /// Reads the answer to a request for it.
    ///
    /// # Errors
    /// [`Violation`] where the body is not one.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let [
            block_size,
            fragment_size,
            blocks,
            free,
            available,
            files,
            files_free,
            files_available,
            id,
            flags,
            longest_name,
        ] = numbers(body)?;
        Ok(Self {
            block_size,
            fragment_size,
            blocks,
            free,
            available,
            files,
            files_free,
            files_available,
            id,
            flags,
            longest_name,
        })
    }

    /// The body of the answer.
    pub fn encode(&self) -> Vec<u8> {
        put_numbers([
            self.block_size,
            self.fragment_size,
            self.blocks,
            self.free,
            self.available,
            self.files,
            self.files_free,
            self.files_available,
            self.id,
            self.flags,
            self.longest_name,
        ])
    }
}

/// Names of users, and of groups; empty where the server knows none for a number.
type OwnerNames = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// Reads the answer to [`Request::UsersGroupsById`](super::Request::UsersGroupsById): a name for
/// each user that was asked for, and one for each group.
///
/// # Errors
/// [`Violation`] where the body is not one, or holds another number of names than was asked for.
pub fn owner_names(body: &[u8], users: usize, groups: usize) -> Result<OwnerNames, Violation> {
    let cut = cut(kind::EXTENDED_REPLY);
    let mut reader = Reader::new(body);
    let first = names(reader.string().map_err(&cut)?, users)?;
    let second = names(reader.string().map_err(&cut)?, groups)?;
    finish(kind::EXTENDED_REPLY, reader.rest())?;
    Ok((first, second))
}

/// A list of names within one string. The length of the list is known before it is read.
fn names(list: &[u8], count: usize) -> Result<Vec<Vec<u8>>, Violation> {
    let most = list.len() / 4;
    if count > most {
        return Err(Violation::Count {
            what: "names of owners",
            count: count as u32,
            most,
        });
    }
    let mut reader = Reader::new(list);
    let names = (0..count)
        .map(|_| reader.string().map(<[u8]>::to_vec))
        .collect::<Result<_, _>>()
        .map_err(cut(kind::EXTENDED_REPLY))?;
    finish(kind::EXTENDED_REPLY, reader.rest())?;
    Ok(names)
}

/// Numbers of users or groups, as one string.
pub(super) fn put_ids(out: &mut Vec<u8>, ids: &[u32]) {
    put_u32(out, 4 * ids.len() as u32);
    for id in ids {
        put_u32(out, *id);
    }
}

/// Names of owners, as one string.
#[cfg(test)]
fn put_names(out: &mut Vec<u8>, names: &[&[u8]]) {
    let mut list = Vec::new();
    names
        .iter()
        .for_each(|name| crate::wire::put_string(&mut list, name));
    crate::wire::put_string(out, &list);
}

/// What is left, as numbers. Later revisions may append some.
fn numbers<const N: usize>(body: &[u8]) -> Result<[u64; N], Violation> {
    let mut reader = Reader::new(body);
    let mut all = [0; N];
    for number in &mut all {
        *number = reader.u64().map_err(cut(kind::EXTENDED_REPLY))?;
    }
    Ok(all)
}

fn put_numbers<const N: usize>(all: [u64; N]) -> Vec<u8> {
    all.iter().flat_map(|number| number.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_as_they_were_put() {
        let limits = Limits {
            packet: 262_144,
            read: 261_120,
            write: 261_120,
            handles: 1019,
        };
        assert_eq!(Limits::decode(&limits.encode()), Ok(limits));
        let room = Statvfs {
            block_size: 4096,
            longest_name: 255,
            ..Statvfs::default()
        };
        let body = room.encode();
        assert_eq!(Statvfs::decode(&body), Ok(room));
        assert!(Statvfs::decode(&body[..87]).is_err());
    }

    #[test]
    fn names_of_owners_are_as_many_as_were_asked_for() {
        let mut body = Vec::new();
        put_names(&mut body, &[b"root", b""]);
        put_names(&mut body, &[b"wheel"]);
        let read = owner_names(&body, 2, 1).unwrap();
        assert_eq!(
            read,
            (vec![b"root".to_vec(), Vec::new()], vec![b"wheel".to_vec()])
        );
        assert!(owner_names(&body, 1, 1).is_err());
        assert!(owner_names(&body, 2, 2).is_err());
        assert!(owner_names(&body, usize::MAX, 1).is_err());
    }
}
