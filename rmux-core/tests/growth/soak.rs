//! Long use: commands, cancellations, dropped handles and reconnects by the thousand, after which
//! everything is as it was. `cargo xtask soak` runs all of it, the tests a part.
//!
//! `RMUX_SOAK` is the percentage to run, 1 where it is not set.

use std::time::{Duration, Instant};

use rmux_core::{ErrorKind, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use crate::ALONE;
use crate::fixture::{self, eventually, relayed};
use crate::level::Level;

const EXECS: usize = 100_000;
const CANCELLATIONS: usize = 20_000;
const DROPPED_HANDLES: usize = 10_000;
const RECONNECTS: usize = 1_000;
/// At once.
const LANES: usize = 8;
/// What a warm-up leaves to be allocated later, whatever is run.
const SLACK_KIB: u64 = 6 << 10;

/// How many of `all` to run; at least `least`, below which nothing would show.
fn share(all: usize, least: usize) -> usize {
    let percent = std::env::var("RMUX_SOAK").ok();
    let percent: f64 = percent.map_or(1.0, |percent| {
        percent.parse().expect("RMUX_SOAK is a percentage")
    });
    ((all as f64 * percent / 100.0) as usize).max(least)
}

/// Numbers that look random, and are the same in each run.
#[derive(Debug, Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn of(lane: usize, number: usize) -> Self {
        Self((lane as u64 + 1) << 32 | number as u64)
    }

    /// One of `sides` (SplitMix64).
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    async fn moment(&mut self, most: Duration) {
        let micros = self.roll(most.as_micros() as u64);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}

/// Does `count` of something, several at once, on one session.
async fn batch<W>(session: &Session, count: usize, work: fn(Session, usize, usize) -> W)
where
    W: Future<Output = ()> + Send + 'static,
{
    let lanes = (0..LANES).map(|lane| {
        let session = session.clone();
        tokio::spawn(async move {
            for number in 0..count / LANES {
                work(session.clone(), lane, number).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
}

/// The same on a session of its own, a part of it before the look at what the process holds. Each may
/// leave so many bytes with the session.
async fn on_one_session<W>(
    what: &str,
    count: usize,
    each: usize,
    work: fn(Session, usize, usize) -> W,
) where
    W: Future<Output = ()> + Send + 'static,
{
    let _alone = ALONE.lock().await;
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    batch(&session, (count / 5).clamp(400, 4_000), work).await;
    // With what was begun and not ended settled, so that the level is that of rest.
    eventually(Duration::from_secs(30), "it settles", || {
        sshd.open_sessions() == 0
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = Level::now();
    let start = Instant::now();
    batch(&session, count, work).await;
    let took = start.elapsed();
    before.is_reached_again(&sshd, 0).await;
    report(what, count, took, &before);
    let growth = before.growth_kib();
    let most = SLACK_KIB + (count * each) as u64 / 1024;
    assert!(growth < most, "{what}: {growth} KiB more after {count}");
    // The session is as good as before.
    assert!(session.command("true").status().await.unwrap().success());
    session.close().await;
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0));
}

fn report(what: &str, count: usize, took: Duration, before: &Level) {
    let seconds = took.as_secs_f64();
    println!("soak: {count:>6} {what:<15} {seconds:>6.1} s  before {before}");
    println!("soak: {:>39}  after {}", "", Level::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands() {
    async fn exec(session: Session, lane: usize, number: usize) {
        let code = ((lane + number) % 256) as i32;
        let output = session.shell(format!("exit {code}")).output().await;
        assert_eq!(
            output.unwrap().status.code(),
            Some(code),
            "a status is lost"
        );
    }
    // The engine keeps half a KiB for each channel that the server refused.
    on_one_session("execs", share(EXECS, 5_000), 100, exec).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancellations() {
    async fn cancelled(session: Session, lane: usize, number: usize) {
        let mut dice = Dice::of(lane, number);
        // Some end by themselves before they are cancelled.
        let line = ["sleep 60", "true", "echo out; sleep 60", "cat"][dice.roll(4) as usize];
        let mut command = session.shell(line);
        command.kill_on_drop(true);
        let output = command.output();
        tokio::select! {
            biased;
            output = output => drop(output.unwrap()),
            () = dice.moment(Duration::from_millis(25)) => {}
        }
    }
    // A channel that was let go of before its command began is closed from this side, for which the
    // engine keeps those 3.4 KiB; that is for one in a few.
    on_one_session("cancellations", share(CANCELLATIONS, 400), 1_000, cancelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_handles() {
    async fn dropped(session: Session, lane: usize, number: usize) {
        let mut dice = Dice::of(lane, number);
        let mut child = session.command("cat").spawn().await.unwrap();
        let mut parts: Vec<Box<dyn Send>> = vec![
            Box::new(child.stdin.take()),
            Box::new(child.stdout.take()),
            Box::new(child.stderr.take()),
            Box::new(child),
            Box::new(session),
        ];
        while !parts.is_empty() {
            let next = dice.roll(parts.len() as u64) as usize;
            drop(parts.swap_remove(next));
            if dice.roll(3) == 0 {
                dice.moment(Duration::from_millis(2)).await;
            }
        }
    }
    // On a busy machine some do not end within the time they have, and are closed from this side too.
    let count = share(DROPPED_HANDLES, 400);
    on_one_session("dropped handles", count, 1_000, dropped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnects() {
    let _alone = ALONE.lock().await;
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let round = async |count: usize| {
        for number in 0..count {
            let session = fixture::connect(relayed(&sshd, &relay)).await;
            let child = session.command("cat").spawn().await.unwrap();
            assert!(session.command("true").status().await.unwrap().success());
            match number % 4 {
                0 => session.close().await,
                1 => relay.cut(),
                2 => sshd.kill_connections(),
                _ => drop(session.clone()),
            }
            if number % 4 != 3 {
                let error = child.wait_with_output().await.unwrap_err();
                let kinds = [ErrorKind::Closed, ErrorKind::Disconnected];
                assert!(kinds.contains(&error.kind()), "{error}");
            }
        }
    };
    let count = share(RECONNECTS, 24);
    let settled = async || {
        let none = || sshd.connections() == 0 && relay.connections() == 0;
        eventually(Duration::from_secs(30), "the connections are gone", none).await;
    };
    round((count / 5).clamp(12, 100)).await;
    settled().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = Level::now();
    let start = Instant::now();
    round(count).await;
    let took = start.elapsed();
    settled().await;
    before.is_reached_again(&sshd, 0).await;
    report("reconnects", count, took, &before);
    let growth = before.growth_kib();
    // An idle connection costs some 190 KiB.
    let most = SLACK_KIB + count as u64 * 10;
    assert!(growth < most, "{growth} KiB more after {count} reconnects");
}
