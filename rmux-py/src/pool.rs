//! Sessions that are shared by all who want the same host.

use pyo3::prelude::*;
use rmux_core::blocking::runtime;
use rmux_core::{Config, Error, ErrorKind};
use tokio::task::JoinHandle;

use crate::error::checked;
use crate::fan_out::{HostOutputs, Many};
use crate::fork::Here;
use crate::operation::Operation;
use crate::resolve::Wanted;
use crate::session::Session;
use crate::settings::{Connecting, limit, limited, linger};
use crate::stats;
use crate::waiting::Waiters;

/// The sessions of a program, one a host.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Pool {
    pool: Here<rmux_core::Pool>,
    waiters: Waiters,
}

#[pymethods]
impl Pool {
    /// `linger` is how long a session stays that nobody uses, in seconds; so is `acquire_timeout`,
    /// how long to wait for room.
    #[new]
    #[pyo3(signature = (
        wanted, connecting, *, linger, max_connections, max_connections_per_host, acquire_timeout
    ))]
    fn new(
        py: Python<'_>,
        wanted: Wanted,
        connecting: Connecting,
        linger: f64,
        max_connections: Option<i64>,
        max_connections_per_host: Option<i64>,
        acquire_timeout: Option<f64>,
    ) -> PyResult<Self> {
        let waiters = Waiters::default();
        let config: Config = connecting.config(py, wanted, None, &waiters)?;
        let config = config.linger(checked(py, self::linger(linger))?);
        let limits = [max_connections, max_connections_per_host];
        let config = checked(py, limited(config, limits, acquire_timeout))?;
        Ok(Self {
            pool: Here::new(rmux_core::Pool::new(config)),
            waiters,
        })
    }

    /// Prepares to get the session of a destination. Whoever waits for it may be asked.
    fn session(&self, py: Python<'_>, host: String) -> PyResult<Operation> {
        checked(py, runtime())?;
        let pool = Here::new((*self.pool).clone());
        let (place, questions) = self.waiters.join(&host);
        let named = host.clone();
        let call = async move {
            let _place = place;
            // In a task of its own: who is asked about one host must not hold up another.
            let pool = pool.into_inner();
            Spawned(tokio::spawn(async move { pool.session(&host).await }))
                .ended()
                .await
        };
        let operation = Operation::new(call, |py, session| {
            Ok(Py::new(py, Session::new(session))?.into_any())
        });
        Ok(operation.on(&named).asking(questions))
    }

    /// Runs a command on many hosts. It begins with the first result that is waited for.
    fn run_many(&self, py: Python<'_>, many: Many) -> PyResult<HostOutputs> {
        HostOutputs::new(py, &self.pool, &self.waiters, many)
    }

    /// The sessions that are connected now.
    fn sessions(&self, py: Python<'_>) -> PyResult<Vec<Session>> {
        checked(py, runtime())?;
        Ok(self.pool.sessions().into_iter().map(Session::new).collect())
    }

    /// Closes all sessions that are connected now.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let pool = Here::new((*self.pool).clone());
        let call = async move {
            pool.close().await;
            Ok(())
        };
        Ok(Operation::new(call, |py, ()| Ok(py.None())).named("close"))
    }

    /// Ends the pool when nothing runs any more, or after so many seconds: what was cut off.
    fn shutdown(&self, py: Python<'_>, timeout: f64) -> PyResult<Operation> {
        checked(py, runtime())?;
        let limit = checked(py, limit(timeout, "shut down"))?;
        let pool = Here::new((*self.pool).clone());
        let call = async move { Ok(pool.shutdown(limit).await) };
        Ok(Operation::new(call, stats::cut_off).named("shut down"))
    }

    /// What the pool does and has done.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        checked(py, runtime())?;
        stats::of_pool(py, &self.pool.stats())
    }
}

/// A task that ends with whoever waits for it.
struct Spawned<T>(JoinHandle<rmux_core::Result<T>>);

impl<T> Spawned<T> {
    async fn ended(&mut self) -> rmux_core::Result<T> {
        (&mut self.0).await.unwrap_or_else(|_| {
            let what = "connecting was given up";
            Err(Error::new(ErrorKind::Cancelled, "connect", what))
        })
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Closes all sessions of this process, whoever has them, for so many seconds at most.
#[pyfunction]
pub(crate) fn close_all(py: Python<'_>, timeout: f64) -> PyResult<Operation> {
    checked(py, runtime())?;
    let limit = checked(py, limit(timeout, "close"))?;
    let call = async move {
        rmux_core::close_all(limit).await;
        Ok(())
    };
    Ok(Operation::new(call, |py, ()| Ok(py.None())).named("close"))
}
