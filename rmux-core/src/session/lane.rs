//! Which of a session's links a command goes to.

use std::time::Duration;

use crate::link::WINDOW;

/// Whether a command moves so much data that others should not wait behind it.
///
/// Commands of one connection share its way: what is typed waits behind a large transfer. A
/// transfer gets a connection of its own where it takes longer than a login does, and where
/// [`Config::further_logins`](crate::Config::further_logins) and
/// [`Config::max_links`](crate::Config::max_links) allow one; it then waits for that. Otherwise it
/// goes with the others, which then keep away from it where they can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lane {
    /// It moves little, or somebody waits for each answer.
    #[default]
    Interactive,
    /// It moves much: about so many bytes, both ways together. Unknown counts as very much.
    Bulk(Option<u64>),
}

impl Lane {
    /// Whether it is worth a login that takes so long, where an answer takes `round_trip`.
    pub(super) fn is_worth(self, login: Duration, round_trip: Option<Duration>) -> bool {
        match (self, round_trip) {
            (Self::Interactive, _) => false,
            (Self::Bulk(None), _) | (Self::Bulk(Some(_)), None) => true,
            (Self::Bulk(Some(bytes)), Some(round_trip)) => {
                // One window a round trip is what the link allows at best.
                let windows = bytes as f64 / f64::from(WINDOW);
                windows * round_trip.as_secs_f64() > login.as_secs_f64()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_worth_a_login_where_it_takes_longer_than_one() {
        let (login, round_trip) = (Duration::from_secs(1), Some(Duration::from_millis(100)));
        let bulk = |mib: u64| Lane::Bulk(Some(mib << 20)).is_worth(login, round_trip);
        assert!(!bulk(159), "10 windows of 16 MiB in a second");
        assert!(bulk(161));
        assert!(Lane::Bulk(None).is_worth(login, round_trip));
        assert!(!Lane::Interactive.is_worth(Duration::ZERO, round_trip));
        let near = Some(Duration::from_micros(100));
        assert!(!Lane::Bulk(Some(1 << 30)).is_worth(login, near));
    }
}
