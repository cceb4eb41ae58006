//! How fast bytes come, over the last seconds. Knows no clock.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What is looked at.
const SPAN: Duration = Duration::from_secs(5);
/// How finely it is divided.
const STEP: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Rate {
    /// When a step began, and the bytes that came in it.
    steps: VecDeque<(Instant, u64)>,
    first: Option<Instant>,
}

impl Rate {
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.first.get_or_insert(now);
        match self.steps.back_mut() {
            Some((begun, sum)) if now.duration_since(*begun) < STEP => *sum += bytes,
            _ => self.steps.push_back((now, bytes)),
        }
        while let Some((begun, _)) = self.steps.front()
            && now.duration_since(*begun) > SPAN
        {
            self.steps.pop_front();
        }
    }

    /// Bytes a second; 0 while too little is known.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let Some(first) = self.first else { return 0.0 };
        let recent = |begun: &Instant| now.duration_since(*begun) <= SPAN;
        let sum: u64 = self
            .steps
            .iter()
            .filter_map(|(begun, bytes)| recent(begun).then_some(bytes))
            .sum();
        let span = now.duration_since(first).min(SPAN).as_secs_f64();
        if span < 0.05 { 0.0 } else { sum as f64 / span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_what_was_long_ago() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(start), 0.0);
        for n in 0..20 {
            rate.add(1000, at(100 * n));
        }
        let now = rate.per_second(at(2000));
        assert!((now - 10_000.0).abs() < 100.0, "{now}");
        assert!(rate.per_second(at(60_000)) < 1.0, "it stands still");
        assert!(rate.steps.len() < 30);
    }
}
