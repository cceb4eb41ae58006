//! Connections through a host, and forwards, as the JavaScript layer holds them.
//!
//! Their parts stand in slots.

use std::io::ErrorKind;

use napi::bindgen_prelude::{Either, Uint8Array};
use napi_derive::napi;
use rmux_core::{
    Accepted, Endpoint, Forward, ForwardConnection, ForwardSpec, ForwardStats, RemoteListener,
    RemoteReader, RemoteStream, RemoteWriter,
};
use tokio::io::AsyncWriteExt;

use crate::child::next_pieces;
use crate::delivery::{Failure, Outcome};
use crate::mailbox::Mailbox;
use crate::slot::Slot;

/// What to forward.
#[napi(object, object_to_js = false)]
pub struct ForwardAsked {
    /// Whether the host listens.
    pub remote: bool,
    pub listen: String,
    /// Without one, wherever SOCKS clients ask for.
    pub target: Option<String>,
    pub gateway_ports: Option<bool>,
    pub unlink: Option<bool>,
    pub max_connections: Option<u32>,
}

impl ForwardAsked {
    pub(crate) fn spec(&self) -> rmux_core::Result<ForwardSpec> {
        let listen: Endpoint = self.listen.parse()?;
        let spec = match &self.target {
            Some(target) => ForwardSpec::new(listen, target.parse()?),
            None => ForwardSpec::dynamic(listen),
        };
        let spec = spec
            .gateway_ports(self.gateway_ports == Some(true))
            .unlink(self.unlink == Some(true));
        Ok(match self.max_connections {
            Some(most) => spec.max_connections(most as usize),
            None => spec,
        })
    }
}

/// What a forward does and has done.
#[napi(object, object_from_js = false)]
pub struct ForwardFigures {
    pub kind: String,
    pub listen: String,
    pub target: Option<String>,
    pub listening: bool,
    pub open: u32,
    pub total: f64,
    pub failed: f64,
    pub bytes_sent: f64,
    pub bytes_received: f64,
    pub last_error: Option<Failure>,
    pub connections: Vec<ConnectionFigures>,
}

/// A connection of a forward.
#[napi(object, object_from_js = false)]
pub struct ConnectionFigures {
    pub from: Option<String>,
    pub target: String,
    pub bytes_sent: f64,
    pub bytes_received: f64,
}

impl From<ForwardStats> for ForwardFigures {
    fn from(stats: ForwardStats) -> Self {
        Self {
            kind: stats.kind.name().to_owned(),
            listen: stats.listen.to_string(),
            target: stats.target.as_ref().map(ToString::to_string),
            listening: stats.listening,
            open: stats.open as u32,
            total: stats.total as f64,
            failed: stats.failed as f64,
            bytes_sent: stats.bytes_sent as f64,
            bytes_received: stats.bytes_received as f64,
            last_error: stats.last_error.map(Failure::from),
            connections: stats.connections.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ForwardConnection> for ConnectionFigures {
    fn from(open: &ForwardConnection) -> Self {
        Self {
            from: open.from.clone(),
            target: open.target.to_string(),
            bytes_sent: open.bytes_sent as f64,
            bytes_received: open.bytes_received as f64,
        }
    }
}

/// A connection between this program and something that the host reaches, or that reaches it.
#[napi]
pub struct NativeConnection {
    mailbox: Mailbox,
    host: String,
    from: Option<String>,
    reader: Slot<RemoteReader>,
    writer: Slot<RemoteWriter>,
}

impl NativeConnection {
    pub(crate) fn new(stream: RemoteStream, host: &str, mailbox: &Mailbox) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            mailbox: mailbox.clone(),
            host: host.to_owned(),
            from: None,
            reader: Slot::new(Some(reader)),
            writer: Slot::new(Some(writer)),
        }
    }

    fn accepted(accepted: Accepted, host: &str, mailbox: &Mailbox) -> Self {
        let from = accepted.from;
        Self {
            from: from.map(|(host, port)| Endpoint::tcp(host, port).to_string()),
            ..Self::new(accepted.stream, host, mailbox)
        }
    }
}

#[napi]
impl NativeConnection {
    /// Who made it, where it came in on the host and the server says so.
    #[napi(getter)]
    pub fn from(&self) -> Option<String> {
        self.from.clone()
    }

    /// Reads on; settled with a `Buffer`, or null at the end. One read at a time.
    #[napi]
    pub fn read(&self, operation: u32) {
        let Some(mut reader) = self.reader.take() else {
            let nothing = Outcome::Output(Vec::new());
            return self.mailbox.settle(operation, Ok(nothing));
        };
        let (slot, host) = (self.reader.clone(), self.host.clone());
        self.mailbox.start(operation, async move {
            let pieces = next_pieces(&mut reader).await;
            let pieces = pieces.map_err(|error| error.with_host(&host))?;
            slot.put_back(reader);
            Ok(Outcome::Output(pieces))
        });
    }

    /// Throws away what comes in.
    #[napi]
    pub fn drop_output(&self) {
        self.reader.let_go();
    }

    /// Writes all of `data`; settled with null when it was accepted. One write at a time.
    #[napi]
    pub fn write(&self, operation: u32, data: Uint8Array) {
        let Some(mut writer) = self.writer.take() else {
            let failure = Failure::broken_pipe(&self.host);
            return self.mailbox.settle(operation, Err(failure));
        };
        let (slot, host, data) = (self.writer.clone(), self.host.clone(), data.to_vec());
        self.mailbox.start(operation, async move {
            match writer.write_all(&data).await {
                Ok(()) => {
                    slot.put_back(writer);
                    Ok(Outcome::Nothing)
                }
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    Err(Failure::broken_pipe(&host))
                }
                Err(error) => {
                    let kind = rmux_core::ErrorKind::Io;
                    let error = rmux_core::Error::new(kind, "write", error.to_string());
                    Err(error.with_host(&host).into())
                }
            }
        });
    }

    /// Tells the other side that no more comes, behind what was written.
    #[napi]
    pub fn end_input(&self) {
        self.writer.let_go();
    }
}

/// A listener whose connections are carried to the other side. Letting go of it closes it.
#[napi]
pub struct NativeForward {
    mailbox: Mailbox,
    forward: Forward,
}

impl NativeForward {
    pub(crate) fn new(forward: Forward, mailbox: Mailbox) -> Self {
        Self { mailbox, forward }
    }
}

#[napi]
impl NativeForward {
    /// Where it listens.
    #[napi(getter)]
    pub fn listen(&self) -> String {
        self.forward.listen().to_string()
    }

    /// Its port, where it has one.
    #[napi(getter)]
    pub fn port(&self) -> Option<u32> {
        self.forward.port().map(Into::into)
    }

    /// What it does and has done.
    #[napi]
    pub fn stats(&self) -> ForwardFigures {
        self.forward.stats().into()
    }

    /// Listens no more, and with `cut` ends its connections; settled with null.
    #[napi]
    pub fn close(&self, operation: u32, cut: bool) {
        let forward = self.forward.clone();
        self.mailbox.start(operation, async move {
            match cut {
                true => forward.cut().await,
                false => forward.close().await,
            }
            Ok(Outcome::Nothing)
        });
    }
}

/// A port or socket of the host that is listened on for this program. Letting go of it closes it.
#[napi]
pub struct NativeListener {
    mailbox: Mailbox,
    host: String,
    at: Endpoint,
    listener: Slot<RemoteListener>,
}

impl NativeListener {
    pub(crate) fn new(listener: RemoteListener, host: &str, mailbox: &Mailbox) -> Self {
        Self {
            mailbox: mailbox.clone(),
            host: host.to_owned(),
            at: listener.endpoint().clone(),
            listener: Slot::new(Some(listener)),
        }
    }
}

#[napi]
impl NativeListener {
    /// Where the host listens.
    #[napi(getter)]
    pub fn listen(&self) -> String {
        self.at.to_string()
    }

    /// Its port, where it has one.
    #[napi(getter)]
    pub fn port(&self) -> Option<u32> {
        self.at.port_number().map(Into::into)
    }

    /// Waits for a connection; settled with a `NativeConnection`, or null where it is closed. One at a
    /// time.
    #[napi]
    pub fn accept(&self, operation: u32) {
        let Some(mut listener) = self.listener.take() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        let (slot, mailbox) = (self.listener.clone(), self.mailbox.clone());
        let host = self.host.clone();
        self.mailbox.start(operation, async move {
            let accepted = listener.accept().await?;
            slot.put_back(listener);
            let connection = NativeConnection::accepted(accepted, &host, &mailbox);
            Ok(Outcome::Reached(Reached::Connection(connection)))
        });
    }

    /// Has the host listen no more; settled with null. Not while a connection is waited for.
    #[napi]
    pub fn close(&self, operation: u32) {
        let listener = self.listener.take();
        self.mailbox.start(operation, async move {
            if let Some(listener) = listener {
                listener.close().await;
            }
            Ok(Outcome::Nothing)
        });
    }
}

/// The result of an operation on connections.
pub(crate) enum Reached {
    Connection(NativeConnection),
    Forward(NativeForward),
    Listener(NativeListener),
}

pub(crate) type ReachedValue = Either<NativeConnection, Either<NativeForward, NativeListener>>;

impl Reached {
    pub(crate) fn into_value(self) -> ReachedValue {
        match self {
            Self::Connection(connection) => Either::A(connection),
            Self::Forward(forward) => Either::B(Either::A(forward)),
            Self::Listener(listener) => Either::B(Either::B(listener)),
        }
    }
}
