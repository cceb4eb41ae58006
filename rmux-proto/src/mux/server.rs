//! The master's side of one client's connection.

use super::{
    Answer, Forward, Frames, Hello, Notice, Numbered, Request, SessionRequest, Violation, cut, kind,
};
use crate::wire::Reader;

/// What the next thing to read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// At most so many bytes; descriptors that come with them were not asked for.
    Bytes(usize),
    /// One byte, and the descriptor that comes with it.
    Descriptor,
    /// Nothing: a session is being opened, and what comes next is read when that was answered.
    Nothing,
}

/// What a client wants. Each is to be [answered](Server::answer).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent<D> {
    /// To run something with these as its standard input, output and error.
    NewSession {
        /// The number of the request.
        id: u32,
        /// What shall run.
        session: SessionRequest,
        /// The descriptors.
        stdio: [D; 3],
    },
    /// To connect these two, what is read and what is written, with a host of the server's network.
    StdioForward {
        /// The number of the request.
        id: u32,
        /// The host.
        host: Vec<u8>,
        /// The port, which may be none.
        port: u32,
        /// The descriptors.
        stdio: [D; 2],
    },
    /// To begin a forward, which is sound.
    OpenForward {
        /// The number of the request.
        id: u32,
        /// The forward.
        forward: Forward,
    },
    /// To end a forward.
    CloseForward {
        /// The number of the request.
        id: u32,
        /// The forward.
        forward: Forward,
    },
    /// Whether the master is there.
    AliveCheck {
        /// The number of the request.
        id: u32,
    },
    /// To end at once.
    Terminate {
        /// The number of the request.
        id: u32,
    },
    /// To take no further clients.
    StopListening {
        /// The number of the request.
        id: u32,
    },
    /// To pass raw messages on.
    Proxy {
        /// The number of the request.
        id: u32,
    },
    /// For text.
    ExtInfo {
        /// The number of the request.
        id: u32,
        /// About what.
        what: Vec<u8>,
    },
}

/// What of a request was read whose descriptors are still to come.
#[derive(Debug)]
struct Partial<D> {
    numbered: Numbered,
    descriptors: Vec<D>,
}

/// The master's side of one client's connection. `D` is what stands for a passed descriptor.
///
/// What a master never does is answered here: unknown requests, unsound forwards, and a second
/// session on one connection, with OpenSSH's words, since clients print them.
#[derive(Debug)]
pub struct Server<D> {
    frames: Frames,
    greeted: bool,
    partial: Option<Partial<D>>,
    /// The number of the request for a session that is being opened.
    opening: Option<u32>,
    /// The connection has its session, or had one.
    has_session: bool,
    output: Vec<u8>,
}

impl<D> Default for Server<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D> Server<D> {
    /// At the start of a connection, where the master greets at once.
    pub fn new() -> Self {
        let mut output = Vec::new();
        Hello::default().encode(&mut output);
        Self {
            frames: Frames::new(),
            greeted: false,
            partial: None,
            opening: None,
            has_session: false,
            output,
        }
    }

    /// What is to be read next.
    pub fn need(&self) -> Need {
        if self.opening.is_some() {
            Need::Nothing
        } else if self.partial.is_some() {
            Need::Descriptor
        } else {
            Need::Bytes(self.frames.need())
        }
    }

    /// Takes from `input` up to the end of the message, and tells what the client wants by it. Takes
    /// nothing while no bytes are [needed](Self::need).
    ///
    /// # Errors
    /// [`Violation`]: the connection is to be closed without an answer.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<ServerEvent<D>>, Violation> {
        if !matches!(self.need(), Need::Bytes(_)) {
            return Ok(None);
        }
        let Some(message) = self.frames.next(input)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(&message);
        let of = reader.u32().map_err(cut(0))?;
        if of == kind::HELLO {
            if self.greeted {
                return Err(Violation::SecondHello);
            }
            Hello::decode(&mut reader)?;
            self.greeted = true;
            return Ok(None);
        }
        if !self.greeted {
            return Err(Violation::BeforeHello(of));
        }
        let numbered = Numbered::decode(of, &mut reader)?;
        if numbered.request.descriptors() > 0 {
            self.partial = Some(Partial {
                numbered,
                descriptors: Vec::new(),
            });
            return Ok(None);
        }
        Ok(self.plain(numbered))
    }

    /// Takes a descriptor that came; gives it back where none is needed.
    ///
    /// # Errors
    /// The descriptor.
    pub fn take_descriptor(&mut self, descriptor: D) -> Result<Option<ServerEvent<D>>, D> {
        let Some(partial) = self.partial.as_mut().filter(|_| self.opening.is_none()) else {
            return Err(descriptor);
        };
        partial.descriptors.push(descriptor);
        if partial.descriptors.len() < partial.numbered.request.descriptors() {
            return Ok(None);
        }
        let whole = self.partial.take().expect("it was just there");
        Ok(self.with_descriptors(whole))
    }

    /// Answers a request.
    pub fn answer(&mut self, id: u32, answer: &Answer) {
        answer.encode(id, &mut self.output);
        if self.opening == Some(id) {
            self.opening = None;
            self.has_session = matches!(answer, Answer::SessionOpened { .. });
        }
    }

    /// Tells of the session.
    pub fn notify(&mut self, notice: Notice) {
        notice.encode(&mut self.output);
    }

    /// Whether anything is to be sent.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// What is to be sent, which is taken away by this.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn plain(&mut self, Numbered { id, request }: Numbered) -> Option<ServerEvent<D>> {
        Some(match request {
            Request::AliveCheck => ServerEvent::AliveCheck { id },
            Request::Terminate => ServerEvent::Terminate { id },
            Request::StopListening => ServerEvent::StopListening { id },
            Request::Proxy => ServerEvent::Proxy { id },
            Request::ExtInfo(what) => ServerEvent::ExtInfo { id, what },
            Request::CloseForward(forward) => ServerEvent::CloseForward { id, forward },
            Request::OpenForward(forward) if forward.is_sound() => {
                ServerEvent::OpenForward { id, forward }
            }
            Request::OpenForward(_) => return self.fail(id, "Invalid forwarding request"),
            Request::NewSession(_) | Request::StdioForward { .. } | Request::Other(_) => {
                return self.fail(id, "unsupported request");
            }
        })
    }

    fn with_descriptors(&mut self, partial: Partial<D>) -> Option<ServerEvent<D>> {
        let Numbered { id, request } = partial.numbered;
        if self.has_session {
            return self.fail(id, "Multiple sessions not supported");
        }
        let mut descriptors = partial.descriptors.into_iter();
        let mut next = || descriptors.next();
        let event = match request {
            Request::NewSession(session) => ServerEvent::NewSession {
                id,
                session,
                stdio: [next()?, next()?, next()?],
            },
            Request::StdioForward { host, port } => ServerEvent::StdioForward {
                id,
                host,
                port,
                stdio: [next()?, next()?],
            },
            _ => return None,
        };
        self.opening = Some(id);
        Some(event)
    }

    fn fail(&mut self, id: u32, why: &str) -> Option<ServerEvent<D>> {
        self.answer(id, &Answer::Failure(why.into()));
        None
    }
}
