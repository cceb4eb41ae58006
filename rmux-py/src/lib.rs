//! The native half of the Python package `rmux`: converts arguments, calls rmux-core, converts
//! results.
//!
//! Everything that waits is an [`Operation`](operation::Operation), which the sync classes wait
//! for and the classes of `rmux.aio` await; so both are twins over one core. What Python code
//! looks like from outside (file objects, keyword arguments, exceptions) is in `python/rmux/`.
//! Knows nothing of SSH.

mod child;
mod context;
mod delivery;
mod error;
mod fan_out;
mod file;
mod files;
mod fork;
mod forward;
mod interpreter;
mod log;
mod operation;
mod pipe;
mod pool;
mod question;
mod recipe;
mod resolve;
mod session;
mod settings;
mod stats;
mod transfer;
mod waiting;

use pyo3::prelude::*;

/// The native half of rmux. Use the package's public classes instead.
///
/// It needs no lock of the interpreter's to be safe: every class is frozen, what changes in them is
/// behind locks of their own, and none of those is held while Python code runs.
#[pymodule(gil_used = false)]
mod _rmux {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::interpreter::only_the_first(module.py())
    }

    #[pymodule_export]
    use crate::child::Child;
    #[pymodule_export]
    use crate::context::ShellContext;
    #[pymodule_export]
    use crate::delivery::stop_delivery;
    #[pymodule_export]
    use crate::fan_out::HostOutputs;
    #[pymodule_export]
    use crate::file::File;
    #[pymodule_export]
    use crate::files::{Files, Listing};
    #[pymodule_export]
    use crate::forward::{Forward, Listener, Reach};
    #[pymodule_export]
    use crate::log::start_logging;
    #[pymodule_export]
    use crate::operation::Operation;
    #[pymodule_export]
    use crate::pipe::{Reader, Writer};
    #[pymodule_export]
    use crate::pool::{Pool, close_all};
    #[pymodule_export]
    use crate::question::Question;
    #[pymodule_export]
    use crate::resolve::resolve;
    #[pymodule_export]
    use crate::session::Session;
    #[pymodule_export]
    use crate::settings::connect;
    #[pymodule_export]
    use crate::transfer::{Dropped, Transfer};
}
