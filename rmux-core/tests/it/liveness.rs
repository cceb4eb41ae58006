//! A link that dies is noticed, and everything that waits on it settles.

use std::time::{Duration, Instant};

use rmux_core::{CloseReason, ErrorKind};
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
