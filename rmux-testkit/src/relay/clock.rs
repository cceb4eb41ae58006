//! A precise alarm clock. tokio's timer counts in milliseconds and rounds up, which would add
//! some per cent to the round trips that the benches measure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Wakes tasks at points in time, from a thread of its own, which ends with the clock.
pub(super) struct Clock(Arc<Shared>);

struct Shared {
    alarms: Mutex<Alarms>,
    changed: Condvar,
}

#[derive(Default)]
struct Alarms {
    heap: BinaryHeap<Reverse<Alarm>>,
    count: u64,
    over: bool,
}

struct Alarm {
    at: Instant,
    /// Makes alarms of the same time ring in the order they were set.
    number: u64,
    ring: oneshot::Sender<()>,
}

impl Clock {
    pub(super) fn start() -> Self {
        let shared = Arc::new(Shared {
            alarms: Mutex::default(),
            changed: Condvar::new(),
        });
        let own = shared.clone();
        std::thread::Builder::new()
            .name("relay-clock".to_owned())
            .spawn(move || own.run())
            .expect("a thread for the relay's clock");
        Self(shared)
    }

    /// Returns at `at`, or at once if that is past.
    pub(super) async fn sleep_until(&self, at: Instant) {
        if at <= Instant::now() {
            return;
        }
        let (ring, rung) = oneshot::channel();
        {
            let mut alarms = self.0.lock();
            alarms.count += 1;
            let number = alarms.count;
            alarms.heap.push(Reverse(Alarm { at, number, ring }));
        }
        self.0.changed.notify_one();
        let _ = rung.await;
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut alarms = self.lock();
        while !alarms.over {
            let now = Instant::now();
            while alarms
                .heap
                .peek()
                .is_some_and(|Reverse(alarm)| alarm.at <= now)
            {
                if let Some(Reverse(alarm)) = alarms.heap.pop() {
                    let _ = alarm.ring.send(());
                }
            }
            let wait = match alarms.heap.peek() {
                Some(Reverse(alarm)) => alarm.at.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3600),
            };
            let waited = self.changed.wait_timeout(alarms, wait);
            alarms = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
