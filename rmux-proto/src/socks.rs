//! The server's side of SOCKS 4, 4a and 5 (RFC 1928), with names and passwords (RFC 1929): bytes of
//! the client in, answers and the request out.
//!
//! Connecting is all that is offered: BIND and UDP are refused. Nothing is allocated from a claimed
//! length, and no more is kept than the longest request takes and what came along with it. Must not
//! know who connects, or how.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest name of a user and of a host in SOCKS 4, which has no bound of its own.
const LONGEST: usize = 255;

/// What a client must show, where it must.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub name: Vec<u8>,
    /// The password.
    pub password: Vec<u8>,
}

impl Credentials {
    /// Whether these are the same. Takes as long whatever differs.
    pub fn is(&self, name: &[u8], password: &[u8]) -> bool {
        same(&self.name, name) & same(&self.password, password)
    }
}

fn same(own: &[u8], given: &[u8]) -> bool {
    let mut differs = own.len() ^ given.len();
    for (index, byte) in own.iter().enumerate() {
        differs |= usize::from(byte ^ given.get(index).unwrap_or(&0));
    }
    differs == 0
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Where the client wants to be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name, or an address as text.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read more from the client.
    Read,
    /// Send this, and go on.
    Send(Vec<u8>),
    /// Connect, and [tell](Negotiation::reply) what came of it.
    Connect(Target),
    /// Send this, and end the connection.
    Refuse(Vec<u8>, Refusal),
}

/// Why a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The first byte is that of no version of SOCKS.
    #[error("the client does not speak SOCKS")]
    NoSocks,
    /// It offers no way to log in that is taken.
    #[error("the client cannot log in: it must give a name and a password")]
    NoMethod,
    /// Name or password are wrong.
    #[error("the client's name or password is wrong")]
    WrongPassword,
    /// It wants something else than to connect.
    #[error("the client asks for something else than to connect")]
    Command,
    /// It names no place that can be connected to.
    #[error("the client names no place to connect to")]
    Address,
    /// It breaks the protocol.
    #[error("the client breaks the SOCKS protocol")]
    Malformed,
}

/// How connecting went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The connection is there.
    Connected,
    /// It is not allowed.
    NotAllowed,
    /// The other side cannot be reached.
    Unreachable,
    /// The other side refused.
    Refused,
    /// It failed for another reason.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Password,
    Request,
    /// The request is told.
    Four,
    Five,
    Refused,
}

/// One client's request.
#[derive(Debug)]
pub struct Negotiation {
    state: State,
    credentials: Option<Credentials>,
    input: Vec<u8>,
}

impl Negotiation {
    /// With these credentials every client must log in, which SOCKS 4 cannot.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self {
            state: State::Greeting,
            credentials,
            input: Vec::new(),
        }
    }

    /// Takes in what the client sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What to do next. To be asked again after [`Step::Send`].
    pub fn step(&mut self) -> Step {
        let done = match self.state {
            State::Greeting => self.greeting(),
            State::Password => self.password(),
            State::Request => self.request(),
            State::Four | State::Five | State::Refused => None,
        };
        done.unwrap_or(Step::Read)
    }

    /// What to send once it is known how connecting went.
    pub fn reply(&self, outcome: Outcome) -> Vec<u8> {
        if self.state == State::Four {
            let code = if outcome == Outcome::Connected {
                90
            } else {
                91
            };
            return vec![0, code, 0, 0, 0, 0, 0, 0];
        }
        five(match outcome {
            Outcome::Connected => 0,
            Outcome::Failed => 1,
            Outcome::NotAllowed => 2,
            Outcome::Unreachable => 4,
            Outcome::Refused => 5,
        })
    }

    /// What the client sent behind its request: the beginning of what is for the other side.
    pub fn into_rest(self) -> Vec<u8> {
        self.input
    }

    fn refuse(&mut self, answer: &[u8], why: Refusal) -> Option<Step> {
        self.state = State::Refused;
        Some(Step::Refuse(answer.to_vec(), why))
    }

    fn greeting(&mut self) -> Option<Step> {
        match *self.input.first()? {
            4 => self.four(),
            5 => {
                let count = usize::from(*self.input.get(1)?);
                let methods = self.input.get(2..2 + count)?;
                // Of those offered: none, or name and password.
                let wanted = if self.credentials.is_some() { 2 } else { 0 };
                if !methods.contains(&wanted) {
                    return self.refuse(&[5, 0xff], Refusal::NoMethod);
                }
                self.input.drain(..2 + count);
                self.state = match wanted {
                    2 => State::Password,
                    _ => State::Request,
                };
                Some(Step::Send(vec![5, wanted]))
            }
            _ => self.refuse(&[], Refusal::NoSocks),
        }
    }

    fn password(&mut self) -> Option<Step> {
        if *self.input.first()? != 1 {
            return self.refuse(&[], Refusal::Malformed);
        }
        let name_end = 2 + usize::from(*self.input.get(1)?);
        let end = name_end + 1 + usize::from(*self.input.get(name_end)?);
        let name = self.input.get(2..name_end)?;
        let password = self.input.get(name_end + 1..end)?;
        let known = self.credentials.as_ref();
        if !known.is_some_and(|known| known.is(name, password)) {
            return self.refuse(&[1, 1], Refusal::WrongPassword);
        }
        self.input.drain(..end);
        self.state = State::Request;
        Some(Step::Send(vec![1, 0]))
    }

    fn request(&mut self) -> Option<Step> {
        let [version, command, zero, kind] = *self.input.first_chunk()?;
        if version != 5 || zero != 0 {
            return self.refuse(&five(1), Refusal::Malformed);
        }
        if command != 1 {
            return self.refuse(&five(7), Refusal::Command);
        }
        let (host, end) = match kind {
            1 => {
                let octets: [u8; 4] = self.input.get(4..8)?.try_into().ok()?;
                (Some(Ipv4Addr::from(octets).to_string()), 8)
            }
            3 => {
                let end = 5 + usize::from(*self.input.get(4)?);
                (name(self.input.get(5..end)?), end)
            }
            4 => {
                let octets: [u8; 16] = self.input.get(4..20)?.try_into().ok()?;
                (Some(Ipv6Addr::from(octets).to_string()), 20)
            }
            _ => return self.refuse(&five(8), Refusal::Address),
        };
        let port = u16::from_be_bytes(self.input.get(end..end + 2)?.try_into().ok()?);
        let Some(host) = host else {
            return self.refuse(&five(1), Refusal::Address);
        };
        self.input.drain(..end + 2);
        self.state = State::Five;
        Some(Step::Connect(Target { host, port }))
    }

    /// A request of SOCKS 4, or 4a where the address says that a name follows.
    fn four(&mut self) -> Option<Step> {
        const REJECTED: [u8; 8] = [0, 91, 0, 0, 0, 0, 0, 0];
        let [_, command, high, low, a, b, c, d] = *self.input.first_chunk()?;
        if self.credentials.is_some() {
            return self.refuse(&REJECTED, Refusal::NoMethod);
        }
        if command != 1 {
            return self.refuse(&REJECTED, Refusal::Command);
        }
        let text_at = |from: usize| {
            let rest = &self.input[from..];
            match rest.iter().take(LONGEST + 1).position(|byte| *byte == 0) {
                Some(length) => Ok(Some(from + length)),
                None if rest.len() > LONGEST => Err(()),
                None => Ok(None),
            }
        };
        let Ok(user_end) = text_at(8) else {
            return self.refuse(&REJECTED, Refusal::Malformed);
        };
        let mut end = user_end?;
        let host = if [a, b, c] == [0; 3] && d != 0 {
            let start = end + 1;
            let Ok(name_end) = text_at(start) else {
                return self.refuse(&REJECTED, Refusal::Malformed);
            };
            end = name_end?;
            name(&self.input[start..end])
        } else {
            Some(Ipv4Addr::new(a, b, c, d).to_string())
        };
        let Some(host) = host else {
            return self.refuse(&REJECTED, Refusal::Address);
        };
        self.input.drain(..=end);
        self.state = State::Four;
        let port = u16::from_be_bytes([high, low]);
        Some(Step::Connect(Target { host, port }))
    }
}

/// A name that somebody may be asked for.
fn name(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = !text.is_empty() && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// An answer of SOCKS 5, with no address of our own.
fn five(code: u8) -> Vec<u8> {
    vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// For the fuzzer: whatever comes, in whatever pieces, it ends and tells the same.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>, login: bool| {
        let credentials = login.then(|| Credentials {
            name: b"u".to_vec(),
            password: b"p".to_vec(),
        });
        let mut negotiation = Negotiation::new(credentials);
        let mut steps = Vec::new();
        for piece in pieces {
            negotiation.feed(piece);
            loop {
                let step = negotiation.step();
                if step == Step::Read {
                    break;
                }
                let last = !matches!(step, Step::Send(_));
                steps.push(step);
                assert!(steps.len() < 4, "a negotiation of three steps");
                if last {
                    break;
                }
            }
        }
        let over = matches!(steps.last(), Some(Step::Connect(_) | Step::Refuse(..)));
        let rest = negotiation.into_rest().len();
        assert!(over || rest <= 2 * (LONGEST + 4) + 8, "{rest} bytes wait");
        steps
    };
    for login in [false, true] {
        let whole = run(&mut std::iter::once(data), login);
        assert_eq!(whole, run(&mut data.chunks(1), login));
    }
}
