//! The link simulator: a TCP relay in this process that makes a loopback connection slow,
//! narrow, silent or short-lived.
//!
//! It forwards bytes and must not know what they mean.

mod clock;
mod pump;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use pump::Cuts;
use state::{Access, State};

/// A direction through a [`Relay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client that connected to the relay, to the server behind it.
    Up,
    /// From the server to the client.
    Down,
}

impl Direction {
    /// Both, [`Up`](Self::Up) first.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];
}

/// How a connection ends when the relay cuts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cut {
    /// RST to both sides, as when a middlebox forgets the connection. What a side has not read
    /// yet may be lost with it.
    #[default]
    Reset,
    /// FIN to both sides, as when the other program ends: what was forwarded arrives.
    Finish,
}

/// A running relay. Dropping it resets its connections and closes its port.
///
/// All controls act at once, on live and later connections, and may be called from any thread.
/// Both sockets of a connection have nodelay set. Connecting is not delayed: the kernel answers
/// it, so a cold start over a delay of 50 ms measures one round trip of 100 ms too few.
pub struct Relay {
    state: Arc<State>,
    addr: SocketAddr,
}

/// Settings of a [`Relay`].
#[derive(Clone, Debug)]
#[must_use = "nothing runs until start() is called"]
pub struct RelayBuilder {
    target: SocketAddr,
    listen: SocketAddr,
    delay: [Duration; 2],
    bandwidth: [Option<u64>; 2],
    cut_after: [Option<u64>; 2],
    stall_after: [Option<u64>; 2],
    cut: Cut,
    refuse: bool,
    drop_all: bool,
}

impl Relay {
    /// Settings for a relay to `target`.
    pub fn to(target: SocketAddr) -> RelayBuilder {
        RelayBuilder {
            target,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            delay: [Duration::ZERO; 2],
            bandwidth: [None; 2],
            cut_after: [None; 2],
            stall_after: [None; 2],
            cut: Cut::Reset,
            refuse: false,
            drop_all: false,
        }
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port of [`addr`](Self::addr).
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Number of live connections.
    pub fn connections(&self) -> usize {
        self.state.live.load(Ordering::Relaxed)
    }

    /// Number of connections accepted since the start.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// Bytes forwarded in this direction since the start, over all connections.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.state.lane(direction).forwarded.load(Ordering::Relaxed)
    }

    /// Sets the one-way delay of both directions for bytes that arrive from now on. The round
    /// trip grows by twice this.
    pub fn set_delay(&self, delay: Duration) {
        for direction in Direction::BOTH {
            self.state
                .lane(direction)
                .control(|control| control.delay = delay);
        }
    }

    /// Sets or lifts the bandwidth limit of one direction, in bytes per second, shared by all
    /// connections.
    pub fn set_bandwidth(&self, direction: Direction, bytes_per_second: Option<u64>) {
        self.state
            .lane(direction)
            .control(|control| control.bandwidth = bytes_per_second);
    }

    /// Stops reading and forwarding in one direction until [`resume`](Self::resume): the
    /// sender's buffers fill up, and nothing is lost.
    pub fn stall(&self, direction: Direction) {
        self.state
            .lane(direction)
            .control(|control| control.stalled = true);
    }

    /// Stalls one direction by itself after `bytes` more bytes have been forwarded.
    pub fn stall_after(&self, direction: Direction, bytes: u64) {
        self.state
            .lane(direction)
            .control(|control| control.stall_after = Some(bytes));
    }

    /// Ends [`stall`](Self::stall) of both directions, [`drop_all`](Self::drop_all) and
    /// [`refuse`](Self::refuse). Connections that lost bytes meanwhile stay silent for good.
    pub fn resume(&self) {
        for direction in Direction::BOTH {
            self.state.lane(direction).control(|control| {
                control.stalled = false;
                control.drop_all = false;
            });
        }
        self.state.set_access(Access::Accept);
    }

    /// From now on swallows what arrives, in both directions, without closing anything, as a
    /// network that drops every packet. New connections are accepted and get no answer.
    pub fn drop_all(&self) {
        for direction in Direction::BOTH {
            self.state
                .lane(direction)
                .control(|control| control.drop_all = true);
        }
    }

    /// Cuts all live connections (RST). New ones are accepted.
    pub fn cut(&self) {
        self.state.cut_all(Cut::Reset);
    }

    /// Cuts all live connections in the way given. New ones are accepted.
    pub fn cut_by(&self, cut: Cut) {
        self.state.cut_all(cut);
    }

    /// Cuts all live connections once `bytes` more bytes have been forwarded in this
    /// direction, over all connections; exactly as many are forwarded. Happens once: later
    /// connections live.
    pub fn set_cut_after(&self, direction: Direction, bytes: u64) {
        self.state
            .lane(direction)
            .control(|control| control.cut_after = Some(bytes));
    }

    /// Sends FIN in one direction of every live connection, after the chunk being forwarded,
    /// and discards what comes later in it. The other direction goes on.
    pub fn half_close(&self, direction: Direction) {
        self.state.half_close(direction);
    }

    /// Refuses new connections ("connection refused") until [`resume`](Self::resume). Live
    /// ones go on.
    ///
    /// # Cancel safety
    /// Cancel safe: the request stands, only its completion is not awaited.
    pub async fn refuse(&self) {
        self.state.set_access(Access::Refuse);
        self.state.await_access(Access::Refuse).await;
    }
}

impl RelayBuilder {
    /// The address to listen on. Default: a free port of `127.0.0.1`.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// One-way delay of both directions; the round trip grows by twice this. Chunks are timed
    /// one by one, so a delay limits throughput only as far as 128 MiB in flight do. Default:
    /// none.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = [delay; 2];
        self
    }

    /// One-way delay of one direction.
    pub fn delay_of(mut self, direction: Direction, delay: Duration) -> Self {
        self.delay[direction as usize] = delay;
        self
    }

    /// Bandwidth of each direction in bytes per second, shared by all connections. Default: no
    /// limit.
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = [Some(bytes_per_second); 2];
        self
    }

    /// As [`Relay::set_cut_after`], counted from the start.
    pub fn cut_after(mut self, direction: Direction, bytes: u64) -> Self {
        self.cut_after[direction as usize] = Some(bytes);
        self
    }

    /// How [`cut_after`](Self::cut_after) and [`Relay::set_cut_after`] end connections.
    /// Default: [`Cut::Reset`].
    pub fn cut_by(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// As [`Relay::stall_after`], counted from the start.
    pub fn stall_after(mut self, direction: Direction, bytes: u64) -> Self {
        self.stall_after[direction as usize] = Some(bytes);
        self
    }

    /// Starts as after [`Relay::refuse`].
    pub fn refuse(mut self) -> Self {
        self.refuse = true;
        self
    }

    /// Starts as after [`Relay::drop_all`]: accepts, and never says a word.
    pub fn drop_all(mut self) -> Self {
        self.drop_all = true;
        self
    }

    /// Binds the port and starts to relay, on the current tokio runtime.
    ///
    /// # Panics
    /// When the port cannot be bound.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is left if cancelled.
    pub async fn start(self) -> Relay {
        let state = Arc::new(State::new(
            self.cut,
            if self.refuse {
                Access::Refuse
            } else {
                Access::Accept
            },
        ));
        for direction in Direction::BOTH {
            let index = direction as usize;
            state.lane(direction).control(|control| {
                control.delay = self.delay[index];
                control.bandwidth = self.bandwidth[index];
                control.cut_after = self.cut_after[index];
                control.stall_after = self.stall_after[index];
                control.drop_all = self.drop_all;
            });
        }
        let door = Door::open(self.listen, self.refuse).expect("a loopback port for the relay");
        let addr = door.addr().expect("a bound socket has an address");
        tokio::spawn(accept(door, addr, self.target, state.clone()));
        Relay { state, addr }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.cut_all(Cut::Reset);
        self.state.set_access(Access::Over);
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("addr", &self.addr)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// The relay's port: listening, or kept from others while it refuses.
enum Door {
    Open(TcpListener),
    Shut(TcpSocket),
}

impl Door {
    fn open(addr: SocketAddr, refuse: bool) -> std::io::Result<Self> {
        let socket = if addr.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // The port has connections of its own when it is bound again.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        // Bound without listening: the kernel refuses, and nobody else gets the port.
        Ok(if refuse {
            Self::Shut(socket)
        } else {
            Self::Open(socket.listen(1024)?)
        })
    }

    fn addr(&self) -> std::io::Result<SocketAddr> {
        match self {
            Self::Open(listener) => listener.local_addr(),
            Self::Shut(socket) => socket.local_addr(),
        }
    }
}

async fn accept(mut door: Door, addr: SocketAddr, target: SocketAddr, state: Arc<State>) {
    let mut access = state.wanted_access();
    let mut connections = JoinSet::new();
    loop {
        let wanted = *access.borrow_and_update();
        let refuse = match wanted {
            Access::Accept => false,
            Access::Refuse => true,
            Access::Over => break,
        };
        if refuse != matches!(door, Door::Shut(_)) {
            drop(door);
            door = match Door::open(addr, refuse) {
                Ok(door) => door,
                Err(error) => {
                    tracing::error!(%addr, %error, "the relay lost its port");
                    return;
                }
            };
        }
        state.has_access(wanted);
        let accepted = async {
            match &door {
                Door::Open(listener) => listener.accept().await,
                Door::Shut(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = access.changed() => {}
            Some(_) = connections.join_next() => {}
            accepted = accepted => if let Ok((client, _)) = accepted {
                state.accepted.fetch_add(1, Ordering::Relaxed);
                // Subscribed here, so that no cut falls between accepting and serving.
                connections.spawn(serve(client, target, state.cuts(), state.clone()));
            },
        }
    }
    drop(door);
    state.cut_all(Cut::Reset);
    while connections.join_next().await.is_some() {}
}

async fn serve(client: TcpStream, target: SocketAddr, mut cuts: Cuts, state: Arc<State>) {
    let _live = state.enter();
    if state.is_black_hole() {
        // No server will ever hear of it, so none is asked.
        let cut = pump::swallow(&client, &mut cuts).await;
        pump::close(client, cut);
        return;
    }
    let server = tokio::select! {
        server = TcpStream::connect(target) => server,
        cut = pump::cut(&mut cuts) => return pump::close(client, Some(cut)),
    };
    match server {
        Ok(server) => pump::run(client, server, &state, cuts).await,
        // The nearest thing to the refusal the client would have seen without a relay.
        Err(_) => pump::close(client, Some(Cut::Reset)),
    }
}
