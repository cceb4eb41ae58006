//! One authenticated SSH connection. The only room that names the SSH engine.
//!
//! Nothing of the engine's types shows in this room's interface: [`Link`], [`Channel`] and what
//! they take and give are our own, so that another engine could stand behind them. The room knows
//! nothing of commands, sessions or pools.

mod agent;
mod agent_forward;
mod algorithms;
mod answers;
mod authenticate;
mod channel;
mod counters;
mod dial;
mod greeting;
mod handler;
mod host_keys;
mod inbox;
mod keys;
mod listening;
mod marker;
mod outbox;
mod program;
mod pulse;
mod queue;
mod reach;
mod records;
mod refusals;
mod service;
mod signature;
mod socket;
mod spill;
mod startup;
mod transport;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use russh::client::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use agent_forward::forwarded_agent;
pub use algorithms::engine_algorithms;
pub(crate) use answers::Unanswered;
pub(crate) use channel::{Channel, End, Ending, PtyRequest, Request, WindowSize};
pub(crate) use counters::Counters;
pub(crate) use dial::{WINDOW, connect_timeout};
pub(crate) use inbox::{Exit, Inbox, Stream};
pub use keys::fuzz_private_key;
pub(crate) use listening::{Bound, Incoming, Why};
pub(crate) use outbox::Broken;
pub(crate) use reach::Listening;
pub(crate) use records::{Flaw, Records, lead};
pub(crate) use startup::Startup;
pub(crate) use transport::Transport;

use crate::ask::Asker;
use crate::config::{Config, WhenFull};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use answers::Answers;
use dial::{Severer, Shaken};
use handler::Handler;
use host_keys::Learning;
use inbox::Limits;
use listening::{Begun, Listeners};
use pulse::SleptThrough;
use refusals::Refusals;
use service::Service;

/// Defaults of the design: connecting takes at most this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// What a login is taken to cost where somebody was asked.
const LOGIN_WITH_QUESTIONS: Duration = Duration::from_secs(1);
/// The sign of life asked for where the user's configuration says nothing.
const KEEPALIVE: (Duration, u32) = (Duration::from_secs(20), 2);

/// What happens on the way to a ready link.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// The connection is made; the handshake begins.
    Connected(std::net::SocketAddr),
    /// Text the server wants shown before authentication (RFC 4252, section 5.4).
    Banner(String),
    /// The server let the account in, by this method.
    Authenticated(&'static str),
}

/// Takes reports of [`Progress`].
pub(crate) type Report = Arc<dyn Fn(Progress) + Send + Sync>;

/// Why a link ended. Shared by everything that waits on the link.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    host: Arc<str>,
    /// Whether it is us who end it.
    closing: watch::Receiver<bool>,
    cause: watch::Receiver<Option<Error>>,
}

impl Lost {
    /// The reason, or a general one while none is known.
    pub(crate) fn reason(&self) -> Error {
        if *self.closing.borrow() {
            return Error::new(ErrorKind::Closed, "session", "the session was closed")
                .with_host(&self.host);
        }
        let known = self.cause.borrow().clone();
        known.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Disconnected,
                "session",
                "the connection was lost",
            )
            .with_host(&self.host)
        })
    }

    /// Waits for the end of the link, or for it to be closed from here.
    pub(crate) async fn wait(&mut self) -> Error {
        let Self { closing, cause, .. } = self;
        // An error means that the handler, or the link, is gone without a word: an end too.
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => {}
            _ = cause.wait_for(Option::is_some) => {}
        }
        self.reason()
    }

    /// Waits until the engine has ended.
    async fn gone(&mut self) {
        let _ = self.cause.wait_for(Option::is_some).await;
    }
}

/// How a login went, as far as one more like it has to know.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// The host key that was accepted.
    host_key: Arc<[u8]>,
    /// Where the server is, where this side knows it: a name may stand for several machines.
    address: Option<std::net::SocketAddr>,
    /// Whether it asked somebody, or one more like it may.
    pub(crate) may_ask: bool,
    /// How long it took, without what came before: the way through other hosts.
    pub(crate) took: Duration,
    /// Whether one more does without the user's agent.
    pub(crate) without_agent: bool,
}

/// One authenticated connection. Dropping it cuts the connection.
pub(crate) struct Link {
    handle: Arc<Handle<Handler>>,
    lost: Lost,
    closing: watch::Sender<bool>,
    severer: Severer,
    service: Arc<Service>,
    learning: Option<Learning>,
    answers: Answers,
    listeners: Listeners,
    refusals: Refusals,
    limits: Limits,
    login: Login,
    counters: Arc<Counters>,
}

/// Why a channel could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The server has no room now, or does not allow it.
    Refused(String),
    /// The server has not answered in time. Should it grant the channel after all, that is closed.
    Unanswered(Unanswered),
    /// The link is gone; [`Lost`] tells why.
    Lost,
}

impl Link {
    /// Connects, or takes the way that is there, checks the host key and authenticates; `like` an
    /// earlier login where one is given: at the same address, and with the same host key.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket; no task stays.
    pub(crate) async fn connect(
        host: &Host,
        config: &Config,
        asker: &Asker,
        report: Report,
        via: Option<Transport>,
        like: Option<&Login>,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let begun = Instant::now();
        let by_program = via.is_none() && host.proxy_command.is_some();
        let Shaken {
            mut handle,
            lost,
            closing,
            severer,
            agents,
            listeners,
            refusals,
            server,
            service,
            learning,
            movement,
            host_key,
            address,
        } = dial::handshake(host, config, asker, &report, via, like).await?;
        let server = server.get().map(String::as_str).unwrap_or_default();
        let without_agent = like.is_some_and(|login| login.without_agent);
        let knocking = authenticate::Knocking {
            host,
            config,
            asker,
            lost: &lost,
            server,
            without_agent,
        };
        let login = authenticate::authenticate(&mut handle, knocking);
        let let_in = tokio::select! {
            biased;
            done = login => done?,
            () = severer.hung_up(asker.deadline()) => {
                return Err(dial::gone_meanwhile(host, "authenticate"));
            }
        };
        report(Progress::Authenticated(let_in.method));
        let login = Login {
            host_key: match (like, host_key.get()) {
                (Some(like), _) => Arc::clone(&like.host_key),
                (None, Some(shown)) => Arc::clone(shown),
                (None, None) => Arc::default(),
            },
            address,
            may_ask: asker.has_asked() || let_in.may_ask || by_program,
            took: match asker.has_asked() {
                // How long a person took does not count.
                true => begun.elapsed().min(LOGIN_WITH_QUESTIONS),
                false => begun.elapsed(),
            },
            without_agent,
        };
        service.logged_in();
        let binding = handle.agent_session_binding().cloned();
        agents.begin(
            binding,
            lost.clone(),
            Arc::clone(&service),
            Arc::clone(&counters),
        );
        let limits = Limits {
            memory: config.memory_budget,
            spill: config.spill_limit,
            wait: config.when_full == WhenFull::Wait,
        };
        listeners.begin(Begun {
            lost: lost.clone(),
            limits,
            service: Arc::clone(&service),
            counters: Arc::clone(&counters),
        });
        let handle = Arc::new(handle);
        if dial::keepalive(host, config).is_some() {
            pulse::watch(&handle, Arc::clone(&movement), lost.clone());
        }
        let patience = config.answer_timeout;
        let answers = Answers::new(lost.host.clone(), &handle, movement, patience);
        let learning =
            learning.map(|(learner, keys)| host_keys::learn(&handle, keys, learner, lost.clone()));
        Ok(Self {
            handle,
            lost,
            closing,
            severer,
            service,
            learning,
            answers,
            listeners,
            refusals,
            limits,
            login,
            counters,
        })
    }

    /// Asks the server for a session channel.
    ///
    /// # Cancel safety
    /// Not cancel safe: the server's answer would find nobody, and its channel would stay open.
    pub(crate) fn open(
        &self,
    ) -> impl Future<Output = Result<(Channel, End), OpenError>> + Send + 'static {
        let handle = Arc::clone(&self.handle);
        let lost = self.lost.clone();
        let service = Arc::clone(&self.service);
        let inbox = Inbox::new(lost.host.clone(), self.limits, Arc::clone(&self.counters));
        let answers = self.answers.clone();
        let asked = self.refusals.ask();
        let mut opening = Box::pin(async move {
            let _asked = asked;
            match handle.channel_open_session().await {
                Ok(channel) => Ok(Channel::start(channel, inbox, lost, service, false)),
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    Err(OpenError::Refused(refusal(&reason)))
                }
                Err(_) => Err(OpenError::Lost),
            }
        });
        async move {
            match answers.within(&mut opening).await {
                Ok(Ok((channel, end))) => Ok((channel.answered_within(answers), end)),
                Ok(Err(error)) => Err(error),
                Err(unanswered) => {
                    // Seen through, so that a late answer leaves no channel open; the end of the
                    // link ends it too.
                    tokio::spawn(async move { drop(opening.await) });
                    Err(OpenError::Unanswered(unanswered))
                }
            }
        }
    }

    /// How its login went.
    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// Why the link ended, or will.
    pub(crate) fn lost(&self) -> Lost {
        self.lost.clone()
    }

    /// Says good-bye and closes the connection.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection without waiting for the good-bye to be sent.
    pub(crate) async fn disconnect(mut self) {
        let mut lost = self.lost.clone();
        self.closing.send_replace(true);
        if let Some(learning) = &mut self.learning {
            learning.settled().await;
        }
        let farewell = async {
            let sent = self
                .handle
                .disconnect(russh::Disconnect::ByApplication, "closed by the client", "")
                .await;
            if sent.is_ok() {
                lost.gone().await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), farewell).await;
        self.severer.cut();
        let _ = tokio::time::timeout(Duration::from_secs(2), self.severer.gone()).await;
    }
}

fn refusal(reason: &russh::ChannelOpenFailure) -> String {
    use russh::ChannelOpenFailure as Reason;
    match reason {
        Reason::AdministrativelyProhibited => "the server does not allow another channel",
        // The code is that of a connection that failed; OpenSSH also means by it that it has no
        // room for another session.
        Reason::ConnectFailed => "the server could not connect, or has no room for another channel",
        Reason::ResourceShortage => "the server is short of resources",
        _ => "the server refused to open a channel",
    }
    .to_owned()
}

/// An engine error where nothing better is known, in our words.
fn engine_error(operation: &'static str, host: &str, error: russh::Error) -> Error {
    let (kind, message) = match &error {
        russh::Error::IO(io) if io.get_ref().is_some_and(|inner| inner.is::<SleptThrough>()) => {
            (ErrorKind::Disconnected, io.to_string())
        }
        russh::Error::KeepaliveTimeout => (
            ErrorKind::Disconnected,
            "the server no longer answers signs of life".to_owned(),
        ),
        russh::Error::Disconnect | russh::Error::HUP => (
            ErrorKind::Disconnected,
            "the server closed the connection".to_owned(),
        ),
        russh::Error::NoAuthMethod => (
            ErrorKind::AuthFailed,
            "the server offers no way to log in that rmux has".to_owned(),
        ),
        russh::Error::IO(io) if io.kind() == std::io::ErrorKind::TimedOut => (
            ErrorKind::Disconnected,
            "the server no longer answers signs of life: it takes no data".to_owned(),
        ),
        russh::Error::IO(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => (
            ErrorKind::Disconnected,
            "the server closed the connection".to_owned(),
        ),
        russh::Error::IO(io) => (ErrorKind::Disconnected, format!("connection lost: {io}")),
        russh::Error::SshEncoding(russh::keys::ssh_encoding::Error::CharacterEncoding) => (
            ErrorKind::ProtocolViolation,
            "the server sent a text that is not UTF-8 (RFC 4251, section 5), such as a banner; \
             rmux cannot go on after one"
                .to_owned(),
        ),
        other => (ErrorKind::ProtocolViolation, other.to_string()),
    };
    Error::new(kind, operation, message)
        .with_host(host)
        .with_source(error)
}
