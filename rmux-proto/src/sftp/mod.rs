//! SFTP, version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions (its file PROTOCOL).
//!
//! Packets both ways, as bytes; the table of requests that wait for their replies; how much may be
//! under way. Knows no channel, clock or file. Paths, names and handles are bytes: nothing here
//! takes them for text.
//!
//! A client [encodes](Request::encode) a request, numbers it by [`Requests::insert`], and sends its
//! parts. What comes back goes through [`Frames`], and each frame to [`Requests::answer`].
//!
//! ```
//! use bytes::Bytes;
//! use rmux_proto::sftp::{Frames, Reply, Request, Requests, Status, StatusCode};
//!
//! let mut requests = Requests::new();
//! let mut wanted = Request::Remove { path: b"old" }.encode();
//! let id = requests.insert(wanted.expect(), "remove old");
//! wanted.set_id(id);
//!
//! let answer = Reply::Status(Status::new(StatusCode::Ok, "")).encode(id);
//! let frame = Frames::new().next(&mut Bytes::from(answer))?.expect("it is whole");
//! let (what, reply) = requests.answer(frame)?;
//! assert_eq!(what, "remove old");
//! assert!(matches!(reply, Reply::Status(status) if status.code == StatusCode::Ok));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attributes;
mod extension;
mod frames;
mod fuzz;
mod hello;
mod pace;
mod reply;
mod request;
mod requests;
mod status;

pub use attributes::{Attributes, FileType};
pub use extension::{Extension, Limits, Statvfs, owner_names};
pub use frames::{Frame, Frames, Pieces};
pub use fuzz::{fuzz_attributes, fuzz_sftp};
pub use hello::{Extensions, Hello};
pub use pace::Pace;
pub use reply::{Name, Reply};
pub use request::{Expect, OpenFlags, Outgoing, Request};
pub use requests::Requests;
pub use status::{Status, StatusCode};

use crate::wire::Truncated;

/// The only version that is spoken here, and by OpenSSH.
pub const VERSION: u32 = 3;
/// The longest packet, without its own length: what OpenSSH sends and takes at most.
pub const MAX_PACKET: usize = 256 << 10;
/// The longest handle (draft, section 6.2).
pub const MAX_HANDLE: usize = 256;
/// The most that one read or write carries: a packet of [`MAX_PACKET`] and what stands around the
/// data, as OpenSSH counts it.
pub const MAX_DATA: u32 = (MAX_PACKET - 1024) as u32;
/// What every server takes in one write and gives in one read (draft, section 3).
pub const SAFE_DATA: u32 = 32 << 10;

/// How the peer broke the protocol. Nothing can be made of what it sends afterwards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A packet that is longer than any may be. Text in the place of packets looks like that.
    #[error("a packet claims {length} bytes, more than {MAX_PACKET}")]
    TooLong {
        /// The length that it claims.
        length: u32,
        /// The four bytes that were read as a length.
        bytes: [u8; 4],
    },
    /// A packet too short to hold its type and number.
    #[error("a packet of {0} bytes is too short to be one")]
    TooShort(u32),
    /// A packet that ends within a value.
    #[error("a packet of type {kind} is cut short: {cut}")]
    Cut {
        /// The packet's type.
        kind: u8,
        /// What was missing.
        cut: Truncated,
    },
    /// A packet that goes on behind its last value.
    #[error("a packet of type {kind} has {left} bytes too many")]
    Trailing {
        /// The packet's type.
        kind: u8,
        /// How many bytes were left.
        left: usize,
    },
    /// A type that is not one of those that may come here.
    #[error("a packet of type {0} has no place here")]
    Unexpected(u8),
    /// A version of the protocol that was not offered.
    #[error("the other side speaks version {0}, not {VERSION}")]
    Version(u32),
    /// A count of things that the rest of the packet has no room for.
    #[error("a packet claims {count} {what} and has room for {most}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there should be.
        count: u32,
        /// How many fit at most.
        most: usize,
    },
    /// A handle longer than [`MAX_HANDLE`].
    #[error("a handle has {0} bytes, more than {MAX_HANDLE}")]
    LongHandle(usize),
    /// A reply to a request that was never sent.
    #[error("a reply to request {0}, which was never sent")]
    Unasked(u32),
    /// A second reply to one request.
    #[error("a second reply to request {0}")]
    AnsweredTwice(u32),
    /// A reply of a kind that is none to what was asked.
    #[error("request {id} was answered with a packet of type {kind}")]
    WrongKind {
        /// The number of the request.
        id: u32,
        /// The reply's type.
        kind: u8,
    },
    /// Success, where what was asked for should have come instead.
    #[error("request {0} was answered with \"done\" and nothing else")]
    EmptySuccess(u32),
    /// More data than was asked for.
    #[error("request {id} asked for {asked} bytes and got {got}")]
    TooMuchData {
        /// The number of the request.
        id: u32,
        /// How many bytes were asked for.
        asked: u32,
        /// How many came.
        got: usize,
    },
    /// An answer with one name that has none, or several.
    #[error("request {id} asked for one name and got {got}")]
    NotOneName {
        /// The number of the request.
        id: u32,
        /// How many names came.
        got: usize,
    },
}

/// The numbers of the packets' types (draft, section 3).
mod kind {
    pub(super) const INIT: u8 = 1;
    pub(super) const VERSION: u8 = 2;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const LSTAT: u8 = 7;
    pub(super) const FSTAT: u8 = 8;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const READDIR: u8 = 12;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const REALPATH: u8 = 16;
    pub(super) const STAT: u8 = 17;
    pub(super) const RENAME: u8 = 18;
    pub(super) const READLINK: u8 = 19;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const NAME: u8 = 104;
    pub(super) const ATTRS: u8 = 105;
    pub(super) const EXTENDED: u8 = 200;
    pub(super) const EXTENDED_REPLY: u8 = 201;
}

/// Nothing may stand behind the last value.
fn finish(kind: u8, rest: &[u8]) -> Result<(), Violation> {
    match rest.len() {
        0 => Ok(()),
        left => Err(Violation::Trailing { kind, left }),
    }
}

/// A packet that ended early, by its type.
fn cut(kind: u8) -> impl Fn(Truncated) -> Violation {
    move |cut| Violation::Cut { kind, cut }
}
