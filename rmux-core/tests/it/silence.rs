//! A server that answers signs of life, and nothing else: no call waits for it for ever, and what it
//! grants too late is not left open.

use std::time::{Duration, Instant};

use rmux_core::{Config, ConfigFile, ErrorKind, Pty, Session};
use rmux_testkit::embedded::{EmbeddedServer, EmbeddedServerBuilder};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt as _;

use crate::fixture::{connect, eventually, relayed, within};

const LIMIT: Duration = Duration::from_millis(800);
const SOON: Duration = Duration::from_secs(20);
/// So long that nothing else ends what is tested.
const NEVER: Duration = Duration::from_secs(3_600);
/// A slow network: bytes in a second.
const RATE: u64 = 100 << 10;

async fn server(builder: EmbeddedServerBuilder) -> EmbeddedServer {
    let builder = builder.password("open").shell("/bin/sh");
    builder.start().await.unwrap()
}

async fn session(server: &EmbeddedServer, limit: Duration) -> Session {
    let config = Config::new()
        .config_file(ConfigFile::None)
        .port(server.addr().port())
        .user(server.user())
        .password("open")
        .option("IdentityAgent", "none")
        .option("IdentityFile", "none")
        .danger_accept_any_host_key()
        .answer_timeout(limit)
        // It answers all of these.
        .keepalive(Duration::from_millis(100), 3);
    connect(config).await
}

#[tokio::test]
async fn a_channel_that_is_never_granted() {
    let server = server(EmbeddedServer::builder().opens_late(NEVER)).await;
    let session = session(&server, LIMIT).await;
    for _ in 0..2 {
        let (first, second) = (session.command("true"), session.command("true"));
        let both = async { tokio::join!(first.output(), second.output()) };
        let (first, second) = within(SOON, "the limit", both).await;
        for error in [first.unwrap_err(), second.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            assert!(error.to_string().contains("did not answer"), "{error}");
        }
    }
    assert!(!session.is_closed(), "it answers signs of life");
    session.close().await;
}

#[tokio::test]
async fn a_channel_that_is_granted_too_late_is_closed() {
    let late = EmbeddedServer::builder()
        .opens_late(3 * LIMIT)
        .max_sessions(1);
    let server = server(late).await;
    let session = session(&server, LIMIT).await;
    let command = session.command("true");
    let error = within(SOON, "the limit", command.output()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    // While a channel is open the server refuses the next one, at once: silence means that it is
    // closed. That takes the rest of the delay, and the time an unused channel has to end by itself.
    let start = Instant::now();
    loop {
        let error = within(SOON, "an answer", command.output()).await;
        match error.unwrap_err().kind() {
            ErrorKind::TimedOut => break,
            ErrorKind::ChannelRefused => assert!(start.elapsed() < SOON, "it stays open"),
            other => panic!("{other:?}"),
        }
    }
    session.close().await;
}

#[tokio::test]
async fn a_server_that_is_only_slow_is_waited_for() {
    let late = EmbeddedServer::builder().opens_late(Duration::from_millis(1_200));
    let server = server(late).await;
    for limit in [Duration::from_secs(30), Duration::ZERO] {
        let session = session(&server, limit).await;
        let output = within(SOON, "the command", session.command("true").output()).await;
        assert!(output.unwrap().status.success());
        session.close().await;
    }
}

#[tokio::test]
async fn requests_that_are_never_answered() {
    let server = server(EmbeddedServer::builder().mute().max_sessions(4)).await;
    let session = session(&server, LIMIT).await;
    let commands = [
        session.command("true"),
        session.command("true").env("NAME", "value").clone(),
        session.login_shell().pty(Pty::default()).clone(),
        session.subsystem("sftp"),
        session.command("true").kill_on_drop(true).clone(),
    ];
    // More at once than there are channels: each that was not answered gives its own back.
    for _ in 0..2 {
        for command in &commands {
            let error = within(SOON, "the limit", command.spawn()).await.err();
            let error = error.expect("nobody said that it runs");
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            assert!(error.to_string().contains("did not answer"), "{error}");
        }
    }
    assert!(!session.is_closed(), "it answers signs of life");
    session.close().await;
}

#[tokio::test]
async fn a_silent_link_does_not_hide_the_silence_of_the_server() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let config = relayed(&sshd, &relay)
        .keepalive(Duration::ZERO, 0)
        .answer_timeout(LIMIT);
    let session = connect(config).await;
    assert!(session.command("true").status().await.unwrap().success());
    relay.drop_all();
    let error = within(SOON, "the limit", session.command("true").output()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_is_no_silent_server() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let limit = Duration::from_secs(5);
    let session = connect(relayed(&sshd, &relay).answer_timeout(limit)).await;
    let command = session.shell("exec cat >/dev/null");
    let mut upload = command.spawn().await.unwrap();
    let before = relay.bytes(Direction::Up);
    relay.set_bandwidth(Direction::Up, Some(RATE));
    let mut input = upload.stdin.take().unwrap();
    // The way stays full, however busy this machine is: what is written ahead is several times what
    // passes within the limit.
    let feeding =
        tokio::spawn(async move { while input.write_all(&[b'x'; 32 << 10]).await.is_ok() {} });
    let ahead = || {
        session
            .stats()
            .bytes_sent
            .saturating_sub(relay.bytes(Direction::Up) - before)
    };
    eventually(SOON, "the way is full", || {
        ahead() > 3 * RATE * limit.as_secs()
    })
    .await;
    let start = Instant::now();
    let behind = session.command("true");
    let output = within(6 * SOON, "the command", behind.output()).await;
    assert!(output.expect("it only took long").status.success());
    assert!(
        start.elapsed() > limit,
        "it was too fast to tell anything: {:?}",
        start.elapsed()
    );
    relay.set_bandwidth(Direction::Up, None);
    feeding.abort();
    let _ = feeding.await;
    assert!(
        within(SOON, "the upload", upload.wait())
            .await
            .unwrap()
            .success()
    );
}
