//! Failures of every kind, of the connection and of the server: every call settles, and no task,
//! descriptor or remote command stays.

use std::time::Duration;

use futures_util::future::join_all;
use rmux_core::{CloseReason, Config, ConfigFile, ErrorKind, Pool, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use tokio::net::TcpStream;

use crate::ALONE;
use crate::fixture::{self, eventually, within};
use crate::level::Level;

const SOON: Duration = Duration::from_secs(30);

/// A session comes and goes, so that what the process needs once is there.
async fn warm_up(sshd: &Sshd) -> Level {
    let session = fixture::session(sshd).await;
    assert!(session.command("true").status().await.unwrap().success());
    session.close().await;
    let gone = || sshd.connections() == 0;
    eventually(SOON, "it is gone", gone).await;
    Level::now()
}

async fn nothing_is_left(before: &Level, sshd: &Sshd) {
    before.is_reached_again(sshd, 0).await;
    let gone = || sshd.connections() == 0;
    eventually(SOON, "the connections are gone", gone).await;
}

#[tokio::test]
async fn failures_to_connect() {
    let _alone = ALONE.lock().await;
    let sshd = Sshd::start();
    let silent = Relay::to(sshd.addr()).drop_all().start().await;
    let refusing = Relay::to(sshd.addr()).refuse().start().await;
    let bare = |port: u16| {
        Config::new()
            .config_file(ConfigFile::None)
            .port(port)
            .user(sshd.user())
            .option("IdentityAgent", "none")
    };
    let known = |port: u16| {
        let files = sshd.known_hosts().display().to_string();
        bare(port).option("UserKnownHostsFile", files)
    };
    let unknown = bare(sshd.port()).option("UserKnownHostsFile", "none");
    let hasty = bare(silent.port()).connect_timeout(Duration::from_millis(150));
    let failures = [
        (hasty, ErrorKind::TimedOut),
        (bare(refusing.port()), ErrorKind::ConnectFailed),
        (unknown, ErrorKind::HostKeyUnknown),
        (
            known(sshd.port()).identity_file(sshd.stranger_key()),
            ErrorKind::AuthFailed,
        ),
        (bare(22).option("Port", "none"), ErrorKind::ConfigInvalid),
    ];
    let round = || async {
        for (config, kind) in failures.clone() {
            let connecting = Session::connect("127.0.0.1", config);
            assert_eq!(connecting.await.unwrap_err().kind(), kind);
        }
        let pool = Pool::new(fixture::config(&sshd));
        let asking = pool.session("127.0.0.1");
        drop(tokio::time::timeout(Duration::from_millis(5), asking).await);
        let session = fixture::session(&sshd).await;
        session.close().await;
        session.command("true").output().await.unwrap_err();
    };
    round().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = Level::now();
    for _ in 0..8 {
        round().await;
    }
    nothing_is_left(&before, &sshd).await;
}

/// What the server does to a session in use.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// The process that serves the connection is killed.
    Killed,
    /// It stops, as one that swaps for ever.
    Stopped,
}

#[tokio::test]
async fn servers_that_are_killed_or_stop() {
    let _alone = ALONE.lock().await;
    let sshd = Sshd::start();
    let before = warm_up(&sshd).await;
    for blow in [Blow::Killed, Blow::Stopped, Blow::Killed, Blow::Stopped] {
        let config = fixture::config(&sshd).keepalive(Duration::from_millis(300), 2);
        let session = fixture::connect(config).await;
        let mut child = session.command("cat").spawn().await.unwrap();
        let mut waiting = session.shell("sleep 600");
        let waiting = tokio::spawn(async move { waiting.kill_on_drop(true).output().await });
        eventually(SOON, "both run", || sshd.open_sessions() == 2).await;
        match blow {
            Blow::Killed => sshd.kill_connections(),
            Blow::Stopped => sshd.suspend(),
        }
        let queued = session.command("true");
        let (ended, waited, queued, closed) = within(SOON, "the end", async {
            tokio::join!(child.wait(), waiting, queued.output(), session.closed())
        })
        .await;
        for error in [
            ended.unwrap_err(),
            waited.unwrap().unwrap_err(),
            queued.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{blow:?}: {error}");
        }
        assert!(matches!(closed, CloseReason::Lost(_)), "{blow:?}");
        drop((child, session));
        if let Blow::Stopped = blow {
            sshd.resume();
            // It cannot know that nobody waits for this one any more.
            sshd.kill_connections();
        }
        nothing_is_left(&before, &sshd).await;
    }
}

#[tokio::test]
async fn servers_that_take_no_more_connections() {
    let _alone = ALONE.lock().await;
    let sshd = Sshd::builder().option("MaxStartups", "1").start();
    let before = warm_up(&sshd).await;
    for _ in 0..3 {
        // Somebody who never logs in holds the one place.
        let idle = TcpStream::connect(sshd.addr()).await.unwrap();
        eventually(SOON, "it is served", || sshd.connections() == 1).await;
        let config = fixture::config(&sshd);
        let connecting = Session::connect("127.0.0.1", config.clone());
        let error = within(SOON, "the refusal", connecting).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectFailed, "{error}");
        drop(idle);
        eventually(SOON, "the place is free", || sshd.connections() == 0).await;
        let session = fixture::connect(config).await;
        assert!(session.command("true").status().await.unwrap().success());
        session.close().await;
        nothing_is_left(&before, &sshd).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_with_room_for_few() {
    let _alone = ALONE.lock().await;
    for room in [1, 2, 10] {
        let sshd = Sshd::builder()
            .option("MaxSessions", &room.to_string())
            .start();
        let before = warm_up(&sshd).await;
        let session = fixture::session(&sshd).await;
        let commands = (0..4 * room).map(|number| {
            let command = session.shell(format!("exit {number}"));
            async move { command.output().await.unwrap().status.code() }
        });
        let codes = within(SOON, "all of them", join_all(commands)).await;
        for (number, code) in codes.into_iter().enumerate() {
            assert_eq!(code, Some(number as i32), "room for {room}");
        }
        session.close().await;
        drop(session);
        nothing_is_left(&before, &sshd).await;

        // And when the link dies while callers wait for room.
        let session = fixture::session(&sshd).await;
        let commands = (0..2 * room + 2).map(|_| {
            let command = session.shell("exec sleep 600");
            async move { command.output().await.unwrap_err().kind() }
        });
        let waiting = join_all(commands.collect::<Vec<_>>());
        let cutting = async {
            eventually(SOON, "it is full", || sshd.open_sessions() == room).await;
            sshd.kill_connections();
        };
        let (kinds, ()) = within(SOON, "the end", async { tokio::join!(waiting, cutting) }).await;
        assert!(
            kinds.iter().all(|kind| *kind == ErrorKind::Disconnected),
            "{kinds:?}"
        );
        drop(session);
        nothing_is_left(&before, &sshd).await;
    }
}
