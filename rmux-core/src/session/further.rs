//! Logging in once more, for a further link of a session: whether that may be, when it is worth its
//! while, and what to do when it fails.
//!
//! Knows nothing of channels. Nobody is asked anything here, and no host key is taken that the first
//! login did not take: a question is a refusal.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Held, Session};
use crate::ask::Asker;
use crate::config::{Config, FurtherLogins, HostKeyPolicy};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{AddKeysToAgent, Host, UpdateHostKeys};
use crate::link::{Counters, Link, Login, connect_timeout};

/// How long a further link that nobody uses stays.
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// How long to wait after a login that failed: twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A link, and its place among the connections of the pool.
type Made = (Link, Held);
type Attempt = Pin<Box<dyn Future<Output = Result<Made>> + Send>>;

/// What logs in once more.
pub(super) struct Further {
    basis: Arc<Basis>,
    /// A place for another link, if there is one.
    more: Arc<dyn Fn() -> Option<Held> + Send + Sync>,
    /// How many links there may be.
    max_links: usize,
    /// Whether there may be more than the first one.
    allowed: bool,
    attempt: Option<Attempt>,
    /// Logins in a row that failed, and when there may be another.
    failures: u32,
    not_before: Option<Instant>,
}

/// What a further login begins with.
struct Basis {
    host: Host,
    config: Config,
    first: Login,
    counters: Arc<Counters>,
}

impl Further {
    /// `first` is how the first login went.
    pub(super) fn new(
        host: &Host,
        config: &Config,
        first: &Login,
        counters: Arc<Counters>,
        more: Arc<dyn Fn() -> Option<Held> + Send + Sync>,
    ) -> Self {
        let allowed = match config.further_logins {
            FurtherLogins::Never => false,
            FurtherLogins::Silent => !first.may_ask,
            FurtherLogins::Allowed => true,
        };
        let mut first = first.clone();
        // An agent may ask its user; a login that is known to need none gets none.
        first.without_agent = config.further_logins != FurtherLogins::Allowed;
        let host = Host {
            add_keys_to_agent: AddKeysToAgent::No,
            update_host_keys: UpdateHostKeys::No,
            ..host.clone()
        };
        let config = Config {
            prompter: None,
            on_event: None,
            host_key_policy: Some(HostKeyPolicy::Strict),
            ..config.clone()
        };
        Self {
            max_links: config.max_links,
            allowed,
            basis: Arc::new(Basis {
                host,
                config,
                first,
                counters,
            }),
            more,
            attempt: None,
            failures: 0,
            not_before: None,
        }
    }

    /// Whether there may be another link beside so many, now or later.
    pub(super) fn may(&self, links: usize) -> bool {
        self.allowed && links < self.max_links && self.attempt.is_none()
    }

    /// Whether a login is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.attempt.is_some()
    }

    /// When another link is worth a login for one who has waited since then: a login takes as long.
    pub(super) fn worth_at(&self, since: Instant) -> Instant {
        let worth = since + self.basis.first.took;
        self.not_before.map_or(worth, |time| time.max(worth))
    }

    /// Whether the last login failed so recently that none is tried.
    pub(super) fn pauses(&self) -> bool {
        self.not_before.is_some_and(|time| time > Instant::now())
    }

    /// How long the first login took.
    pub(super) fn took(&self) -> Duration {
        self.basis.first.took
    }

    /// Begins to log in, through `via` where the first link goes through it.
    pub(super) fn begin(&mut self, via: Option<Session>) {
        tracing::debug!(host = self.basis.host.name, "logging in for a further link");
        let (basis, place) = (Arc::clone(&self.basis), (self.more)());
        self.attempt = Some(Box::pin(async move {
            let place = place.ok_or_else(|| {
                let what = "the pool has no room for a further connection";
                Error::new(ErrorKind::LimitExceeded, "connect", what)
            })?;
            Ok((basis.log_in(via).await?, place))
        }));
    }

    /// Waits for the end of the login that is under way. Nothing is lost where nobody goes on
    /// waiting.
    pub(super) async fn done(&mut self) -> Result<Made> {
        let Some(attempt) = &mut self.attempt else {
            return std::future::pending().await;
        };
        let done = attempt.await;
        self.attempt = None;
        match &done {
            Ok(_) => (self.failures, self.not_before) = (0, None),
            Err(error) => self.failed(error),
        }
        done
    }

    /// Gives up what is under way.
    pub(super) fn give_up(&mut self) {
        self.attempt = None;
    }

    /// A login failed, or its link was good for nothing: callers go on to wait for those there are.
    pub(super) fn failed(&mut self, error: &Error) {
        tracing::debug!(host = self.basis.host.name, %error, "no further link");
        if matches!(
            error.kind(),
            ErrorKind::AuthFailed
                | ErrorKind::HostKeyUnknown
                | ErrorKind::HostKeyChanged
                | ErrorKind::HostKeyRevoked
        ) {
            // It would go on to fail, and servers shut out who fails too often.
            self.allowed = false;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        self.not_before = Some(Instant::now() + pause.min(LONGEST_PAUSE));
    }
}

impl Basis {
    async fn log_in(&self, via: Option<Session>) -> Result<Link> {
        let (host, config) = (&self.host, &self.config);
        let deadline = Deadline::after(connect_timeout(host, config));
        let asker = Asker::new(host, None, deadline);
        let way = match &via {
            Some(via) => Some(via.dial(host, &asker).await?),
            None => None,
        };
        let report = Arc::new(|_| {});
        let (like, counters) = (Some(&self.first), Arc::clone(&self.counters));
        Link::connect(host, config, &asker, report, way, like, counters).await
    }
}
