//! What the commands write, while they write it.

use rmux_core::{HostEvent, HostStep};

use super::*;
use crate::fixture::runs;

#[tokio::test]
async fn output_is_told_while_the_command_runs() {
    let sshd = Sshd::start();
    let (_map, pool) = named(&sshd, &["a", "b"]);
    let go = sshd.folder().join("go");
    let line = format!("echo one; {}; echo two >&2; exit 4", wait_for(&go));
    let mut events = pool
        .fan_out(["a", "b", "nowhere.invalid"])
        .events(move |session| session.shell(&line));
    let mut told: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    while let Some(event) = within(LIMIT, "an event", events.next()).await {
        let HostEvent { index, step, .. } = event;
        let line = match step {
            HostStep::Started => "started".to_owned(),
            HostStep::Stdout(bytes) => format!("out {}", String::from_utf8_lossy(&bytes)),
            HostStep::Stderr(bytes) => format!("err {}", String::from_utf8_lossy(&bytes)),
            HostStep::Finished(Ok(status)) => status.to_string(),
            HostStep::Finished(Err(error)) => error.kind().code().to_owned(),
            other => panic!("{other:?}"),
        };
        told.entry(index).or_default().push(line);
        // Both go on only when what they wrote before has come.
        let begun = [0, 1].iter().filter(|index| {
            told.get(index)
                .is_some_and(|told| told.contains(&"out one\n".to_owned()))
        });
        if begun.count() == 2 && !go.exists() {
            std::fs::write(&go, "").unwrap();
        }
    }
    let whole = ["started", "out one\n", "err two\n", "exit status 4"];
    assert_eq!(told[&0], whole);
    assert_eq!(told[&1], whole);
    assert_eq!(told[&2], ["CONNECT_FAILED"]);
}

#[tokio::test]
async fn input_goes_to_every_host_and_output_has_no_bound() {
    let sshd = Sshd::start();
    let (_map, pool) = named(&sshd, &["a", "b"]);
    let input = vec![b'x'; 3 << 20];
    let mut events = pool.fan_out(["a", "b"]).events(move |session| {
        let mut command = session.command("cat");
        command.input(input.clone()).clone()
    });
    let mut bytes = [0; 2];
    while let Some(event) = within(LIMIT, "an event", events.next()).await {
        match event.step {
            HostStep::Stdout(piece) => bytes[event.index] += piece.len(),
            HostStep::Finished(status) => assert!(status.unwrap().success()),
            _ => {}
        }
    }
    assert_eq!(bytes, [3 << 20; 2]);
}

#[tokio::test]
async fn who_stops_listening_ends_all_even_behind_a_full_queue() {
    let sshd = Sshd::start();
    let (_map, pool) = named(&sshd, &["a", "b"]);
    let mut events = pool
        .fan_out(["a", "b"])
        .events(|session| session.shell("sleep 6304 & yes 6304"));
    within(LIMIT, "an event", events.next()).await;
    eventually(LIMIT, "it runs", || runs("6304")).await;
    within(LIMIT, "closing", events.close()).await;
    eventually(LIMIT, "nothing runs any more", || !runs("6304")).await;

    let mut events = pool
        .fan_out(["a", "b"])
        .events(|session| session.shell("sleep 6304 & yes 6304"));
    within(LIMIT, "an event", events.next()).await;
    eventually(LIMIT, "it runs", || runs("6304")).await;
    drop(events);
    eventually(LIMIT, "nothing runs any more", || !runs("6304")).await;
}
