//! A server that sends its commands the signals that are asked for: what can be ended without a channel
//! to spare, and what the system's limit of processes leaves possible.

use std::time::Duration;

use rmux_core::{Child, ErrorKind, RemoteEnd, Session, Signal, Stdio};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{config, connect, eventually, runs, session, within};

const LIMIT: Duration = Duration::from_secs(60);

fn server(max_sessions: &str) -> Sshd {
    let builder = Sshd::builder().option("MaxSessions", max_sessions);
    builder.unprivileged().start()
}

/// A child whose line has said that it is ready.
async fn ready(session: &Session, line: &str, guarded: bool) -> Child {
    let mut command = session.shell(line);
    let mut child = command.kill_on_drop(guarded).spawn().await.unwrap();
    let mut word = [0; 6];
    let stdout = child.stdout.as_mut().unwrap();
    within(LIMIT, "the word", stdout.read_exact(&mut word))
        .await
        .unwrap();
    assert_eq!(&word, b"ready\n");
    child
}

fn by(signal: &str) -> Option<Signal> {
    Some(Signal::named(signal).unwrap())
}

#[tokio::test]
async fn without_a_channel_to_spare_a_group_ends_by_its_own_and_that_is_confirmed() {
    let sshd = server("1");
    let session = connect(config(&sshd).max_links(1)).await;
    let child = ready(&session, "echo ready; sleep 7801 & sleep 7801", true).await;
    let stopped = within(LIMIT, "stop", child.stop(LIMIT)).await.unwrap();
    assert_eq!(stopped.status.signal().cloned(), by("TERM"));
    assert_eq!(stopped.remote_end, RemoteEnd::Confirmed);
    assert!(!runs("7801"), "confirmed means gone");

    // So does one that takes too long.
    let mut command = session.shell("sleep 7802 & sleep 7802");
    command.timeout(Duration::from_secs(2)).kill_grace(LIMIT);
    let error = within(LIMIT, "the timeout", command.output()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.remote_end(), Some(RemoteEnd::Confirmed), "{error}");
    assert!(!runs("7802"), "confirmed means gone");
}

#[tokio::test]
async fn a_command_that_is_sent_as_it_is_ends_by_its_own_channel() {
    let sshd = server("10");
    let session = session(&sshd).await;
    let mut command = session.shell("exec sleep 7803");
    command.verbatim(true).kill_on_drop(true);
    let child = command.spawn().await.unwrap();
    eventually(LIMIT, "it runs", || runs("7803")).await;
    let stopped = within(LIMIT, "stop", child.stop(LIMIT)).await.unwrap();
    assert_eq!(stopped.status.signal().cloned(), by("TERM"));
    // That it ended proves nothing of what it has started.
    assert_eq!(stopped.remote_end, RemoteEnd::Unconfirmed);
    // One that is let go of, and one that does not obey.
    drop(command.spawn().await.unwrap());
    let line = "trap '' TERM; echo ready; while :; do sleep 7804; done";
    let child = ready(&session, line, false).await;
    let stopped = within(LIMIT, "stop", child.stop(Duration::from_millis(100))).await;
    assert_eq!(stopped.unwrap().status.signal().cloned(), by("KILL"));
    eventually(LIMIT, "none is left", || !runs("7803") && !runs("7804")).await;
}

#[tokio::test]
async fn all_channels_are_stalled_and_the_next_caller_is_served_when_one_ends() {
    let sshd = server("10");
    let session = connect(config(&sshd).max_links(1)).await;
    let mut stalled = Vec::new();
    for number in 0..10 {
        // By turns one that nobody reads and one that reads nothing.
        let line = match number % 2 {
            0 => "head -c 3000000 /dev/zero; exec sleep 7805",
            _ => "exec sleep 7805",
        };
        let mut command = session.shell(line);
        let mut child = command.stdin(Stdio::Piped).spawn().await.unwrap();
        if let Some(mut input) = child.stdin.take().filter(|_| number % 2 == 1) {
            tokio::spawn(async move { while input.write_all(&[0; 4096]).await.is_ok() {} });
        }
        stalled.push(child);
    }
    let eleventh = session.command("true");
    let eleventh = tokio::spawn(async move { eleventh.output().await });
    eventually(LIMIT, "it waits", || session.stats().waiting == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!eleventh.is_finished(), "there is no room");
    assert_eq!(sshd.connections(), 1);

    let mut one = stalled.swap_remove(4);
    let status = within(LIMIT, "the kill", one.kill()).await.unwrap();
    assert_eq!(status.signal().cloned(), by("KILL"));
    let output = within(LIMIT, "the eleventh", eleventh).await.unwrap();
    assert!(output.unwrap().status.success());

    // All others as well, and none of them is waited for in vain.
    for child in &stalled {
        child.start_kill();
    }
    for mut child in stalled {
        let status = within(LIMIT, "its end", child.wait()).await.unwrap();
        assert_eq!(status.signal().cloned(), by("KILL"));
    }
    assert!(!runs("7805"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_host_has_no_room_for_another_process() {
    let sshd = server("10");
    let session = connect(config(&sshd).max_links(1)).await;
    let guarded = ready(&session, "echo ready; sleep 7806 & wait", true).await;
    let dropped = ready(&session, "echo ready; exec sleep 7807", true).await;

    // The server itself cannot start one.
    if !sshd.limit_processes(Some(0)) {
        eprintln!(
            "NOT TESTED: the limit of processes, which takes root, who makes an account for it"
        );
        return;
    }
    for _ in 0..3 {
        let error = within(LIMIT, "the refusal", session.command("true").output()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    }
    assert!(!session.is_closed());
    // Nobody can look whether it is gone, which is waited for all the same.
    let stopped = within(LIMIT, "stop", guarded.stop(Duration::from_millis(200))).await;
    let stopped = stopped.unwrap();
    assert_eq!(stopped.remote_end, RemoteEnd::Unconfirmed);
    assert_eq!(stopped.status.signal().cloned(), by("KILL"));
    drop(dropped);
    eventually(LIMIT, "both are ended", || !runs("7806") && !runs("7807")).await;

    // There is room again.
    sshd.limit_processes(None);
    let output = within(LIMIT, "a command", session.command("true").output()).await;
    assert!(output.unwrap().status.success());
    let child = ready(&session, "echo ready; sleep 7808 & wait", true).await;
    let stopped = within(LIMIT, "stop", child.stop(Duration::ZERO)).await;
    assert_eq!(stopped.unwrap().remote_end, RemoteEnd::Confirmed);

    // For a shell, and for nothing that it starts.
    sshd.limit_processes(Some(1));
    let output = session.shell("true | true; echo not reached").clone();
    let output = within(LIMIT, "the shell", output.output()).await.unwrap();
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(said.contains("fork"), "{output:?}");
    sshd.limit_processes(None);
    let output = within(LIMIT, "a command", session.command("true").output()).await;
    assert!(output.unwrap().status.success());
}
