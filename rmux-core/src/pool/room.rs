//! How many connections a pool may have, at all and to one server, and who has a place among them.
//!
//! Knows nothing of what a session is: a place is taken for an address, and given back when it is
//! dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::session::Held;

/// Host name and port of a server.
pub(super) type Address = (String, u16);

/// The places of one pool.
#[derive(Debug)]
pub(super) struct Room {
    total: usize,
    per_host: usize,
    taken: Mutex<Taken>,
    /// How many callers wait for places.
    wanted: AtomicUsize,
    /// Told when a place was given back or may be had.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Taken {
    all: Count,
    hosts: HashMap<Address, Count>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    taken: usize,
    /// How many of those are about to be given back.
    leaving: usize,
}

/// How many places too few there are, not counting those that are about to be given back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shortage {
    /// Whether it is the pool that has too few, or only some of the servers.
    pub(super) of_all: bool,
    pub(super) all: usize,
    pub(super) hosts: HashMap<Address, usize>,
}

/// A place for one connection.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    address: Address,
    leaving: AtomicBool,
}

impl Room {
    /// With room for so many connections, and so many to one server.
    pub(super) fn new(total: usize, per_host: usize) -> Self {
        Self {
            total,
            per_host,
            taken: Mutex::default(),
            wanted: AtomicUsize::new(0),
            changed: Arc::default(),
        }
    }

    /// Told when a place was given back or may be had.
    pub(super) fn changed(&self) -> &Arc<Notify> {
        &self.changed
    }

    /// A caller begins to wait for places.
    pub(super) fn want(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    /// One waits no more.
    pub(super) fn want_no_more(&self) {
        self.wanted.fetch_sub(1, Ordering::Relaxed);
    }

    /// Gives one place more for an address, where there is one that nobody waits for.
    pub(super) fn more(
        room: &Arc<Self>,
        address: Address,
    ) -> Arc<dyn Fn() -> Option<Held> + Send + Sync> {
        let room = Arc::clone(room);
        Arc::new(move || {
            if room.wanted.load(Ordering::Relaxed) > 0 {
                return None;
            }
            let mut taken = room.take(std::slice::from_ref(&address)).ok()?;
            taken.pop().map(|place| place as Held)
        })
    }

    /// Takes a place for each address, or none at all.
    pub(super) fn take(self: &Arc<Self>, wanted: &[Address]) -> Result<Vec<Arc<Place>>, Shortage> {
        let mut taken = self.taken();
        let mut hosts: HashMap<&Address, usize> = HashMap::new();
        for address in wanted {
            *hosts.entry(address).or_default() += 1;
        }
        let all = taken.all.beyond(wanted.len(), self.total);
        let short: HashMap<&Address, Beyond> = hosts
            .into_iter()
            .filter_map(|(address, number)| {
                let now = taken.hosts.get(address).copied().unwrap_or_default();
                Some((address, now.beyond(number, self.per_host)?))
            })
            .collect();
        if all.is_some() || !short.is_empty() {
            return Err(Shortage {
                of_all: all.is_some(),
                all: all.map_or(0, |beyond| beyond.lacking),
                hosts: short
                    .into_iter()
                    .map(|(address, beyond)| (address.clone(), beyond.lacking))
                    .collect(),
            });
        }
        let places = wanted.iter().map(|address| {
            taken.all.taken += 1;
            taken.hosts.entry(address.clone()).or_default().taken += 1;
            Arc::new(Place {
                room: Arc::clone(self),
                address: address.clone(),
                leaving: AtomicBool::new(false),
            })
        });
        Ok(places.collect())
    }

    /// Whether so many places, all of them for different connections, can ever be had at a time.
    pub(super) fn could_hold(&self, wanted: &[Address]) -> bool {
        let most = wanted.iter().map(|address| {
            let same = wanted.iter().filter(|other| *other == address);
            same.count()
        });
        wanted.len() <= self.total && most.max().unwrap_or(0) <= self.per_host
    }

    /// The limits, in words.
    pub(super) fn limits(&self) -> String {
        let in_words = |limit: usize| match limit {
            usize::MAX => "any number of".to_owned(),
            limit => limit.to_string(),
        };
        let (total, per_host) = (in_words(self.total), in_words(self.per_host));
        format!("{total} connections, and {per_host} to one server")
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wanted beyond a limit: how much of it is lacking even when all have left that will.
#[derive(Debug, Clone, Copy)]
struct Beyond {
    lacking: usize,
}

impl Count {
    fn beyond(self, wanted: usize, limit: usize) -> Option<Beyond> {
        let too_many = (self.taken + wanted).saturating_sub(limit);
        (too_many > 0).then(|| Beyond {
            lacking: too_many.saturating_sub(self.leaving),
        })
    }
}

impl Place {
    /// It is about to be given back.
    pub(super) fn leave(&self) {
        if !self.leaving.swap(true, Ordering::Relaxed) {
            let mut taken = self.room.taken();
            taken.all.leaving += 1;
            if let Some(host) = taken.hosts.get_mut(&self.address) {
                host.leaving += 1;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let leaving = usize::from(*self.leaving.get_mut());
        let mut taken = self.room.taken();
        taken.all.taken -= 1;
        taken.all.leaving -= leaving;
        if let Some(host) = taken.hosts.get_mut(&self.address) {
            host.taken -= 1;
            host.leaving -= leaving;
            if host.taken == 0 {
                taken.hosts.remove(&self.address);
            }
        }
        drop(taken);
        self.room.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str) -> Address {
        (host.to_owned(), 22)
    }

    #[test]
    fn places_are_taken_all_at_once_or_not_and_come_back() {
        let room = Arc::new(Room::new(3, 2));
        let (a, b) = (address("a"), address("b"));
        let two = room.take(&[a.clone(), b.clone()]).unwrap();
        let short = room.take(&[a.clone(), a.clone()]).unwrap_err();
        assert!(short.of_all);
        assert_eq!((short.all, short.hosts.get(&a)), (1, Some(&1)));
        let third = room.take(std::slice::from_ref(&b)).unwrap();
        let short = room.take(std::slice::from_ref(&b)).unwrap_err();
        assert_eq!((short.all, short.hosts.get(&b)), (1, Some(&1)));
        // One that leaves need not be asked again to.
        third[0].leave();
        third[0].leave();
        let short = room.take(std::slice::from_ref(&b)).unwrap_err();
        assert_eq!((short.all, short.hosts.get(&b)), (0, Some(&0)));
        drop((two, third));
        let full = room.take(&[a.clone(), a.clone(), b]).unwrap();
        assert!(room.take(std::slice::from_ref(&a)).is_err());
        drop(full);
        assert_eq!(room.taken().hosts.len(), 0);
        assert_eq!(room.taken().all.taken, 0);
    }

    #[test]
    fn a_full_server_is_told_from_a_full_pool() {
        let room = Arc::new(Room::new(5, 1));
        let a = address("a");
        let _place = room.take(std::slice::from_ref(&a)).unwrap();
        let short = room.take(std::slice::from_ref(&a)).unwrap_err();
        assert!(!short.of_all);
        assert!(room.could_hold(std::slice::from_ref(&a)));
        assert!(!room.could_hold(&[a.clone(), a]));
    }
}
