//! Commands that are ended from here: the remote is asked whether they are, and the result says so.

use std::time::{Duration, Instant};

use rmux_core::{ErrorKind, RemoteEnd, Session, Signal};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncReadExt;

use crate::fixture::{config, connect, eventually, relayed, runs, session, within};

const LIMIT: Duration = Duration::from_secs(60);

/// A line that says `ready`, ends in order when asked to, and says that too.
fn polite(mark: &str) -> String {
    format!("trap 'echo bye; exit 5' TERM; echo ready; sleep {mark} & wait $!")
}

/// A line that only `KILL` ends, with a child of its own that holds no output.
fn stubborn(mark: &str) -> String {
    format!(
        "trap '' TERM INT HUP; sleep {mark} >/dev/null 2>&1 </dev/null & echo ready; \
         while :; do sleep {mark}; done"
    )
}

#[tokio::test]
async fn a_timeout_asks_first_and_tells_what_came_of_it() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell(polite("6201"));
    command
        .timeout(Duration::from_secs(3))
        .kill_grace(Duration::from_secs(30));
    let error = within(LIMIT, "the timeout", command.output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.remote_end(), Some(RemoteEnd::Confirmed), "{error}");
    // It had time to say good-bye, and nothing of what it wrote is lost.
    assert_eq!(error.partial_stdout(), Some(&b"ready\nbye\n"[..]));
    assert_eq!(error.partial_stderr(), Some(&b""[..]));
    assert!(!runs("6201"), "confirmed means gone");
}

#[tokio::test]
async fn what_does_not_obey_is_killed_with_all_of_its_group() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell(stubborn("6202"));
    command
        .timeout(Duration::from_secs(2))
        .kill_grace(Duration::from_millis(300));
    let error = within(LIMIT, "the timeout", command.output())
        .await
        .unwrap_err();
    assert_eq!(error.remote_end(), Some(RemoteEnd::Confirmed), "{error}");
    assert_eq!(error.partial_stdout(), Some(&b"ready\n"[..]));
    assert!(!runs("6202"), "confirmed means gone");
}

#[tokio::test]
async fn a_stopped_child_tells_its_status_and_the_end_of_its_group() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let child = ready(&session, &polite("6203"), true).await;
    let stopped = within(LIMIT, "stop", child.stop(Duration::from_secs(30)))
        .await
        .unwrap();
    assert_eq!(stopped.status.code(), Some(5));
    assert_eq!(stopped.remote_end, RemoteEnd::Confirmed);
    // Once more, it is only looked at.
    let again = within(LIMIT, "stop", child.stop(Duration::ZERO)).await;
    assert_eq!(again.unwrap(), stopped);

    // A grace may be longer than anybody can count.
    let child = ready(&session, &polite("6210"), true).await;
    let stopped = within(LIMIT, "stop", child.stop(Duration::MAX)).await;
    assert_eq!(stopped.unwrap().status.code(), Some(5));

    // Without a grace it is killed at once.
    let child = ready(&session, &stubborn("6204"), true).await;
    let stopped = within(LIMIT, "stop", child.stop(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(stopped.status.signal().map(Signal::name), Some("KILL"));
    assert_eq!(stopped.remote_end, RemoteEnd::Confirmed);
    assert!(!runs("6204"));
}

#[tokio::test]
async fn a_script_of_several_lines_ends_with_all_that_it_started() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.command("sh");
    command.args(["-c", "sleep 6211 |\nsleep 6211\ntrue"]);
    let child = command.kill_on_drop(true).spawn().await.unwrap();
    eventually(LIMIT, "it runs", || runs("6211")).await;
    let stopped = within(LIMIT, "stop", child.stop(LIMIT)).await.unwrap();
    assert_eq!(stopped.remote_end, RemoteEnd::Confirmed);
    assert!(!runs("6211"), "confirmed means gone");
}

#[tokio::test]
async fn the_end_of_the_leader_alone_confirms_nothing() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    // The leader ends at once when it is asked to; its child does not, and holds no output.
    let line = "(trap '' TERM; exec sleep 6205) >/dev/null 2>&1 </dev/null & \
                trap 'exit 0' TERM; sleep 0.3; echo ready; while :; do sleep 0.1; done";
    let child = ready(&session, line, true).await;
    let begun = Instant::now();
    let grace = Duration::from_secs(2);
    let stopped = within(LIMIT, "stop", child.stop(grace)).await.unwrap();
    assert_eq!(stopped.status.code(), Some(0));
    assert_eq!(stopped.remote_end, RemoteEnd::Confirmed);
    assert!(begun.elapsed() >= grace, "its child was not waited for");
    assert!(!runs("6205"));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_not_called_confirmed() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    // Nobody knows its group.
    let mut child = ready(&session, "echo ready; exec cat", false).await;
    // It ends by itself, where the server ignores signals.
    drop(child.stdin.take());
    let stopped = within(LIMIT, "stop", child.stop(Duration::ZERO)).await;
    assert_eq!(stopped.unwrap().remote_end, RemoteEnd::Unconfirmed);
}

#[tokio::test]
async fn a_lost_link_settles_at_once_and_is_not_confirmed() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    let child = ready(&session, &polite("6206"), true).await;
    relay.stall(Direction::Up);
    let stopping = tokio::spawn(async move { child.stop(Duration::from_secs(3000)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!stopping.is_finished());
    relay.cut();
    let error = within(LIMIT, "the loss", stopping).await.unwrap();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.remote_end(), Some(RemoteEnd::Unconfirmed));
}

#[tokio::test]
async fn a_command_that_was_not_started_has_no_remote_end() {
    let sshd = Sshd::builder().option("MaxSessions", "1").start();
    let session = connect(config(&sshd).max_links(1)).await;
    let mut holder = ready(&session, "echo ready; exec cat", false).await;
    let mut command = session.command("true");
    command.timeout(Duration::from_millis(500));
    let error = within(LIMIT, "the timeout", command.output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.remote_end(), None, "{error}");
    assert_eq!(holder.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn without_a_channel_to_spare_only_a_server_that_obeys_confirms() {
    let sshd = Sshd::builder().option("MaxSessions", "1").start();
    let session = connect(config(&sshd).max_links(1)).await;
    // It ends by itself in the end: sshd counts it until then, whoever has closed its channel.
    let mut command = session.shell("exec sleep 16.207");
    command
        .timeout(Duration::from_secs(1))
        .kill_grace(Duration::from_millis(100));
    let error = within(LIMIT, "the timeout", command.output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    match error.remote_end() {
        Some(RemoteEnd::Confirmed) => assert!(!runs("16.207")),
        end => assert_eq!(end, Some(RemoteEnd::Unconfirmed)),
    }
    let next = session.command("true");
    let next = within(LIMIT, "the next", next.output()).await.unwrap();
    assert!(next.status.success());
    assert!(!runs("16.207"));
}

#[tokio::test]
async fn a_cancelled_call_tells_what_came_of_its_command() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let command = session.shell(polite("6208"));
    let cancelled = async {
        eventually(LIMIT, "it runs", || runs("6208")).await;
        // The answer to its start may be under way still; then nothing of it was read.
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    let error = within(LIMIT, "the cancel", command.output_until(cancelled))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.remote_end(), Some(RemoteEnd::Confirmed), "{error}");
    assert_eq!(error.partial_stdout(), Some(&b"ready\nbye\n"[..]));
    assert!(!runs("6208"));
}

/// Cancels at random points, by turns in each of the ways there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_commands_that_were_ended_at_random_points() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let all = (0..240u64).map(|number| {
        let session = session.clone();
        async move {
            // Spread unevenly over what a start, a run and an end take.
            let patience = Duration::from_micros((number * 7919) % 400_000);
            let mut command = match number % 3 {
                0 => session.shell("exec sleep 6209"),
                1 => session.shell("sleep 6209 & sleep 6209"),
                _ => session.shell("trap '' TERM; sleep 6209 & wait; sleep 6209"),
            };
            command
                .kill_on_drop(true)
                .kill_grace(Duration::from_millis(number % 5 * 50));
            match number % 4 {
                0 => {
                    let error = command.timeout(patience).output().await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                }
                1 => drop(tokio::time::timeout(patience, command.output()).await),
                2 => {
                    let cancelled = tokio::time::sleep(patience);
                    let error = command.output_until(cancelled).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                }
                _ => {
                    let mut child = command.spawn().await.unwrap();
                    tokio::time::sleep(patience).await;
                    match number % 8 {
                        3 => drop(child),
                        _ => drop(child.kill().await.unwrap()),
                    }
                }
            }
        }
    });
    let all = futures_util::future::join_all(all);
    within(Duration::from_secs(180), "all of them", all).await;
    eventually(LIMIT, "none is left", || !runs("6209")).await;
    let next = session.command("true");
    let next = within(LIMIT, "the next", next.output()).await.unwrap();
    assert!(next.status.success());
}

/// A child that has said that it is ready.
async fn ready(session: &Session, line: &str, guarded: bool) -> rmux_core::Child {
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
