//! Closing in order: what runs may finish, and what has not by the deadline is ended and told.

use std::time::{Duration, Instant};

use rmux_core::{ErrorKind, Pool};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, connect, eventually, runs, session, within};
use crate::map::{Map, works};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_runs_finishes_and_nothing_new_begins() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let child = session.shell("read line; echo \"$line\"").spawn().await;
    let mut child = child.unwrap();
    let shutdown = tokio::spawn({
        let session = session.clone();
        async move { session.shutdown(LIMIT).await }
    });
    // Refused at once, while the other one still runs.
    let refused = async {
        loop {
            match session.command("true").status().await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => return error,
            }
        }
    };
    let error = within(LIMIT, "the refusal", refused).await;
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(!shutdown.is_finished());
    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"to the end\n")
        .await
        .unwrap();
    let output = within(LIMIT, "the command", child.wait_with_output())
        .await
        .unwrap();
    assert_eq!(output.stdout, b"to the end\n");
    drop(stdin);
    let cut_off = within(LIMIT, "the shutdown", shutdown).await.unwrap();
    assert_eq!(cut_off, []);
    assert!(session.is_closed());
    eventually(LIMIT, "it is closed", || sshd.connections() == 0).await;
    // Nothing is left to wait for.
    assert_eq!(
        within(LIMIT, "once more", session.shutdown(LIMIT)).await,
        []
    );
}

#[tokio::test]
async fn at_the_deadline_the_rest_is_ended_and_told() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut children = Vec::new();
    for argument in ["7501", "7502"] {
        let mut command = session.command("sleep");
        children.push(
            command
                .arg(argument)
                .kill_on_drop(true)
                .spawn()
                .await
                .unwrap(),
        );
    }
    eventually(LIMIT, "both run", || runs("7501") && runs("7502")).await;
    let cut_off = session.shutdown(Duration::from_millis(200));
    let cut_off = within(LIMIT, "the shutdown", cut_off).await;
    assert_eq!(cut_off.len(), 1);
    assert_eq!(
        (cut_off[0].host.as_str(), cut_off[0].channels),
        ("127.0.0.1", 2)
    );
    for child in &mut children {
        let error = within(LIMIT, "its end", child.wait()).await;
        // Killed in time to be heard of, or cut off: never left waiting.
        assert!(error.is_ok_and(|status| !status.success()) || session.is_closed());
    }
    eventually(LIMIT, "both are killed", || !runs("7501") && !runs("7502")).await;
}

#[tokio::test]
async fn who_waited_for_a_channel_before_still_gets_it() {
    let sshd = Sshd::builder().option("MaxSessions", "1").start();
    let session = connect(config(&sshd).max_links(1)).await;
    let mut first = session.command("cat").spawn().await.unwrap();
    let second = tokio::spawn({
        let session = session.clone();
        async move { session.command("true").status().await }
    });
    eventually(LIMIT, "it waits", || session.stats().waiting == 1).await;
    let shutdown = tokio::spawn({
        let session = session.clone();
        async move { session.shutdown(LIMIT).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(first.stdin.take());
    assert!(
        within(LIMIT, "the second", second)
            .await
            .unwrap()
            .unwrap()
            .success()
    );
    assert_eq!(within(LIMIT, "the shutdown", shutdown).await.unwrap(), []);
}

#[tokio::test]
async fn a_channel_for_files_that_is_kept_warm_is_no_work() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let files = session.files();
    files.metadata("/").await.unwrap();
    let cut_off = within(LIMIT / 2, "the shutdown", session.shutdown(LIMIT)).await;
    assert_eq!(cut_off, []);
    drop(files);
}

#[tokio::test]
async fn closing_does_not_wait_for_a_shutdown() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let child = session.command("sleep").arg("7503").spawn().await.unwrap();
    let shutdown = tokio::spawn({
        let session = session.clone();
        async move { session.shutdown(Duration::from_secs(600)).await }
    });
    eventually(LIMIT, "it begins", || session.stats().channels_ready == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    within(LIMIT, "closing", session.close()).await;
    let cut_off = within(LIMIT, "the shutdown", shutdown).await.unwrap();
    assert_eq!(cut_off.len(), 1);
    drop(child);
}

#[tokio::test]
async fn a_pool_waits_for_what_runs_behind_other_hosts() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("target", &target), ("other", &target)],
        "Host target other\n ProxyJump hop\nHost other\n SetEnv A=b\n",
    );
    let pool = Pool::new(
        map.config()
            .linger(Duration::from_secs(600))
            .max_connections(2),
    );
    let session = pool.session("target").await.unwrap();
    let mut child = session.command("cat").spawn().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.session("other").await }
    });
    eventually(LIMIT, "it waits for room", || {
        pool.stats().waiting_for_room == 1
    })
    .await;
    let shutdown = tokio::spawn({
        let pool = pool.clone();
        async move { pool.shutdown(LIMIT).await }
    });
    let error = within(LIMIT, "the refusal", waiting)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    for name in ["target", "hop"] {
        let error = within(LIMIT, "the refusal", pool.session(name))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
    assert!(!shutdown.is_finished() && hop.connections() == 1);
    drop(child.stdin.take());
    assert!(
        within(LIMIT, "the command", child.wait())
            .await
            .unwrap()
            .success()
    );
    assert_eq!(within(LIMIT, "the shutdown", shutdown).await.unwrap(), []);
    eventually(LIMIT, "all is closed", || {
        hop.connections() + target.connections() == 0
    })
    .await;
}

#[tokio::test]
async fn a_pool_kills_through_the_way_what_is_left_at_the_deadline() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("target", &target)],
        "Host target\n ProxyJump hop\n",
    );
    let pool = Pool::new(map.config());
    let session = pool.session("target").await.unwrap();
    let mut command = session.command("sleep");
    let child = command
        .arg("7504")
        .kill_on_drop(true)
        .spawn()
        .await
        .unwrap();
    eventually(LIMIT, "it runs", || runs("7504")).await;
    let cut_off = within(
        LIMIT,
        "the shutdown",
        pool.shutdown(Duration::from_millis(100)),
    )
    .await;
    let hosts: Vec<_> = cut_off
        .iter()
        .map(|cut| (cut.host.as_str(), cut.channels))
        .collect();
    assert_eq!(hosts, [("target", 1)]);
    eventually(LIMIT, "it is killed", || !runs("7504")).await;
    eventually(LIMIT, "all is closed", || {
        hop.connections() + target.connections() == 0
    })
    .await;
    drop(child);
}

#[tokio::test]
async fn what_is_being_connected_is_given_up() {
    let sshd = Sshd::start();
    for round in 0..10 {
        let pool = Pool::new(config(&sshd).linger(Duration::from_secs(600)));
        let asking = tokio::spawn({
            let pool = pool.clone();
            async move { pool.session("127.0.0.1").await }
        });
        tokio::time::sleep(Duration::from_millis(4 * round)).await;
        let start = Instant::now();
        within(LIMIT, "the shutdown", pool.shutdown(LIMIT)).await;
        assert!(start.elapsed() < LIMIT / 2, "nothing to wait for");
        // Got just before, or refused; never left waiting.
        if let Ok(session) = within(LIMIT, "an answer", asking).await.unwrap() {
            let error = session.command("true").status().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        }
        eventually(LIMIT, "it is closed", || sshd.connections() == 0).await;
    }
    let pool = Pool::new(config(&sshd));
    works(&pool.session("127.0.0.1").await.unwrap()).await;
}
