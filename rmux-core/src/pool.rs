//! All sessions of a program, shared by everyone who wants the same host.
//!
//! Finds the way to a host, through others where the settings say so, and connects each host of it
//! once. Knows no engine and nothing of what runs on a session.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, HostSpec};
use crate::session::{Session, WeakSession};

/// How many hosts the way to one may lead through.
const MAX_HOPS: usize = 16;

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
    places: Mutex<HashMap<Arc<Key>, Place>>,
}

/// What must be the same for a session to be shared: everything that was resolved, and the way.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    host: Host,
    via: Option<Arc<Key>>,
}

impl Key {
    fn depth(&self) -> usize {
        std::iter::successors(self.via.as_ref(), |key| key.via.as_ref()).count()
    }
}

/// A session to be, which all who want it wait for. When nobody waits any more, it is given up.
type Connecting = Shared<BoxFuture<'static, Result<Session>>>;

/// What the pool knows of one key.
enum Place {
    Connecting(WeakShared<BoxFuture<'static, Result<Session>>>),
    Connected(WeakSession),
}

/// A host's session, and the key it is shared by.
struct Stop {
    session: Session,
    key: Arc<Key>,
}

impl Pool {
    /// A pool whose sessions connect with `config`. Where that names a user, a port or another
    /// option of one destination, it holds for every destination, but not for hosts on the way.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Inner {
            config,
            places: Mutex::default(),
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
        let config = self.0.config.clone();
        Ok(self.reach(host, config, MAX_HOPS).await?.session)
    }

    /// The sessions that are connected now, hosts on the way included, in no order. For an unused one
    /// this counts as a use: its time to [linger](Config::linger) begins anew.
    pub fn sessions(&self) -> Vec<Session> {
        self.connected()
            .into_iter()
            .map(|(_, session)| session)
            .collect()
    }

    /// Closes all sessions that are connected now, as [`Session::close`] does, those behind others
    /// first. The pool can be used again.
    ///
    /// # Cancel safety
    /// Cancel safe in that it can be called again; what was not begun to close stays open.
    pub async fn close(&self) {
        let mut connected = self.connected();
        // What runs behind a host is ended through it.
        while let Some(deepest) = connected.iter().map(|(depth, _)| *depth).max() {
            let (behind, rest): (Vec<_>, Vec<_>) = connected
                .into_iter()
                .partition(|(depth, _)| *depth == deepest);
            let closing = behind
                .into_iter()
                .map(|(_, session)| async move { session.close().await });
            futures_util::future::join_all(closing).await;
            connected = rest;
        }
    }

    /// The connected sessions, and how many hosts there are on the way to each.
    fn connected(&self) -> Vec<(usize, Session)> {
        let places = self.places();
        let connected = places.iter().filter_map(|(key, place)| match place {
            Place::Connected(session) => Some((key.depth(), session.upgrade()?)),
            Place::Connecting(_) => None,
        });
        connected.collect()
    }

    /// The session of a host, through as many hosts as its settings say, but not more than `hops`.
    async fn reach(&self, host: Host, config: Config, hops: usize) -> Result<Stop> {
        let mut via: Option<Stop> = None;
        for (index, hop) in host.jumps.iter().enumerate() {
            let Some(left) = hops.checked_sub(index + 1) else {
                return Err(Error::new(
                    ErrorKind::ConfigInvalid,
                    "connect",
                    format!("the way leads through more than {MAX_HOPS} hosts; is it a circle?"),
                )
                .with_host(&host.name));
            };
            let settings = config.for_hop();
            let next = Host::resolve(hop, &settings).await?;
            let stop = match via {
                // The first host may itself be behind others; boxed, since it is this function
                // again.
                None => Box::pin(self.reach(next, settings, left)).await,
                Some(via) => self.share(next, settings, Some(via)).await,
            };
            via = Some(stop?);
        }
        self.share(host, config, via).await
    }

    /// The session of one key: the one there is, the one that is being connected, or a new one.
    async fn share(&self, host: Host, config: Config, via: Option<Stop>) -> Result<Stop> {
        let key = Arc::new(Key {
            host: Host {
                name: String::new(),
                notes: Vec::new(),
                ignored: Vec::new(),
                ..host.clone()
            },
            via: via.as_ref().map(|stop| Arc::clone(&stop.key)),
        });
        let connecting = match self.find(&key) {
            Found::Session(session) => return Ok(Stop { session, key }),
            Found::Connecting(connecting) => connecting,
            Found::Nothing(mut places) => {
                let via = via.map(|stop| stop.session);
                let connecting = Session::open(host, config, via).boxed().shared();
                let weak = connecting.downgrade().expect("it has not been polled");
                places.insert(Arc::clone(&key), Place::Connecting(weak));
                connecting
            }
        };
        let connected = connecting.clone().await;
        self.settle(&key, &connecting, &connected);
        connected.map(|session| Stop { session, key })
    }

    fn find(&self, key: &Key) -> Found<'_> {
        let places = self.places();
        let found = match places.get(key) {
            Some(Place::Connected(session)) => session.upgrade().map(Found::Session),
            Some(Place::Connecting(connecting)) => connecting.upgrade().map(Found::Connecting),
            None => None,
        };
        found.unwrap_or(Found::Nothing(places))
    }

    /// Notes how connecting ended, unless somebody else has already, and forgets what is gone.
    fn settle(&self, key: &Arc<Key>, connecting: &Connecting, connected: &Result<Session>) {
        // A handle taken here may become the last one of what somebody else gave up, with code of
        // the program's in it, which must not run while the places are locked.
        let mut taken = Vec::new();
        let mut places = self.places();
        let ours = match places.get(key) {
            Some(Place::Connecting(current)) => {
                let current = current.upgrade();
                let ours = current.as_ref().is_some_and(|c| c.ptr_eq(connecting));
                taken.extend(current);
                ours
            }
            _ => false,
        };
        if !ours {
            return;
        }
        match connected {
            Ok(session) => {
                let place = Place::Connected(session.downgrade());
                places.insert(Arc::clone(key), place);
            }
            Err(_) => drop(places.remove(key)),
        }
        places.retain(|_, place| match place {
            Place::Connected(session) => session.is_open(),
            Place::Connecting(connecting) => {
                let connecting = connecting.upgrade();
                let waited_for = connecting.is_some();
                taken.extend(connecting);
                waited_for
            }
        });
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Arc<Key>, Place>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let places = self
            .places
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for place in places.values() {
            if let Place::Connected(session) = place {
                session.forsake();
            }
        }
    }
}

enum Found<'a> {
    Session(Session),
    Connecting(Connecting),
    Nothing(MutexGuard<'a, HashMap<Arc<Key>, Place>>),
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
            .places()
            .values()
            .filter_map(|place| match place {
                Place::Connected(session) => session.host_name(),
                Place::Connecting(_) => None,
            })
            .collect();
        f.debug_struct("Pool")
            .field("hosts", &hosts)
            .finish_non_exhaustive()
    }
}
