//! One client's connection to a master: what it asks for, done and answered in order.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rmux_proto::mux::{self, Answer, Need, Notice, Server, ServerEvent, SessionRequest};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

use super::carry;
use super::conversation::{self, Conversation};
use super::forwards::endpoint;
use super::master::{ControlEnd, Counted, Shared};
use super::receive;
use crate::error::{Error, ErrorKind};

/// The most that is read at once.
const PIECE: usize = 16 << 10;
/// How often it is looked whether a client has gone whose requests are not read for now.
const GLANCE: Duration = Duration::from_millis(200);

/// A client's connection.
pub(super) struct Connection {
    shared: Arc<Shared>,
    stream: UnixStream,
    server: Server<OwnedFd>,
    /// What runs for the client: its number, and its course.
    running: Option<(u32, Conversation)>,
    buffer: Vec<u8>,
    _counted: Counted,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, stream: UnixStream, counted: Counted) -> Self {
        Self {
            shared,
            stream,
            server: Server::new(),
            running: None,
            buffer: Vec::new(),
            _counted: counted,
        }
    }

    /// Serves the client until it hangs up, breaks the protocol, or its session has ended.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::debug!(%error, "a control connection was given up");
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            self.flush().await?;
            let happened = tokio::select! {
                happened = next(&mut self.server, &self.stream, &mut self.buffer) => happened?,
                status = course(self.running.as_mut()) => Happened::Ended(status),
            };
            match happened {
                Happened::Asked(event) => self.act(event).await?,
                Happened::Refused => {}
                Happened::HungUp => return Ok(()),
                Happened::Ended(status) => {
                    if let (Some(status), Some((session, _))) = (status, &self.running) {
                        let session = *session;
                        self.server.notify(Notice::Exit { session, status });
                    }
                    // The end of the connection says that all output is written.
                    return self.flush().await;
                }
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let output = self.server.output();
        if output.is_empty() {
            return Ok(());
        }
        self.stream.write_all(&output).await
    }

    async fn act(&mut self, event: ServerEvent<OwnedFd>) -> io::Result<()> {
        let (id, answer) = match event {
            ServerEvent::NewSession { id, session, stdio } => {
                return self.new_session(id, &session, stdio).await;
            }
            ServerEvent::AliveCheck { id } => {
                let pid = std::process::id();
                (id, Answer::Alive { pid })
            }
            ServerEvent::Terminate { id } => {
                self.server.answer(id, &Answer::Ok);
                // Nobody is left to say it afterwards.
                let said = self.flush().await;
                self.shared.end(ControlEnd::Terminated);
                return said;
            }
            ServerEvent::StopListening { id } => {
                self.shared.stop_listening();
                (id, Answer::Ok)
            }
            ServerEvent::ExtInfo { id, what } => (id, self.information(&what)),
            ServerEvent::StdioForward {
                id,
                host,
                port,
                stdio,
            } => return self.connect(id, &host, port, stdio).await,
            ServerEvent::OpenForward { id, forward } => {
                let shared = Arc::clone(&self.shared);
                (id, shared.forwards.open(&shared.session, forward).await)
            }
            ServerEvent::CloseForward { id, forward } => {
                (id, self.shared.forwards.close(&forward).await)
            }
            ServerEvent::Proxy { id } => (
                id,
                refusal("rmux cannot lend out its connection: use it without -O proxy"),
            ),
            _ => return Ok(()),
        };
        self.server.answer(id, &answer);
        Ok(())
    }

    /// Starts what the client wants to run. It hears that there is a channel for it before anything
    /// is started: what fails later is not tried again by the client itself.
    async fn new_session(
        &mut self,
        id: u32,
        wanted: &SessionRequest,
        stdio: [OwnedFd; 3],
    ) -> io::Result<()> {
        let command = conversation::command(&self.shared.session, wanted, &stdio[0]);
        let opened = tokio::select! {
            opened = command.open() => opened,
            () = hung_up(&self.stream) => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.server.answer(id, &refusal(&reason(&error)));
                return Ok(());
            }
        };
        let session = self.shared.next_session();
        self.server.answer(id, &Answer::SessionOpened { session });
        self.flush().await?;
        let child = tokio::select! {
            child = command.start_opened(opened) => child,
            () = hung_up(&self.stream) => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                // As with OpenSSH: the connection ends without a status.
                tracing::debug!(%error, "a client's command did not start");
                self.running = Some((session, Box::pin(std::future::ready(None))));
                return Ok(());
            }
        };
        if wanted.tty && !child.has_pty() {
            self.server.notify(Notice::NoTerminal { session });
        }
        let (host, resized) = (&self.shared.session.host().hostname, self.shared.resized());
        let conversation = conversation::begin(child, wanted, stdio, host, resized)?;
        self.running = Some((session, conversation));
        Ok(())
    }

    /// Connects two descriptors with a place that the host reaches.
    async fn connect(
        &mut self,
        id: u32,
        host: &[u8],
        port: u32,
        stdio: [OwnedFd; 2],
    ) -> io::Result<()> {
        let to = match u16::try_from(port) {
            Ok(port) => mux::Endpoint::Tcp(host.to_vec(), port),
            // A port that is none says that the host is a path.
            Err(_) => mux::Endpoint::Unix(host.to_vec()),
        };
        let shared = Arc::clone(&self.shared);
        let to = endpoint(&to);
        let stream = tokio::select! {
            stream = shared.session.reach(&to) => stream,
            () = hung_up(&self.stream) => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        match stream {
            Ok(stream) => {
                let session = self.shared.next_session();
                self.server.answer(id, &Answer::SessionOpened { session });
                self.running = Some((session, carry::begin(stream, stdio)?));
            }
            Err(error) => {
                self.server.answer(id, &refusal(&reason(&error)));
                // As with OpenSSH: there is nothing else that the client could want.
                self.running = Some((0, Box::pin(std::future::ready(None))));
            }
        }
        Ok(())
    }

    /// What `ssh -O conninfo` and `-O channels` show (OpenSSH 10.3).
    fn information(&self, what: &[u8]) -> Answer {
        let session = &self.shared.session;
        let (host, stats) = (session.host(), session.stats());
        let text = match what {
            b"connection" => format!(
                "rmux {}, process {}\r\n{}@{} port {}, connected for {} s\r\n\
                 {} bytes received, {} bytes sent\r\n",
                env!("CARGO_PKG_VERSION"),
                std::process::id(),
                host.user,
                host.hostname,
                host.port,
                stats.connected_for.as_secs(),
                stats.bytes_received,
                stats.bytes_sent,
            ),
            b"channels" => format!(
                "{} clients, {} channels, {} of them ready\r\n",
                self.shared.clients(),
                stats.channels,
                stats.channels_ready,
            ),
            other => {
                let text = format!("there is no {:?}", String::from_utf8_lossy(other));
                let text = text.into_bytes();
                return Answer::ExtInfo { ok: false, text };
            }
        };
        let text = text.into_bytes();
        Answer::ExtInfo { ok: true, text }
    }
}

/// What a connection waits for.
enum Happened {
    Asked(ServerEvent<OwnedFd>),
    /// Something was asked that no master does, and there is an answer to be sent.
    Refused,
    HungUp,
    /// What ran has ended, with this status if it had one.
    Ended(Option<u32>),
}

/// The next thing that the client does.
///
/// # Cancel safety
/// Cancel safe: what was read is in the machine.
async fn next(
    server: &mut Server<OwnedFd>,
    stream: &UnixStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Happened> {
    let invalid = |violation| io::Error::new(io::ErrorKind::InvalidData, violation);
    loop {
        let event = match server.need() {
            Need::Bytes(most) => {
                buffer.resize(most.min(PIECE), 0);
                let length = receive::bytes(stream, buffer).await?;
                if length == 0 {
                    return Ok(Happened::HungUp);
                }
                server.take(&mut &buffer[..length]).map_err(invalid)?
            }
            Need::Descriptor => match receive::descriptor(stream).await? {
                Some(descriptor) => server
                    .take_descriptor(descriptor)
                    .expect("the machine needs one"),
                None => return Err(invalid(rmux_proto::mux::Violation::NoDescriptor)),
            },
            Need::Nothing => return std::future::pending().await,
        };
        match event {
            Some(event) => return Ok(Happened::Asked(event)),
            None if server.has_output() => return Ok(Happened::Refused),
            None => {}
        }
    }
}

/// How what runs ends; never while nothing does.
async fn course(running: Option<&mut (u32, Conversation)>) -> Option<u32> {
    match running {
        Some((_, conversation)) => Pin::new(conversation).await,
        None => std::future::pending().await,
    }
}

/// Waits until the client has closed its end, without reading what it has sent before.
async fn hung_up(stream: &UnixStream) {
    while let Ok(ready) = stream.ready(Interest::READABLE).await {
        if ready.is_read_closed() {
            return;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn refusal(why: &str) -> Answer {
    Answer::Failure(why.into())
}

/// Why there is no channel. OpenSSH's client prints it, and connects by itself.
fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ChannelRefused => "Session open refused by peer".to_owned(),
        _ => error.to_string(),
    }
}
