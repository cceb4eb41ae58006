//! OpenSSH's control sockets (its file PROTOCOL.mux): messages, and what each side may say when.
//!
//! A master listens on a unix socket; clients ask it for sessions and forwards over its connection.
//! Knows no socket: bytes go in and out, and a passed descriptor is whatever the caller takes for one.
//! Names, commands and variables are bytes: nothing here takes them for text.
//!
//! Descriptors travel outside of the bytes, right behind the request that they belong to, and whoever
//! reads on loses them. So both machines say what they [need](Server::need) next, and a caller reads
//! no more than that.
//!
//! ```
//! use rmux_proto::mux::{Answer, Client, ClientEvent, Request, Server, ServerEvent};
//!
//! let (mut client, mut server) = (Client::new(), Server::<()>::new());
//! let id = client.ask(&Request::AliveCheck);
//! let said = client.output();
//! let mut said = &said[..];
//! while !said.is_empty() {
//!     if let Some(ServerEvent::AliveCheck { id }) = server.take(&mut said)? {
//!         server.answer(id, &Answer::Alive { pid: 7 });
//!     }
//! }
//! let said = server.output();
//! let mut said = &said[..];
//! assert!(matches!(client.take(&mut said)?, Some(ClientEvent::Hello(_))));
//! let answered = ClientEvent::Answered { id, answer: Answer::Alive { pid: 7 } };
//! assert_eq!(client.take(&mut said)?, Some(answered));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod client;
mod forward;
mod frames;
mod fuzz;
mod hello;
mod request;
mod server;

pub use answer::{Answer, Message, Notice};
pub use client::{Client, ClientEvent};
pub use forward::{Endpoint, Forward, ForwardKind};
pub use frames::Frames;
pub use fuzz::{fuzz_mux_client, fuzz_mux_server};
pub use hello::Hello;
pub use request::{Numbered, Request, SessionRequest};
pub use server::{Need, Server, ServerEvent};

use crate::wire::Truncated;

/// The only version that is spoken here, and by OpenSSH.
pub const VERSION: u32 = 4;
/// The longest message, without its own length.
pub const MAX_MESSAGE: usize = 256 << 10;
/// The most environment variables of one session.
pub const MAX_ENV: usize = 4096;
/// The most extensions that one side may offer.
pub const MAX_EXTENSIONS: usize = 256;

/// How the peer broke the protocol. The connection is of no use afterwards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A message that is longer than any may be.
    #[error("a message claims {0} bytes, more than {MAX_MESSAGE}")]
    TooLong(u32),
    /// A message that ends within a value.
    #[error("a message of type {kind:#x} is cut short: {cut}")]
    Cut {
        /// The message's type; 0 where it has none.
        kind: u32,
        /// What was missing.
        cut: Truncated,
    },
    /// A version of the protocol that is not spoken.
    #[error("the other side speaks version {0}, not {VERSION}")]
    Version(u32),
    /// A message before the greeting.
    #[error("a message of type {0:#x} came before the greeting")]
    BeforeHello(u32),
    /// A second greeting.
    #[error("a second greeting")]
    SecondHello,
    /// More of something than there may be.
    #[error("more than {most} {what}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// A port that is none.
    #[error("{0} is no port")]
    Port(u32),
    /// Bytes in the place of a descriptor.
    #[error("bytes came in the place of a descriptor")]
    NoDescriptor,
    /// A type that is not one of those that may come from a master.
    #[error("a message of type {0:#x} has no place here")]
    Unexpected(u32),
    /// An answer to a request that was never sent, or was answered before.
    #[error("an answer to request {0}, which does not wait for one")]
    Unasked(u32),
    /// An answer of a kind that is none to what was asked.
    #[error("request {id} was answered with a message of type {kind:#x}")]
    WrongKind {
        /// The number of the request.
        id: u32,
        /// The answer's type.
        kind: u32,
    },
    /// News of a session that was not opened on this connection.
    #[error("news of session {0}, which was not opened here")]
    UnknownSession(u32),
}

/// The numbers of the messages' types.
mod kind {
    pub(super) const HELLO: u32 = 0x0000_0001;
    pub(super) const NEW_SESSION: u32 = 0x1000_0002;
    pub(super) const ALIVE_CHECK: u32 = 0x1000_0004;
    pub(super) const TERMINATE: u32 = 0x1000_0005;
    pub(super) const OPEN_FORWARD: u32 = 0x1000_0006;
    pub(super) const CLOSE_FORWARD: u32 = 0x1000_0007;
    pub(super) const STDIO_FORWARD: u32 = 0x1000_0008;
    pub(super) const STOP_LISTENING: u32 = 0x1000_0009;
    pub(super) const PROXY: u32 = 0x1000_000f;
    pub(super) const EXT_INFO: u32 = 0x2000_0001;
    pub(super) const OK: u32 = 0x8000_0001;
    pub(super) const PERMISSION_DENIED: u32 = 0x8000_0002;
    pub(super) const FAILURE: u32 = 0x8000_0003;
    pub(super) const EXIT: u32 = 0x8000_0004;
    pub(super) const ALIVE: u32 = 0x8000_0005;
    pub(super) const SESSION_OPENED: u32 = 0x8000_0006;
    pub(super) const REMOTE_PORT: u32 = 0x8000_0007;
    pub(super) const NO_TERMINAL: u32 = 0x8000_0008;
    pub(super) const PROXY_OPENED: u32 = 0x8000_000f;
    pub(super) const EXT_INFO_ANSWER: u32 = 0x9000_0001;
}

/// A message that ended early, by its type.
fn cut(kind: u32) -> impl Fn(Truncated) -> Violation {
    move |cut| Violation::Cut { kind, cut }
}

/// Appends a message: its length in front of what `put` writes.
fn framed(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    put(out);
    let length = u32::try_from(out.len() - start - 4).expect("a message is shorter");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
