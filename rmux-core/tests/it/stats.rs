//! The figures of sessions and pools.

use std::time::Duration;

use rmux_core::{Pool, SessionStats};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, connect, eventually, session, within};
use crate::map::Map;

const LIMIT: Duration = Duration::from_secs(20);

fn nothing_runs(stats: &SessionStats) -> bool {
    stats.idle_for.is_some() && stats.channels == 1 && stats.channels_ready == 1
}

#[tokio::test]
async fn bytes_and_commands_are_counted_exactly() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    eventually(LIMIT, "one is ready", || nothing_runs(&session.stats())).await;
    let stats = session.stats();
    assert_eq!((stats.host.as_str(), stats.links), ("127.0.0.1", 1));
    assert_eq!(
        (
            stats.bytes_received,
            stats.bytes_sent,
            stats.commands_started
        ),
        (0, 0, 0)
    );
    assert!(stats.round_trip.is_some_and(|trip| trip < LIMIT));
    let input = vec![b'x'; 3_000_001];
    // Killing or not makes no difference: what rmux itself needs to know is not counted.
    for (round, kill) in [(1, false), (2, true)] {
        let mut command = session.shell("tee /dev/stderr; echo 12345 >&2");
        let command = command.input(input.clone()).kill_on_drop(kill);
        let output = command.output().await.unwrap();
        assert_eq!(output.stderr.len(), input.len() + 6);
        let stats = session.stats();
        assert_eq!(stats.bytes_sent, round * 3_000_001);
        assert_eq!(stats.bytes_received, round * (2 * 3_000_001 + 6));
        assert_eq!(stats.commands_started, round);
    }
    let refused = session.subsystem("no-such-subsystem").status().await;
    refused.unwrap_err();
    assert_eq!(
        session.stats().commands_started,
        2,
        "one that the server refused"
    );
    eventually(LIMIT, "all have ended", || nothing_runs(&session.stats())).await;
}

#[tokio::test]
async fn what_runs_and_who_waits_is_seen_and_goes_again() {
    let sshd = Sshd::builder().option("MaxSessions", "2").start();
    let session = connect(config(&sshd).max_links(1)).await;
    let mut children = Vec::new();
    for _ in 0..2 {
        children.push(session.command("cat").spawn().await.unwrap());
    }
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.command("true").status().await })
        })
        .collect();
    eventually(LIMIT, "five wait", || session.stats().waiting == 5).await;
    let stats = session.stats();
    assert_eq!(
        (stats.channels, stats.channels_ready, stats.idle_for),
        (2, 0, None)
    );
    waiting[0].abort();
    eventually(LIMIT, "four wait", || session.stats().waiting == 4).await;
    drop(children);
    for waiting in waiting.into_iter().skip(1) {
        within(LIMIT, "its turn", waiting).await.unwrap().unwrap();
    }
    eventually(LIMIT, "nothing runs", || nothing_runs(&session.stats())).await;
    assert_eq!(session.stats().waiting, 0);
    let before = session.stats();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let after = session.stats();
    assert!(after.idle_for > before.idle_for && after.connected_for > before.connected_for);

    session.close().await;
    let ended = session.stats();
    assert_eq!(
        (ended.links, ended.channels_ready, ended.commands_started),
        (0, 0, 6)
    );
    tokio::time::sleep(Duration::from_millis(30)).await;
    let later = session.stats().connected_for;
    assert!(
        later.abs_diff(ended.connected_for) < Duration::from_millis(10),
        "it has ended"
    );
}

#[tokio::test]
async fn a_pool_counts_all_its_sessions_also_those_that_ended() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("target", &target)],
        "Host target\n ProxyJump hop\n",
    );
    let pool = Pool::new(map.config());
    assert_eq!(pool.stats(), Pool::new(map.config()).stats());
    for round in 1..=2 {
        let session = pool.session("target").await.unwrap();
        let output = session
            .command("cat")
            .input(vec![b'x'; 100_000])
            .output()
            .await;
        assert_eq!(output.unwrap().stdout.len(), 100_000);
        let stats = pool.stats();
        assert_eq!((stats.links, stats.commands_started), (2, round));
        let of = |name: &str| stats.sessions.iter().find(|s| s.host == name).unwrap();
        assert_eq!(
            (of("target").bytes_sent, of("target").bytes_received),
            (100_000, 100_000)
        );
        // The whole of the other connection went through one channel of this one.
        let way = of("hop");
        assert!(
            way.bytes_sent > 100_000 && way.bytes_received > 100_000,
            "{way:?}"
        );
        assert_eq!((way.commands_started, way.idle_for), (0, None));
        assert!(stats.bytes_sent >= round * 200_000 && stats.bytes_received >= round * 200_000);
        session.close().await;
        eventually(LIMIT, "both are closed", || {
            pool.stats().sessions.is_empty()
        })
        .await;
    }
    let stats = pool.stats();
    assert_eq!(
        (stats.links, stats.channels, stats.commands_started),
        (0, 0, 2)
    );
}

#[tokio::test]
async fn looking_at_figures_is_no_use() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd).linger(Duration::from_millis(400)));
    drop(pool.session("127.0.0.1").await.unwrap());
    let looking = async {
        while sshd.connections() > 0 {
            let _ = pool.stats();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(LIMIT, "its end", looking).await;
}
