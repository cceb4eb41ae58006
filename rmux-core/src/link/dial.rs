//! From a host name to a connection whose server is known to be the right one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::client::Handle;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::handler::{Handler, Verdict};
use super::transport::{Cutter, Transport};
use super::watched::Watched;
use super::{CONNECT_TIMEOUT, KEEPALIVE, Lost, Progress, Report, algorithms, engine_error};
use crate::ask::Asker;
use crate::config::Config;
use crate::deadline::Expired;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::printable::printable;
use crate::trust::Judge;

/// A window that a link of 100 ms round trip can fill with 160 MB/s.
const WINDOW: u32 = 16 << 20;
/// What OpenSSH uses.
const MAX_PACKET: u32 = 32 << 10;
/// Messages between the engine and a channel's drain.
const CHANNEL_QUEUE: usize = 128;
/// A rekey that the client starts can end a busy connection in this engine, so the server is left
/// to start it: OpenSSH does so after 64 GiB of AES and 1 GiB of ChaCha20. Our own limit is a last
/// resort, well below 2^32 packets; there is none in time.
const REKEY_BYTES: usize = 96 << 30;
const REKEY_TIME: Duration = A_YEAR;
/// The engine adds durations to the clock, so none may be without bound.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long connecting may take.
pub(crate) fn connect_timeout(host: &Host, config: &Config) -> Duration {
    config
        .connect_timeout
        .or(host.connect_timeout)
        .unwrap_or(CONNECT_TIMEOUT)
}

/// The connection from outside of the engine. Dropping it cuts the connection, and ends a question
/// about the host key that is open.
#[derive(Debug)]
pub(super) struct Severer {
    cutter: Cutter,
    _given_up: oneshot::Sender<std::convert::Infallible>,
}

impl Severer {
    pub(super) fn cut(&self) {
        self.cutter.cut();
    }
}

/// A connection whose server is the right one, not yet authenticated.
pub(super) struct Shaken {
    pub(super) handle: Handle<Handler>,
    pub(super) lost: Lost,
    pub(super) closing: watch::Sender<bool>,
    pub(super) severer: Severer,
}

/// Connects, exchanges keys and judges the host key, within the asker's deadline.
pub(super) async fn handshake(
    host: &Host,
    config: &Config,
    asker: &Asker,
    report: &Report,
    via: Option<Transport>,
) -> Result<Shaken> {
    let deadline = asker.deadline();
    let transport = match (via, &host.proxy_command) {
        (Some(via), _) => via,
        (None, Some(line)) => Transport::program(host, line)?,
        (None, None) => deadline
            .run(connect(host))
            .await
            .map_err(|Expired(allowed)| {
                Error::new(
                    ErrorKind::TimedOut,
                    "connect",
                    format!("{} did not answer within {allowed:?}", place(host)),
                )
                .with_host(&host.name)
            })??,
    };
    let Transport {
        stream,
        cutter,
        place,
        address,
    } = transport;
    if let Some(address) = address {
        report(Progress::Connected(address));
    }

    let judge = Judge::load(host, config.host_key_policy).await?;
    let (severed, given_up) = oneshot::channel();
    let severer = Severer {
        cutter,
        _given_up: severed,
    };
    let (cause, ended) = watch::channel(None);
    let (closing, closes) = watch::channel(false);
    let lost = Lost {
        host: host.name.as_str().into(),
        closing: closes,
        cause: ended,
    };
    let verdict = Verdict::default();
    let engine_config = Arc::new(engine_config(host, config, &judge.known_key_types())?);
    let handler = Handler {
        host: host.name.clone(),
        judge,
        asker: asker.clone(),
        report: Arc::clone(report),
        verdict: Arc::clone(&verdict),
        cause,
        given_up,
    };
    let alive = keepalive(host, config);
    let stream = Watched::new(
        stream,
        alive.map(|(interval, count)| interval * (count + 1)),
    );
    let shaking = russh::client::connect_stream(engine_config, stream, handler);
    match deadline.run(shaking).await {
        Ok(Ok(handle)) => Ok(Shaken {
            handle,
            lost,
            closing,
            severer,
        }),
        Ok(Err(error)) => {
            let judged = verdict.lock().unwrap_or_else(|p| p.into_inner()).take();
            Err(judged.unwrap_or_else(|| not_shaken(host, &place, error)))
        }
        Err(Expired(allowed)) => Err(Error::new(
            ErrorKind::TimedOut,
            "connect",
            format!(
                "{place} accepted the connection but did not finish the SSH handshake within \
                 {allowed:?}"
            ),
        )
        .with_host(&host.name)),
    }
}

/// The sign of life to ask for, and how many may stay unanswered; none where it is turned off.
fn keepalive(host: &Host, config: &Config) -> Option<(Duration, u32)> {
    let (interval, count) = config.keepalive.unwrap_or((
        host.alive_interval.unwrap_or(KEEPALIVE.0),
        host.alive_count.unwrap_or(KEEPALIVE.1),
    ));
    (!interval.is_zero()).then(|| (interval.min(A_YEAR), count.clamp(1, 1000)))
}

fn engine_config(host: &Host, config: &Config, known: &[String]) -> Result<russh::client::Config> {
    let alive = keepalive(host, config);
    let preferred = algorithms::offer(host, known).map_err(|e| e.with_host(&host.name))?;
    Ok(russh::client::Config {
        client_id: russh::SshId::Standard(
            concat!("SSH-2.0-rmux_", env!("CARGO_PKG_VERSION")).into(),
        ),
        window_size: WINDOW,
        maximum_packet_size: MAX_PACKET,
        channel_buffer_size: CHANNEL_QUEUE,
        limits: russh::Limits {
            rekey_write_limit: REKEY_BYTES,
            rekey_read_limit: REKEY_BYTES,
            rekey_time_limit: REKEY_TIME,
        },
        keepalive_interval: alive.map(|(interval, _)| interval),
        keepalive_max: alive.map_or(0, |(_, count)| count as usize),
        preferred,
        nodelay: true,
        ..Default::default()
    })
}

/// Tries each address of the host in turn.
async fn connect(host: &Host) -> Result<Transport> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.hostname.as_str(), host.port))
        .await
        .map_err(|error| {
            Error::new(
                ErrorKind::ConnectFailed,
                "connect",
                format!("cannot find the address of {:?}: {error}", host.hostname),
            )
            .with_host(&host.name)
            .with_source(error)
        })?
        .collect();
    let mut failure = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(socket) => {
                return Transport::socket(socket, address).map_err(|error| {
                    Error::io("connect", "cannot set up the socket", error).with_host(&host.name)
                });
            }
            Err(error) => failure = Some((address, error)),
        }
    }
    let error = Error::new(
        ErrorKind::ConnectFailed,
        "connect",
        match &failure {
            Some((address, error)) => format!("cannot connect to {address}: {error}"),
            None => format!("{:?} has no address", host.hostname),
        },
    );
    let error = match failure {
        Some((_, cause)) => error.with_source(cause),
        None => error,
    };
    Err(error.with_host(&host.name))
}

fn place(host: &Host) -> String {
    format!("{} port {}", host.hostname, host.port)
}

fn not_shaken(host: &Host, place: &str, error: russh::Error) -> Error {
    let what = match &error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            return Error::new(
                ErrorKind::Unsupported,
                "connect",
                format!(
                    "no {kind:?} algorithm in common with {place}, which offers {}",
                    printable(&theirs.join(","))
                ),
            )
            .with_host(&host.name)
            .with_source(error);
        }
        russh::Error::WrongServerSig => "failed to prove that it holds its host key",
        russh::Error::Version => "is no SSH server (its first line is not SSH-2.0)",
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) => {
            "closed the connection before the SSH handshake was done; is it an SSH server?"
        }
        _ => {
            let error = engine_error("connect", &host.name, error);
            return Error::new(
                ErrorKind::ConnectFailed,
                "connect",
                format!("the SSH handshake with {place} failed: {}", error.message()),
            )
            .with_host(&host.name)
            .with_source(error);
        }
    };
    Error::new(
        ErrorKind::ConnectFailed,
        "connect",
        format!("{place} {what}"),
    )
    .with_host(&host.name)
    .with_source(error)
}
