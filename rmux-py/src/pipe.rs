//! The three streams of a running command, and the two directions of a connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use pyo3::exceptions::PyBrokenPipeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rmux_core::blocking::runtime;
use rmux_core::{ChildStderr, ChildStdout, RemoteReader};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

use crate::error::checked;
use crate::fork::Here;
use crate::operation::Operation;

/// Whatever is read.
pub(crate) enum Source {
    Stdout(ChildStdout),
    Stderr(ChildStderr),
    Remote(RemoteReader),
}

impl Source {
    async fn chunk(&mut self) -> rmux_core::Result<Option<Bytes>> {
        match self {
            Self::Stdout(stream) => stream.chunk().await,
            Self::Stderr(stream) => stream.chunk().await,
            Self::Remote(stream) => stream.chunk().await,
        }
    }
}

/// What is left of an output stream.
pub(crate) struct Output {
    source: Option<Source>,
    /// Taken from the source, and more than was asked for.
    rest: Bytes,
}

/// An output stream, shared by its [`Reader`] and its child.
pub(crate) type SharedOutput = Arc<Mutex<Output>>;

/// An input stream, shared by its [`Writer`] and its child.
pub(crate) type SharedInput = Arc<Mutex<Option<Box<dyn AsyncWrite + Send + Unpin>>>>;

/// An input to share.
pub(crate) fn shared_input(input: impl AsyncWrite + Send + Unpin + 'static) -> SharedInput {
    Arc::new(Mutex::new(Some(Box::new(input))))
}

impl Output {
    pub(crate) fn shared(source: Source) -> SharedOutput {
        Arc::new(Mutex::new(Self {
            source: Some(source),
            rest: Bytes::new(),
        }))
    }

    /// The next piece; `None` at the end, or where it was closed. Cancelling takes nothing.
    pub(crate) async fn chunk(&mut self) -> rmux_core::Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        match &mut self.source {
            Some(source) => source.chunk().await,
            None => Ok(None),
        }
    }

    /// What there is, up to `limit` bytes: nothing only at the end.
    async fn read(&mut self, limit: usize) -> rmux_core::Result<Vec<Bytes>> {
        let mut pieces = Vec::new();
        let mut left = limit;
        while left > 0 {
            let next = match pieces.is_empty() {
                true => self.chunk().await?,
                // An error stays, and the next call reports it.
                false => match self.chunk().now_or_never() {
                    Some(Ok(next)) => next,
                    Some(Err(_)) | None => break,
                },
            };
            let Some(mut piece) = next else { break };
            if piece.len() > left {
                self.rest = piece.split_off(left);
            }
            left -= piece.len();
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn close(&mut self) {
        self.source = None;
        self.rest = Bytes::new();
    }

    /// Closes it the way a pipe is closed: what has come is thrown away, and a command that writes
    /// more has nobody to write to. Returns true in that case, and false at the end of the stream.
    pub(crate) async fn hang_up(&mut self) -> bool {
        self.rest = Bytes::new();
        while let Some(Ok(Some(_))) = self.chunk().now_or_never() {}
        let more = matches!(self.chunk().await, Ok(Some(_)));
        self.close();
        more
    }
}

/// Reads one of a command's outputs.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Reader {
    output: Here<SharedOutput>,
    host: String,
}

impl Reader {
    pub(crate) fn new(output: SharedOutput, host: &str) -> Self {
        Self {
            output: Here::new(output),
            host: host.to_owned(),
        }
    }
}

#[pymethods]
impl Reader {
    /// Waits for something and returns what there is, up to `limit` bytes; nothing at the end.
    fn read(&self, py: Python<'_>, limit: usize) -> PyResult<Operation> {
        checked(py, runtime())?;
        let output = Here::new((*self.output).clone());
        let host = self.host.clone();
        let call = async move {
            let mut output = output.lock().await;
            output
                .read(limit)
                .await
                .map_err(|error| error.with_host(&host))
        };
        let operation = Operation::new(call, |py, pieces| {
            let length = pieces.iter().map(Bytes::len).sum();
            let joined = PyBytes::new_with(py, length, |mut room| {
                for piece in &pieces {
                    let (here, rest) = room.split_at_mut(piece.len());
                    here.copy_from_slice(piece);
                    room = rest;
                }
                Ok(())
            })?;
            Ok(joined.into_any().unbind())
        });
        Ok(operation.on(&self.host))
    }

    /// Throws the rest away. A read that waits in another thread goes on. In a fork it does
    /// nothing, as closing is what letting go of a file object does.
    fn close(&self) {
        if self.output.is_here()
            && let Ok(mut output) = self.output.try_lock()
        {
            output.close();
        }
    }
}

/// Writes a command's input.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Writer {
    input: Here<SharedInput>,
    host: String,
}

impl Writer {
    pub(crate) fn new(input: SharedInput, host: &str) -> Self {
        Self {
            input: Here::new(input),
            host: host.to_owned(),
        }
    }

    /// Does `work` on the input; an input that is closed, or whose command reads no more, is a
    /// broken pipe, as it is for a local command.
    fn operation<F>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(Here<SharedInput>) -> F,
    ) -> PyResult<Operation>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        checked(py, runtime())?;
        let work = work(Here::new((*self.input).clone()));
        let host = self.host.clone();
        let operation = Operation::new(async { Ok(work.await) }, move |py, done| match done {
            Ok(()) => Ok(py.None()),
            Err(error) => Err(PyBrokenPipeError::new_err(format!(
                "write: {host}: {error}"
            ))),
        });
        Ok(operation.on(&self.host))
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "it is closed for writing")
}

#[pymethods]
impl Writer {
    /// Writes all of `data`, waiting while the command does not read.
    fn write(&self, py: Python<'_>, data: PyBackedBytes) -> PyResult<Operation> {
        self.operation(py, async move |input| {
            let mut input = input.lock().await;
            input.as_mut().ok_or_else(closed)?.write_all(&data).await
        })
    }

    /// Waits until what was written is on its way.
    fn flush(&self, py: Python<'_>) -> PyResult<Operation> {
        self.operation(py, async |input| {
            let mut input = input.lock().await;
            input.as_mut().ok_or_else(closed)?.flush().await
        })
    }

    /// Ends the input behind what was written. A write that waits in another thread goes on. In a
    /// fork it does nothing, as closing is what letting go of a file object does.
    fn close(&self) {
        if self.input.is_here()
            && let Ok(mut input) = self.input.try_lock()
        {
            input.take();
        }
    }
}
