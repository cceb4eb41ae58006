//! A transfer that is under way: what happens in it, and what came of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rmux_core::blocking::runtime;
use rmux_core::{
    Error, ErrorKind, Progress, Skipped, TransferEvent, TransferFailure, TransferOptions,
    TransferReport,
};
use tokio::sync::Mutex;

use crate::error::{checked, exception};
use crate::fork::Here;
use crate::operation::Operation;

/// How files are transferred.
#[derive(FromPyObject)]
pub(crate) struct Transferring {
    recursive: bool,
    times: bool,
    modes: bool,
    links: String,
    conflict: String,
    update: String,
    resume: bool,
    checksum: bool,
    sync: bool,
    /// Each a pattern and whether what matches it is taken.
    patterns: Vec<(String, bool)>,
}

impl Transferring {
    pub(crate) fn options(self) -> rmux_core::Result<TransferOptions> {
        let mut options = TransferOptions::new()
            .links(self.links.parse()?)
            .conflict(self.conflict.parse()?)
            .update(self.update.parse()?);
        if self.recursive {
            options = options.recursive();
        }
        if self.times {
            options = options.times();
        }
        if self.modes {
            options = options.modes();
        }
        if self.resume {
            options = options.resume();
        }
        if self.checksum {
            options = options.checksum();
        }
        if self.sync {
            options = options.sync();
        }
        for (pattern, takes) in self.patterns {
            options = match takes {
                true => options.include(pattern),
                false => options.exclude(pattern),
            };
        }
        Ok(options)
    }
}

/// A transfer. Letting go of it ends it.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Transfer {
    /// None when its end was told, or it was cancelled.
    running: Here<Arc<Mutex<Option<rmux_core::Transfer>>>>,
    host: String,
}

impl Transfer {
    /// Begins one.
    pub(crate) fn begin(
        py: Python<'_>,
        host: &str,
        begin: impl FnOnce() -> rmux_core::Transfer,
    ) -> PyResult<Self> {
        let _entered = checked(py, runtime())?.enter();
        Ok(Self {
            running: Here::new(Arc::new(Mutex::new(Some(begin())))),
            host: host.to_owned(),
        })
    }
}

#[pymethods]
impl Transfer {
    /// Waits for something to happen: its kind, and what is told of it; None at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let running = Here::new(Arc::clone(&self.running));
        let call = async move {
            let mut running = running.lock().await;
            Ok(match running.as_mut() {
                Some(transfer) => transfer.next_event().await,
                None => None,
            })
        };
        let operation = Operation::new(call, |py, event| match event {
            Some(event) => told(py, &event),
            None => Ok(py.None()),
        });
        Ok(operation.on(&self.host))
    }

    /// Waits for the end: how many files, directories, bytes and resumed bytes, what was not taken
    /// and what failed.
    fn finish(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let running = Here::new(Arc::clone(&self.running));
        let call = async move {
            let mut running = running.lock().await;
            let Some(transfer) = running.as_mut() else {
                let what = "the transfer has ended";
                return Err(Error::new(ErrorKind::Closed, "transfer", what));
            };
            // It stays here meanwhile, so that it can be cancelled in order.
            while transfer.next_event().await.is_some() {}
            match running.take() {
                Some(transfer) => transfer.finish().await,
                None => unreachable!("it is there"),
            }
        };
        let operation = Operation::new(call, |py, report| reported(py, &report));
        Ok(operation.on(&self.host))
    }

    /// Ends it, and waits until nothing more is done.
    fn cancel(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let running = Here::new(Arc::clone(&self.running));
        let call = async move {
            let transfer = running.lock().await.take();
            if let Some(transfer) = transfer {
                transfer.cancel().await;
            }
            Ok(())
        };
        let operation = Operation::new(call, |py, ()| Ok(py.None()));
        Ok(operation.on(&self.host).named("cancel"))
    }
}

/// Files on the remote, for as long as they are wanted there. Letting go of it has them removed.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Dropped {
    /// None when they were removed.
    held: std::sync::Mutex<Option<Here<rmux_core::Dropped>>>,
    folder: Vec<u8>,
    paths: Vec<Vec<u8>>,
    quoted: Vec<u8>,
    host: String,
}

impl Dropped {
    pub(crate) fn new(dropped: rmux_core::Dropped, host: String) -> Self {
        let paths = dropped.paths().iter();
        Self {
            folder: dropped.folder().as_bytes().to_vec(),
            paths: paths.map(|path| path.as_bytes().to_vec()).collect(),
            quoted: dropped.quoted(),
            held: std::sync::Mutex::new(Some(Here::new(dropped))),
            host,
        }
    }
}

#[pymethods]
impl Dropped {
    /// The folder, the files in it, and these as words for a shell.
    #[getter]
    fn facts(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let bytes = |bytes: &Vec<u8>| PyBytes::new(py, bytes);
        let paths: Vec<_> = self.paths.iter().map(bytes).collect();
        let facts = (bytes(&self.folder), paths, bytes(&self.quoted));
        Ok(facts.into_pyobject(py)?.into_any().unbind())
    }

    /// Removes them, and waits for that; nothing where it was done before.
    fn remove(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let held = self.held.lock().unwrap_or_else(|e| e.into_inner()).take();
        let call = async move {
            match held {
                Some(dropped) => dropped.into_inner().remove().await,
                None => Ok(()),
            }
        };
        let operation = Operation::new(call, |py, ()| Ok(py.None()));
        Ok(operation.on(&self.host).named("remove"))
    }
}

fn told(py: Python<'_>, event: &TransferEvent) -> PyResult<Py<PyAny>> {
    let (kind, fields) = match event {
        TransferEvent::Progress(progress) => ("progress", progressed(py, progress)?),
        TransferEvent::Skipped(skipped) => ("skipped", left_out(py, skipped)?),
        TransferEvent::Failed(failure) => ("failed", failed(py, failure)?),
        // What a later version of the core may tell.
        _ => ("other", py.None()),
    };
    Ok((kind, fields).into_pyobject(py)?.into_any().unbind())
}

fn progressed(py: Python<'_>, progress: &Progress) -> PyResult<Py<PyAny>> {
    let fields = (
        progress.bytes,
        progress.total_bytes,
        progress.files,
        progress.total_files,
        progress.is_complete,
        progress.rate,
        progress.remaining.map(|left| left.as_secs_f64()),
    );
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}

/// Path, reason and that as a text.
fn left_out(py: Python<'_>, skipped: &Skipped) -> PyResult<Py<PyAny>> {
    let path = PyBytes::new(py, skipped.path.as_bytes());
    let reason = skipped.reason;
    let fields = (path, reason.code(), reason.to_string());
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}

/// Path and exception.
fn failed(py: Python<'_>, failure: &TransferFailure) -> PyResult<Py<PyAny>> {
    let path = PyBytes::new(py, failure.path.as_bytes());
    let error = exception(py, &failure.error).into_value(py);
    Ok((path, error).into_pyobject(py)?.into_any().unbind())
}

fn reported(py: Python<'_>, report: &TransferReport) -> PyResult<Py<PyAny>> {
    let skipped = report.skipped.iter().map(|one| left_out(py, one));
    let failures = report.failures.iter().map(|one| failed(py, one));
    let fields = (
        report.files,
        report.directories,
        report.bytes,
        report.resumed_bytes,
        skipped.collect::<PyResult<Vec<_>>>()?,
        failures.collect::<PyResult<Vec<_>>>()?,
    );
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}

/// A path of this machine, as `os.fsencode` gives it.
pub(crate) fn local(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}
