//! An SSH server inside this process, which runs commands as the current user. For password and
//! keyboard-interactive logins, for machines without sshd, and for demonstrations.
//!
//! | file | what it does |
//! |---|---|
//! | `builder` | settings |
//! | `connection` | one connection: logins, channels and their requests |
//! | `channel` | one running program behind a channel, and its streams |
//! | `backlog` | what a program has not read yet: some in memory, the rest in a file |
//! | `program`, `terminal` | starting a program, with or without a terminal |
//! | `sftp` | the subsystem, over the real file system |
//!
//! It gives whoever logs in a shell: it listens on loopback unless told otherwise, and a
//! server without any way to log in refuses everyone. Must not know what connects to it.
//!
//! Memory: each closed channel leaves some 3 KiB behind until its connection ends, because the
//! engine forgets a channel only when the client is the first to close it.

mod backlog;
mod builder;
mod channel;
mod connection;
mod program;
mod sftp;
mod terminal;

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::{Algorithm, PrivateKey};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

pub use builder::{EmbeddedServerBuilder, Round};

use builder::Settings;
use connection::Connection;

/// How long a client may take to say hello.
const HELLO_LIMIT: Duration = Duration::from_secs(30);

/// A running server. Dropping it stops it: connections are reset, and programs it started are
/// ended, as far as the runtime still runs; [`stop`](Self::stop) waits for that.
#[derive(Debug)]
pub struct EmbeddedServer {
    addr: SocketAddr,
    user: String,
    host_key: String,
    counts: Arc<Counts>,
    stop: watch::Sender<bool>,
    /// Ends when the last task of the server has ended.
    tasks: mpsc::Receiver<()>,
}

/// What is alive.
#[derive(Debug, Default)]
pub(super) struct Counts {
    connections: AtomicUsize,
    programs: AtomicUsize,
    agents_opened: AtomicUsize,
    agents_refused: AtomicUsize,
    others_opened: AtomicUsize,
    others_refused: AtomicUsize,
}

impl Counts {
    fn agent_channel(&self, opened: bool) {
        let count = match opened {
            true => &self.agents_opened,
            false => &self.agents_refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn other_channel(&self, opened: bool) {
        let count = match opened {
            true => &self.others_opened,
            false => &self.others_refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl EmbeddedServer {
    /// Settings for one to start.
    pub fn builder() -> EmbeddedServerBuilder {
        EmbeddedServerBuilder::default()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The user it lets in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The host key as `ssh-ed25519 AAAA…`.
    pub fn host_public_key(&self) -> &str {
        &self.host_key
    }

    /// The host key as a line of known_hosts: `[127.0.0.1]:port ssh-ed25519 AAAA…`.
    pub fn host_public_key_line(&self) -> String {
        format!(
            "[{}]:{} {}",
            self.addr.ip(),
            self.addr.port(),
            self.host_key
        )
    }

    /// Number of live connections.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Number of programs and SFTP servers running behind channels.
    pub fn programs(&self) -> usize {
        self.counts.programs.load(Ordering::Relaxed)
    }

    /// How many channels to the client's agent the client granted, and how many it refused; see
    /// [`asks_agent`](EmbeddedServerBuilder::asks_agent).
    pub fn agent_channels(&self) -> (usize, usize) {
        let Counts {
            agents_opened,
            agents_refused,
            ..
        } = &*self.counts;
        (
            agents_opened.load(Ordering::Relaxed),
            agents_refused.load(Ordering::Relaxed),
        )
    }

    /// The same for one channel of every other kind there is.
    pub fn other_channels(&self) -> (usize, usize) {
        let Counts {
            others_opened,
            others_refused,
            ..
        } = &*self.counts;
        (
            others_opened.load(Ordering::Relaxed),
            others_refused.load(Ordering::Relaxed),
        )
    }

    /// Stops: closes the port and every connection, ends the programs it started (SIGHUP, then
    /// SIGKILL) and returns when all are gone.
    ///
    /// # Cancel safety
    /// Cancel safe: the server stops all the same.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Nothing is ever sent: this waits for the last sender to go.
        while self.tasks.recv().await.is_some() {}
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl EmbeddedServerBuilder {
    /// Starts the server on the current tokio runtime, with a new ed25519 host key.
    ///
    /// # Errors
    /// When the address cannot be listened on or an authorized key cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is left if cancelled.
    pub async fn start(self) -> io::Result<EmbeddedServer> {
        let (settings, listen) = self.finish()?;
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
            .map_err(io::Error::other)?;
        let host_key = key.public_key().to_openssh().map_err(io::Error::other)?;
        let config = Arc::new(settings.engine_config(key));
        let settings = Arc::new(settings);
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let (stop, stopping) = watch::channel(false);
        let (alive, tasks) = mpsc::channel(1);
        let user = settings.user.clone();
        let server = Server {
            config,
            settings,
            counts: counts.clone(),
            stopping,
            alive,
        };
        tokio::spawn(server.run(listener));
        Ok(EmbeddedServer {
            addr,
            user,
            host_key,
            counts,
            stop,
            tasks,
        })
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    config: Arc<russh::server::Config>,
    settings: Arc<Settings>,
    counts: Arc<Counts>,
    stopping: watch::Receiver<bool>,
    /// Held by every task of the server.
    alive: mpsc::Sender<()>,
}

impl Server {
    async fn run(mut self, listener: TcpListener) {
        let connections = self.clone();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => return,
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        tokio::spawn(connections.clone().serve(socket, peer));
                    }
                    // Out of descriptors: others will end and free some.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
            }
        }
    }

    async fn serve(mut self, socket: TcpStream, peer: SocketAddr) {
        let _count = Count::new(self.counts.clone(), |counts| &counts.connections);
        if let Err(error) = self.converse(socket, peer).await {
            tracing::debug!(%peer, %error, "embedded server: connection ended");
        }
    }

    async fn converse(&mut self, socket: TcpStream, peer: SocketAddr) -> Result<(), russh::Error> {
        socket.set_nodelay(true)?;
        let local = socket.local_addr()?;
        // The engine's task cannot be stopped from outside, but its socket can.
        let socket = socket.into_std()?;
        let line = Line(socket.try_clone()?);
        let socket = TcpStream::from_std(socket)?;
        let connection = Connection::new(
            self.settings.clone(),
            self.counts.clone(),
            self.alive.clone(),
            local,
            peer,
        );
        let talk = async {
            let hello = russh::server::run_stream(self.config.clone(), socket, connection);
            let session = tokio::time::timeout(HELLO_LIMIT, hello).await;
            session.map_err(|_| russh::Error::ConnectionTimeout)??.await
        };
        let mut stopping = self.stopping.clone();
        let result = tokio::select! {
            result = talk => result,
            () = stopped(&mut stopping) => Ok(()),
        };
        drop(line);
        result
    }
}

/// Returns when the server is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Cuts the connection when dropped.
struct Line(std::net::TcpStream);

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Counts one more for as long as it lives.
pub(super) struct Count {
    counts: Arc<Counts>,
    which: fn(&Counts) -> &AtomicUsize,
}

impl Count {
    fn new(counts: Arc<Counts>, which: fn(&Counts) -> &AtomicUsize) -> Self {
        which(&counts).fetch_add(1, Ordering::Relaxed);
        Self { counts, which }
    }

    pub(super) fn program(counts: Arc<Counts>) -> Self {
        Self::new(counts, |counts| &counts.programs)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        (self.which)(&self.counts).fetch_sub(1, Ordering::Relaxed);
    }
}
