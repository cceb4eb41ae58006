//! How it ends: the session's end settles all, and a channel that ended alone is opened anew.

use std::path::Path;
use std::time::Duration;

use rmux_core::{ErrorKind, OpenOptions};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncReadExt as _;

use super::{LIMIT, external};
use crate::fixture::{connect, eventually, relayed, session, within};

#[tokio::test]
async fn a_server_that_ended_alone_is_started_again() {
    let served = external().await;
    let path = served.at("file");
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    let options = OpenOptions::new().read();
    let mut file = served.files.open(&path, &options).await.unwrap();
    file.read_u8().await.unwrap();
    // The user's own sftp-server, and nobody else's: it has the file open.
    let server = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find(|process| {
            let files = std::fs::read_dir(process.path().join("fd"));
            files.is_ok_and(|files| {
                files
                    .flatten()
                    .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|it| it == Path::new(&path)))
            })
        })
        .expect("it has the file open");
    let pid: i32 = server.file_name().to_str().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut rest = Vec::new();
    let error = within(LIMIT, "the read", file.read_to_end(&mut rest)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    assert!(!served.session.is_closed());
    let contents = within(LIMIT, "the next", served.files.read(&path)).await;
    assert_eq!(contents.unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn all_settles_with_the_session() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    let files = session.files();
    files.metadata("/").await.unwrap();
    relay.stall(Direction::Up);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let files = files.clone();
            tokio::spawn(async move { files.read("/etc/passwd").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    relay.cut();
    for waiting in waiting {
        let error = within(LIMIT, "a read", waiting).await.unwrap();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Disconnected);
    }
    let error = files.read("/etc/passwd").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");

    let session = crate::fixture::session(&sshd).await;
    let files = session.files();
    let options = OpenOptions::new().read();
    let mut file = files.open("/etc/passwd", &options).await.unwrap();
    within(LIMIT, "close", session.close()).await;
    assert!(file.read_u8().await.is_err());
    let error = files.read("/etc/passwd").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

/// The channel that is kept warm does not keep the session open, but an open file does.
#[tokio::test]
async fn the_channel_keeps_nothing_open() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let options = OpenOptions::new().read();
    let file = session.files().open("/etc/passwd", &options).await.unwrap();
    drop(session);
    assert!(file.metadata().await.unwrap().is_file());
    drop(file);
    eventually(LIMIT, "the connection is closed", || {
        sshd.connections() == 0
    })
    .await;
}

/// Many who come at once share one channel.
#[tokio::test]
async fn there_is_one_channel_for_all() {
    let sshd = Sshd::builder().log_channels().start();
    let session = session(&sshd).await;
    let reads = (0..50).map(|_| {
        let files = session.files();
        async move { files.read("/etc/passwd").await }
    });
    for read in futures_util::future::join_all(reads).await {
        read.unwrap();
    }
    // That one, and the one that is always kept ahead.
    eventually(LIMIT, "two channels", || sshd.open_channels() == 2).await;
    assert_eq!(sshd.channels_opened(), 2);
}

/// Where the server grants one channel only, the one that is kept warm makes room for a command.
#[tokio::test]
async fn the_channel_makes_room_for_commands() {
    let sshd = Sshd::builder().option("MaxSessions", "1").start();
    let session = session(&sshd).await;
    for _ in 0..3 {
        let read = session.files();
        let read = within(LIMIT, "the file", read.read("/etc/passwd")).await;
        assert!(!read.unwrap().is_empty());
        let mut command = session.command("true");
        command.timeout(Duration::from_secs(10));
        assert!(command.output().await.unwrap().status.success());
    }
}
