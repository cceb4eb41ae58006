//! Which of a process's Python interpreters rmux works in: one.
//!
//! Its classes, its runtime and the thread that delivers to Python are the process's own. In a second
//! interpreter they would hand out objects of the first.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// The `sys` of the interpreter that was first; each has its own, for as long as it lives.
static FIRST: AtomicUsize = AtomicUsize::new(0);

/// An `ImportError` in any interpreter but the first that imports rmux.
pub(crate) fn only_the_first(py: Python<'_>) -> PyResult<()> {
    let here = py.import("sys")?.as_ptr() as usize;
    match FIRST.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(first) if first == here => Ok(()),
        Err(_) => Err(PyImportError::new_err(
            "rmux works in one interpreter of a process, and another one has imported it: use \
             threads there, or a process of its own",
        )),
    }
}
