//! From core's one error type to Python's exceptions, whose classes are in `rmux._errors`.

use std::error::Error as StdError;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use rmux_core::{Error, RemoteEnd};

static EXCEPTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception for `error`. Where a callback of the program failed, its exception is the cause.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let cause = callback_exception(error).map(|cause| cause.clone_ref(py).into_value(py));
    let made = EXCEPTION
        .import(py, "rmux._errors", "exception")
        .and_then(|make| {
            let written = |stream: Option<&[u8]>| stream.map(|all| PyBytes::new(py, all));
            make.call1((
                error.kind().code(),
                error.to_string(),
                error.operation(),
                error.host(),
                cause,
                error.remote_end().map(|end| end == RemoteEnd::Confirmed),
                written(error.partial_stdout()),
                written(error.partial_stderr()),
            ))
        });
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// A result of core as one of Python.
pub(crate) fn checked<T>(py: Python<'_>, result: rmux_core::Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}

/// The Python exception that `error` came from.
fn callback_exception(error: &Error) -> Option<&PyErr> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(exception) = inner.downcast_ref::<PyErr>() {
            return Some(exception);
        }
        source = inner.source();
    }
    None
}
