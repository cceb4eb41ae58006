//! What a shell keeps from one command of a session to the next.

use std::ffi::{OsStr, OsString};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rmux_core::blocking::runtime;

use crate::error::checked;
use crate::fork::Here;
use crate::recipe::text;
use crate::session::Session;

/// Variables by name, None for one that is unset: as they are given, and as they are told.
type Changes = Vec<(PyBackedBytes, Option<PyBackedBytes>)>;
type Told = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A context of a session, by whose handle its commands are run.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct ShellContext(Here<rmux_core::ShellContext>);

impl ShellContext {
    pub(crate) fn new(context: rmux_core::ShellContext) -> Self {
        Self(Here::new(context))
    }

    pub(crate) fn core(&self) -> &rmux_core::ShellContext {
        &self.0
    }
}

#[pymethods]
impl ShellContext {
    /// Changes what commands begin with from now on.
    fn update(
        &self,
        py: Python<'_>,
        interpreter: Option<PyBackedBytes>,
        cwd: Option<PyBackedBytes>,
        env: Changes,
    ) -> PyResult<()> {
        checked(py, runtime())?;
        if let Some(program) = interpreter {
            self.0.interpreter(checked(py, text(&program))?);
        }
        if let Some(cwd) = cwd {
            self.0.current_dir(checked(py, text(&cwd))?);
        }
        for (name, value) in env {
            let name = checked(py, text(&name))?;
            match value {
                Some(value) => self.0.env(name, checked(py, text(&value))?),
                None => self.0.env_remove(name),
            };
        }
        Ok(())
    }

    /// The directory of the next command.
    #[getter]
    fn cwd(&self, py: Python<'_>) -> PyResult<Option<Vec<u8>>> {
        checked(py, runtime())?;
        Ok(self.0.cwd().as_deref().map(bytes))
    }

    /// What is changed in its environment.
    #[getter]
    fn env(&self, py: Python<'_>) -> PyResult<Told> {
        checked(py, runtime())?;
        let changes = self.0.variables().into_iter();
        let pair = |(name, value): (OsString, Option<OsString>)| {
            (bytes(&name), value.as_deref().map(bytes))
        };
        Ok(changes.map(pair).collect())
    }

    /// A context of its own with the same state, on this session.
    fn fork(&self, py: Python<'_>, session: &Session) -> PyResult<Self> {
        checked(py, runtime())?;
        let session = checked(py, session.session("fork"))?;
        Ok(Self::new(self.0.fork_on(&session)))
    }
}

fn bytes(text: &OsStr) -> Vec<u8> {
    text.as_encoded_bytes().to_vec()
}
