//! An open file of the remote.
//!
//! A file object's position is Python's to keep: every read and write says where it is to begin, so
//! that a cancelled one takes nothing with it.

use std::io;
use std::sync::Arc;

use futures_util::FutureExt as _;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rmux_core::blocking::runtime;
use rmux_core::{Error, ErrorKind, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;

use crate::error::checked;
use crate::files::stat;
use crate::fork::Here;
use crate::operation::Operation;

/// An open file.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct File {
    file: Here<SharedFile>,
    host: String,
}

/// None when it was closed.
type SharedFile = Arc<Mutex<Option<rmux_core::File>>>;

impl File {
    pub(crate) fn new(file: rmux_core::File, host: String) -> Self {
        Self {
            file: Here::new(Arc::new(Mutex::new(Some(file)))),
            host,
        }
    }

    fn call<T, F>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(Here<SharedFile>) -> F,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Operation>
    where
        T: Send + 'static,
        F: Future<Output = rmux_core::Result<T>> + Send + 'static,
    {
        checked(py, runtime())?;
        let call = call(Here::new(Arc::clone(&self.file)));
        Ok(Operation::new(call, convert).on(&self.host))
    }
}

fn open_one(held: &mut Option<rmux_core::File>) -> rmux_core::Result<&mut rmux_core::File> {
    let closed = || Error::new(ErrorKind::Closed, "files", "the file was closed");
    held.as_mut().ok_or_else(closed)
}

/// The error of core that an error of a stream is made of.
fn of_core(error: io::Error) -> Error {
    let whole = error.to_string();
    let inner = error.into_inner().and_then(|it| it.downcast().ok());
    inner.map_or_else(|| Error::new(ErrorKind::Io, "files", whole), |it| *it)
}

/// Goes to a position. What is there already is not asked for: that would wait for all writes.
async fn go_to(file: &mut rmux_core::File, position: u64) -> rmux_core::Result<()> {
    if file.position() != position {
        let moved = file.seek(io::SeekFrom::Start(position)).await;
        moved.map_err(of_core)?;
    }
    Ok(())
}

#[pymethods]
impl File {
    /// Waits for something at this position and returns what there is, up to `limit` bytes; nothing
    /// at the end.
    fn read(&self, py: Python<'_>, position: u64, limit: usize) -> PyResult<Operation> {
        self.call(
            py,
            move |file| async move {
                let mut held = file.lock().await;
                let file = open_one(&mut held)?;
                go_to(file, position).await?;
                let mut data = vec![0; limit];
                let mut length = file.read(&mut data).await.map_err(of_core)?;
                while length > 0
                    && length < limit
                    // An error is told by the next read, which meets it again.
                    && let Some(Ok(more @ 1..)) = file.read(&mut data[length..]).now_or_never()
                {
                    length += more;
                }
                data.truncate(length);
                Ok(data)
            },
            |py, data| Ok(PyBytes::new(py, &data).into_any().unbind()),
        )
    }

    /// Takes all of `data` to be written at this position.
    fn write(&self, py: Python<'_>, position: u64, data: PyBackedBytes) -> PyResult<Operation> {
        self.call(
            py,
            move |file| async move {
                let mut held = file.lock().await;
                let file = open_one(&mut held)?;
                go_to(file, position).await?;
                file.write_all(&data).await.map_err(of_core)
            },
            |py, ()| Ok(py.None()),
        )
    }

    /// Waits until what was written is at the server, and on its disk if `sync`.
    fn flush(&self, py: Python<'_>, sync: bool) -> PyResult<Operation> {
        self.call(
            py,
            move |file| async move {
                let mut held = file.lock().await;
                let file = open_one(&mut held)?;
                match sync {
                    true => file.sync_all().await,
                    false => file.flush().await.map_err(of_core),
                }
            },
            |py, ()| Ok(py.None()),
        )
    }

    /// Where the file ends.
    fn end(&self, py: Python<'_>) -> PyResult<Operation> {
        self.call(
            py,
            |file| async move {
                let mut held = file.lock().await;
                let end = open_one(&mut held)?.seek(io::SeekFrom::End(0)).await;
                end.map_err(of_core)
            },
            |py, end| Ok(end.into_pyobject(py)?.into_any().unbind()),
        )
    }

    /// Cuts it off, or fills it up with zeros.
    fn set_length(&self, py: Python<'_>, length: u64) -> PyResult<Operation> {
        self.call(
            py,
            move |file| async move { open_one(&mut *file.lock().await)?.set_len(length).await },
            |py, ()| Ok(py.None()),
        )
    }

    /// What is known of it.
    fn stat(&self, py: Python<'_>) -> PyResult<Operation> {
        self.call(
            py,
            |file| async move { open_one(&mut *file.lock().await)?.metadata().await },
            |py, known| Ok(stat(&known).into_pyobject(py)?.into_any().unbind()),
        )
    }

    /// Waits for what was written, and closes it. May be called again.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        self.call(
            py,
            |file| async move {
                let file = file.lock().await.take();
                match file {
                    Some(file) => file.close().await,
                    None => Ok(()),
                }
            },
            |py, ()| Ok(py.None()),
        )
    }
}

/// What is opened for what.
pub(crate) fn opening(how: &str) -> rmux_core::Result<OpenOptions> {
    let options = OpenOptions::new();
    Ok(match how {
        "r" => options.read(),
        "r+" => options.read().write(),
        "w" => options.write().create().truncate(),
        "w+" => options.read().write().create().truncate(),
        "x" => options.write().create_new(),
        "x+" => options.read().write().create_new(),
        "a" => options.append().create(),
        "a+" => options.read().append().create(),
        _ => {
            let what = format!("{how:?} is no way to open a file");
            return Err(Error::new(ErrorKind::InvalidInput, "open", what));
        }
    })
}
