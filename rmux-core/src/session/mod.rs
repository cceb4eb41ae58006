//! A session: one host, connected to once, used for many commands.
//!
//! A [`Session`] is a cheap handle that sends messages to the driver task, which owns the link.

mod attached;
mod capture;
mod child;
mod command;
mod context;
mod driver;
mod exit;
mod further;
mod group;
mod lane;
mod lease;
mod line;
mod local;
mod member;
mod output;
mod reach;
mod registry;
mod round_trip;
mod running;
mod shutdown;
mod start;
mod stats;
mod stdio;
mod stop;
mod stream;
mod subsystem;
mod terminal;

use std::any::Any;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

pub use capture::OutputLimit;
pub use child::Child;
pub use command::Command;
pub use context::ShellContext;
pub use exit::{ExitStatus, Output, Signal, Stopped};
pub use lane::Lane;
pub(crate) use local::sent_environment;
pub(crate) use reach::Arrival;
pub use reach::{Accepted, RemoteListener};
pub use shutdown::CutOff;
pub use stats::SessionStats;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
pub use stream::{RemoteReader, RemoteStream, RemoteWriter};
pub use terminal::Pty;

use crate::ask::Asker;
use crate::config::Config;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::event::SessionEvent;
use crate::host::{Host, HostSpec};
use crate::link::{Counters, Link, Progress, Startup, connect_timeout, engine_algorithms};
use crate::resolve::{host as resolved_host, settings};
use crate::ssh_config::Resolved;
use attached::Attached;
use driver::{Driver, Ended, Message, Wanted};
use further::Further;
use lease::{Lease, Leases};
use running::Ready;
use stats::{Activity, Waits};

/// How long closing waits for a host on the way, which then has no other user.
const LET_GO_LIMIT: Duration = Duration::from_secs(10);

/// One host, connected to and authenticated once, ready for any number of commands at a time.
///
/// Clones are handles of the same session. The connection is closed by [`close`](Self::close), or
/// when the last handle, the last [`Child`] and the last stream of one are dropped; dropping neither
/// waits nor blocks, and is safe outside of a runtime. Once the connection is lost, every operation fails with that
/// reason, at once and for good.
///
/// A server limits how many commands may run at a time over one connection (OpenSSH: `MaxSessions`,
/// 10). When it refuses one more, callers wait in order until one has ended, or until there is a
/// further connection: the session makes some where that is known to ask nobody anything, as
/// [`Config::further_logins`] says. When one of several connections is lost, what runs on it ends with
/// [`ErrorKind::Disconnected`] and the session goes on; it is lost with the last of them.
///
/// ```no_run
/// # async fn example() -> rmux_core::Result<()> {
/// use rmux_core::{Config, Session};
///
/// let session = Session::connect("dev", Config::new()).await?;
/// let output = session.command("uname").arg("-sr").output().await?;
/// println!("{}", String::from_utf8_lossy(&output.stdout));
/// session.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    lease: Arc<Lease>,
}

/// What handles and the driver share.
struct Shared {
    host: Host,
    driver: mpsc::UnboundedSender<Message>,
    ended: watch::Receiver<Option<Ended>>,
    env: EnvVerdicts,
    startup: Arc<Startup>,
    /// What `SendEnv` and `SetEnv` say.
    settings_env: Vec<(String, String)>,
    /// What the program sets for every command.
    config_env: Vec<(OsString, OsString)>,
    /// The session that this one's connection goes through.
    via: Mutex<Option<Session>>,
    leases: Leases,
    counters: Arc<Counters>,
    activity: Activity,
    /// How long the session stays when nobody uses it.
    linger: Duration,
    attached: Attached,
    /// Told when somebody waits for a channel and the server grants none: one that is only kept
    /// warm should be given up.
    short: Arc<Notify>,
}

impl Shared {
    fn via(&self) -> Option<Session> {
        self.via.lock().unwrap_or_else(|p| p.into_inner()).clone()
    }

    /// Gives back the session on the way, since this one has ended.
    fn leave_via(&self) {
        let via = self.via.lock().unwrap_or_else(|p| p.into_inner()).take();
        drop(via);
    }
}

/// All settings that hold for a destination, as `ssh -G` prints them; connects nowhere.
///
/// The lists of algorithms are those of rmux's own SSH engine, and differ from OpenSSH's.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`] for a configuration that `ssh` refuses too, with file and line.
///
/// # Cancel safety
/// Cancel safe.
pub async fn resolve(spec: &HostSpec, config: &Config) -> Result<Resolved> {
    settings(spec, config, engine_algorithms()).await
}

impl Host {
    /// What a destination resolves to: what of all [settings](resolve) decides how to connect and
    /// what to run. Connects nowhere.
    ///
    /// # Errors
    /// As [`resolve`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn resolve(spec: &HostSpec, config: &Config) -> Result<Self> {
        resolved_host(spec, config, engine_algorithms()).await
    }
}

/// Held as long as a connection is there: its place among those of a pool.
pub(crate) type Held = Arc<dyn Any + Send + Sync>;

/// What makes a session one of a pool.
pub(crate) struct Membership {
    /// The place of the first connection.
    pub(crate) place: Held,
    /// A place for a further one, if there is one that nobody waits for.
    pub(crate) more: Arc<dyn Fn() -> Option<Held> + Send + Sync>,
    /// Told when nobody uses the session any more.
    pub(crate) changed: Arc<Notify>,
    /// What counts for all sessions of the pool.
    pub(crate) counters: Arc<Counters>,
}

/// How a session ended.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum CloseReason {
    /// It was closed from here.
    Closed,
    /// The connection was lost.
    Lost(Error),
}

/// Which environment variables the server takes, by name.
#[derive(Debug, Default)]
struct EnvVerdicts(Mutex<HashMap<String, bool>>);

impl EnvVerdicts {
    fn known(&self, name: &str) -> Option<bool> {
        self.0
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .get(name)
            .copied()
    }

    fn learn(&self, name: &str, granted: bool) {
        self.0
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .insert(name.to_owned(), granted);
    }
}

impl Session {
    /// Connects to a resolved host, through a session where there is one.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection and leaves nothing behind.
    pub(crate) async fn open(
        host: Host,
        config: Config,
        via: Option<Self>,
        membership: Membership,
    ) -> Result<Self> {
        let observer = config.on_event.clone();
        let tell = {
            let observer = observer.clone();
            move |event: SessionEvent| {
                tracing::debug!(event = event.name());
                if let Some(observer) = &observer {
                    observer(event);
                }
            }
        };
        tell(SessionEvent::Connecting {
            host: Box::new(host.clone()),
        });
        let report = {
            let (tell, user) = (tell.clone(), host.user.clone());
            move |progress| match progress {
                Progress::Connected(address) => tell(SessionEvent::Connected { address }),
                Progress::Banner(text) => tell(SessionEvent::Banner { text }),
                Progress::Authenticated(method) => {
                    tell(SessionEvent::Authenticated {
                        user: user.clone(),
                        method,
                    });
                }
            }
        };
        let deadline = Deadline::after(connect_timeout(&host, &config));
        let asker = Asker::new(&host, config.prompter.clone(), deadline);
        let asker = asker.counted_by(&config.questions);
        let way = match &via {
            Some(via) => Some(via.dial(&host, &asker).await?),
            None => None,
        };
        let counters = Arc::new(Counters::within(membership.counters));
        let link = Link::connect(
            &host,
            &config,
            &asker,
            Arc::new(report),
            way,
            None,
            Arc::clone(&counters),
        )
        .await?;
        if let Some(line) = &host.local_command {
            local::run(line).await;
        }
        tell(SessionEvent::Ready);

        let settings_env = sent_environment(&host);
        let further = Further::new(
            &host,
            &config,
            link.login(),
            Arc::clone(&counters),
            membership.more,
        );
        let (driver, messages) = mpsc::unbounded_channel();
        let (ending, ended) = watch::channel(None);
        let shared = Arc::new(Shared {
            host,
            driver,
            ended,
            env: EnvVerdicts::default(),
            startup: Arc::default(),
            settings_env,
            config_env: config.env,
            via: Mutex::new(via),
            leases: Leases::new(membership.changed),
            counters,
            activity: Activity::new(),
            linger: config.linger,
            attached: Attached::default(),
            short: Arc::default(),
        });
        registry::enter(&shared);
        let session = WeakSession(Arc::downgrade(&shared)).upgrade();
        let task = Driver::new(link, membership.place, further, shared);
        let on_end = move |ended: &Ended| match ended {
            Ended::Lost(reason) => tell(SessionEvent::Lost {
                reason: reason.clone(),
            }),
            Ended::Closed => tell(SessionEvent::Closed),
        };
        tokio::spawn(task.run(messages, on_end, ending));
        Ok(session.expect("it has just begun"))
    }

    /// What the destination resolved to.
    pub fn host(&self) -> &Host {
        &self.shared.host
    }

    /// A program to run. Its arguments reach it word for word, whatever the account's shell is.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::program(self.clone(), program.as_ref().to_owned())
    }

    /// A line for the account's own shell to run.
    pub fn shell(&self, line: impl AsRef<OsStr>) -> Command {
        Command::line(self.clone(), line.as_ref().to_owned())
    }

    /// The account's login shell; mostly with a [`pty`](Command::pty).
    pub fn login_shell(&self) -> Command {
        Command::login(self.clone())
    }

    /// A subsystem of the server, such as `sftp` (RFC 4254, section 6.5).
    pub fn subsystem(&self, name: impl Into<String>) -> Command {
        Command::subsystem(self.clone(), name.into())
    }

    /// Closes the connection. Commands that were started with
    /// [`kill_on_drop`](Command::kill_on_drop) are killed, within 2 s. All that still run are cut
    /// off, whoever started them: their [`Child`]ren end with [`ErrorKind::Closed`]. Hosts on the
    /// way are closed too, unless somebody else uses them or they linger. Returns when all is closed,
    /// at most 10 s later for each. A session that has ended is closed already.
    ///
    /// # Cancel safety
    /// Cancel safe: the session is closed all the same.
    pub async fn close(&self) {
        let via = self.shared.via();
        // Who asks for the session now gets another one.
        self.shared.leases.end();
        self.tell(Message::Close);
        self.closed().await;
        if let Some(via) = via {
            Box::pin(via.let_go()).await;
        }
    }

    /// Gives this handle back. Where nobody else uses the session and it does not linger, returns
    /// when the connection is closed.
    async fn let_go(self) {
        let Self { shared, lease } = self;
        let via = shared.via();
        drop(lease);
        if shared.leases.are_held() || !shared.linger.is_zero() {
            return;
        }
        let mut ended = shared.ended.clone();
        // Somebody may come for it at the last moment, who then keeps it.
        let ended = ended.wait_for(Option::is_some);
        let _ = tokio::time::timeout(LET_GO_LIMIT, ended).await;
        if let Some(via) = via {
            Box::pin(via.let_go()).await;
        }
    }

    /// A handle that does not keep the session open.
    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.shared))
    }

    /// Waits for the end of the session, and tells how it came.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&self) -> CloseReason {
        let mut ended = self.shared.ended.clone();
        let ended = ended
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|ended| ended.clone());
        match ended {
            Some(Ended::Lost(reason)) => CloseReason::Lost(reason),
            _ => CloseReason::Closed,
        }
    }

    /// Waits for the end of the session without keeping it open, and tells why it ended.
    pub(crate) fn end(&self) -> impl Future<Output = Error> + Send + 'static {
        let mut ended = self.shared.ended.clone();
        let host = self.shared.host.name.clone();
        async move {
            let reason = ended.wait_for(Option::is_some).await;
            why_ended(reason.ok().and_then(|reason| reason.clone()), &host)
        }
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.driver.is_closed()
    }

    /// A channel to run something on; `guarded` if that must not outlive its caller.
    async fn ready(&self, guarded: bool, lane: Lane) -> Result<Ready> {
        let _waits = Waits::on(&self.shared);
        let (reply, granted) = oneshot::channel();
        self.tell(Message::Channel(Wanted {
            reply,
            guarded,
            lane,
            since: Instant::now(),
        }));
        match granted.await {
            Ok(ready) => ready,
            Err(_) => Err(self.why_ended()),
        }
    }

    fn why_ended(&self) -> Error {
        let ended = self.shared.ended.borrow().clone();
        why_ended(ended, &self.shared.host.name)
    }

    fn tell(&self, message: Message) {
        let _ = self.shared.driver.send(message);
    }

    /// A command was started.
    fn count_command(&self) {
        self.shared.counters.count_command();
    }

    fn env_verdicts(&self) -> &EnvVerdicts {
        &self.shared.env
    }

    /// What is known of how the account's shell starts.
    fn startup(&self) -> &Arc<Startup> {
        &self.shared.startup
    }

    /// Whether the remote may use an agent of this side.
    fn forwards_agent(&self) -> bool {
        crate::link::forwarded_agent(self.host()).is_some()
    }

    fn config_env(&self) -> &[(OsString, OsString)] {
        &self.shared.config_env
    }

    fn settings_env(&self) -> &[(String, String)] {
        &self.shared.settings_env
    }
}

fn why_ended(ended: Option<Ended>, host: &str) -> Error {
    match ended {
        Some(Ended::Lost(reason)) => reason,
        _ => Error::new(ErrorKind::Closed, "session", "the session is closed").with_host(host),
    }
}

/// A handle that does not keep its session open.
#[derive(Debug, Clone)]
pub(crate) struct WeakSession(Weak<Shared>);

impl WeakSession {
    /// The session, unless it has ended or retired.
    pub(crate) fn upgrade(&self) -> Option<Session> {
        let shared = self.0.upgrade()?;
        if shared.driver.is_closed() {
            return None;
        }
        let lease = shared.leases.take(&shared.driver)?;
        Some(Session { shared, lease })
    }

    /// Whether it is there, be it unused.
    pub(crate) fn is_open(&self) -> bool {
        let shared = self.0.upgrade();
        shared.is_some_and(|shared| !shared.driver.is_closed())
    }

    /// The name of its host, while it is there, be it unused.
    pub(crate) fn host_name(&self) -> Option<String> {
        let shared = self.0.upgrade();
        let open = shared.filter(|shared| !shared.driver.is_closed())?;
        Some(open.host.name.clone())
    }

    /// How long nobody has used it; none while somebody does.
    pub(crate) fn unused_for(&self) -> Option<Duration> {
        self.0.upgrade()?.leases.unused_for()
    }

    /// Ends it, unless somebody uses it. Returns whether it ends.
    pub(crate) fn retire(&self) -> bool {
        let Some(shared) = self.0.upgrade() else {
            return false;
        };
        let retired = shared.leases.retire();
        if retired {
            let _ = shared.driver.send(Message::Close);
        }
        retired
    }

    /// Nobody will come back to it: it does not linger.
    pub(crate) fn forsake(&self) {
        if let Some(shared) = self.0.upgrade() {
            let _ = shared.driver.send(Message::Forsaken);
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.shared.host.name)
            .field("closed", &self.is_closed())
            .finish()
    }
}
