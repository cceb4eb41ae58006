//! How shared sessions end: in the right order, with all that must not outlive them; and what of
//! the settings holds for hosts on the way.

use std::time::Duration;

use futures_util::future::join_all;
use rmux_core::{CloseReason, ErrorKind, FurtherLogins, Pool, Session};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncReadExt;

use crate::fixture::{config, connect, eventually, runs, session, within};
use crate::map::{Map, works};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn closing_a_pool_kills_what_runs_behind_a_host_on_the_way() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("target", &target)],
        "Host target\n ProxyJump hop\n",
    );
    let pool = Pool::new(map.config());
    for argument in ["7101", "7102", "7103"] {
        let session = pool.session("target").await.unwrap();
        let mut command = session.command("sleep");
        let child = command.arg(argument).kill_on_drop(true).spawn().await;
        let child = child.unwrap();
        eventually(LIMIT, "it runs", || runs(argument)).await;
        within(LIMIT, "closing", pool.close()).await;
        assert!(matches!(session.closed().await, CloseReason::Closed));
        eventually(LIMIT, "it is killed", || !runs(argument)).await;
        drop(child);
    }
}

#[tokio::test]
async fn what_is_started_while_the_session_closes_is_killed_too() {
    let sshd = Sshd::start();
    let mark = "7201";
    for round in 0..15 {
        let session = session(&sshd).await;
        let starting = (0..3).map(|_| {
            let session = session.clone();
            tokio::spawn(async move {
                let mut command = session.command("sleep");
                command.arg(mark).kill_on_drop(true).spawn().await
            })
        });
        let starting: Vec<_> = starting.collect();
        tokio::time::sleep(Duration::from_micros(500 * round)).await;
        within(LIMIT, "closing", session.close()).await;
        for started in starting {
            // Started, or refused since the session is closed: both are well.
            drop(started.await.unwrap());
        }
    }
    eventually(LIMIT, "all are killed", || !runs(mark)).await;
}

#[tokio::test]
async fn a_wrapper_that_never_speaks_keeps_nobody_waiting() {
    // The server runs something else, ignores signals (for root), and counts it until it ends.
    let sshd = Sshd::builder()
        .option("ForceCommand", "exec sleep 40")
        .option("MaxSessions", "2")
        .start();
    let session = connect(config(&sshd).further_logins(FurtherLogins::Never)).await;
    for _ in 0..2 {
        let mut command = session.command("true");
        drop(command.kill_on_drop(true).spawn().await.unwrap());
    }
    let limit = Duration::from_secs(30);
    let mut command = session.command("true");
    let spawning = command.kill_on_drop(true).spawn();
    let error = within(limit, "an answer", spawning).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    let start = std::time::Instant::now();
    within(LIMIT, "closing", session.close()).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "nothing to wait for"
    );
}

#[tokio::test]
async fn a_session_that_is_closing_is_not_handed_out() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd));
    let first = pool.session("127.0.0.1").await.unwrap();
    // Something to kill makes closing take a moment.
    let mut command = first.command("sleep");
    let child = command
        .arg("7401")
        .kill_on_drop(true)
        .spawn()
        .await
        .unwrap();
    let closing = tokio::spawn({
        let first = first.clone();
        async move { first.close().await }
    });
    tokio::task::yield_now().await;
    let second = pool.session("127.0.0.1").await.unwrap();
    works(&second).await;
    within(LIMIT, "closing", closing).await.unwrap();
    works(&second).await;
    drop(child);
}

#[tokio::test]
async fn looking_at_a_pool_does_not_keep_its_sessions() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd).linger(Duration::from_millis(500)));
    drop(pool.session("127.0.0.1").await.unwrap());
    let looking = async {
        while sshd.connections() > 0 {
            assert!(format!("{pool:?}").contains("Pool"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(LIMIT, "its end", looking).await;
}

#[tokio::test]
async fn limits_hold_for_hosts_on_the_way_and_trust_is_not_lent_to_them() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("target", &target)],
        "Host target\n ProxyJump hop\n",
    );
    let pool = Pool::new(map.config().memory_budget(4096).spill_limit(0));
    let target_session = pool.session("target").await.unwrap();
    let hop_session = pool.session("hop").await.unwrap();
    assert_eq!(hop.connections_accepted(), 1, "they share it");
    let unread = hop_session.shell("head -c 1000000 /dev/zero");
    let mut child = unread.spawn().await.unwrap();
    let error = child.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    let mut output = Vec::new();
    let reading = child.stdout.take().unwrap().read_to_end(&mut output).await;
    reading.expect_err("more than the limits allow");
    drop(target_session);

    std::fs::write(hop.known_hosts(), "").unwrap();
    std::fs::write(target.known_hosts(), "").unwrap();
    let careless = map.config().danger_accept_any_host_key();
    let error = Session::connect("target", careless.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyUnknown, "{error}");
    assert_eq!(error.host(), Some("hop"));
    works(&Session::connect("hop", careless).await.unwrap()).await;
}

#[tokio::test]
async fn streams_outlive_their_child_and_its_session() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut child = session.shell("sleep 0.3; echo late").spawn().await.unwrap();
    let mut output = child.stdout.take().unwrap();
    drop((child, session));
    let mut text = String::new();
    let reading = output.read_to_string(&mut text);
    within(LIMIT, "the output", reading).await.unwrap();
    assert_eq!(text, "late\n");
    drop(output);
    eventually(LIMIT, "the session ends", || sshd.connections() == 0).await;
}

#[tokio::test]
async fn a_pool_may_be_closed_while_it_connects() {
    let sshd = Sshd::start();
    for _ in 0..5 {
        let pool = Pool::new(config(&sshd));
        let asking = join_all((0..3).map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.session("127.0.0.1").await })
        }));
        within(LIMIT, "closing", pool.close()).await;
        for session in within(LIMIT, "connecting", asking).await {
            works(&session.unwrap().unwrap()).await;
        }
    }
}
