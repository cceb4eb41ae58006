//! A link that dies is noticed, and everything that waits on it settles.

use std::time::{Duration, Instant};

use rmux_core::{CloseReason, ErrorKind, WhenFull};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, connect, relayed, within};

#[tokio::test]
async fn a_cut_link_settles_everything_at_once() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    let waits: Vec<_> = (0..5)
        .map(|_| {
            let command = session.shell("sleep 60");
            tokio::spawn(async move { command.output().await })
        })
        .collect();
    let mut child = session.command("cat").spawn().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    relay.cut();
    for wait in waits {
        let error = wait.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    }
    assert_eq!(
        child.wait().await.unwrap_err().kind(),
        ErrorKind::Disconnected
    );
    let CloseReason::Lost(reason) = session.closed().await else {
        panic!("it was lost")
    };
    assert_eq!(reason.kind(), ErrorKind::Disconnected);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn an_exit_status_that_came_before_the_cut_is_kept() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    // The command ends, but something it started keeps its output, and so the channel, open.
    let mut child = session.shell("sleep 20 & exit 5").spawn().await.unwrap();
    let status = within(Duration::from_secs(5), "the status", child.wait())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(5));
    relay.cut();
    session.closed().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(5));
}

#[tokio::test]
async fn a_silent_link_is_given_up_by_keepalive() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let config = relayed(&sshd, &relay).keepalive(Duration::from_millis(300), 2);
    let session = connect(config).await;
    // Signs of life are answered: the link outlives several of them.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(
        session
            .command("true")
            .output()
            .await
            .unwrap()
            .status
            .success()
    );
    relay.stall(Direction::Down);
    let start = Instant::now();
    let running = session.shell("sleep 60");
    let error = within(Duration::from_secs(5), "the end", running.output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    assert!(error.to_string().contains("signs of life"), "{error}");
    assert!(
        start.elapsed() > Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_stops_is_given_up_too() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd).keepalive(Duration::from_millis(300), 2)).await;
    sshd.suspend();
    let running = session.command("true");
    let ended = within(Duration::from_secs(5), "the end", running.output()).await;
    sshd.resume();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Disconnected);
}

#[tokio::test]
async fn a_connect_that_is_cancelled_closes_its_socket() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    for patience in [1, 3, 6, 10, 20, 40, 80] {
        let config = relayed(&sshd, &relay);
        let connecting = rmux_core::Session::connect("127.0.0.1", config);
        drop(tokio::time::timeout(Duration::from_millis(patience), connecting).await);
    }
    let start = Instant::now();
    while relay.connections() > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "a socket is left open"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_that_stops_is_given_up_amid_uploads() {
    let sshd = Sshd::start();
    let config = config(&sshd).keepalive(Duration::from_millis(400), 2);
    let session = connect(config).await;
    let uploads: Vec<_> = (0..8)
        .map(|_| {
            let command = session
                .shell("cat >/dev/null")
                .input(vec![b'x'; 64 << 20])
                .clone();
            tokio::spawn(async move { command.output().await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    sshd.suspend();
    let ended = within(Duration::from_secs(6), "the end", session.closed()).await;
    sshd.resume();
    assert!(matches!(ended, CloseReason::Lost(_)));
    for upload in uploads {
        // The first ones may have been through.
        let _ = within(Duration::from_secs(2), "an upload", upload).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_amid_many_blocked_uploads_do_not_stop_the_session() {
    let sshd = Sshd::builder().option("MaxSessions", "50").start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay).keepalive(Duration::ZERO, 0)).await;
    let mut children = Vec::new();
    for _ in 0..40 {
        let mut child = session.shell("cat >/dev/null").spawn().await.unwrap();
        let mut stdin = child.stdin.take().unwrap();
        tokio::spawn(async move {
            let piece = vec![b'x'; 1 << 20];
            while tokio::io::AsyncWriteExt::write_all(&mut stdin, &piece)
                .await
                .is_ok()
            {}
        });
        children.push(child);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    relay.stall(Direction::Up);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for child in &children {
        child.resize(90, 40);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    relay.resume();
    let command = session.command("true");
    let output = within(Duration::from_secs(20), "a new command", command.output()).await;
    assert!(output.unwrap().status.success());
}

#[tokio::test]
async fn a_stream_that_is_dropped_lets_a_waiting_session_go_on() {
    let sshd = Sshd::start();
    let config = config(&sshd)
        .memory_budget(1 << 20)
        .when_full(WhenFull::Wait);
    let session = connect(config).await;
    let mut child = session
        .shell("head -c 30000000 /dev/zero; exit 3")
        .spawn()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(child.stdout.take());
    let status = within(Duration::from_secs(10), "the status", child.wait())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(3));

    // And closing does not wait for a reader.
    let child = session
        .shell("head -c 30000000 /dev/zero")
        .spawn()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    within(Duration::from_secs(6), "close", session.close()).await;
    let error = within(
        Duration::from_secs(2),
        "the child",
        child.wait_with_output(),
    )
    .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn closing_twice_waits_twice() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd)).await;
    let (first, second) = (session.clone(), session.clone());
    tokio::join!(first.close(), second.close());
    assert!(session.is_closed());
    assert!(matches!(session.closed().await, CloseReason::Closed));
}
