//! A running command, as the JavaScript layer holds it.
//!
//! Its parts stand in slots.

use std::io::ErrorKind;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::FutureExt;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use rmux_core::{Child, ChildStderr, ChildStdin, ChildStdout, RemoteReader, Signal};
use tokio::io::AsyncWriteExt;

use crate::completed::{Exit, Stopped};
use crate::connect::milliseconds;
use crate::delivery::{Failure, Outcome};
use crate::mailbox::Mailbox;
use crate::slot::Slot;

/// How many bytes that are there already are delivered at a time, at least: each delivery costs a
/// turn of the event loop.
const DELIVERY: usize = 256 << 10;

/// A running command. Letting go of it without waiting for it is as dropping the core's child.
#[napi]
pub struct NativeChild {
    mailbox: Mailbox,
    host: String,
    has_pty: bool,
    /// Taken by who waits for its end: giving that up lets go of the child.
    running: Slot<Arc<Child>>,
    /// For what is done to it meanwhile, in the order in which it is asked for.
    child: Weak<Child>,
    stdin: Slot<ChildStdin>,
    stdout: Slot<ChildStdout>,
    stderr: Slot<ChildStderr>,
}

/// What is read, which the core has as several types.
pub(crate) trait Chunks: Send + 'static {
    fn chunk(&mut self) -> impl Future<Output = rmux_core::Result<Option<Bytes>>> + Send;
}

impl Chunks for ChildStdout {
    fn chunk(&mut self) -> impl Future<Output = rmux_core::Result<Option<Bytes>>> + Send {
        ChildStdout::chunk(self)
    }
}

impl Chunks for ChildStderr {
    fn chunk(&mut self) -> impl Future<Output = rmux_core::Result<Option<Bytes>>> + Send {
        ChildStderr::chunk(self)
    }
}

impl Chunks for RemoteReader {
    fn chunk(&mut self) -> impl Future<Output = rmux_core::Result<Option<Bytes>>> + Send {
        RemoteReader::chunk(self)
    }
}

impl NativeChild {
    pub(crate) fn new(mut child: Child, host: String, mailbox: Mailbox) -> Self {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take();
        let child = Arc::new(child);
        Self {
            mailbox,
            host,
            has_pty: child.has_pty(),
            child: Arc::downgrade(&child),
            running: Slot::new(Some(child)),
            stdin: Slot::new(stdin),
            stdout: Slot::new(stdout),
            stderr: Slot::new(stderr),
        }
    }

    fn read<T: Chunks>(&self, operation: u32, slot: &Slot<T>) {
        let Some(mut stream) = slot.take() else {
            return self
                .mailbox
                .settle(operation, Ok(Outcome::Output(Vec::new())));
        };
        let (slot, host) = (slot.clone(), self.host.clone());
        self.mailbox.start(operation, async move {
            let pieces = next_pieces(&mut stream)
                .await
                .map_err(|error| error.with_host(&host))?;
            slot.put_back(stream);
            Ok(Outcome::Output(pieces))
        });
    }
}

/// What comes next, with what is there already behind it; nothing at the end.
pub(crate) async fn next_pieces(stream: &mut impl Chunks) -> rmux_core::Result<Vec<Bytes>> {
    let Some(first) = stream.chunk().await? else {
        return Ok(Vec::new());
    };
    let mut length = first.len();
    let mut pieces = vec![first];
    while length < DELIVERY {
        // An error or the end comes again with the next read, behind the data.
        let Some(Ok(Some(piece))) = stream.chunk().now_or_never() else {
            break;
        };
        length += piece.len();
        pieces.push(piece);
    }
    Ok(pieces)
}

#[napi]
impl NativeChild {
    /// Whether it has a terminal.
    #[napi(getter)]
    pub fn has_pty(&self) -> bool {
        self.has_pty
    }

    /// Which of the streams are piped.
    #[napi(getter)]
    pub fn piped(&self) -> Vec<bool> {
        vec![
            self.stdin.is_filled(),
            self.stdout.is_filled(),
            self.stderr.is_filled(),
        ]
    }

    /// Waits for the end, without closing standard input; settled with an `Exit`. To be called
    /// once.
    #[napi]
    pub fn wait(&self, operation: u32) {
        let Some(running) = self.running.take() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        let slot = self.running.clone();
        self.mailbox.start(operation, async move {
            let exit = running.ended().await;
            // With the child goes the output that nobody has read yet, so it is kept.
            slot.put_back(running);
            Ok(Outcome::Exit(Exit::from(&exit?)))
        });
    }

    /// Reads on; settled with a `Buffer`, or null at the end. One read of a stream at a time.
    #[napi]
    pub fn read_stdout(&self, operation: u32) {
        self.read(operation, &self.stdout);
    }

    /// As `read_stdout`.
    #[napi]
    pub fn read_stderr(&self, operation: u32) {
        self.read(operation, &self.stderr);
    }

    /// Throws the rest of standard output away.
    #[napi]
    pub fn drop_stdout(&self) {
        self.stdout.let_go();
    }

    /// Throws the rest of standard error away.
    #[napi]
    pub fn drop_stderr(&self) {
        self.stderr.let_go();
    }

    /// Writes all of `data`; settled with null when it was accepted. One write at a time.
    #[napi]
    pub fn write(&self, operation: u32, data: Uint8Array) {
        let Some(mut stdin) = self.stdin.take() else {
            return self
                .mailbox
                .settle(operation, Err(Failure::broken_pipe(&self.host)));
        };
        let (slot, host, data) = (self.stdin.clone(), self.host.clone(), data.to_vec());
        self.mailbox.start(operation, async move {
            match stdin.write_all(&data).await {
                Ok(()) => {
                    slot.put_back(stdin);
                    Ok(Outcome::Nothing)
                }
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    Err(Failure::broken_pipe(&host))
                }
                Err(error) => {
                    Err(
                        rmux_core::Error::new(rmux_core::ErrorKind::Io, "write", error.to_string())
                            .with_host(&host)
                            .into(),
                    )
                }
            }
        });
    }

    /// Ends standard input behind what was written.
    #[napi]
    pub fn end_input(&self) {
        self.stdin.let_go();
    }

    /// Ends the command in order; settled with a `Stopped`, or with null where nobody has it any more.
    #[napi]
    pub fn stop(&self, operation: u32, grace: f64) {
        let grace = match milliseconds(grace) {
            Ok(grace) => grace,
            Err(error) => return self.mailbox.settle(operation, Err(error.into())),
        };
        let Some(child) = self.child.upgrade() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        self.mailbox.start(operation, async move {
            let stopped = child.stop(grace).await?;
            Ok(Outcome::Stopped(Stopped::from(&stopped)))
        });
    }

    /// Sends a signal; throws where it is no signal's name.
    #[napi]
    pub fn signal(&self, name: String) -> napi::Result<()> {
        let signal = Signal::named(&name).map_err(|error| {
            napi::Error::new(napi::Status::InvalidArg, error.message().to_owned())
        })?;
        if let Some(child) = self.child.upgrade() {
            child.signal(&signal);
        }
        Ok(())
    }

    /// Kills the command.
    #[napi]
    pub fn kill(&self) {
        if let Some(child) = self.child.upgrade() {
            child.start_kill();
        }
    }

    /// Tells the command's terminal its new size.
    #[napi]
    pub fn resize(&self, columns: u32, rows: u32) {
        if let Some(child) = self.child.upgrade() {
            child.resize(columns, rows);
        }
    }
}
