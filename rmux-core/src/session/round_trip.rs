//! How long the way to the server and back takes, as answers that come anyway tell it.

use std::collections::VecDeque;
use std::time::Duration;

/// How many answers are looked at.
const RECENT: usize = 16;

/// The least time that one of the recent answers took: others had to wait for something.
#[derive(Debug, Default)]
pub(super) struct RoundTrip(VecDeque<Duration>);

impl RoundTrip {
    /// An answer came, so long after its question.
    pub(super) fn took(&mut self, time: Duration) {
        if self.0.len() == RECENT {
            self.0.pop_front();
        }
        self.0.push_back(time);
    }

    /// The round trip, once there was an answer.
    pub(super) fn least(&self) -> Option<Duration> {
        self.0.iter().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_recent_answers_counts_and_old_ones_are_forgotten() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.least(), None);
        let millis = Duration::from_millis;
        for time in [30, 10, 20] {
            round_trip.took(millis(time));
        }
        assert_eq!(round_trip.least(), Some(millis(10)));
        for _ in 0..RECENT {
            round_trip.took(millis(40));
        }
        assert_eq!(round_trip.least(), Some(millis(40)));
    }
}
