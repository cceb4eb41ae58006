//! One relayed connection: in each direction a reader that stamps chunks with the time they
//! are due, and a writer that forwards them then, as far as the controls allow.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc, watch};

use super::state::{Control, Lane, State};
use super::{Cut, Direction};

/// Bytes on their way in one direction of one connection: enough for 1 GiB/s at 100 ms.
const IN_FLIGHT: usize = 128 << 20;
/// Buffer of a narrow link beyond what is on its way.
const NARROW_BUFFER: usize = 256 << 10;
const READ: usize = 256 << 10;
/// A narrow link forwards in steps of this time, so that it flows rather than drips.
const STEP: Duration = Duration::from_millis(5);

pub(super) type Cuts = watch::Receiver<(u64, Cut)>;

struct Chunk {
    due: Instant,
    /// `None` at the end of the stream.
    data: Option<Bytes>,
}

/// Relays until both directions have ended or the connection is cut.
pub(super) async fn run(
    mut client: TcpStream,
    mut server: TcpStream,
    state: &State,
    mut cuts: Cuts,
) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let how = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both = async {
            tokio::try_join!(
                one_way(from_client, to_server, state, Direction::Up),
                one_way(from_server, to_client, state, Direction::Down),
            )
        };
        tokio::select! {
            biased;
            cut = cut(&mut cuts) => Some(cut),
            // A side that resets its connection resets the other's.
            ended = both => ended.is_err().then_some(Cut::Reset),
        }
    };
    close(client, how);
    close(server, how);
}

/// Reads and forgets what `client` sends, until it is cut.
pub(super) async fn swallow(client: &TcpStream, cuts: &mut Cuts) -> Option<Cut> {
    let swallowing = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match client.readable().await {
                Ok(()) => client.try_read(&mut buffer),
                Err(error) => Err(error),
            };
            match read {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        biased;
        cut = cut(cuts) => Some(cut),
        () = swallowing => None,
    }
}

/// Returns when the relay's connections are to be cut.
pub(super) async fn cut(cuts: &mut Cuts) -> Cut {
    match cuts.changed().await {
        Ok(()) => cuts.borrow_and_update().1,
        Err(_) => Cut::Reset,
    }
}

pub(super) fn close(socket: TcpStream, how: Option<Cut>) {
    if how == Some(Cut::Reset) {
        let _ = socket.set_zero_linger();
    }
}

async fn one_way(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    state: &State,
    direction: Direction,
) -> io::Result<()> {
    let lane = state.lane(direction);
    let flight = Flight {
        bytes: AtomicUsize::new(0),
        landed: Notify::new(),
    };
    let (queue, chunks) = mpsc::unbounded_channel();
    let reading = read(from, lane, queue, &flight);
    let writing = write(to, state, direction, chunks, &flight);
    tokio::try_join!(reading, writing)?;
    Ok(())
}

/// Bytes between reader and writer.
struct Flight {
    bytes: AtomicUsize,
    landed: Notify,
}

async fn read(
    mut from: ReadHalf<'_>,
    lane: &Lane,
    queue: mpsc::UnboundedSender<Chunk>,
    flight: &Flight,
) -> io::Result<()> {
    let mut settings = lane.settings();
    let mut buffer = BytesMut::new();
    let mut last_due = Instant::now();
    loop {
        while flight.bytes.load(Ordering::Acquire) >= room(&settings.borrow()) {
            flight.landed.notified().await;
        }
        let _ = settings.wait_for(|control| !control.stalled).await;
        buffer.reserve(READ);
        let length = match from.read_buf(&mut buffer).await {
            Ok(length) => length,
            // Where nothing gets through, neither does the news of a reset.
            Err(_) if settings.borrow().drop_all => std::future::pending().await,
            Err(error) => return Err(error),
        };
        // A shorter delay set meanwhile must not let bytes overtake earlier ones.
        let due = last_due.max(Instant::now() + settings.borrow().delay);
        last_due = due;
        flight.bytes.fetch_add(length, Ordering::AcqRel);
        let data = (length > 0).then(|| buffer.split().freeze());
        let is_end = data.is_none();
        if queue.send(Chunk { due, data }).is_err() || is_end {
            return Ok(());
        }
    }
}

fn room(control: &Control) -> usize {
    match control.bandwidth {
        // Without this, a sender would see all its bytes gone at once and latency grow without
        // end, as on no real link.
        Some(bandwidth) => {
            let on_its_way = bandwidth as f64 * control.delay.as_secs_f64();
            (on_its_way as usize)
                .saturating_add(NARROW_BUFFER)
                .min(IN_FLIGHT)
        }
        None => IN_FLIGHT,
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    state: &State,
    direction: Direction,
    mut chunks: mpsc::UnboundedReceiver<Chunk>,
    flight: &Flight,
) -> io::Result<()> {
    let lane = state.lane(direction);
    let mut settings = lane.settings();
    let mut half_closes = state.half_closes(direction);
    // Once bytes are lost, later ones would only look like a broken peer.
    let mut is_silent = false;
    loop {
        let next = tokio::select! {
            chunk = chunks.recv() => chunk,
            _ = half_closes.changed() => {
                to.shutdown().await?;
                drain(&mut chunks, flight).await;
                return Ok(());
            }
        };
        let Some(Chunk { due, data }) = next else {
            return Ok(());
        };
        state.clock.sleep_until(due).await;
        let length = data.as_ref().map_or(0, Bytes::len);
        is_silent |= settings.borrow().drop_all;
        if is_silent {
            land(flight, length);
            if data.is_none() {
                // The end of the stream is lost too.
                std::future::pending::<()>().await;
            }
            continue;
        }
        let Some(mut data) = data else {
            let _ = settings.wait_for(|control| !control.stalled).await;
            to.shutdown().await?;
            return Ok(());
        };
        while !data.is_empty() && !settings.borrow().drop_all {
            // A statement of its own: taking may change what is borrowed here.
            let most = step(&settings.borrow());
            let grant = lane.take(data.len().min(most));
            if grant.bytes == 0 && !grant.then_cut {
                let _ = settings.wait_for(|control| !control.stalled).await;
                continue;
            }
            let part = data.split_to(grant.bytes);
            if let Some(through) = lane.reserve(part.len()) {
                state.clock.sleep_until(through).await;
            }
            to.write_all(&part).await?;
            lane.forwarded
                .fetch_add(part.len() as u64, Ordering::Relaxed);
            if grant.then_cut {
                state.cut_all(state.cut);
                std::future::pending::<()>().await;
            }
        }
        is_silent |= !data.is_empty();
        land(flight, length);
    }
}

/// Most bytes forwarded in one go.
fn step(control: &Control) -> usize {
    match control.bandwidth {
        Some(bandwidth) => ((bandwidth as f64 * STEP.as_secs_f64()) as usize).max(1),
        None => usize::MAX,
    }
}

async fn drain(chunks: &mut mpsc::UnboundedReceiver<Chunk>, flight: &Flight) {
    while let Some(chunk) = chunks.recv().await {
        land(flight, chunk.data.as_ref().map_or(0, Bytes::len));
    }
}

fn land(flight: &Flight, bytes: usize) {
    flight.bytes.fetch_sub(bytes, Ordering::AcqRel);
    flight.landed.notify_one();
}
