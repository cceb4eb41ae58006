//! What the SSH engine would do wrong if it were used carelessly, a case each.

use std::time::{Duration, Instant};

use rmux_core::{ErrorKind, FurtherLogins};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{self, config, connect, eventually, relayed, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_opens_leave_no_channel() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr())
        .delay(Duration::from_millis(2))
        .start()
        .await;
    let session = connect(relayed(&sshd, &relay)).await;
    for round in 0..200u64 {
        // From before the request is out to after the command was started.
        let patience = Duration::from_micros(round * 60);
        let _ = tokio::time::timeout(patience, session.command("true").spawn()).await;
    }
    let last = session.command("true");
    let last = within(Duration::from_secs(20), "the 201st", last.output()).await;
    assert!(last.unwrap().status.success());
    eventually(
        Duration::from_secs(20),
        "only the spare session is left",
        || sshd.open_sessions() <= 1,
    )
    .await;
}

#[tokio::test]
async fn dropped_children_leave_no_channel() {
    let sshd = Sshd::builder().log_channels().start();
    let session = fixture::session(&sshd).await;
    for round in 0..200 {
        let mut command = match round % 4 {
            0 => session.command("cat"),
            1 => session.shell("sleep 0.05"),
            2 => session.shell("echo out; echo err >&2; exit 3"),
            _ => session.shell("exec sleep 6012"),
        };
        let child = command.kill_on_drop(round % 4 == 3).spawn();
        drop(
            within(Duration::from_secs(20), "a spawn", child)
                .await
                .unwrap(),
        );
    }
    eventually(
        Duration::from_secs(30),
        "only the spare channel is left",
        || sshd.open_channels() <= 1,
    )
    .await;
    assert!(!fixture::runs("6012"), "a killed command still runs");
}

#[tokio::test]
async fn an_unread_channel_does_not_delay_the_others_and_loses_nothing() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd).memory_budget(1 << 20)).await;
    // More than the budget, the channel's queue and the window together.
    let size = 48 << 20;
    let mut child = session
        .shell(format!(
            "head -c {size} /dev/zero | tr '\\0' x; echo end >&2"
        ))
        .spawn()
        .await
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut word = String::new();
    // The command runs to its end although nobody has read its output.
    within(
        Duration::from_secs(30),
        "the unread command",
        stderr.read_to_string(&mut word),
    )
    .await
    .unwrap();
    assert_eq!(word, "end\n");
    for _ in 0..20 {
        let start = Instant::now();
        assert!(
            session
                .command("true")
                .output()
                .await
                .unwrap()
                .status
                .success()
        );
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    }
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.stdout.len(), size);
    assert!(output.stdout.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn past_its_limits_an_unread_channel_fails_alone() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd).memory_budget(1 << 20).spill_limit(2 << 20)).await;
    let child = session.shell("exec yes flood-6013").spawn().await.unwrap();
    let limit = Duration::from_secs(20);
    eventually(limit, "it runs", || fixture::runs("flood-6013")).await;
    let ended = || !fixture::runs("flood-6013");
    eventually(limit, "it is ended by the closed channel", ended).await;
    let error = child.wait_with_output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
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
async fn a_remote_that_does_not_read_blocks_only_its_own_writer() {
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    let mut deaf = session
        .shell("exec sleep 30")
        .kill_on_drop(true)
        .spawn()
        .await
        .unwrap();
    let mut stdin = deaf.stdin.take().unwrap();
    let flood = tokio::spawn(async move {
        let block = vec![b'A'; 1 << 20];
        while stdin.write_all(&block).await.is_ok() {}
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!flood.is_finished(), "the writer waits");
    let echo = session.command("cat").input(vec![b'B'; 4 << 20]).clone();
    let echo = within(Duration::from_secs(10), "another channel", echo.output()).await;
    let output = echo.unwrap();
    assert_eq!(output.stdout.len(), 4 << 20);
    drop(deaf);
    within(Duration::from_secs(15), "the writer's end", flood)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cancelled_write_never_sends_other_bytes() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    let mut child = session.shell("sleep 1; exec cat").spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    relay.stall(Direction::Up);
    // Each block is one letter, so that a byte out of place shows.
    let mut accepted = Vec::new();
    for round in 0..400u32 {
        let block = vec![b'a' + (round % 26) as u8; 9_000 + round as usize];
        let write = stdin.write(&block);
        match tokio::time::timeout(Duration::from_millis(1), write).await {
            Ok(length) => accepted.extend_from_slice(&block[..length.unwrap()]),
            Err(_) if round < 250 => {}
            Err(_) => {
                relay.resume();
                let length = stdin.write(&block).await.unwrap();
                accepted.extend_from_slice(&block[..length]);
            }
        }
    }
    relay.resume();
    let collect = async {
        stdin.shutdown().await.unwrap();
        child.wait_with_output().await
    };
    let output = within(Duration::from_secs(30), "the echo", collect)
        .await
        .unwrap();
    assert!(accepted.len() > 1 << 20, "the write was never made to wait");
    assert!(
        output.stdout == accepted,
        "{} of {}",
        output.stdout.len(),
        accepted.len()
    );
}

#[test]
fn handles_are_dropped_outside_of_the_runtime() {
    let sshd = Sshd::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (session, mut child, ready) = runtime.block_on(async {
        let session = fixture::session(&sshd).await;
        let child = session
            .command("cat")
            .kill_on_drop(true)
            .spawn()
            .await
            .unwrap();
        let ready = session.shell("sleep 5").spawn().await.unwrap();
        (session, child, ready)
    });
    // In no order, on another thread, without a runtime; a panic fails the join.
    let stdin = child.stdin.take();
    std::thread::spawn(move || {
        drop(session);
        drop(child);
        drop(stdin);
        drop(ready);
    })
    .join()
    .unwrap();
    assert!(
        sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0),
        "the connection is closed when nobody holds the session"
    );
    // And once the runtime itself is gone.
    let (session, child) = runtime.block_on(async {
        let session = fixture::session(&sshd).await;
        let child = session.command("cat").spawn().await.unwrap();
        (session, child)
    });
    drop(runtime);
    drop(child);
    drop(session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_makes_callers_wait_in_order() {
    let sshd = Sshd::builder().option("MaxSessions", "3").start();
    let session = connect(config(&sshd).further_logins(FurtherLogins::Never)).await;
    let all = (0..60).map(|number| {
        let session = session.clone();
        async move {
            session
                .shell(format!("sleep 0.02; exit {number}"))
                .output()
                .await
        }
    });
    let outputs = within(
        Duration::from_secs(60),
        "60 commands, 3 at a time",
        futures_util::future::join_all(all),
    )
    .await;
    for (number, output) in outputs.into_iter().enumerate() {
        assert_eq!(output.unwrap().status.code(), Some(number as i32));
    }
    assert_eq!(sshd.connections_accepted(), 1, "never a second login");
}

#[tokio::test]
async fn a_server_without_sessions_refuses_clearly() {
    let sshd = Sshd::builder().option("MaxSessions", "0").start();
    let session = fixture::session(&sshd).await;
    let command = session.command("true");
    let refused = within(Duration::from_secs(5), "the refusal", command.output()).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused);
    assert_eq!(error.host(), Some("127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_amid_busy_channels_lose_nothing() {
    let sshd = Sshd::builder().option("RekeyLimit", "4M").start();
    let relay = Relay::to(sshd.addr())
        .delay(Duration::from_millis(10))
        .start()
        .await;
    let session = connect(relayed(&sshd, &relay)).await;
    let input: Vec<u8> = (0..=250).cycle().take(12 << 20).collect();
    let echoes = (0..6).map(|_| {
        let command = session.command("cat").input(input.clone()).clone();
        async move { command.output().await }
    });
    let echoes = futures_util::future::join_all(echoes);
    let limit = Duration::from_secs(60);
    for echo in within(limit, "six echoes through many key exchanges", echoes).await {
        assert!(echo.unwrap().stdout == input);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_remotes_that_stall_leave_one_channel_of_ten_as_it_was() {
    // Ten at a time, of which nine stall: four are read by nobody, five read nothing themselves. The
    // last one is for all the others, one after the other.
    let sshd = Sshd::builder().option("MaxSessions", "10").start();
    let session = connect(config(&sshd).memory_budget(1 << 20)).await;
    let limit = Duration::from_secs(60);
    let (mut unread, mut deaf, mut writers) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        // More than its queue and the window; it fits into the file.
        let command = session.shell("head -c 24000000 /dev/zero; exec sleep 6014");
        unread.push(within(limit, "a spawn", command.spawn()).await.unwrap());
    }
    for _ in 0..5 {
        let mut child = session.shell("exec sleep 6014").spawn().await.unwrap();
        let mut stdin = child.stdin.take().unwrap();
        deaf.push(child);
        writers.push(tokio::spawn(async move {
            let block = vec![b'A'; 1 << 20];
            while stdin.write_all(&block).await.is_ok() {}
        }));
    }
    // All have come to where they stall, and the last channel still carries both ways.
    for _ in 0..10 {
        let echo = session.command("cat").input(vec![b'B'; 4 << 20]).clone();
        let echo = within(limit, "the last channel", echo.output()).await;
        assert!(echo.unwrap().stdout == vec![b'B'; 4 << 20]);
    }
    assert!(writers.iter().all(|writer| !writer.is_finished()));
    // What nobody has read is all there.
    for child in &mut unread {
        let mut stdout = child.stdout.take().unwrap();
        let mut all = vec![0xff; 24_000_000];
        within(limit, "the unread output", stdout.read_exact(&mut all))
            .await
            .unwrap();
        assert!(all.iter().all(|byte| *byte == 0));
    }
    within(limit, "close", session.close()).await;
    for writer in writers {
        within(limit, "the writer's end", writer).await.unwrap();
    }
}
