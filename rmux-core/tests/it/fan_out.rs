//! One command on many hosts: order, limits, failures, and that nothing is left running.

mod endings;
mod events;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use rmux_core::{Command, ErrorKind, HostOutput, HostOutputs, Pool, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, eventually, within};
use crate::map::Map;

const LIMIT: Duration = Duration::from_secs(30);

/// Hosts of one server, by these names.
fn named(sshd: &Sshd, names: &[&str]) -> (Map, Pool) {
    let hosts: Vec<(&str, &Sshd)> = names.iter().map(|name| (*name, sshd)).collect();
    let map = Map::of(&hosts, &apart(names));
    let pool = Pool::new(map.config());
    (map, pool)
}

/// Settings that keep hosts of one server apart: else they share a session, and its name.
fn apart(names: &[&str]) -> String {
    let names = names.iter();
    names
        .map(|name| format!("Host {name}\n SetEnv RMUX_NAME={name}\n"))
        .collect()
}

/// A line for each host by its name, and `other` for those without one.
fn lines<const N: usize>(
    lines: [(&'static str, String); N],
    other: &str,
) -> impl Fn(&Session) -> Command + Send + Sync + 'static + use<N> {
    let lines: BTreeMap<&str, String> = lines.into();
    let other = other.to_owned();
    move |session| {
        let line = lines.get(session.host().name.as_str()).unwrap_or(&other);
        session.shell(line)
    }
}

/// Waits until the file is there.
fn wait_for(file: &Path) -> String {
    format!("until [ -e '{}' ]; do sleep 0.05; done", file.display())
}

async fn all(outputs: HostOutputs) -> Vec<HostOutput> {
    within(LIMIT, "the fan-out", outputs.collect()).await
}

fn stdout(output: &HostOutput) -> String {
    let output = output.result.as_ref().expect("it succeeded");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn kind(output: &HostOutput) -> ErrorKind {
    output.result.as_ref().expect_err("it failed").kind()
}

#[tokio::test]
async fn results_come_in_the_order_given_or_as_they_are() {
    let sshd = Sshd::start();
    let (_map, pool) = named(&sshd, &["slow", "b", "c"]);
    let go = sshd.folder().join("go");
    let slow = format!("{}; echo slow", wait_for(&go));
    let command = || lines([("slow", slow.clone())], "echo quick");
    let hosts = ["slow", "b", "c"];

    let mut outputs = pool.fan_out(hosts).as_finished(true).run(command());
    let mut quick = Vec::new();
    for _ in 0..2 {
        let output = within(LIMIT, "a quick host", outputs.next()).await.unwrap();
        quick.push(output.index);
    }
    quick.sort_unstable();
    assert_eq!(quick, [1, 2]);
    std::fs::write(&go, "").unwrap();
    let last = all(outputs).await;
    assert_eq!((last.len(), stdout(&last[0]).as_str()), (1, "slow\n"));

    std::fs::remove_file(&go).unwrap();
    let outputs = pool.fan_out(hosts).run(command());
    let (outputs, ()) = tokio::join!(all(outputs), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::fs::write(&go, "").unwrap();
    });
    let told: Vec<_> = outputs.iter().map(|o| (o.index, &*o.host)).collect();
    assert_eq!(told, [(0, "slow"), (1, "b"), (2, "c")]);
    assert_eq!(stdout(&outputs[0]), "slow\n");
}

#[tokio::test]
async fn a_host_that_is_down_or_hangs_costs_the_others_nothing() {
    let sshd = Sshd::start();
    let down = Relay::to(sshd.addr()).refuse().start().await;
    let silent = Relay::to(sshd.addr()).drop_all().start().await;
    let ports = format!(
        "Host down\n HostName 127.0.0.1\n Port {}\nHost silent\n HostName 127.0.0.1\n Port {}\n",
        down.port(),
        silent.port()
    );
    let ports = ports + &apart(&["up", "fails"]);
    let map = Map::of(&[("up", &sshd), ("fails", &sshd)], &ports);
    let pool = Pool::new(map.config());
    let outputs = pool
        .fan_out(["down", "silent", "-x", "up", "fails"])
        .timeout(Duration::from_secs(5))
        .run(lines([("fails", "exit 3".to_owned())], "echo up"));
    let outputs = all(outputs).await;
    assert_eq!(kind(&outputs[0]), ErrorKind::ConnectFailed);
    assert_eq!(kind(&outputs[1]), ErrorKind::TimedOut);
    assert_eq!(kind(&outputs[2]), ErrorKind::ConfigInvalid);
    assert_eq!(stdout(&outputs[3]), "up\n");
    let failed = outputs[4].result.as_ref().unwrap();
    assert_eq!(failed.status.code(), Some(3));
    for output in &outputs[..3] {
        let error = output.result.as_ref().unwrap_err();
        assert_eq!(error.host(), Some(&*output.host), "{error}");
    }
}

#[tokio::test]
async fn the_limit_holds_and_a_host_that_is_named_often_is_connected_to_once() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd));
    let at_work = sshd.folder().join("at-work");
    std::fs::create_dir(&at_work).unwrap();
    // Each tells how many there are while it is one of them.
    let line = format!(
        "cd '{}' && mkdir $$ && ls | wc -l && sleep 0.1 && rmdir $$",
        at_work.display()
    );
    let outputs = pool
        .fan_out(vec!["127.0.0.1"; 100])
        .limit(6)
        .run(move |session| session.shell(&line));
    let outputs = all(outputs).await;
    assert_eq!(outputs.len(), 100);
    let counts: Vec<usize> = outputs
        .iter()
        .map(|output| stdout(output).trim().parse().unwrap())
        .collect();
    assert!(counts.iter().all(|count| *count <= 6), "{counts:?}");
    assert!(counts.iter().any(|count| *count > 1), "{counts:?}");
    assert_eq!(sshd.connections_accepted(), 1);
    eventually(LIMIT, "the session ends", || sshd.connections() == 0).await;

    // One after the other, too: the session stays for who comes next.
    let outputs = pool
        .fan_out(vec!["127.0.0.1"; 3])
        .limit(0)
        .run(|session| session.command("true"));
    assert!(
        all(outputs)
            .await
            .iter()
            .all(|output| output.result.is_ok())
    );
    assert_eq!(sshd.connections_accepted(), 2);
}

#[tokio::test]
async fn results_that_wait_for_the_host_in_front_take_room() {
    let sshd = Sshd::start();
    let names = ["slow", "b", "c", "d", "e", "f"];
    let (_map, pool) = named(&sshd, &names);
    let (go, begun) = (sshd.folder().join("go"), sshd.folder().join("begun"));
    std::fs::create_dir(&begun).unwrap();
    let touch = format!("touch '{}'/$$", begun.display());
    let slow = format!("{touch}; {}", wait_for(&go));
    let count = || std::fs::read_dir(&begun).unwrap().count();
    let mut outputs = pool
        .fan_out(names)
        .limit(3)
        .run(lines([("slow", slow)], &touch));
    let waited = async {
        while count() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        _ = outputs.next() => panic!("the host in front waits"),
        () = within(LIMIT, "three hosts", waited) => {}
    }
    assert_eq!(count(), 3, "one in front, and two whose results wait");
    std::fs::write(&go, "").unwrap();
    assert_eq!(all(outputs).await.len(), 6);
    assert_eq!(count(), 6);
}

#[test]
fn blocking_code_iterates() {
    let sshd = Sshd::start();
    let pool = rmux_core::blocking::Pool::new(config(&sshd));
    let command = |session: &Session| session.command("hostname");
    let outputs = pool.fan_out(["127.0.0.1"; 3]).run(command);
    let outputs: Vec<_> = rmux_core::blocking::HostOutputs::from(outputs)
        .map(|output| output.expect("the runtime works"))
        .collect();
    assert_eq!(outputs.len(), 3);
    assert!(outputs.iter().all(|output| output.result.is_ok()));

    let sleep = |session: &Session| session.command("sleep").arg("6305").clone();
    let events = pool.fan_out(["127.0.0.1"; 3]).limit(2).events(sleep);
    let mut events = rmux_core::blocking::HostEvents::from(events);
    let first = events.next().unwrap().unwrap();
    assert!(matches!(first.step, rmux_core::HostStep::Started));
    events.cancel();
    let finished = events
        .map(|event| event.expect("the runtime works").step)
        .filter(|step| matches!(step, rmux_core::HostStep::Finished(Err(_))))
        .count();
    assert_eq!(finished, 3);
    pool.close().unwrap();
    let begun = std::time::Instant::now();
    while crate::fixture::runs("6305") {
        assert!(begun.elapsed() < LIMIT, "it still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}
