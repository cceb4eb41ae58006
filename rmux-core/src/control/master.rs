//! The task that takes clients in, and the handle of whoever started it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::forwards::Forwards;
use super::socket::{Bound, ControlSocket};
use crate::error::Error;
use crate::session::{CloseReason, Session};

/// How long no client is taken in after the system had no room for one.
const BREATH: Duration = Duration::from_millis(100);

/// Serves a [`Session`] at a control socket, to clients of OpenSSH and of rmux. Dropping it ends all
/// that: the socket is removed, and clients are cut off.
///
/// It keeps the session open. A client that has the same account as this process, or is root, gets
/// what OpenSSH's master gives: commands, terminals and subsystems on the descriptors that it passes,
/// each with the environment that the session's `SendEnv` lets through and its `SetEnv` sets. The
/// descriptors are never made non-blocking.
#[derive(Debug)]
pub struct ControlMaster {
    path: PathBuf,
    shared: Arc<Shared>,
}

/// How a [`ControlMaster`] ended.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum ControlEnd {
    /// A client asked it to, as `ssh -O exit` does.
    Terminated,
    /// It was closed from here, or the session was.
    Closed,
    /// The session's connection was lost.
    Lost(Error),
}

/// What the handle, the task and each client's connection share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) session: Session,
    pub(super) forwards: Forwards,
    /// The socket's name, while there is one.
    bound: Mutex<Option<Bound>>,
    listening: watch::Sender<bool>,
    clients: watch::Sender<usize>,
    ended: watch::Sender<Option<ControlEnd>>,
    /// Told when a terminal may have another size.
    resized: watch::Sender<()>,
    last_session: AtomicU32,
}

impl Shared {
    /// Removes the socket; whoever is served is served on.
    pub(super) fn stop_listening(&self) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        drop({ bound }.take());
        self.listening.send_replace(false);
    }

    /// Ends it all, unless something else did before.
    pub(super) fn end(&self, how: ControlEnd) {
        self.stop_listening();
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(how);
            first
        });
    }

    /// A number for a session of a client.
    pub(super) fn next_session(&self) -> u32 {
        self.last_session.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many clients are connected.
    pub(super) fn clients(&self) -> usize {
        *self.clients.borrow()
    }

    pub(super) fn resized(&self) -> watch::Receiver<()> {
        self.resized.subscribe()
    }
}

impl ControlMaster {
    pub(super) fn start(socket: ControlSocket, session: Session) -> Self {
        let ControlSocket { listener, bound } = socket;
        let path = bound.path().to_owned();
        let shared = Arc::new(Shared {
            session,
            forwards: Forwards::default(),
            bound: Mutex::new(Some(bound)),
            listening: watch::Sender::new(true),
            clients: watch::Sender::new(0),
            ended: watch::Sender::new(None),
            resized: watch::Sender::new(()),
            last_session: AtomicU32::new(0),
        });
        let listener = listener
            .set_nonblocking(true)
            .and_then(|()| UnixListener::from_std(listener));
        tokio::spawn(run(Arc::clone(&shared), listener));
        Self { path, shared }
    }

    /// Where the socket is, or was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many clients are connected: each command and each query is one.
    pub fn clients(&self) -> usize {
        self.shared.clients()
    }

    /// Removes the socket. Those who are connected are served on.
    pub fn stop_listening(&self) {
        self.shared.stop_listening();
    }

    /// Waits until it takes no further clients.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn stopped(&self) {
        let mut listening = self.shared.listening.subscribe();
        // An error would mean that the sender is gone, which is held here.
        let _ = listening.wait_for(|listening| !listening).await;
    }

    /// Waits until no client has been connected, and no forward that a client asked for has carried
    /// anything, for this long; one that comes and goes begins it anew. With no time at all it waits
    /// until there is none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn unused_for(&self, time: Duration) {
        let mut clients = self.shared.clients.subscribe();
        // An error would mean that the sender is gone, which is held here.
        while clients.wait_for(|clients| *clients == 0).await.is_ok() {
            tokio::select! {
                biased;
                _ = clients.changed() => {}
                () = tokio::time::sleep(time) => {
                    if !self.shared.forwards.are_busy() {
                        return;
                    }
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    /// Waits until it has ended, and tells how that came.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn ended(&self) -> ControlEnd {
        let mut ended = self.shared.ended.subscribe();
        let ended = ended.wait_for(Option::is_some).await;
        let how = ended.ok().and_then(|ended| ended.clone());
        how.unwrap_or(ControlEnd::Closed)
    }

    /// Removes the socket and cuts all clients off; returns when they are. The session stays.
    ///
    /// # Cancel safety
    /// Cancel safe: it ends all the same.
    pub async fn close(&self) {
        self.shared.end(ControlEnd::Closed);
        let mut clients = self.shared.clients.subscribe();
        // An error would mean that the sender is gone, which is held here.
        let _ = clients.wait_for(|clients| *clients == 0).await;
    }
}

impl Drop for ControlMaster {
    fn drop(&mut self) {
        self.shared.end(ControlEnd::Closed);
    }
}

/// A client that is connected, as long as this is held.
#[derive(Debug)]
pub(super) struct Counted(Arc<Shared>);

impl Counted {
    fn one_more(shared: &Arc<Shared>) -> Self {
        shared.clients.send_modify(|clients| *clients += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.clients.send_modify(|clients| *clients -= 1);
    }
}

async fn run(shared: Arc<Shared>, listener: io::Result<UnixListener>) {
    let listener = listener.inspect_err(|error| tracing::warn!(%error, "the control socket"));
    let mut listener = listener.ok();
    let mut connections = JoinSet::new();
    let mut listening = shared.listening.subscribe();
    let mut ended = shared.ended.subscribe();
    let session = shared.session.clone();
    // Where the system has no room for it, terminals keep their sizes.
    let mut window_changes = signal(SignalKind::window_change()).ok();
    loop {
        tokio::select! {
            biased;
            _ = ended.wait_for(Option::is_some) => break,
            reason = session.closed() => shared.end(match reason {
                CloseReason::Lost(error) => ControlEnd::Lost(error),
                CloseReason::Closed => ControlEnd::Closed,
            }),
            _ = listening.wait_for(|listening| !listening), if listener.is_some() => listener = None,
            stream = accept(listener.as_ref()) => {
                let client = Counted::one_more(&shared);
                connections.spawn(Connection::new(Arc::clone(&shared), stream, client).run());
            }
            Some(_) = connections.join_next() => {}
            () = changed(window_changes.as_mut()) => {
                shared.resized.send_replace(());
            }
        }
    }
    connections.shutdown().await;
}

/// The next client that may be served.
async fn accept(listener: Option<&UnixListener>) -> UnixStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) if may_use(&stream) => return stream,
            Ok(_) => tracing::warn!("another account's client was turned away"),
            Err(error) => {
                tracing::warn!(%error, "no client can be taken in");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn may_use(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let peer = stream.peer_cred().map(|peer| peer.uid());
    peer.is_ok_and(|peer| peer == 0 || peer == own)
}

async fn changed(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
