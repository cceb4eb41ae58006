//! Connections through the host, and forwards.

use std::sync::Arc;

use pyo3::prelude::*;
use rmux_core::blocking::runtime;
use rmux_core::{
    Endpoint, Error, ErrorKind, ForwardSpec, ForwardStats, RemoteListener, RemoteStream,
};
use tokio::sync::{Mutex, watch};

use crate::error::{checked, exception};
use crate::fork::Here;
use crate::operation::Operation;
use crate::pipe::{Output, Reader, Source, Writer, shared_input};
use crate::session::Session;

/// The two directions of a connection.
type Ends = (Reader, Writer);

fn ends(stream: RemoteStream, host: &str) -> Ends {
    let (reader, writer) = stream.into_split();
    let reader = Reader::new(Output::shared(Source::Remote(reader)), host);
    (reader, Writer::new(shared_input(writer), host))
}

/// What a session reaches through its host.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Reach(Py<Session>);

impl Reach {
    pub(crate) fn new(session: Py<Session>) -> Self {
        Self(session)
    }

    fn session(&self, operation: &'static str) -> rmux_core::Result<rmux_core::Session> {
        self.0.get().session(operation)
    }

    fn name(&self) -> &str {
        self.0.get().name()
    }
}

#[pymethods]
impl Reach {
    /// Connects from the host to there: what reads from it, and what writes to it.
    fn connect(&self, py: Python<'_>, to: &str) -> PyResult<Operation> {
        checked(py, runtime())?;
        let to: Endpoint = checked(py, to.parse())?;
        let session = Here::new(checked(py, self.session("connect"))?);
        let call = async move { Ok(Here::new(session.reach(&to).await?)) };
        let host = self.name().to_owned();
        let named = host.clone();
        let operation = Operation::new(call, move |py, stream| {
            let ends = ends(stream.into_inner(), &host);
            Ok(ends.into_pyobject(py)?.into_any().unbind())
        });
        Ok(operation.on(&named).named("connect"))
    }

    /// Has the host listen there.
    fn listen(&self, py: Python<'_>, at: &str) -> PyResult<Operation> {
        checked(py, runtime())?;
        let at: Endpoint = checked(py, at.parse())?;
        let session = Here::new(checked(py, self.session("forward"))?);
        let call = async move { Ok(Here::new(session.listen(&at).await?)) };
        let host = self.name().to_owned();
        let named = host.clone();
        let operation = Operation::new(call, move |py, listener| {
            let listener = Listener::new(listener.into_inner(), host);
            Ok(Py::new(py, listener)?.into_any())
        });
        Ok(operation.on(&named).named("forward"))
    }

    /// Forwards from a listener on this machine, or on the remote, to the target; without one to
    /// wherever SOCKS clients ask for.
    #[pyo3(signature = (remote, listen, target, *, gateway_ports, unlink, max_connections))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn forward(
        &self,
        py: Python<'_>,
        remote: bool,
        listen: &str,
        target: Option<&str>,
        gateway_ports: bool,
        unlink: bool,
        max_connections: Option<usize>,
    ) -> PyResult<Operation> {
        checked(py, runtime())?;
        let listen: Endpoint = checked(py, listen.parse())?;
        let spec = match target {
            Some(target) => ForwardSpec::new(listen, checked(py, target.parse())?),
            None => ForwardSpec::dynamic(listen),
        };
        let mut spec = spec.gateway_ports(gateway_ports).unlink(unlink);
        if let Some(most) = max_connections {
            spec = spec.max_connections(most);
        }
        let session = Here::new(checked(py, self.session("forward"))?);
        let call = async move {
            let forward = match remote {
                true => session.forward_remote(&spec).await?,
                false => session.forward_local(&spec).await?,
            };
            Ok(Here::new(forward))
        };
        let host = self.name().to_owned();
        let named = host.clone();
        let operation = Operation::new(call, move |py, forward| {
            let forward = Forward { forward, host };
            Ok(Py::new(py, forward)?.into_any())
        });
        Ok(operation.on(&named).named("forward"))
    }

    /// What its forwards do.
    fn forwards(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        checked(py, runtime())?;
        let session = Here::new(checked(py, self.session("forward"))?);
        let all = session.forwards();
        all.iter().map(|stats| figures(py, stats)).collect()
    }
}

/// The fields of `rmux.ForwardStats`, in order.
fn figures(py: Python<'_>, stats: &ForwardStats) -> PyResult<Py<PyAny>> {
    let connections = stats.connections.iter().map(|open| {
        let target = open.target.to_string();
        (
            open.from.clone(),
            target,
            open.bytes_sent,
            open.bytes_received,
        )
    });
    let failure = stats.last_error.as_ref();
    let fields = (
        stats.kind.name(),
        stats.listen.to_string(),
        stats.target.as_ref().map(ToString::to_string),
        stats.listening,
        stats.open,
        stats.total,
        stats.failed,
        stats.bytes_sent,
        stats.bytes_received,
        failure.map(|error| exception(py, error).into_value(py).into_any()),
        connections.collect::<Vec<_>>(),
    );
    Ok(fields.into_pyobject(py)?.into_any().unbind())
}

/// A listener whose connections are carried to the other side.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Forward {
    forward: Here<rmux_core::Forward>,
    host: String,
}

#[pymethods]
impl Forward {
    /// Where it listens.
    #[getter]
    fn listen(&self) -> String {
        self.forward.listen().to_string()
    }

    /// Its port, where it has one.
    #[getter]
    fn port(&self) -> Option<u16> {
        self.forward.port()
    }

    /// What it does and has done.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        checked(py, runtime())?;
        figures(py, &self.forward.stats())
    }

    /// Listens no more; `cut` ends the connections that are open, too.
    fn close(&self, py: Python<'_>, cut: bool) -> PyResult<Operation> {
        checked(py, runtime())?;
        let forward = Here::new((*self.forward).clone());
        let call = async move {
            match cut {
                true => forward.cut().await,
                false => forward.close().await,
            }
            Ok(())
        };
        let operation = Operation::new(call, |py, ()| Ok(py.None()));
        Ok(operation.on(&self.host).named("close"))
    }

    /// Waits until it listens no more: the exception if it was not told to stop, else None.
    fn wait_closed(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let forward = Here::new((*self.forward).clone());
        let call = async move { Ok(forward.closed().await.err()) };
        let operation = Operation::new(call, |py, error| match error {
            Some(error) => Ok(exception(py, &error).into_value(py).into_any()),
            None => Ok(py.None()),
        });
        Ok(operation.on(&self.host).named("wait for the end"))
    }
}

/// A port or socket of the host that is listened on for this program.
#[pyclass(frozen, module = "rmux._rmux")]
pub(crate) struct Listener {
    listener: Here<Arc<Mutex<Option<RemoteListener>>>>,
    /// Wakes who waits for a connection.
    closing: watch::Sender<bool>,
    at: Endpoint,
    host: String,
}

impl Listener {
    fn new(listener: RemoteListener, host: String) -> Self {
        Self {
            at: listener.endpoint().clone(),
            listener: Here::new(Arc::new(Mutex::new(Some(listener)))),
            closing: watch::Sender::new(false),
            host,
        }
    }
}

#[pymethods]
impl Listener {
    /// Where the host listens.
    #[getter]
    fn listen(&self) -> String {
        self.at.to_string()
    }

    /// Its port, where it has one.
    #[getter]
    fn port(&self) -> Option<u16> {
        self.at.port_number()
    }

    /// Waits for a connection: what reads from it, what writes to it, and who made it.
    fn accept(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        let listener = Here::new(Arc::clone(&self.listener));
        let mut closing = self.closing.subscribe();
        let call = async move {
            let closed = || Error::new(ErrorKind::Closed, "accept", "the listener was closed");
            let mut listener = listener.lock().await;
            let listener = listener.as_mut().ok_or_else(closed)?;
            tokio::select! {
                accepted = listener.accept() => Ok(Here::new(accepted?)),
                _ = closing.wait_for(|closing| *closing) => Err(closed()),
            }
        };
        let host = self.host.clone();
        let operation = Operation::new(call, move |py, accepted| {
            let accepted = accepted.into_inner();
            let (reader, writer) = ends(accepted.stream, &host);
            let made = (reader, writer, accepted.from).into_pyobject(py)?;
            Ok(made.into_any().unbind())
        });
        Ok(operation.on(&self.host).named("accept"))
    }

    /// Has the host listen no more.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        checked(py, runtime())?;
        self.closing.send_replace(true);
        let listener = Here::new(Arc::clone(&self.listener));
        let call = async move {
            let listener = listener.lock().await.take();
            if let Some(listener) = listener {
                listener.close().await;
            }
            Ok(())
        };
        let operation = Operation::new(call, |py, ()| Ok(py.None()));
        Ok(operation.on(&self.host).named("close"))
    }
}
