//! Forwards: listeners on one side whose connections come out on the other.
//!
//! A [`Forward`] is a handle of a task that listens. Knows how connections are carried, and of sessions
//! only how they connect and listen; must not know what is said over a connection, but for SOCKS.

mod local;
mod pump;
mod serve;
mod spec;
mod stats;
mod wish;

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

pub use spec::ForwardSpec;
pub use stats::{ForwardConnection, ForwardKind, ForwardStats};

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Session, WeakSession};
use local::LocalListener;
use serve::Source;
use stats::{Counts, List};

/// How far a forward shall go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Go {
    /// It listens.
    On,
    /// It listens no more; connections go on.
    Finish,
    /// Connections are cut too.
    Cut,
}

/// What the handles and the tasks of a forward share.
struct Inner {
    kind: ForwardKind,
    spec: ForwardSpec,
    listen: Endpoint,
    counts: Arc<Counts>,
    session: WeakSession,
    go: watch::Sender<Go>,
    /// Why it listens no more, once it does not; none where it was told to stop.
    ended: watch::Sender<Option<Option<Error>>>,
    room: Arc<Semaphore>,
}

impl Inner {
    fn stop(&self, go: Go) {
        self.go.send_if_modified(|now| {
            let later = go > *now;
            *now = (*now).max(go);
            later
        });
    }

    fn stats(&self) -> ForwardStats {
        let listening = self.ended.borrow().is_none() && *self.go.borrow() == Go::On;
        let (listen, target) = (self.listen.clone(), self.spec.target.clone());
        self.counts.stats(self.kind, listen, target, listening)
    }
}

/// Its end is that of the last handle.
struct Handle {
    inner: Arc<Inner>,
    _session: Session,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.stop(Go::Finish);
    }
}

/// A port or socket that is listened on, and whose connections are carried to the other side.
///
/// Clones are handles of the same forward, which keep its session open. When the last is dropped it
/// listens no more, and connections that are open go on until they end by themselves; dropping
/// neither waits nor blocks. A forward ends with its session.
#[derive(Clone)]
pub struct Forward(Arc<Handle>);

impl Session {
    /// Listens on this machine, and connects from the host to the target for each connection that
    /// comes in. With port 0 the system chooses one, which [`Forward::listen`] tells. A spec that is
    /// [dynamic](ForwardSpec::dynamic) makes a SOCKS proxy, whose names the host resolves.
    ///
    /// Without a host it listens on the loopback addresses, as `ssh -L`: any program of this machine
    /// may connect, whoever runs it. A unix socket lets only the user.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where the port or socket is taken,
    /// [`ErrorKind::PermissionDenied`] where it is not allowed. What fails later fails for one
    /// connection, and is told by [`Forward::stats`].
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is listened on.
    pub async fn forward_local(&self, spec: &ForwardSpec) -> Result<Forward> {
        let family = self.host().address_family;
        let (listener, listen) = LocalListener::bind(spec, family)
            .await
            .map_err(|error| error.with_host(&self.host().name))?;
        Ok(self.forward(ForwardKind::Local, spec, listen, Source::Local(listener)))
    }

    /// Has the host listen, and connects from this machine to the target for each connection that
    /// comes in there. With port 0 the server chooses one. A spec that is
    /// [dynamic](ForwardSpec::dynamic) makes a SOCKS proxy of the host that leads here.
    ///
    /// # Errors
    /// [`ErrorKind::ChannelRefused`] where the server refuses: the port is taken, privileged, or
    /// forwarding is not allowed there. It does not tell which.
    ///
    /// # Cancel safety
    /// Cancel safe: the host is told to listen no more.
    pub async fn forward_remote(&self, spec: &ForwardSpec) -> Result<Forward> {
        let listener = Box::pin(self.listen(&spec.listen)).await?;
        let listen = listener.endpoint().clone();
        Ok(self.forward(ForwardKind::Remote, spec, listen, Source::Remote(listener)))
    }

    /// Listens on this machine as a SOCKS proxy (4, 4a and 5) whose connections the host makes.
    ///
    /// # Errors
    /// As [`forward_local`](Self::forward_local).
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is listened on.
    pub async fn forward_dynamic(&self, listen: Endpoint) -> Result<Forward> {
        self.forward_local(&ForwardSpec::dynamic(listen)).await
    }

    /// The forwards of the session that listen or have connections open, whoever made them.
    pub fn forwards(&self) -> Vec<ForwardStats> {
        let all = self.attached::<List<Inner>>().all().into_iter();
        let stats = all.map(|forward| forward.stats());
        stats.filter(|f| f.listening || f.open > 0).collect()
    }

    fn forward(
        &self,
        kind: ForwardKind,
        spec: &ForwardSpec,
        listen: Endpoint,
        source: Source,
    ) -> Forward {
        let inner = Arc::new(Inner {
            kind,
            spec: spec.clone(),
            listen,
            counts: Arc::default(),
            session: self.downgrade(),
            go: watch::Sender::new(Go::On),
            ended: watch::Sender::new(None),
            room: Arc::new(Semaphore::new(spec.max_connections)),
        });
        self.attached::<List<Inner>>().enter(&inner);
        let end = self.end();
        tokio::spawn(Arc::clone(&inner).listen(source, end));
        Forward(Arc::new(Handle {
            inner,
            _session: self.clone(),
        }))
    }
}

impl Forward {
    /// Where it listens, with the port that was chosen.
    pub fn listen(&self) -> &Endpoint {
        &self.0.inner.listen
    }

    /// The port that it listens on, where it is one.
    pub fn port(&self) -> Option<u16> {
        self.listen().port_number()
    }

    /// Where connections go; none for wherever a SOCKS client asks for.
    pub fn target(&self) -> Option<&Endpoint> {
        self.0.inner.spec.target.as_ref()
    }

    /// On which side it listens.
    pub fn kind(&self) -> ForwardKind {
        self.0.inner.kind
    }

    /// What it does now and has done. Never waits.
    pub fn stats(&self) -> ForwardStats {
        self.0.inner.stats()
    }

    /// Listens no more, and returns when that is so. Connections that are open go on.
    ///
    /// # Cancel safety
    /// Cancel safe: it listens no more all the same.
    pub async fn close(&self) {
        self.0.inner.stop(Go::Finish);
        self.over().await;
    }

    /// Listens no more and cuts the connections that are open. Returns when it listens no more.
    ///
    /// # Cancel safety
    /// Cancel safe: all ends all the same.
    pub async fn cut(&self) {
        self.0.inner.stop(Go::Cut);
        self.over().await;
    }

    /// Waits until no connection of it is there.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn idle(&self) {
        self.0.inner.counts.idle().await;
    }

    /// Waits until it listens no more.
    ///
    /// # Errors
    /// Why, where it was not told to stop: its session has ended, or the connection was lost over
    /// which the host listened.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&self) -> Result<()> {
        match self.over().await {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn over(&self) -> Option<Error> {
        let mut ended = self.0.inner.ended.subscribe();
        // The sender lives as long as this handle.
        let ended = ended.wait_for(Option::is_some).await;
        ended.ok().and_then(|ended| ended.clone().flatten())
    }
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward")
            .field("kind", &self.kind())
            .field("listen", self.listen())
            .field("target", &self.target())
            .finish_non_exhaustive()
    }
}

/// The session has ended, as far as a forward can tell.
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "forward", "the session has ended")
}
