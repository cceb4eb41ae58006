//! What a client asks a master for.

use super::{Forward, MAX_ENV, Violation, cut, framed, kind};
use crate::wire::{Reader, put_string, put_u32};

/// What stands for "no escape character".
const NO_ESCAPE: u32 = u32::MAX;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// To run something. Three descriptors follow: its standard input, output and error.
    NewSession(SessionRequest),
    /// Whether the master is there.
    AliveCheck,
    /// To end at once.
    Terminate,
    /// To begin a forward.
    OpenForward(Forward),
    /// To end a forward.
    CloseForward(Forward),
    /// To connect two descriptors, which follow, with this host and port of the server's network.
    StdioForward {
        /// The host.
        host: Vec<u8>,
        /// The port.
        port: u32,
    },
    /// To take no further clients, and to end with the last session.
    StopListening,
    /// To become a raw SSH connection behind authentication.
    Proxy,
    /// For text about the `connection` or its `channels` (OpenSSH 10.3).
    ExtInfo(Vec<u8>),
    /// Something else, of this type.
    Other(u32),
}

/// What shall run, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionRequest {
    /// Whether it gets a terminal like the one behind the first descriptor.
    pub tty: bool,
    /// Whether X11 is to be forwarded.
    pub x11: bool,
    /// Whether the agent is to be forwarded.
    pub agent: bool,
    /// Whether the command names a subsystem.
    pub subsystem: bool,
    /// The character that begins an escape, where there is one.
    pub escape: Option<u8>,
    /// The terminal's type.
    pub term: Vec<u8>,
    /// The command; empty for a login shell.
    pub command: Vec<u8>,
    /// `NAME=value` each.
    pub env: Vec<Vec<u8>>,
}

/// A request with its number, as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// What the answer is to name.
    pub id: u32,
    /// What is asked for.
    pub request: Request,
}

impl Request {
    /// How many descriptors follow.
    pub fn descriptors(&self) -> usize {
        match self {
            Self::NewSession(_) => 3,
            Self::StdioForward { .. } => 2,
            _ => 0,
        }
    }

    /// Appends the whole message.
    ///
    /// # Panics
    /// If it is longer than a message can say.
    pub fn encode(&self, id: u32, out: &mut Vec<u8>) {
        framed(out, |out| {
            put_u32(out, self.kind());
            put_u32(out, id);
            match self {
                Self::NewSession(session) => session.put(out),
                Self::OpenForward(forward) | Self::CloseForward(forward) => forward.put(out),
                Self::StdioForward { host, port } => {
                    put_string(out, b"");
                    put_string(out, host);
                    put_u32(out, *port);
                }
                Self::ExtInfo(what) => put_string(out, what),
                Self::AliveCheck
                | Self::Terminate
                | Self::StopListening
                | Self::Proxy
                | Self::Other(_) => {}
            }
        });
    }

    pub(super) fn kind(&self) -> u32 {
        match self {
            Self::NewSession(_) => kind::NEW_SESSION,
            Self::AliveCheck => kind::ALIVE_CHECK,
            Self::Terminate => kind::TERMINATE,
            Self::OpenForward(_) => kind::OPEN_FORWARD,
            Self::CloseForward(_) => kind::CLOSE_FORWARD,
            Self::StdioForward { .. } => kind::STDIO_FORWARD,
            Self::StopListening => kind::STOP_LISTENING,
            Self::Proxy => kind::PROXY,
            Self::ExtInfo(_) => kind::EXT_INFO,
            Self::Other(kind) => *kind,
        }
    }
}

impl Numbered {
    /// Reads what stands behind the type. What follows the last value is a later version's, and left
    /// alone, as OpenSSH does.
    pub(super) fn decode(of: u32, reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let id = reader.u32().map_err(cut(of))?;
        let request = match of {
            kind::NEW_SESSION => Request::NewSession(SessionRequest::decode(reader)?),
            kind::ALIVE_CHECK => Request::AliveCheck,
            kind::TERMINATE => Request::Terminate,
            kind::OPEN_FORWARD => Request::OpenForward(Forward::decode(reader, cut(of))?),
            kind::CLOSE_FORWARD => Request::CloseForward(Forward::decode(reader, cut(of))?),
            kind::STDIO_FORWARD => {
                reader.string().map_err(cut(of))?;
                Request::StdioForward {
                    host: reader.string().map_err(cut(of))?.to_vec(),
                    port: reader.u32().map_err(cut(of))?,
                }
            }
            kind::STOP_LISTENING => Request::StopListening,
            kind::PROXY => Request::Proxy,
            kind::EXT_INFO => Request::ExtInfo(reader.string().map_err(cut(of))?.to_vec()),
            other => Request::Other(other),
        };
        Ok(Self { id, request })
    }
}

impl SessionRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let cut = cut(kind::NEW_SESSION);
        reader.string().map_err(&cut)?;
        let mut flag = || Ok(reader.u32().map_err(&cut)? != 0);
        let (tty, x11, agent, subsystem) = (flag()?, flag()?, flag()?, flag()?);
        let escape = reader.u32().map_err(&cut)?;
        let term = reader.string().map_err(&cut)?.to_vec();
        let command = reader.string().map_err(&cut)?.to_vec();
        let mut env = Vec::new();
        while !reader.rest().is_empty() {
            if env.len() == MAX_ENV {
                return Err(Violation::TooMany {
                    what: "variables",
                    most: MAX_ENV,
                });
            }
            env.push(reader.string().map_err(&cut)?.to_vec());
        }
        Ok(Self {
            tty,
            x11,
            agent,
            subsystem,
            // No key has a larger number.
            escape: u8::try_from(escape).ok(),
            term,
            command,
            env,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_string(out, b"");
        for flag in [self.tty, self.x11, self.agent, self.subsystem] {
            put_u32(out, u32::from(flag));
        }
        put_u32(out, self.escape.map_or(NO_ESCAPE, u32::from));
        put_string(out, &self.term);
        put_string(out, &self.command);
        for variable in &self.env {
            put_string(out, variable);
        }
    }
}
