//! All sessions of a program, shared by everyone who wants the same host.
//!
//! Finds the way to a host, through others where the settings say so, and connects each host of it
//! once. Knows no engine and nothing of what runs on a session.

mod close;
mod places;
mod room;
mod shutdown;
mod stats;
mod way;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, HostSpec};
use crate::link::Counters;
use crate::session::Session;
pub use close::close_all;
use places::{Entry, Later, Places, Reached, Waiting};
use room::{Place, Room};
pub use stats::PoolStats;
use way::{Key, Way};

/// The sessions of a program, one a host, shared by all who ask for it.
///
/// Clones are handles of the same pool. Two destinations share a session when their settings are
/// the same in everything but the name that was typed; hosts on the way (`ProxyJump`) are shared
/// likewise, among targets and with who wants the host itself. Who asks while a session is being
/// connected waits for that one, so that no question is asked twice and a failure reaches all.
///
/// A session is in use while somebody holds a [`Session`] handle or a [`Child`](crate::Child) of
/// it, or while another session leads through it. After the last use it stays for
/// [`Config::linger`], and ends then, or when the last handle of the pool is dropped. A session that
/// was lost or closed is connected anew by the next who asks.
///
/// ```no_run
/// # async fn example() -> rmux_core::Result<()> {
/// use rmux_core::{Config, Pool};
///
/// let pool = Pool::new(Config::new());
/// let (web, db) = tokio::try_join!(pool.session("web"), pool.session("db"))?;
/// assert!(web.command("true").status().await?.success());
/// # drop(db);
/// pool.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    config: Config,
    room: Arc<Room>,
    counters: Arc<Counters>,
    places: Mutex<Places>,
    /// Whether the pool was shut down, for those who wait.
    shut: watch::Sender<bool>,
}

impl Pool {
    /// A pool whose sessions connect with `config`. Where that names a user, a port or another
    /// option of one destination, it holds for every destination, but not for hosts on the way.
    pub fn new(config: Config) -> Self {
        let room = Room::new(config.max_connections, config.max_connections_per_host);
        let (room, counters) = (Arc::new(room), Arc::<Counters>::default());
        Self(Arc::new_cyclic(|pool| {
            let places = Places::new(pool.clone(), Arc::clone(&room), Arc::clone(&counters));
            Inner {
                config,
                room,
                counters,
                places: Mutex::new(places),
                shut: watch::Sender::new(false),
            }
        }))
    }

    /// The session of a destination: `host`, `user@host` or `ssh://user@host:port`, where `host`
    /// may be an alias of the user's `ssh_config`. Connects where there is none.
    ///
    /// # Errors
    /// As [`Session::connect`]. Those who wait for the same session share its error.
    ///
    /// # Cancel safety
    /// Cancel safe: others who wait for the same session still get it; when nobody waits, the
    /// connection is given up.
    pub async fn session(&self, destination: &str) -> Result<Session> {
        self.session_to(&HostSpec::parse(destination)?).await
    }

    /// The session of a destination that was parsed before.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    ///
    /// # Cancel safety
    /// As [`session`](Self::session).
    pub async fn session_to(&self, spec: &HostSpec) -> Result<Session> {
        let host = Host::resolve(spec, &self.0.config).await?;
        self.session_of(host).await
    }

    /// The session of a host that was [resolved](Host::resolve) before, with the same settings.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    ///
    /// # Cancel safety
    /// As [`session`](Self::session).
    pub async fn session_of(&self, host: Host) -> Result<Session> {
        let mut shut = self.0.shut.subscribe();
        tokio::select! {
            biased;
            _ = shut.wait_for(|shut| *shut) => Err(self.was_shut()),
            session = self.reach(host) => session,
        }
    }

    /// The sessions that are connected now, hosts on the way included, in no order. For an unused one
    /// this counts as a use: its time to [linger](Config::linger) begins anew.
    pub fn sessions(&self) -> Vec<Session> {
        self.connected()
            .into_iter()
            .map(|(_, session)| session)
            .collect()
    }

    /// How many questions of connecting are open.
    pub(crate) fn questions(&self) -> watch::Receiver<usize> {
        self.0.config.questions.watch()
    }

    /// The connected sessions, and how many hosts there are on the way to each.
    fn connected(&self) -> Vec<(usize, Session)> {
        let places = self.0.places();
        let connected = places
            .entries
            .iter()
            .filter_map(|(key, entry)| match entry {
                Entry::Connected { session, .. } => Some((key.depth(), session.upgrade()?)),
                Entry::Connecting { .. } => None,
            });
        connected.collect()
    }

    /// The session of a host, with those on the way to it.
    async fn reach(&self, host: Host) -> Result<Session> {
        let way = Way::to(host, self.0.config.clone()).await?;
        if !self.0.room.could_hold(&way.addresses()) {
            let what = format!(
                "the way there takes {} connections, and the pool is limited to {}",
                way.0.len(),
                self.0.room.limits()
            );
            let error = Error::new(ErrorKind::LimitExceeded, "connect", what);
            return Err(error.with_host(way.name()));
        }
        let waiting = self.in_line(&way);
        let reached = match self.0.config.acquire_timeout {
            None => waiting.await?,
            Some(limit) => tokio::time::timeout(limit, waiting)
                .await
                .unwrap_or_else(|_| {
                    let what = format!("no room for another connection within {limit:?}");
                    let error = Error::new(ErrorKind::TimedOut, "connect", what);
                    Err(error.with_host(way.name()))
                })?,
        };
        reached.session().await
    }

    /// Waits in line for room, for those connections on the way that are not there.
    async fn in_line(&self, way: &Way) -> Result<Reached> {
        let (reply, mut served) = oneshot::channel();
        let number = {
            let mut places = self.0.places();
            if places.shut {
                drop(places);
                return Err(self.was_shut());
            }
            let number = places.number();
            places.line.push_back(Waiting {
                number,
                way: Arc::new(way.clone()),
                reply,
            });
            number
        };
        self.0.room.want();
        let _leaving = InLine {
            pool: &self.0,
            number,
        };
        loop {
            let changed = self.0.room.changed().notified();
            self.0.serve();
            tokio::select! {
                biased;
                reached = &mut served => return reached.map_err(|_| self.was_shut()),
                // Whoever is told serves all in line.
                () = changed => {}
            }
        }
    }

    fn was_shut(&self) -> Error {
        Error::new(ErrorKind::Closed, "connect", "the pool was shut down")
    }
}

/// A place in line, which is given up when this is dropped.
struct InLine<'a> {
    pool: &'a Inner,
    number: u64,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.pool.room.want_no_more();
        let mut places = self.pool.places();
        let place = places.line.iter().position(|w| w.number == self.number);
        let waiting = place.and_then(|place| places.line.remove(place));
        drop(places);
        if waiting.is_some() {
            // Those behind may have waited for this one only.
            self.pool.room.changed().notify_one();
        }
    }
}

impl Inner {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives all in line what there is for them.
    fn serve(&self) {
        let later = self.places().serve();
        later.tell();
    }

    /// Notes how connecting ended.
    fn settle(
        &self,
        key: &Arc<Key>,
        attempt: u64,
        connected: &Result<Session>,
        place: &Arc<Place>,
    ) {
        let later: Later = self.places().settle(key, attempt, connected, place);
        drop(later);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let places = self
            .places
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for entry in places.entries.values() {
            if let Entry::Connected { session, .. } = entry {
                session.forsake();
            }
        }
    }
}

impl Session {
    /// Connects to a destination: `host`, `user@host` or `ssh://user@host:port`, where `host` may
    /// be an alias of the user's `ssh_config`. The session is shared with nobody; a [`Pool`] shares.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`], [`ErrorKind::ConnectFailed`], [`ErrorKind::TimedOut`],
    /// [`ErrorKind::AuthFailed`], one of the host key kinds, [`ErrorKind::Unsupported`] where no
    /// algorithm is in common, [`ErrorKind::Disconnected`] or [`ErrorKind::ProtocolViolation`] where
    /// the server ends it amid the login, and what the prompter itself fails with.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection and leaves nothing behind.
    pub async fn connect(destination: &str, config: Config) -> Result<Self> {
        Pool::new(config).session(destination).await
    }

    /// Connects to a destination that was parsed before.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    pub async fn connect_to(spec: &HostSpec, config: Config) -> Result<Self> {
        Pool::new(config).session_to(spec).await
    }

    /// Connects to a host that was [resolved](Host::resolve) before, with the same settings.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    pub async fn connect_host(host: Host, config: Config) -> Result<Self> {
        Pool::new(config).session_of(host).await
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self
            .0
            .places()
            .entries
            .values()
            .filter_map(|entry| match entry {
                Entry::Connected { session, .. } => session.host_name(),
                Entry::Connecting { .. } => None,
            })
            .collect();
        f.debug_struct("Pool")
            .field("hosts", &hosts)
            .finish_non_exhaustive()
    }
}
