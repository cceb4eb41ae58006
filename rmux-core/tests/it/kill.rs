//! Nothing is left running: dropped, timed out and killed commands end with their whole group.

use std::time::Duration;

use rmux_core::{ErrorKind, Signal};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncReadExt;

use crate::fixture::{eventually, runs, session, within};

/// Generous: nothing here is about time, and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

/// A shell that ignores polite signals, and a child of its own.
fn stubborn(mark: &str) -> String {
    format!("trap '' TERM INT HUP; sleep {mark} & echo ready; wait; sleep {mark}")
}

#[tokio::test]
async fn a_dropped_child_takes_its_group_with_it() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell(stubborn("6101"));
    let mut child = command.kill_on_drop(true).spawn().await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut word = [0; 6];
    stdout.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ready\n");
    eventually(LIMIT, "it runs", || runs("6101")).await;
    drop(child);
    eventually(LIMIT, "no process of the group is left", || !runs("6101")).await;
    assert!(
        session
            .command("true")
            .output()
            .await
            .unwrap()
            .status
            .success()
    );
}

#[tokio::test]
async fn a_timeout_ends_the_command_and_says_so() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell(stubborn("6102"));
    command.timeout(Duration::from_millis(600));
    let error = within(LIMIT, "the timeout", command.output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    eventually(LIMIT, "no process of the group is left", || !runs("6102")).await;
}

#[tokio::test]
async fn a_command_that_is_killed_before_it_told_its_id_ends_too() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    for _ in 0..12 {
        let command = session.shell("exec sleep 6103").kill_on_drop(true).clone();
        drop(command.spawn().await.unwrap());
    }
    eventually(LIMIT, "none of them is left", || !runs("6103")).await;
}

#[tokio::test]
async fn closing_the_session_sees_kills_through() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let command = session.shell("exec sleep 6104").kill_on_drop(true).clone();
    let child = command.spawn().await.unwrap();
    drop(command);
    drop(child);
    within(LIMIT, "close", session.close()).await;
    eventually(LIMIT, "it is not left", || !runs("6104")).await;

    // A child that is still held is ended by the close as well.
    let session = crate::fixture::session(&sshd).await;
    let command = session.shell("sleep 6107; true").kill_on_drop(true).clone();
    let mut child = command.spawn().await.unwrap();
    within(LIMIT, "close", session.close()).await;
    eventually(LIMIT, "it is not left", || !runs("6107")).await;
    // Whether the news of its end came before the connection closed is a matter of luck.
    let _ = within(LIMIT, "the child", child.wait()).await;

    // The same where nobody closes, but everything is dropped at once.
    let session = crate::fixture::session(&sshd).await;
    let child = {
        let command = session.shell("exec sleep 6105").kill_on_drop(true).clone();
        command.spawn().await.unwrap()
    };
    drop(session);
    drop(child);
    eventually(LIMIT, "it is not left", || !runs("6105")).await;
}

#[tokio::test]
async fn the_wrapper_does_not_show_in_the_output() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let output = session
        .shell("echo out; echo err >&2; exit 4")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status.code(), Some(4));
    let output = session
        .command("sh")
        .args(["-c", "kill -USR1 $$"])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.signal().map(Signal::name), Some("USR1"));
}

#[tokio::test]
async fn a_signal_reaches_a_command_that_can_be_killed() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command =
        session.shell("trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.05; done");
    let mut child = command.kill_on_drop(true).spawn().await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut word = [0; 6];
    stdout.read_exact(&mut word).await.unwrap();
    child.signal(&Signal::named("SIGUSR1").unwrap());
    let mut rest = String::new();
    within(LIMIT, "the answer", stdout.read_to_string(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, "got it\n");
    assert_eq!(child.wait().await.unwrap().code(), Some(9));
    assert!(Signal::named("TERM; rm -rf /").is_err());
}

#[tokio::test]
async fn a_terminal_is_hung_up_when_its_child_is_dropped() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell("echo ready; exec sleep 6106");
    let mut child = command
        .pty(rmux_core::Pty::default())
        .kill_on_drop(true)
        .spawn()
        .await
        .unwrap();
    let mut word = [0; 7];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut word)
        .await
        .unwrap();
    drop(child);
    eventually(
        Duration::from_secs(20),
        "the terminal's command is gone",
        || !runs("6106"),
    )
    .await;
}

#[tokio::test]
async fn what_outlives_its_leader_is_ended_too() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    // The leader is gone at once; its child keeps the output, and so the call, waiting.
    let mut command = session.shell("sleep 6110 & exit 0");
    command.timeout(Duration::from_millis(600));
    let error = within(LIMIT, "the timeout", command.output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    eventually(LIMIT, "the child is ended", || !runs("6110")).await;
}

#[tokio::test]
async fn a_command_whose_output_was_too_much_can_still_be_killed() {
    let sshd = Sshd::start();
    let config = crate::fixture::config(&sshd)
        .memory_budget(1 << 20)
        .spill_limit(1 << 20);
    let session = crate::fixture::connect(config).await;
    let mut command = session.shell("yes | head -c 24000000; exec sleep 6111");
    let child = command.kill_on_drop(true).spawn().await.unwrap();
    // More than the window has passed by then, and so the limits are. That much takes its time where
    // nothing is optimized and the machine is busy.
    let limit = Duration::from_secs(240);
    eventually(limit, "it runs", || runs("6111")).await;
    let error = within(limit, "the limit", child.wait_with_output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(error.host(), Some("127.0.0.1"));
    eventually(LIMIT, "it is ended", || !runs("6111")).await;
}

#[tokio::test]
async fn a_full_server_still_grants_a_channel_to_kill_with() {
    let sshd = Sshd::builder().option("MaxSessions", "3").start();
    let session = session(&sshd).await;
    let all = (0..8).map(|_| {
        let mut command = session.shell("exec sleep 6112");
        command.timeout(Duration::from_secs(2));
        async move { command.output().await }
    });
    let all = within(LIMIT, "the timeouts", futures_util::future::join_all(all)).await;
    assert!(all.into_iter().all(|one| one.is_err()));
    eventually(LIMIT, "none is left", || !runs("6112")).await;
    let next = session.command("true");
    assert!(
        within(LIMIT, "the next", next.output())
            .await
            .unwrap()
            .status
            .success()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_cancelled_commands_leave_the_session_as_it_was() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let all = (0..200u64).map(|number| {
        let command = session.shell("exec sleep 6113").kill_on_drop(true).clone();
        async move {
            let patience = Duration::from_micros(number * 100);
            let _ = tokio::time::timeout(patience, command.output()).await;
        }
    });
    futures_util::future::join_all(all).await;
    let next = session.command("true");
    assert!(
        within(LIMIT, "the next", next.output())
            .await
            .unwrap()
            .status
            .success()
    );
    eventually(LIMIT, "none is left", || !runs("6113")).await;
}

#[tokio::test]
async fn a_child_that_has_ended_keeps_no_channel_back() {
    let sshd = Sshd::builder().option("MaxSessions", "1").start();
    let session = session(&sshd).await;
    let mut held = Vec::new();
    for number in 0..4 {
        let command = session
            .shell(format!("exit {number}"))
            .kill_on_drop(true)
            .clone();
        let mut child = within(LIMIT, "a spawn", command.spawn()).await.unwrap();
        let status = within(LIMIT, "its end", child.wait()).await.unwrap();
        assert_eq!(status.code(), Some(number));
        held.push(child);
    }
}
