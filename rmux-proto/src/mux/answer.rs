//! What a master says: answers to requests, and news of a session.

use super::{Hello, Violation, cut, framed, kind};
use crate::wire::{Reader, put_string, put_u32};

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Ok,
    /// Somebody was asked and said no.
    PermissionDenied(Vec<u8>),
    /// It failed, and why.
    Failure(Vec<u8>),
    /// The master is there: its process.
    Alive {
        /// The process id, which may be sent signals.
        pid: u32,
    },
    /// What was to run runs, or two descriptors are connected; later news name this session.
    SessionOpened {
        /// The master's own number of the session.
        session: u32,
    },
    /// The server listens, on a port that it chose.
    RemotePort {
        /// The port.
        port: u32,
    },
    /// The connection is a raw one from here on.
    Proxy,
    /// Text that was asked for, or why there is none.
    ExtInfo {
        /// Whether it is what was asked for.
        ok: bool,
        /// The text.
        text: Vec<u8>,
    },
}

/// What a master says unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The command of this session ended. Its output ends with the connection, not here.
    Exit {
        /// The session, as its opening named it.
        session: u32,
        /// The exit status.
        status: u32,
    },
    /// The server gives this session no terminal; the command runs all the same.
    NoTerminal {
        /// The session, as its opening named it.
        session: u32,
    },
}

/// Everything that a master says, as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The greeting.
    Hello(Hello),
    /// An answer to the request of this number.
    Answer(u32, Answer),
    /// News.
    Notice(Notice),
}

impl Answer {
    /// Appends the whole message.
    ///
    /// # Panics
    /// If it is longer than a message can say.
    pub fn encode(&self, id: u32, out: &mut Vec<u8>) {
        framed(out, |out| {
            put_u32(out, self.kind());
            put_u32(out, id);
            match self {
                Self::Ok | Self::Proxy => {}
                Self::PermissionDenied(why) | Self::Failure(why) => put_string(out, why),
                Self::Alive { pid: number }
                | Self::SessionOpened { session: number }
                | Self::RemotePort { port: number } => put_u32(out, *number),
                Self::ExtInfo { ok, text } => {
                    put_u32(out, u32::from(*ok));
                    put_string(out, text);
                }
            }
        });
    }

    pub(super) fn kind(&self) -> u32 {
        match self {
            Self::Ok => kind::OK,
            Self::PermissionDenied(_) => kind::PERMISSION_DENIED,
            Self::Failure(_) => kind::FAILURE,
            Self::Alive { .. } => kind::ALIVE,
            Self::SessionOpened { .. } => kind::SESSION_OPENED,
            Self::RemotePort { .. } => kind::REMOTE_PORT,
            Self::Proxy => kind::PROXY_OPENED,
            Self::ExtInfo { .. } => kind::EXT_INFO_ANSWER,
        }
    }
}

impl Notice {
    /// Appends the whole message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        framed(out, |out| match self {
            Self::Exit { session, status } => {
                put_u32(out, kind::EXIT);
                put_u32(out, *session);
                put_u32(out, *status);
            }
            Self::NoTerminal { session } => {
                put_u32(out, kind::NO_TERMINAL);
                put_u32(out, *session);
            }
        });
    }

    /// The session that it is about.
    pub fn session(&self) -> u32 {
        match self {
            Self::Exit { session, .. } | Self::NoTerminal { session } => *session,
        }
    }
}

impl Message {
    /// Reads a master's message. What follows the last value is a later version's.
    ///
    /// # Errors
    /// [`Violation`] for one that cannot be read, or that no master sends.
    pub fn decode(message: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(message);
        let of = reader.u32().map_err(cut(0))?;
        if of == kind::HELLO {
            return Hello::decode(&mut reader).map(Self::Hello);
        }
        let number = reader.u32().map_err(cut(of))?;
        let text = |reader: &mut Reader<'_>| Ok(reader.string().map_err(cut(of))?.to_vec());
        let answer = match of {
            kind::EXIT => {
                return Ok(Self::Notice(Notice::Exit {
                    session: number,
                    status: reader.u32().map_err(cut(of))?,
                }));
            }
            kind::NO_TERMINAL => {
                return Ok(Self::Notice(Notice::NoTerminal { session: number }));
            }
            kind::OK => Answer::Ok,
            kind::PERMISSION_DENIED => Answer::PermissionDenied(text(&mut reader)?),
            kind::FAILURE => Answer::Failure(text(&mut reader)?),
            kind::ALIVE => Answer::Alive {
                pid: reader.u32().map_err(cut(of))?,
            },
            kind::SESSION_OPENED => Answer::SessionOpened {
                session: reader.u32().map_err(cut(of))?,
            },
            kind::REMOTE_PORT => Answer::RemotePort {
                port: reader.u32().map_err(cut(of))?,
            },
            kind::PROXY_OPENED => Answer::Proxy,
            kind::EXT_INFO_ANSWER => Answer::ExtInfo {
                ok: reader.u32().map_err(cut(of))? != 0,
                text: text(&mut reader)?,
            },
            other => return Err(Violation::Unexpected(other)),
        };
        Ok(Self::Answer(number, answer))
    }
}
