//! `RekeyLimit`: keys are renewed as asked, and a busy connection outlives it.

use std::time::Duration;

use futures_util::future::join_all;
use rmux_core::Session;
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, connect, eventually, relayed, within};
use crate::map::{Map, works};

const SOON: Duration = Duration::from_secs(5);

/// How often the keys of all connections were renewed, as the server's log says.
fn renewals(sshd: &Sshd) -> usize {
    let is_one = |line: &&str| line.contains("set_newkeys: rekeying in");
    sshd.log().lines().filter(is_one).count()
}

/// So many bytes come down at the same time on each of several channels.
async fn downloads(session: &Session, channels: usize, bytes: usize) {
    let all = (0..channels).map(|_| {
        let command = session.shell(format!("head -c {bytes} /dev/zero 2>/dev/null"));
        async move { command.clone().output().await }
    });
    let all = within(Duration::from_secs(120), "the downloads", join_all(all)).await;
    for output in all {
        let output = output.expect("the connection stays");
        assert_eq!(output.stdout.len(), bytes);
        assert!(output.stdout.iter().all(|byte| *byte == 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_busy_downloads_outlive_every_renewal() {
    let sshd = &Sshd::builder().log_channels().start();
    // The longer the way, the more is on it when this side asks for new keys.
    for (delay, megabytes) in [(0, 4), (20, 8), (200, 24)] {
        let delay = Duration::from_millis(delay);
        let relay = Relay::to(sshd.addr()).delay(delay).start().await;
        let config = relayed(sshd, &relay).option("RekeyLimit", "1M");
        let before = renewals(sshd);
        let session = connect(config).await;
        downloads(&session, 6, megabytes << 20).await;
        // All of the data can be on its way before the server's answer to the first one.
        let count = |least| move || renewals(sshd) - before >= least;
        eventually(SOON, "the keys are renewed", count(1)).await;
        downloads(&session, 1, 3 << 20).await;
        eventually(SOON, "they are renewed again", count(2)).await;
        works(&session).await;
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_directions_at_once_outlive_it() {
    let sshd = Sshd::builder().log_channels().start();
    let relay = Relay::to(sshd.addr())
        .delay(Duration::from_millis(10))
        .start()
        .await;
    let config = relayed(&sshd, &relay).option("RekeyLimit", "1M");
    let session = connect(config).await;
    let input: Vec<u8> = (0..=250).cycle().take(8 << 20).collect();
    let echoes = (0..6).map(|_| {
        let command = session
            .shell("exec cat 2>/dev/null")
            .input(input.clone())
            .clone();
        async move { command.output().await }
    });
    let limit = Duration::from_secs(60);
    for echo in within(limit, "six echoes", join_all(echoes)).await {
        assert!(echo.unwrap().stdout == input);
    }
    assert!(renewals(&sshd) >= 2);
    session.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_through_another_one_outlives_it() {
    let (hop, last) = (Sshd::start(), Sshd::builder().log_channels().start());
    let map = Map::of(
        &[("hop", &hop), ("last", &last)],
        "Host last\n ProxyJump hop\n RekeyLimit 1M\n",
    );
    let session = Session::connect("last", map.config()).await.unwrap();
    downloads(&session, 6, 8 << 20).await;
    assert!(renewals(&last) >= 3, "{}", renewals(&last));
    session.close().await;
}

#[tokio::test]
async fn keys_are_renewed_as_the_limit_says_and_only_then() {
    let sshd = Sshd::builder().log_channels().start();
    let of = |limit: &'static str| {
        let sshd = &sshd;
        async move {
            let before = renewals(sshd);
            let session = connect(config(sshd).option("RekeyLimit", limit)).await;
            (session, before)
        }
    };
    let quiet = Duration::from_millis(2_500);

    let (session, before) = of("1M").await;
    tokio::time::sleep(quiet).await;
    assert_eq!(renewals(&sshd) - before, 0, "nothing was sent");
    downloads(&session, 1, 3 << 20).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let count = renewals(&sshd) - before;
    assert!((1..=3).contains(&count), "{count}");
    // What is written counts too.
    session
        .shell("cat >/dev/null 2>&1")
        .input(vec![0; 2 << 20])
        .output()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(renewals(&sshd) - before > count);
    session.close().await;

    let (session, before) = of("default 1").await;
    tokio::time::sleep(quiet).await;
    let count = renewals(&sshd) - before;
    assert!((1..=3).contains(&count), "a second each: {count}");
    downloads(&session, 1, 1 << 20).await;
    session.close().await;

    // The least that may be said: as often as is bearable, and not for ever.
    let (session, before) = of("16").await;
    downloads(&session, 1, 1 << 20).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let count = renewals(&sshd) - before;
    assert!(count >= 1);
    tokio::time::sleep(quiet).await;
    assert!(
        renewals(&sshd) - before <= count + 1,
        "it renews for nothing"
    );
    session.close().await;

    let (session, before) = of("default none").await;
    downloads(&session, 1, 8 << 20).await;
    assert_eq!(renewals(&sshd) - before, 0);
    session.close().await;
}

/// Six channels at 200 ms, each with bytes both ways, none of which is lost.
async fn six_busy_channels_over_a_long_way(sshd: &Sshd, limit: Option<&str>, least: usize) {
    let relay = Relay::to(sshd.addr())
        .delay(Duration::from_millis(100))
        .start()
        .await;
    let mut config = relayed(sshd, &relay);
    if let Some(limit) = limit {
        config = config.option("RekeyLimit", limit);
    }
    let before = renewals(sshd);
    let session = connect(config).await;
    let input: Vec<u8> = (0..=250).cycle().take(3 << 20).collect();
    let echoes = (0..6).map(|_| {
        let command = session
            .shell("exec cat 2>/dev/null")
            .input(input.clone())
            .clone();
        async move { command.output().await }
    });
    let limit = Duration::from_secs(120);
    for echo in within(limit, "six echoes", join_all(echoes)).await {
        let echo = echo.expect("the connection stays");
        assert!(echo.stdout == input, "{} bytes came", echo.stdout.len());
        assert!(echo.status.success());
    }
    let enough = || renewals(sshd) - before >= least;
    eventually(SOON, "the keys are renewed", enough).await;
    works(&session).await;
    session.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_renews_by_size_or_time() {
    for limit in ["4M", "default 1s", "2M 1s"] {
        let sshd = Sshd::builder().log_channels().option("RekeyLimit", limit);
        six_busy_channels_over_a_long_way(&sshd.start(), None, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_side_by_size_or_time_and_both_sides_at_once() {
    let sshd = Sshd::builder().log_channels().start();
    for limit in ["4M", "default 1s"] {
        six_busy_channels_over_a_long_way(&sshd, Some(limit), 2).await;
    }
    // Each side's limit is reached at the same byte, or nearly so.
    let sshd = Sshd::builder().log_channels().option("RekeyLimit", "4M 1s");
    six_busy_channels_over_a_long_way(&sshd.start(), Some("4M 1s"), 2).await;
}
