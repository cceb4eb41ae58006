//! What a pool knows of each host, and who waits in line for room to connect.
//!
//! All of it is decided while one lock is held, in the order of asking. What is taken out meanwhile
//! and might be the last handle of something with the program's code in it is handed to the caller,
//! to be dropped when the lock is not held any more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::oneshot;

use super::Inner;
use super::room::{Address, Place, Room, Shortage};
use super::way::{Key, Stop, Way};
use crate::error::Result;
use crate::link::Counters;
use crate::session::{Membership, Session, WeakSession};

/// A session to be, which all who want it wait for. When nobody waits any more, it is given up.
pub(super) type Connecting = Shared<BoxFuture<'static, Result<Session>>>;

/// A session, or one that is being connected.
pub(super) enum Reached {
    Session(Session),
    Connecting(Connecting),
}

impl Reached {
    pub(super) async fn session(self) -> Result<Session> {
        match self {
            Self::Session(session) => Ok(session),
            Self::Connecting(connecting) => connecting.await,
        }
    }
}

/// What the pool knows of one key.
pub(super) enum Entry {
    Connecting {
        attempt: u64,
        session: WeakShared<BoxFuture<'static, Result<Session>>>,
    },
    Connected {
        session: WeakSession,
        place: Weak<Place>,
    },
}

/// Somebody who waits for a session.
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) way: Arc<Way>,
    pub(super) reply: oneshot::Sender<Reached>,
}

/// All that one lock guards.
pub(super) struct Places {
    pool: Weak<Inner>,
    room: Arc<Room>,
    counters: Arc<Counters>,
    pub(super) entries: HashMap<Arc<Key>, Entry>,
    pub(super) line: VecDeque<Waiting>,
    /// The pool was shut down: no session is given any more.
    pub(super) shut: bool,
    numbers: u64,
}

/// What must be dropped, or told, without the lock.
#[derive(Default)]
pub(super) struct Later {
    served: Vec<(oneshot::Sender<Reached>, Reached)>,
    connecting: Vec<Connecting>,
    pub(super) gone: Vec<Waiting>,
}

impl Later {
    /// Tells those who were served.
    pub(super) fn tell(self) {
        for (reply, reached) in self.served {
            // Who gave up meanwhile gives the places back by dropping this.
            let _ = reply.send(reached);
        }
    }
}

/// What those in line before are short of: nobody behind them may have it.
#[derive(Default)]
struct Short {
    of_all: bool,
    hosts: HashSet<Address>,
}

impl Short {
    fn note(&mut self, wanted: Vec<Address>, shortage: Option<&Shortage>) {
        self.of_all |= shortage.is_some_and(|shortage| shortage.of_all);
        self.hosts.extend(wanted);
    }
}

impl Places {
    pub(super) fn new(pool: Weak<Inner>, room: Arc<Room>, counters: Arc<Counters>) -> Self {
        Self {
            pool,
            room,
            counters,
            entries: HashMap::new(),
            line: VecDeque::new(),
            shut: false,
            numbers: 0,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Gives all in line what there is for them, in their order. Who needs no room, because the
    /// session is there or being connected, waits for nobody.
    pub(super) fn serve(&mut self) -> Later {
        let mut later = Later::default();
        let mut short = Short::default();
        let mut index = 0;
        while let Some(waiting) = self.line.get(index) {
            if waiting.reply.is_closed() {
                later.gone.extend(self.line.remove(index));
                continue;
            }
            let way = Arc::clone(&waiting.way);
            match self.reach(&way, &mut short, &mut later) {
                Some(reached) => {
                    if let Some(Waiting { reply, .. }) = self.line.remove(index) {
                        later.served.push((reply, reached));
                    }
                }
                None => index += 1,
            }
        }
        later
    }

    /// The session at the end of a way: the one there is, the one that is being connected, or a new
    /// one if there is room for it and for all that is missing on the way.
    fn reach(&mut self, way: &Way, short: &mut Short, later: &mut Later) -> Option<Reached> {
        let mut missing = way.0.len();
        let mut from = None;
        while missing > 0 && from.is_none() {
            from = self.find(&way.0[missing - 1].key);
            missing -= usize::from(from.is_none());
        }
        let missing = &way.0[missing..];
        if missing.is_empty() {
            return from;
        }
        let wanted: Vec<_> = missing.iter().map(Stop::address).collect();
        let behind = short.of_all || wanted.iter().any(|address| short.hosts.contains(address));
        let taken = if behind {
            Err(None)
        } else {
            self.room.take(&wanted).map_err(Some)
        };
        match taken {
            Ok(places) => Some(self.connect(from, missing, places)),
            Err(shortage) => {
                if let Some(shortage) = &shortage {
                    self.make_room(shortage, way);
                }
                short.note(wanted, shortage.as_ref());
                if let Some(Reached::Connecting(connecting)) = from {
                    later.connecting.push(connecting);
                }
                None
            }
        }
    }

    fn find(&self, key: &Key) -> Option<Reached> {
        match self.entries.get(key)? {
            Entry::Connected { session, .. } => session.upgrade().map(Reached::Session),
            Entry::Connecting { session, .. } => session.upgrade().map(Reached::Connecting),
        }
    }

    /// Begins to connect all that is missing on a way, each stop through the one before it.
    fn connect(
        &mut self,
        mut from: Option<Reached>,
        missing: &[Stop],
        places: Vec<Arc<Place>>,
    ) -> Reached {
        for (stop, place) in missing.iter().zip(places) {
            let attempt = self.number();
            let (before, pool) = (from.take(), self.pool.clone());
            let changed = Arc::clone(self.room.changed());
            let more = Room::more(&self.room, stop.address());
            let counters = Arc::clone(&self.counters);
            let Stop { key, host, config } = stop.clone();
            let connecting = async move {
                let connected = async {
                    let via = match before {
                        Some(before) => Some(before.session().await?),
                        None => None,
                    };
                    let membership = Membership {
                        place: Arc::clone(&place) as _,
                        more,
                        changed,
                        counters,
                    };
                    Session::open(host, config, via, membership).await
                };
                let connected = connected.await;
                if let Some(pool) = pool.upgrade() {
                    pool.settle(&key, attempt, &connected, &place);
                }
                connected
            };
            let connecting = connecting.boxed().shared();
            let weak = connecting.downgrade().expect("it has not been polled");
            let entry = Entry::Connecting {
                attempt,
                session: weak,
            };
            self.entries.insert(Arc::clone(&stop.key), entry);
            from = Some(Reached::Connecting(connecting));
        }
        from.expect("something is missing")
    }

    /// Notes how connecting ended, unless it was given up and begun anew meanwhile, and forgets what
    /// is gone.
    pub(super) fn settle(
        &mut self,
        key: &Arc<Key>,
        attempt: u64,
        connected: &Result<Session>,
        place: &Arc<Place>,
    ) -> Later {
        let mut later = Later::default();
        match self.entries.get(&**key) {
            Some(Entry::Connecting { attempt: ours, .. }) if *ours == attempt => {}
            _ => return later,
        }
        match connected {
            Ok(session) => {
                let session = session.downgrade();
                if self.shut {
                    session.forsake();
                }
                let place = Arc::downgrade(place);
                let entry = Entry::Connected { session, place };
                self.entries.insert(Arc::clone(key), entry);
            }
            Err(_) => drop(self.entries.remove(&**key)),
        }
        self.entries.retain(|_, entry| match entry {
            Entry::Connected { session, .. } => session.is_open(),
            Entry::Connecting { session, .. } => {
                let connecting = session.upgrade();
                let waited_for = connecting.is_some();
                later.connecting.extend(connecting);
                waited_for
            }
        });
        later
    }

    /// Ends unused sessions that linger, those that were used longest ago first, until so many will
    /// have left as are lacking. Not one that is on the way which the room is for.
    fn make_room(&mut self, shortage: &Shortage, way: &Way) {
        let mut all = shortage.all;
        let mut hosts = shortage.hosts.clone();
        if all == 0 && hosts.values().all(|lacking| *lacking == 0) {
            return;
        }
        let mut unused: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, _)| way.0.iter().all(|stop| stop.key != **key))
            .filter_map(|(key, entry)| match entry {
                Entry::Connected { session, place } => {
                    let unused = session.unused_for()?;
                    Some((unused, Arc::clone(key), session.clone(), place.clone()))
                }
                Entry::Connecting { .. } => None,
            })
            .collect();
        unused.sort_by_key(|(unused, ..)| std::cmp::Reverse(*unused));
        for (_, key, session, place) in unused {
            let address = key.address();
            let host = hosts.get(&address).copied().unwrap_or(0);
            if (all > 0 || host > 0) && session.retire() {
                if let Some(place) = place.upgrade() {
                    place.leave();
                }
                self.entries.remove(&key);
                all = all.saturating_sub(1);
                hosts
                    .entry(address)
                    .and_modify(|host| *host = host.saturating_sub(1));
            }
        }
    }
}
