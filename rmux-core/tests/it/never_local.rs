//! What was meant for the remote is never run here, whatever fails. Each command would leave a file
//! behind, and the remote is this very machine: a file shows that it ran at all.

use std::path::Path;

use rmux_core::{ErrorKind, Session};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, session};

/// Runs the command in both forms on a session, which must fail.
async fn fails(session: &Session, mark: &Path) -> ErrorKind {
    let mut kind = None;
    for mut command in [
        session.command("touch").arg(mark).clone(),
        session.shell(format!("touch {}", mark.display())),
    ] {
        for guarded in [false, true] {
            command.kill_on_drop(guarded);
            let error = command.output().await.expect_err("nothing runs there");
            kind = Some(error.kind());
        }
    }
    kind.expect("four were tried")
}

#[tokio::test]
async fn nothing_runs_here_where_there_is_no_session() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let nobody = "no-such-host.invalid";
    let stranger = rmux_core::Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .identity_file(sshd.stranger_key())
        .option("IdentityAgent", "none")
        .option(
            "UserKnownHostsFile",
            sshd.known_hosts().display().to_string(),
        )
        .option("GlobalKnownHostsFile", "none");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    for (name, config, kind) in [
        (nobody, config(&sshd), ErrorKind::ConnectFailed),
        (
            "127.0.0.1",
            config(&sshd).port(port),
            ErrorKind::ConnectFailed,
        ),
        ("127.0.0.1", stranger, ErrorKind::AuthFailed),
    ] {
        // Who goes on without looking has no session to run anything on.
        let error = match Session::connect(name, config).await {
            Err(error) => error,
            Ok(session) => panic!("connected to {}", session.host().name),
        };
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(!mark.exists());
}

#[tokio::test]
async fn nothing_runs_here_where_the_session_is_gone() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let closed = session(&sshd).await;
    closed.close().await;
    assert_eq!(fails(&closed, &mark).await, ErrorKind::Closed);
    let lost = session(&sshd).await;
    sshd.kill_connections();
    lost.closed().await;
    assert_eq!(fails(&lost, &mark).await, ErrorKind::Disconnected);
    assert!(!mark.exists(), "it was run");
    // The command is one that would have left it.
    let there = session(&sshd).await;
    there.command("touch").arg(&mark).output().await.unwrap();
    assert!(mark.exists());
}

#[tokio::test]
async fn variables_of_the_session_are_those_of_every_command() {
    for accept in ["RMUX_MARK", "NOTHING"] {
        let sshd = Sshd::builder().option("AcceptEnv", accept).start();
        let config = config(&sshd)
            .env("RMUX_MARK", "a b")
            .env("RMUX_MARK", "true");
        let session = crate::fixture::connect(config).await;
        for mut command in [
            session.command("printenv").arg("RMUX_MARK").clone(),
            session.shell("echo $RMUX_MARK"),
        ] {
            assert_eq!(
                command.output().await.unwrap().stdout,
                b"true\n",
                "{accept}"
            );
            command.env("RMUX_MARK", "its own");
            let output = command.output().await.unwrap();
            assert_eq!(output.stdout, b"its own\n", "{accept}");
        }
        let mut sftp = session.subsystem("sftp").spawn().await.unwrap();
        drop(sftp.stdin.take());
        sftp.wait().await.unwrap();
    }
}
