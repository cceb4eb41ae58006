//! The task of a forward, and one for each connection that comes in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rmux_proto::socks::Outcome;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::local::{LocalListener, LocalStream};
use super::pump::carry;
use super::stats::Coming;
use super::wish::{Wish, outcome};
use super::{Go, Inner, closed};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Arrival, RemoteListener, RemoteStream};

/// How long to wait before connections are taken again where the system grants none: there are too
/// many open files, say.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
pub(super) enum Source {
    Local(LocalListener),
    Remote(RemoteListener),
}

/// Waits until the forward shall go no further than that.
async fn until(go: &mut watch::Receiver<Go>, stop: Go) {
    // The sender is held by the task that waits here.
    let _ = go.wait_for(|now| *now >= stop).await;
}

impl Inner {
    /// Takes connections until it is told to stop, or the session ends.
    pub(super) async fn listen(self: Arc<Self>, source: Source, end: impl Future<Output = Error>) {
        let mut go = self.go.subscribe();
        let taking = async {
            match source {
                Source::Local(listener) => {
                    tokio::select! {
                        never = self.take_local(&listener) => never,
                        () = until(&mut go, Go::Finish) => None,
                        error = end => Some(error),
                    }
                }
                Source::Remote(mut listener) => {
                    let ended = tokio::select! {
                        error = self.take_remote(&mut listener) => Some(error),
                        () = until(&mut go, Go::Finish) => None,
                    };
                    listener.close().await;
                    ended
                }
            }
        };
        let ended = taking.await;
        self.ended.send_replace(Some(ended));
    }

    async fn take_local(self: &Arc<Self>, listener: &LocalListener) -> Option<Error> {
        loop {
            // More than may be open at a time wait in the system's queue.
            let place = Arc::clone(&self.room).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, from)) => {
                    let forward = Arc::clone(self);
                    tokio::spawn(forward.carry_out(stream, from, place));
                }
                Err(error) => {
                    tracing::warn!(listen = %self.listen, %error, "no connection can be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn take_remote(self: &Arc<Self>, listener: &mut RemoteListener) -> Error {
        loop {
            let arrival = match listener.arrival().await {
                Ok(arrival) => arrival,
                Err(error) => return error,
            };
            match Arc::clone(&self.room).try_acquire_owned() {
                Ok(place) => {
                    tokio::spawn(Arc::clone(self).carry_in(arrival, place));
                }
                Err(_) => {
                    let _coming = self.counts.came();
                    let most = self.spec.max_connections;
                    let what = format!("there are {most} connections already");
                    self.failed(Error::new(ErrorKind::LimitExceeded, "forward", what));
                    arrival.refuse_as_busy().await;
                }
            }
        }
    }

    fn failed(&self, error: Error) {
        tracing::debug!(listen = %self.listen, %error, "a connection came to nothing");
        if let Some(hear) = &self.spec.on_failure {
            hear(&error);
        }
        self.counts.failed(error);
    }

    fn check(&self, target: &Endpoint) -> Result<()> {
        if self.spec.allows(target) {
            return Ok(());
        }
        let what = format!("connecting to {target} is not allowed here");
        Err(Error::new(ErrorKind::PermissionDenied, "forward", what))
    }

    /// A connection of this machine, for the remote.
    async fn carry_out(
        self: Arc<Self>,
        stream: LocalStream,
        from: Option<SocketAddr>,
        _place: OwnedSemaphorePermit,
    ) {
        let coming = self.counts.came();
        let mut go = self.go.subscribe();
        let carrying = async {
            if let Err(error) = self.out(stream, from, &coming).await {
                self.failed(error);
            }
        };
        tokio::select! {
            () = carrying => {}
            () = until(&mut go, Go::Cut) => {}
        }
    }

    async fn out(
        &self,
        mut stream: LocalStream,
        from: Option<SocketAddr>,
        coming: &Coming,
    ) -> Result<()> {
        let (target, wish) = match &self.spec.target {
            Some(target) => (target.clone(), None),
            None => {
                let wish = Wish::hear(&mut stream).await?;
                (wish.target.clone(), Some(wish))
            }
        };
        let reached = match self.check(&target) {
            Ok(()) => match self.session.upgrade() {
                Some(session) => session.reach_for(&target, from).await,
                None => Err(closed()),
            },
            Err(error) => Err(error),
        };
        let mut remote = match reached {
            Ok(remote) => remote,
            Err(error) => {
                match wish {
                    Some(wish) => drop(wish.grant(&mut stream, outcome(&error)).await),
                    // As ssh: who has connected here learns that nobody is there.
                    None => stream.break_off(),
                }
                return Err(error);
            }
        };
        if let Some(wish) = wish {
            let rest = wish.grant(&mut stream, Outcome::Connected).await;
            let rest = rest.map_err(|error| Error::io("forward", "a SOCKS client", error))?;
            self.first(&mut remote, &rest).await?;
        }
        let from = from.map(|from| from.to_string());
        let open = coming.opened(from, target);
        let count = [&self.counts.bytes, &open.bytes];
        carry(stream, remote, &count).await;
        Ok(())
    }

    /// Sends what a client had sent along with its request.
    async fn first(
        &self,
        to: &mut (impl tokio::io::AsyncWrite + Unpin),
        rest: &[u8],
    ) -> Result<()> {
        let sent = to.write_all(rest).await;
        sent.map_err(|error| Error::io("forward", "the first bytes cannot be sent", error))
    }

    /// A connection of the remote, for this machine.
    async fn carry_in(self: Arc<Self>, arrival: Arrival, _place: OwnedSemaphorePermit) {
        let coming = self.counts.came();
        let mut go = self.go.subscribe();
        let carrying = async {
            if let Err(error) = self.r#in(arrival, &coming).await {
                self.failed(error);
            }
        };
        tokio::select! {
            () = carrying => {}
            () = until(&mut go, Go::Cut) => {}
        }
    }

    async fn r#in(&self, arrival: Arrival, coming: &Coming) -> Result<()> {
        let from = arrival.from();
        let (local, remote, target) = match &self.spec.target {
            Some(target) => {
                let connected = match self.check(target) {
                    Ok(()) => LocalStream::connect(target)
                        .await
                        .map_err(|e| unreached(target, e)),
                    Err(error) => Err(error),
                };
                // Only now, so that who connects there learns that nobody is here.
                match connected {
                    Ok(local) => (local, arrival.accept().await, target.clone()),
                    Err(error) => {
                        arrival.refuse().await;
                        return Err(error);
                    }
                }
            }
            None => {
                let mut remote = arrival.accept().await.ok_or_else(closed)?;
                let wish = Wish::hear(&mut remote).await?;
                let target = wish.target.clone();
                let connected = match self.check(&target) {
                    Ok(()) => LocalStream::connect(&target)
                        .await
                        .map_err(|e| unreached(&target, e)),
                    Err(error) => Err(error),
                };
                match connected {
                    Ok(mut local) => {
                        let rest = wish.grant(&mut remote, Outcome::Connected).await;
                        let rest = rest.map_err(|e| Error::io("forward", "a SOCKS client", e))?;
                        self.first(&mut local, &rest).await?;
                        (local, Some(remote), target)
                    }
                    Err(error) => {
                        let _ = wish.grant(&mut remote, outcome(&error)).await;
                        let _ = remote.shutdown().await;
                        return Err(error);
                    }
                }
            }
        };
        let remote: RemoteStream = remote.ok_or_else(closed)?;
        let open = coming.opened(from, target);
        let count = [&self.counts.bytes, &open.bytes];
        carry(local, remote, &count).await;
        Ok(())
    }
}

fn unreached(target: &Endpoint, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        _ => ErrorKind::ConnectFailed,
    };
    let what = format!("cannot connect to {target}: {error}");
    Error::new(kind, "forward", what).with_source(error)
}
