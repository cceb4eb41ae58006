//! A client of a master, whoever's: it asks, and passes its descriptors.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rmux_proto::mux::{Answer, Client, ClientEvent, Notice, Request, SessionRequest};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

use super::receive;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{ForwardAgent, Host};
use crate::session::sent_environment;

/// How long a master may take for its greeting and its first answer, which need nothing of the
/// network.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to a master at a control socket, OpenSSH's or rmux's.
#[derive(Debug)]
pub struct ControlClient {
    path: PathBuf,
    stream: UnixStream,
    client: Client,
    pid: u32,
}

/// What a master shall run, on three descriptors of this process.
#[derive(Debug, Clone, Default)]
pub struct ControlRequest {
    request: SessionRequest,
}

/// A command that a master runs. Dropping it ends it as hanging up does.
#[derive(Debug)]
pub struct ControlChild {
    connection: ControlClient,
}

/// What a master tells of a command.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlEvent {
    /// The server gives it no terminal; it runs all the same.
    NoTerminal,
    /// It ended, with this exit status. Its output may still be on its way.
    Exit(u32),
}

impl ControlRequest {
    /// A line for the account's shell; a login shell where it is empty.
    pub fn shell(line: impl Into<Vec<u8>>) -> Self {
        Self {
            request: SessionRequest {
                command: line.into(),
                ..SessionRequest::default()
            },
        }
    }

    /// A subsystem of the server.
    pub fn subsystem(name: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::shell(name);
        request.request.subsystem = true;
        request
    }

    /// Gives it a terminal of this type, otherwise like the one behind the first descriptor.
    #[must_use]
    pub fn terminal(mut self, term: impl Into<Vec<u8>>) -> Self {
        self.request.tty = true;
        self.request.term = term.into();
        self
    }

    /// The character that begins an escape at that terminal. Default: none.
    #[must_use]
    pub fn escape(mut self, character: u8) -> Self {
        self.request.escape = Some(character);
        self
    }

    /// Lets it use the master's agent, if the master lends one. Default: no.
    #[must_use]
    pub fn agent(mut self, lend: bool) -> Self {
        self.request.agent = lend;
        self
    }

    /// Offers a variable: the master passes on what its own settings let through.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.request.env.push(format!("{name}={value}").into());
        self
    }

    /// Offers the variables of `SendEnv` and `SetEnv`, and lets it use the master's agent where
    /// `ForwardAgent` says so.
    #[must_use]
    pub fn settings_of(mut self, host: &Host) -> Self {
        for (name, value) in sent_environment(host) {
            self = self.env(&name, &value);
        }
        self.agent(host.forward_agent != ForwardAgent::No)
    }
}

impl ControlClient {
    /// Connects, and makes sure that a master answers, which takes 2 s at most.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no socket, [`ErrorKind::ConnectFailed`] where nobody
    /// listens any more, [`ErrorKind::TimedOut`] where nobody answers, and
    /// [`ErrorKind::ProtocolViolation`] where something else than a master does.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let answered = tokio::time::timeout(PATIENCE, Self::greet(path)).await;
        answered.unwrap_or_else(|_| {
            let what = format!(
                "the master at {} does not answer within {PATIENCE:?}",
                path.display()
            );
            Err(Error::new(ErrorKind::TimedOut, "connect", what))
        })
    }

    async fn greet(path: &Path) -> Result<Self> {
        // A full queue of a master that takes nobody in: asked again until the time is over.
        let stream = loop {
            match UnixStream::connect(path).await {
                Ok(stream) => break stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    let what = format!("nobody listens at {} any more", path.display());
                    let error = Error::new(ErrorKind::ConnectFailed, "connect", what);
                    return Err(
                        error.with_source(io::Error::from(io::ErrorKind::ConnectionRefused))
                    );
                }
                Err(error) => return Err(Error::io("connect", path.display(), error)),
            }
        };
        let mut connection = Self {
            path: path.to_owned(),
            stream,
            client: Client::new(),
            pid: 0,
        };
        match connection.ask(&Request::AliveCheck).await? {
            Answer::Alive { pid } => connection.pid = pid,
            other => return Err(connection.refused(other)),
        }
        Ok(connection)
    }

    /// The master's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells the master to end at once, with all that it serves.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] or [`ErrorKind::Unsupported`] where it does not.
    ///
    /// # Cancel safety
    /// Cancel safe; it may end all the same.
    pub async fn terminate(mut self) -> Result<()> {
        match self.ask(&Request::Terminate).await {
            Ok(Answer::Ok) => Ok(()),
            Ok(other) => Err(self.refused(other)),
            // Some just go.
            Err(error) if error.kind() == ErrorKind::Disconnected => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Tells the master to take no further clients.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] or [`ErrorKind::Unsupported`] where it does not.
    ///
    /// # Cancel safety
    /// Cancel safe; it may be done all the same.
    pub async fn stop_listening(mut self) -> Result<()> {
        match self.ask(&Request::StopListening).await? {
            Answer::Ok => Ok(()),
            other => Err(self.refused(other)),
        }
    }

    /// Has the master run something on these descriptors: standard input, output and error.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] or [`ErrorKind::ChannelRefused`] where nothing was started, and
    /// as any use of a connection that breaks.
    ///
    /// # Cancel safety
    /// Cancel safe in that hanging up ends what was started.
    pub async fn run(
        mut self,
        request: &ControlRequest,
        stdio: [BorrowedFd<'_>; 3],
    ) -> Result<ControlChild> {
        let id = self
            .client
            .ask(&Request::NewSession(request.request.clone()));
        self.flush().await?;
        for descriptor in stdio {
            self.pass(descriptor).await?;
        }
        match self.answer(id).await? {
            Answer::SessionOpened { .. } => Ok(ControlChild { connection: self }),
            Answer::Failure(why) => Err(self.error(ErrorKind::ChannelRefused, &why)),
            other => Err(self.refused(other)),
        }
    }

    /// Waits until the master closes the connection.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }

    async fn ask(&mut self, request: &Request) -> Result<Answer> {
        let id = self.client.ask(request);
        self.flush().await?;
        self.answer(id).await
    }

    async fn flush(&mut self) -> Result<()> {
        let output = self.client.output();
        let sent = self.stream.write_all(&output).await;
        sent.map_err(|error| self.broken(&error))
    }

    async fn pass(&self, descriptor: BorrowedFd<'_>) -> Result<()> {
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(
                &descriptor,
            )));
            let byte = [IoSlice::new(&[0])];
            sendmsg(&self.stream, &byte, &mut control, SendFlags::empty())?;
            Ok(())
        };
        let sent = self.stream.async_io(Interest::WRITABLE, send).await;
        sent.map_err(|error| self.broken(&error))
    }

    async fn answer(&mut self, wanted: u32) -> Result<Answer> {
        loop {
            match self.next().await? {
                Some(ClientEvent::Answered { id, answer }) if id == wanted => return Ok(answer),
                Some(_) => {}
                None => {
                    let what = format!("the master at {} has gone", self.path.display());
                    return Err(Error::new(ErrorKind::Disconnected, "connect", what));
                }
            }
        }
    }

    /// What the master says next; none when it has closed the connection.
    async fn next(&mut self) -> Result<Option<ClientEvent>> {
        let mut buffer = [0; 1024];
        loop {
            let most = self.client.need().min(buffer.len());
            let read = receive::bytes(&self.stream, &mut buffer[..most]).await;
            let length = match read {
                Ok(0) => return Ok(None),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(self.broken(&error)),
            };
            match self.client.take(&mut &buffer[..length]) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(violation) => {
                    let what = format!("{} is no master: {violation}", self.path.display());
                    let error = Error::new(ErrorKind::ProtocolViolation, "connect", what);
                    return Err(error.with_source(violation));
                }
            }
        }
    }

    fn broken(&self, error: &io::Error) -> Error {
        let what = format!("the master at {}: {error}", self.path.display());
        Error::new(ErrorKind::Disconnected, "connect", what)
    }

    fn refused(&self, answer: Answer) -> Error {
        match answer {
            Answer::PermissionDenied(why) => self.error(ErrorKind::PermissionDenied, &why),
            Answer::Failure(why) => self.error(ErrorKind::Unsupported, &why),
            _ => self.error(ErrorKind::ProtocolViolation, b"it gave another answer"),
        }
    }

    fn error(&self, kind: ErrorKind, why: &[u8]) -> Error {
        let why = crate::printable::printable(&String::from_utf8_lossy(why));
        let what = format!("the master at {} refused: {why}", self.path.display());
        Error::new(kind, "run", what)
    }
}

impl ControlChild {
    /// The master's process. It reads its clients' terminals' sizes anew when it gets `SIGWINCH`.
    pub fn master(&self) -> u32 {
        self.connection.pid
    }

    /// What the master tells next; none when all is over and all output is written.
    ///
    /// # Errors
    /// Where it says what no master says.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<Option<ControlEvent>> {
        while let Some(event) = self.connection.next().await? {
            match event {
                ClientEvent::Notice(Notice::Exit { status, .. }) => {
                    return Ok(Some(ControlEvent::Exit(status)));
                }
                ClientEvent::Notice(Notice::NoTerminal { .. }) => {
                    return Ok(Some(ControlEvent::NoTerminal));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}
