//! Samples of several peers, taken in turns.
//!
//! What else the machine does changes from second to second. Peers that take turns, in an order
//! that rotates, meet the same weather, so that the ratio of their medians holds where their
//! medians do not. Knows nothing of SSH.

use std::time::{Duration, Instant};

/// How samples are taken.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds before the samples, thrown away.
    pub warm_up: usize,
    /// Rounds; each takes one sample of each peer.
    pub rounds: usize,
    /// The time before each sample in which the peer before may put its things away.
    pub pause: Duration,
}

/// Durations of one peer, in seconds, in the order of the rounds.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// The one in the middle, in seconds.
    pub fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// What 99 of 100 take at most, in seconds: the nearest rank.
    pub fn p99(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * 99).div_ceil(100);
        sorted[rank - 1]
    }

    /// The one in the middle of what `self` and `other` took of the same round, one through the
    /// other. Where the machine's load changes slowly, this sees less of it than the ratio of the
    /// medians.
    ///
    /// # Panics
    /// When they are of different measurements.
    pub fn ratio(&self, other: &Self) -> f64 {
        assert_eq!(self.count(), other.count(), "not of the same rounds");
        median(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// The shortest and the longest, in seconds.
    pub fn range(&self) -> (f64, f64) {
        let ends = (f64::INFINITY, 0.0_f64);
        self.0
            .iter()
            .fold(ends, |(least, most), s| (least.min(*s), most.max(*s)))
    }

    /// Takes in those of one more block of rounds.
    pub fn append(&mut self, block: Self) {
        self.0.extend(block.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<f64>> for Samples {
    /// Seconds, in the order of the rounds.
    fn from(seconds: Vec<f64>) -> Self {
        Self(seconds)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Times `work`, which is given the number of the peer whose turn it is. Returns each peer's
/// samples, in the order of their numbers.
///
/// # Cancel safety
/// As `work`: dropping the future drops the one under way, and the samples.
pub async fn in_turns<const PEERS: usize>(
    plan: Plan,
    work: impl AsyncFn(usize),
) -> [Samples; PEERS] {
    let mut samples = [const { Vec::new() }; PEERS];
    for round in 0..plan.warm_up + plan.rounds {
        for turn in 0..PEERS {
            let peer = (round + turn) % PEERS;
            tokio::time::sleep(plan.pause).await;
            let start = Instant::now();
            work(peer).await;
            let took = start.elapsed();
            if round >= plan.warm_up {
                samples[peer].push(took.as_secs_f64());
            }
        }
    }
    assert!(plan.rounds > 0, "a plan without rounds");
    samples.map(Samples)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn peers_take_turns_and_the_warm_up_does_not_count() {
        let turns = RefCell::new(Vec::new());
        let plan = Plan {
            warm_up: 1,
            rounds: 2,
            pause: Duration::ZERO,
        };
        let samples: [Samples; 3] =
            in_turns(plan, async |peer| turns.borrow_mut().push(peer)).await;
        assert_eq!(turns.into_inner(), [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert!(samples.iter().all(|samples| samples.count() == 2));
    }

    #[test]
    fn samples_need_no_order() {
        let samples = Samples(vec![9.0, 1.0, 4.0, 2.0]);
        assert_eq!(samples.median(), 3.0);
        assert_eq!(samples.range(), (1.0, 9.0));
        assert_eq!(Samples(vec![9.0, 1.0, 2.0]).median(), 2.0);
    }

    #[test]
    fn one_slow_sample_of_a_hundred_is_above_the_99th_and_two_are_not() {
        let mut hundred = vec![1.0; 100];
        hundred[7] = 9.0;
        assert_eq!(Samples(hundred.clone()).p99(), 1.0);
        hundred[3] = 5.0;
        assert_eq!(Samples(hundred).p99(), 5.0);
        assert_eq!(Samples(vec![2.0]).p99(), 2.0);
    }

    #[test]
    fn a_round_that_was_slow_for_both_does_not_show_in_their_ratio() {
        let (ours, bare) = (vec![1.0, 10.0, 1.1], vec![2.0, 20.0, 2.2]);
        assert_eq!(Samples(ours).ratio(&Samples(bare)), 0.5);
    }
}
