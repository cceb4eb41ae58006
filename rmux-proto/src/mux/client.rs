//! The client's side of a connection to a master.

use std::collections::HashMap;

use super::{Answer, Frames, Hello, Message, Notice, Request, Violation, kind};

/// What a master told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// It is one, and speaks the same version.
    Hello(Hello),
    /// What came of a request.
    Answered {
        /// The number of the request.
        id: u32,
        /// The answer, which is one to what was asked.
        answer: Answer,
    },
    /// News of the session.
    Notice(Notice),
}

/// The client's side of a connection to a master.
///
/// The master's greeting need not be waited for before something is asked.
#[derive(Debug)]
pub struct Client {
    frames: Frames,
    greeted: bool,
    last_id: u32,
    /// The types of the requests that wait, by number.
    asked: HashMap<u32, u32>,
    session: Option<u32>,
    output: Vec<u8>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// At the start of a connection, where the client greets at once.
    pub fn new() -> Self {
        let mut output = Vec::new();
        Hello::default().encode(&mut output);
        Self {
            frames: Frames::new(),
            greeted: false,
            last_id: 0,
            asked: HashMap::new(),
            session: None,
            output,
        }
    }

    /// Asks for something, and gives the number that the answer will name. The request's
    /// [descriptors](Request::descriptors) are to be sent behind the [output](Self::output), each by
    /// itself, and before anything else.
    pub fn ask(&mut self, request: &Request) -> u32 {
        let id = self.last_id;
        self.last_id = self.last_id.wrapping_add(1);
        request.encode(id, &mut self.output);
        self.asked.insert(id, request.kind());
        id
    }

    /// What is to be sent, which is taken away by this.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// How many bytes may be read without reading past the end of the message, behind which the
    /// connection may be a raw one.
    pub fn need(&self) -> usize {
        self.frames.need()
    }

    /// Takes from `input` up to the end of the message, and tells what the master said by it.
    ///
    /// # Errors
    /// [`Violation`]: the connection is of no use.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<ClientEvent>, Violation> {
        let Some(message) = self.frames.next(input)? else {
            return Ok(None);
        };
        let message = Message::decode(&message)?;
        match message {
            Message::Hello(_) if self.greeted => Err(Violation::SecondHello),
            Message::Hello(hello) => {
                self.greeted = true;
                Ok(Some(ClientEvent::Hello(hello)))
            }
            Message::Answer(_, answer) if !self.greeted => {
                Err(Violation::BeforeHello(answer.kind()))
            }
            Message::Notice(notice) => {
                if self.session != Some(notice.session()) {
                    return Err(Violation::UnknownSession(notice.session()));
                }
                Ok(Some(ClientEvent::Notice(notice)))
            }
            Message::Answer(id, answer) => {
                let asked = self.asked.remove(&id).ok_or(Violation::Unasked(id))?;
                if !answers(asked, &answer) {
                    let kind = answer.kind();
                    return Err(Violation::WrongKind { id, kind });
                }
                if let Answer::SessionOpened { session } = answer {
                    self.session = Some(session);
                }
                Ok(Some(ClientEvent::Answered { id, answer }))
            }
        }
    }
}

/// Whether a request of this type may be answered so.
fn answers(asked: u32, answer: &Answer) -> bool {
    match answer {
        Answer::Failure(_) | Answer::PermissionDenied(_) => true,
        Answer::Ok => matches!(
            asked,
            kind::TERMINATE | kind::OPEN_FORWARD | kind::CLOSE_FORWARD | kind::STOP_LISTENING
        ),
        Answer::Alive { .. } => asked == kind::ALIVE_CHECK,
        Answer::SessionOpened { .. } => matches!(asked, kind::NEW_SESSION | kind::STDIO_FORWARD),
        Answer::RemotePort { .. } => asked == kind::OPEN_FORWARD,
        Answer::Proxy => asked == kind::PROXY,
        Answer::ExtInfo { .. } => asked == kind::EXT_INFO,
    }
}
