//! How many bytes of reads or writes may be under way, by the round trips that were measured.
//!
//! While replies come about as fast as the fastest did, the line between is not full, and every
//! reply makes room for as much again: the amount doubles with each round trip. Once replies take
//! several times as long, requests only wait in a queue somewhere, and the amount shrinks. So it
//! settles at a small multiple of what the line and the server hold. Where replies take long though
//! nothing of ours can wait, the line has changed, and the fastest is forgotten. Knows no clock.

use std::time::Duration;

/// What the first requests of a transfer may have under way.
const FIRST: usize = 512 << 10;
const LEAST: usize = 128 << 10;
/// A round trip this much longer than the fastest is still noise: a machine's own scheduling.
const NOISE: Duration = Duration::from_millis(2);

/// How much may be under way.
#[derive(Debug, Clone)]
pub struct Pace {
    window: usize,
    most: usize,
    fastest: Option<Duration>,
}

impl Pace {
    /// At the start, never more than `most` bytes.
    pub fn new(most: usize) -> Self {
        Self {
            window: FIRST.min(most),
            most,
            fastest: None,
        }
    }

    /// How many bytes may be under way.
    pub fn window(&self) -> usize {
        self.window
    }

    /// The shortest round trip seen.
    pub fn round_trip(&self) -> Option<Duration> {
        self.fastest
    }

    /// A reply came `took` after its request was handed over; `bytes` were read or written, 0 for
    /// other requests.
    pub fn answered(&mut self, bytes: usize, took: Duration) {
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        if took <= 2 * fastest + NOISE {
            self.window = self.window.saturating_add(bytes).min(self.most);
        } else if took > 4 * fastest + 4 * NOISE {
            let least = LEAST.min(self.most);
            if self.window <= least && bytes > 0 {
                // With so little under way nothing of ours waits: the line has become longer.
                self.fastest = Some(took);
            }
            self.window = self.window.saturating_sub(bytes / 2).max(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 255 << 10;

    /// The amount at which it settles, with a line of this round trip and rate (bytes a second).
    fn settled(round_trip: Duration, rate: f64, most: usize) -> usize {
        let mut pace = Pace::new(most);
        pace.answered(0, round_trip);
        for _ in 0..2000 {
            // All that is under way beyond what the line holds waits.
            let took = (pace.window() as f64 / rate).max(round_trip.as_secs_f64());
            pace.answered(PIECE, Duration::from_secs_f64(took));
        }
        pace.window()
    }

    #[test]
    fn it_settles_above_what_the_line_holds_and_not_far_above() {
        for (milliseconds, megabytes) in [(100, 10.0), (100, 80.0), (10, 100.0), (300, 2.0)] {
            let rate = megabytes * 1e6;
            let round_trip = Duration::from_millis(milliseconds);
            let line = rate * round_trip.as_secs_f64();
            let window = settled(round_trip, rate, 1 << 30) as f64;
            assert!(window > line, "{window} fills {line}");
            assert!(window < 6.0 * line + 2e6, "{window} floods {line}");
        }
    }

    #[test]
    fn it_learns_that_a_line_has_become_longer() {
        let mut pace = Pace::new(1 << 30);
        pace.answered(0, Duration::from_micros(200));
        let (rate, round_trip) = (50e6, 0.1);
        for _ in 0..200 {
            let took = (pace.window() as f64 / rate).max(round_trip);
            pace.answered(PIECE, Duration::from_secs_f64(took));
        }
        assert!(pace.window() as f64 > rate * round_trip);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        assert_eq!(settled(Duration::from_secs(1), 1e12, 16 << 20), 16 << 20);
        assert!(settled(Duration::from_millis(1), 1e4, 16 << 20) >= LEAST);
        assert_eq!(Pace::new(1000).window(), 1000);
    }

    #[test]
    fn it_doubles_with_each_round_trip_of_an_empty_line() {
        let mut pace = Pace::new(1 << 30);
        let before = pace.window();
        for _ in 0..before / PIECE {
            pace.answered(PIECE, Duration::from_millis(100));
        }
        assert!(pace.window() >= before + (before / PIECE) * PIECE);
    }
}
