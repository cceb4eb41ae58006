//! The way to a host, through others where the settings say so: what is on it, and by which key
//! each stop is shared.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::room::Address;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;

/// How many hosts the way to one may lead through.
const MAX_HOPS: usize = 16;

/// What must be the same for a session to be shared: everything that was resolved, and the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// First, so that what differs is seen at once; a host is large.
    hash: u64,
    host: Host,
    via: Option<Arc<Key>>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Key {
    fn new(host: &Host, via: Option<Arc<Key>>) -> Self {
        let host = Host {
            name: String::new(),
            notes: Vec::new(),
            ignored: Vec::new(),
            ..host.clone()
        };
        let mut hasher = DefaultHasher::new();
        host.hash(&mut hasher);
        via.hash(&mut hasher);
        Self {
            hash: hasher.finish(),
            host,
            via,
        }
    }

    pub(super) fn address(&self) -> Address {
        (self.host.hostname.clone(), self.host.port)
    }

    /// How many hosts are on the way.
    pub(super) fn depth(&self) -> usize {
        std::iter::successors(self.via.as_ref(), |key| key.via.as_ref()).count()
    }
}

/// One host on a way, and how to connect to it from the one before.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) key: Arc<Key>,
    pub(super) host: Host,
    pub(super) config: Config,
}

impl Stop {
    pub(super) fn address(&self) -> Address {
        (self.host.hostname.clone(), self.host.port)
    }
}

/// The stops on the way to a host, which is the last of them. Never empty.
#[derive(Clone)]
pub(super) struct Way(pub(super) Vec<Stop>);

impl Way {
    /// The way to a host that was resolved with `config`. Connects nowhere.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn to(host: Host, config: Config) -> Result<Self> {
        let mut stops = Vec::new();
        resolve(host, config, MAX_HOPS, &mut stops).await?;
        let mut via = None;
        let stops = stops.into_iter().map(|(host, config)| {
            let key = Arc::new(Key::new(&host, via.take()));
            via = Some(Arc::clone(&key));
            Stop { key, host, config }
        });
        Ok(Self(stops.collect()))
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        self.0.iter().map(Stop::address).collect()
    }

    /// The host itself, as the user named it.
    pub(super) fn name(&self) -> &str {
        self.0.last().map_or("", |stop| &stop.host.name)
    }
}

/// Adds the stops on the way to a host, through not more than `hops` others, and the host itself.
async fn resolve(
    host: Host,
    config: Config,
    hops: usize,
    stops: &mut Vec<(Host, Config)>,
) -> Result<()> {
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
        if index == 0 {
            // The first host may itself be behind others; boxed, since it is this function again.
            Box::pin(resolve(next, settings, left, stops)).await?;
        } else {
            stops.push((next, settings));
        }
    }
    stops.push((host, config));
    Ok(())
}
