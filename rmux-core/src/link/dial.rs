//! From a host name to a connection whose server is known to be the right one.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use russh::client::Handle;
use russh::keys::ssh_encoding::Decode as _;
use tokio::sync::{oneshot, watch};

use super::agent_forward::AgentForward;
use super::greeting::{Greeting, NoVersion};
use super::handler::{Handler, Negotiated, ServerId, ShownKey, Verdict};
use super::host_keys::Announced;
use super::listening::Listeners;
use super::refusals::Refusals;
use super::service::Service;
use super::signature::LONGEST_RSA;
use super::socket::{self, Patience};
use super::transport::{Cutter, Transport};
use super::watched::{Movement, Watched};
use super::{CONNECT_TIMEOUT, KEEPALIVE, Login, Lost, Progress, Report, algorithms, engine_error};
use crate::ask::Asker;
use crate::config::Config;
use crate::deadline::{Deadline, Expired};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, RekeyLimit};
use crate::printable::printable;
use crate::trust::{Judge, Learner};

/// A window that a link of 100 ms round trip can fill with 160 MB/s.
pub(crate) const WINDOW: u32 = 16 << 20;
/// What OpenSSH uses.
const MAX_PACKET: u32 = 32 << 10;
/// Messages between the engine and a channel's drain.
const CHANNEL_QUEUE: usize = 128;
/// The window where this side renews the keys. From its request until the server's answer the engine
/// takes two windows of data, all channels together, and ends the connection at the first byte
/// above: with the other window six downloads over 40 ms are enough for that. No network holds as
/// much as two of these. A window holds nobody back here, since it is opened again on receipt: each
/// channel has its own limits for what is not read.
const REKEY_WINDOW: u32 = 1 << 30;
/// The same where the connection goes through another one of ours: what this one has not read waits
/// there, within such limits, which ten such windows must not pass.
const REKEY_WINDOW_WITHIN: u32 = 64 << 20;
/// Where the user sets no limit, the server is left to renew the keys: OpenSSH does so after 64 GiB
/// of AES and 1 GiB of ChaCha20. Our own limit is a last resort, well below 2^32 packets; there is
/// none in time.
const REKEY_BYTES: usize = 96 << 30;
const REKEY_TIME: Duration = A_YEAR;
/// How often to look whether the other side is still there while a question is open.
const GLANCE: Duration = Duration::from_millis(250);
/// The engine adds durations to the clock, so none may be without bound.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long connecting may take: what the program says, else `ConnectTimeout`, else the default.
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

    /// Waits for the other side to be gone while somebody else is being waited for: a person, or an
    /// agent. Meanwhile the engine reads nothing, and would not notice.
    pub(super) async fn hung_up(&self, deadline: &Deadline) {
        while !(deadline.is_paused() && self.cutter.is_hung_up()) {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until nothing of the way is left on this machine. Only after a [`cut`](Self::cut).
    pub(super) async fn gone(&self) {
        self.cutter.gone().await;
    }
}

/// A connection whose server is the right one, not yet authenticated.
pub(super) struct Shaken {
    pub(super) handle: Handle<Handler>,
    pub(super) lost: Lost,
    pub(super) closing: watch::Sender<bool>,
    pub(super) severer: Severer,
    pub(super) agents: AgentForward,
    pub(super) listeners: Listeners,
    pub(super) refusals: Refusals,
    pub(super) server: ServerId,
    pub(super) service: Arc<Service>,
    /// What learns the server's host keys, and what it learns from.
    pub(super) learning: Option<(Learner, oneshot::Receiver<Announced>)>,
    /// What moves on the connection.
    pub(super) movement: Arc<Movement>,
    pub(super) host_key: ShownKey,
    /// The server's, where this side knows it.
    pub(super) address: Option<SocketAddr>,
}

/// Connects, exchanges keys and judges the host key, within the asker's deadline.
pub(super) async fn handshake(
    host: &Host,
    config: &Config,
    asker: &Asker,
    report: &Report,
    via: Option<Transport>,
    like: Option<&Login>,
) -> Result<Shaken> {
    let deadline = asker.deadline();
    let transport = match (via, &host.proxy_command) {
        (Some(via), _) => via,
        (None, Some(line)) => Transport::program(host, line)?,
        (None, None) => {
            // As `ssh` takes `ConnectTimeout`. What the program allows is for all together.
            let patience = match (config.connect_timeout, host.connect_timeout) {
                (None, Some(_)) => Patience::PerAddress,
                _ => Patience::Shared,
            };
            let known = like.and_then(|login| login.address);
            let (socket, address) = socket::connect(host, known, deadline, patience).await?;
            Transport::socket(host, socket, address).map_err(|error| {
                Error::io("connect", "cannot set up the socket", error).with_host(&host.name)
            })?
        }
    };
    let Transport {
        stream,
        cutter,
        service,
        place,
        address,
    } = transport;
    if let Some(address) = address {
        report(Progress::Connected(address));
    }

    let known = Judge::load(host, config.host_key_policy, address.map(|a| a.ip()));
    let judge = deadline.run(known).await.map_err(|Expired(allowed)| {
        let message = format!("what is known of {place} was not found within {allowed:?}");
        Error::new(ErrorKind::TimedOut, "connect", message).with_host(&host.name)
    })??;
    let within = matches!(cutter, Cutter::Channel(_));
    let learner = judge.learner(&algorithms::host_keys(host), asker);
    let (announced, announcement) = oneshot::channel();
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
    let engine_config = Arc::new(engine_config(host, config, &judge, within)?);
    let agents = AgentForward::of(host);
    let listeners = Listeners::default();
    let refusals = Refusals::default();
    let server = ServerId::default();
    let negotiated = Negotiated::default();
    let host_key = ShownKey::default();
    let offered = &engine_config.preferred;
    let offered = [&offered.key[..], &offered.host_key_certificates[..]].concat();
    let handler = Handler {
        host: host.name.clone(),
        judge,
        asker: asker.clone(),
        report: Arc::clone(report),
        verdict: Arc::clone(&verdict),
        cause,
        given_up,
        announced: learner.is_some().then_some(announced),
        agents: agents.clone(),
        listeners: listeners.clone(),
        refusals: refusals.clone(),
        server: Arc::clone(&server),
        offered,
        shown: None,
        host_key: Arc::clone(&host_key),
        trusted: like.map(|login| Arc::clone(&login.host_key)),
        negotiated: Arc::clone(&negotiated),
    };
    let alive = keepalive(host, config);
    let movement = Arc::new(Movement::default());
    let stream = Watched::new(
        Greeting::new(stream),
        Arc::clone(&movement),
        alive.map(|(interval, count)| interval * (count + 1)),
    );
    let shaking = russh::client::connect_stream(engine_config, stream, handler);
    let shaken = tokio::select! {
        biased;
        shaken = deadline.run(shaking) => shaken,
        () = severer.hung_up(deadline) => return Err(gone_meanwhile(host, "connect")),
    };
    match shaken {
        Ok(Ok(handle)) if !is_signed_as_agreed(&handle, &negotiated) => Err(Error::new(
            ErrorKind::ProtocolViolation,
            "verify host key",
            "the server signed with another algorithm than was agreed upon",
        )
        .with_host(&host.name)),
        Ok(Ok(handle)) => Ok(Shaken {
            handle,
            lost,
            closing,
            severer,
            agents,
            listeners,
            refusals,
            server,
            service,
            learning: learner.map(|learner| (learner, announcement)),
            movement,
            host_key,
            address,
        }),
        Ok(Err(error)) => {
            let judged = verdict.lock().unwrap_or_else(|p| p.into_inner()).take();
            Err(match judged {
                Some(judged) => judged,
                None => not_shaken(host, &place, error, &severer.cutter).await,
            })
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

/// Whether the server's proof is made by the algorithm that was agreed upon: the engine believes
/// any that fits the key, such as one with SHA-1. What is signed at a later key exchange does not
/// show; who comes that far has the session's keys.
fn is_signed_as_agreed(handle: &Handle<Handler>, negotiated: &Negotiated) -> bool {
    let signature = handle.agent_session_binding().map(|b| b.signature());
    let name = signature.and_then(|mut signature| String::decode(&mut signature).ok());
    match (name, negotiated.get()) {
        (Some(name), Some(negotiated)) => name == negotiated.as_str(),
        _ => false,
    }
}

/// The sign of life to ask for, and how many may stay unanswered; none where it is turned off.
pub(super) fn keepalive(host: &Host, config: &Config) -> Option<(Duration, u32)> {
    let (interval, count) = config.keepalive.unwrap_or((
        host.alive_interval.unwrap_or(KEEPALIVE.0),
        host.alive_count.unwrap_or(KEEPALIVE.1),
    ));
    (!interval.is_zero()).then(|| (interval.min(A_YEAR), count.clamp(1, 1000)))
}

fn engine_config(
    host: &Host,
    config: &Config,
    judge: &Judge,
    within: bool,
) -> Result<russh::client::Config> {
    let alive = keepalive(host, config);
    let preferred = algorithms::offer(host, judge).map_err(|e| e.with_host(&host.name))?;
    let rekey = host.rekey_limit;
    let bytes = rekey.bytes.and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.map_or(REKEY_BYTES, |bytes| bytes.min(REKEY_BYTES));
    Ok(russh::client::Config {
        client_id: russh::SshId::Standard(
            concat!("SSH-2.0-rmux_", env!("CARGO_PKG_VERSION")).into(),
        ),
        window_size: match rekey == RekeyLimit::default() {
            true => WINDOW,
            false if within => REKEY_WINDOW_WITHIN,
            false => REKEY_WINDOW,
        },
        maximum_packet_size: MAX_PACKET,
        channel_buffer_size: CHANNEL_QUEUE,
        limits: russh::Limits {
            rekey_write_limit: bytes,
            rekey_read_limit: bytes,
            rekey_time_limit: rekey.time.map_or(REKEY_TIME, |time| time.min(REKEY_TIME)),
        },
        keepalive_interval: alive.map(|(interval, _)| interval),
        keepalive_max: alive.map_or(0, |(_, count)| count as usize),
        preferred,
        nodelay: true,
        ..Default::default()
    })
}

/// The server did not wait for an answer that only a person, or an agent, can give.
pub(super) fn gone_meanwhile(host: &Host, operation: &'static str) -> Error {
    let message = "the server closed the connection before a question was answered";
    Error::new(ErrorKind::Disconnected, operation, message).with_host(&host.name)
}

async fn not_shaken(host: &Host, place: &str, error: russh::Error, cutter: &Cutter) -> Error {
    let no_version = match &error {
        russh::Error::IO(io) => io
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<NoVersion>()),
        _ => None,
    };
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
        russh::Error::WrongServerSig => format!(
            "failed to prove that it holds its host key (an RSA key of more than {LONGEST_RSA} \
             bits cannot be checked)"
        ),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) => {
            match (no_version, cutter.status().await) {
                (said, Some(status)) => ended(status, said),
                (Some(said), None) => said.to_string(),
                (None, None) => {
                    "closed the connection before the SSH handshake was done".to_owned()
                }
            }
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

/// A program that ended where an SSH server was to be heard.
fn ended(status: ExitStatus, said: Option<&NoVersion>) -> String {
    let said = match said {
        Some(said) => format!("{said}; the program"),
        None => "broke off the SSH handshake; the program".to_owned(),
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!(
            "{said} ended with exit status {code}, and what it wrote to standard error may say why"
        ),
        (None, signal) => format!("{said} was ended by signal {}", signal.unwrap_or_default()),
    }
}
