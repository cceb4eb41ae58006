//! Several connections for one session: when there are more than one, when never, and what happens
//! when one of them ends.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rmux_core::{
    Answer, Child, Config, ErrorKind, FurtherLogins, KeyboardInteractivePrompt, Lane,
    PassphrasePrompt, Prompter, Secret, Session,
};
use rmux_testkit::agent::Agent;
use rmux_testkit::embedded::{EmbeddedServer, Round};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{config, connect, eventually, relayed, within};
use crate::map::Map;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs `count` commands at once, which all succeed; returns in which order they began.
async fn many(session: &Session, count: usize, folder: &Path) -> Vec<usize> {
    let log = folder.join("order");
    let all = (0..count).map(|number| {
        let command = session.shell(format!("echo {number} >> '{}'", log.display()));
        async move { command.output().await }
    });
    for output in within(LIMIT * 3, "all commands", join_all(all)).await {
        assert!(output.unwrap().status.success());
    }
    let order = std::fs::read_to_string(&log).unwrap();
    order.lines().map(|line| line.parse().unwrap()).collect()
}

/// Commands that run until they are dropped, so many that one connection does not do, and the sshd
/// process that each runs under.
async fn crowd(session: &Session, count: usize) -> Vec<(Child, u32)> {
    let all = (0..count).map(|_| async {
        let command = session.shell("echo $PPID; exec cat");
        let mut child = command.spawn().await.unwrap();
        let mut line = Vec::new();
        let stdout = child.stdout.as_mut().unwrap();
        while line.last() != Some(&b'\n') {
            line.push(stdout.read_u8().await.unwrap());
        }
        let pid = String::from_utf8(line).unwrap();
        (child, pid.trim().parse().unwrap())
    });
    within(LIMIT, "the crowd", join_all(all)).await
}

fn kill(pid: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
}

async fn works(session: &Session) {
    let command = session.command("true");
    let output = within(LIMIT, "a command", command.output()).await;
    assert!(output.unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_commands_at_once_over_one_connection_begin_in_order() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let session = connect(config(&sshd).max_links(1)).await;
    let order = many(&session, 1000, folder.path()).await;
    assert_eq!(sshd.connections_accepted(), 1);
    // Ten run at a time, so nobody comes before more than those beside him. How many pass one that
    // the system lets wait is not bounded.
    for (place, number) in order.iter().enumerate() {
        assert!(*number < place + 40, "{number} was at {place}");
    }
    session.close().await;
    eventually(LIMIT, "nothing is left", || sshd.processes() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_commands_at_once_spread_where_no_login_asks() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let session = connect(config(&sshd)).await;
    let order = many(&session, 1000, folder.path()).await;
    assert_eq!(order.len(), 1000);
    let accepted = sshd.connections_accepted();
    assert!((2..=4).contains(&accepted), "{accepted} connections");
    session.close().await;
    eventually(LIMIT, "nothing is left", || sshd.processes() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_ceiling_is_learnt_and_no_caller_sees_it() {
    for ceiling in [1, 2, 10] {
        for links in [1, 3] {
            let sshd = Sshd::builder()
                .option("MaxSessions", &ceiling.to_string())
                .log_channels()
                .start();
            let folder = tempfile::tempdir().unwrap();
            let session = connect(config(&sshd).max_links(links)).await;
            assert_eq!(many(&session, 30, folder.path()).await.len(), 30);
            assert!(sshd.connections_accepted() <= links);
            let spare = || sshd.open_channels() <= 1;
            eventually(LIMIT, "only a spare channel is left", spare).await;
            session.close().await;
            eventually(LIMIT, "nothing is left", || sshd.processes() == 0).await;
        }
    }
}

/// Answers everything, and counts the questions.
#[derive(Default)]
struct Willing(AtomicUsize);

impl Willing {
    fn asked(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Prompter for Willing {
    fn passphrase<'a>(&'a self, _: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Some(Secret::new("open sesame"))) })
    }

    fn keyboard_interactive<'a>(
        &'a self,
        _: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Some(vec![Secret::new("1234")])) })
    }
}

/// More than a connection takes, for long enough to log in anew ten times.
async fn hold_full(session: &Session) {
    let all = (0..6).map(|_| async {
        let command = session.shell("sleep 1.5");
        command.output().await
    });
    for output in within(LIMIT, "all commands", join_all(all)).await {
        assert!(output.unwrap().status.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_is_made_again_that_may_ask() {
    let start = || Sshd::builder().option("MaxSessions", "2").start();
    let session = |config| async move { connect(config).await };

    // The agent signed: it may ask its user.
    let sshd = start();
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let socket = agent.socket().display().to_string();
    let known_hosts = sshd.known_hosts().display().to_string();
    let by_agent = Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .option("IdentityAgent", socket)
        .option("IdentityFile", "none")
        .option("UserKnownHostsFile", known_hosts)
        .option("GlobalKnownHostsFile", "none");
    hold_full(&session(by_agent.clone()).await).await;
    assert_eq!(sshd.connections_accepted(), 1, "by an agent");
    // Unless the program allows it.
    hold_full(&session(by_agent.further_logins(FurtherLogins::Allowed)).await).await;
    assert!(sshd.connections_accepted() > 2, "allowed");

    // A passphrase was asked for.
    let sshd = start();
    let willing = Arc::new(Willing::default());
    let key = sshd.client_key_encrypted("open sesame");
    let asked = Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .identity_file(key)
        .option("IdentityAgent", "none")
        .option(
            "UserKnownHostsFile",
            sshd.known_hosts().display().to_string(),
        )
        .option("GlobalKnownHostsFile", "none")
        .prompter(willing.clone());
    hold_full(&session(asked).await).await;
    assert_eq!((sshd.connections_accepted(), willing.asked()), (1, 1));

    // The program says never.
    let sshd = start();
    hold_full(&session(config(&sshd).further_logins(FurtherLogins::Never)).await).await;
    assert_eq!(sshd.connections_accepted(), 1, "never");

    // A program between may ask as it likes.
    let (hop, sshd) = (Sshd::start(), start());
    let map = Map::of(&[("hop", &hop), ("last", &sshd)], "");
    let through = format!("ssh -F {} -W %h:%p hop", map.path().display());
    let by_program = map.config().option("ProxyCommand", through);
    hold_full(&Session::connect("last", by_program).await.unwrap()).await;
    assert_eq!(sshd.connections_accepted(), 1, "through a program");

    // A host on the way is asked nothing either: the way leads through its one connection.
    let map = Map::of(
        &[("hop", &hop), ("last", &sshd)],
        "Host last\n ProxyJump hop",
    );
    let before = (hop.connections_accepted(), sshd.connections_accepted());
    let through = Session::connect("last", map.config()).await.unwrap();
    hold_full(&through).await;
    assert_eq!(hop.connections_accepted(), before.0 + 1);
    let accepted = sshd.connections_accepted() - before.1;
    assert!((2..=4).contains(&accepted), "{accepted} through a host");

    // A key file and nothing else.
    let sshd = start();
    hold_full(&session(config(&sshd)).await).await;
    let accepted = sshd.connections_accepted();
    assert!((2..=4).contains(&accepted), "{accepted} by a key file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_its_own_questions_is_not_logged_in_to_again() {
    let server = EmbeddedServer::builder()
        .keyboard_interactive([Round::new("", "").secret("PIN: ", "1234")])
        .max_sessions(2)
        .start()
        .await
        .unwrap();
    let willing = Arc::new(Willing::default());
    let relay = Relay::to(server.addr()).start().await;
    let asked = Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .port(relay.port())
        .user(server.user())
        .option("UserKnownHostsFile", "none")
        .option("GlobalKnownHostsFile", "none")
        .option("IdentityAgent", "none")
        .option("IdentityFile", "none")
        .host_key_policy(rmux_core::HostKeyPolicy::AcceptNew)
        .prompter(willing.clone());
    let session = connect(asked).await;
    hold_full(&session).await;
    assert_eq!((relay.accepted(), willing.asked()), (1, 1));
    session.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_login_that_fails_fails_no_caller() {
    // The key is taken away meanwhile.
    let sshd = Sshd::builder().option("MaxSessions", "2").start();
    let session = connect(config(&sshd)).await;
    let authorized = sshd.folder().join("authorized_keys");
    std::fs::write(&authorized, "").unwrap();
    hold_full(&session).await;
    assert_eq!(
        sshd.connections_accepted(),
        2,
        "one try, since it would go on to fail"
    );

    // Nobody listens any more.
    let sshd = Sshd::builder().option("MaxSessions", "2").start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    relay.refuse().await;
    hold_full(&session).await;
    assert_eq!(sshd.connections_accepted(), 1);

    // The server drops who comes.
    let sshd = Sshd::builder()
        .option("MaxSessions", "2")
        .option("MaxStartups", "1")
        .start();
    let session = connect(config(&sshd)).await;
    let knocking = std::net::TcpStream::connect(sshd.addr()).unwrap();
    hold_full(&session).await;
    drop(knocking);
    works(&session).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_on_one_of_several_connections_ends_with_it_alone() {
    let sshd = Sshd::builder().option("MaxSessions", "4").start();
    let session = connect(config(&sshd)).await;
    let mut crowd = crowd(&session, 7).await;
    let (first, further) = (crowd[0].1, crowd[6].1);
    assert_ne!(first, further, "two connections");

    // First a further one, then the first one while another lives.
    for gone in [further, first] {
        kill(gone);
        let (lost, left): (Vec<_>, Vec<_>) = crowd.into_iter().partition(|(_, pid)| *pid == gone);
        assert!(!lost.is_empty());
        for (mut child, _) in lost {
            let error = within(LIMIT, "its end", child.wait()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        }
        assert!(!session.is_closed());
        works(&session).await;
        crowd = left;
        for (child, _) in &mut crowd {
            let stdin = child.stdin.as_mut().unwrap();
            stdin.write_all(b"x").await.unwrap();
            stdin.flush().await.unwrap();
            let echoed = child.stdout.as_mut().unwrap().read_u8();
            let echoed = within(LIMIT, "an echo", echoed).await;
            assert_eq!(echoed.unwrap(), b'x', "the others go on");
        }
        // A full house again.
        crowd.extend(self::crowd(&session, 4).await);
    }
    drop(crowd);
    session.close().await;
    eventually(LIMIT, "nothing is left", || sshd.processes() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_is_lost_with_its_last_connection() {
    let sshd = Sshd::builder().option("MaxSessions", "2").start();
    let session = connect(config(&sshd)).await;
    let crowd = crowd(&session, 3).await;
    sshd.kill();
    for (mut child, _) in crowd {
        let error = within(LIMIT, "its end", child.wait()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    }
    let error = session.command("true").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_nobody_uses_go_but_for_one() {
    let sshd = Sshd::builder().option("MaxSessions", "2").start();
    let session = connect(config(&sshd)).await;
    drop(crowd(&session, 5).await);
    assert!(sshd.connections_accepted() > 1);
    eventually(LIMIT, "one connection", || connections(&sshd) == 1).await;
    works(&session).await;
    session.close().await;
    eventually(LIMIT, "none", || connections(&sshd) == 0).await;
}

/// How many connections have not ended.
fn connections(sshd: &Sshd) -> usize {
    let log = sshd.log();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    count("Connection from ").saturating_sub(count("Disconnected from "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_on_its_own_connection_does_not_delay_what_is_typed() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr())
        .delay(Duration::from_millis(10))
        .bandwidth(1 << 20)
        .start()
        .await;
    let mut slowest = Vec::new();
    for lane in [Lane::Interactive, Lane::Bulk(None)] {
        let before = relay.accepted();
        let session = connect(relayed(&sshd, &relay)).await;
        let mut bulk = session.shell("exec head -c 60000000 /dev/zero");
        let bulk = bulk.lane(lane).kill_on_drop(true);
        let child = within(LIMIT, "the transfer", bulk.spawn()).await.unwrap();
        // Until the way is full.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let mut times = Vec::new();
        for _ in 0..3 {
            let start = std::time::Instant::now();
            works(&session).await;
            times.push(start.elapsed());
        }
        slowest.push(times.into_iter().min().unwrap());
        let links = relay.accepted() - before;
        assert_eq!(links, if lane == Lane::Interactive { 1 } else { 2 });
        drop(child);
        session.close().await;
    }
    assert!(slowest[0] > slowest[1] * 3, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_goes_with_the_others_where_a_connection_of_its_own_is_not_to_be_had() {
    let sshd = Sshd::start();
    for config in [
        config(&sshd).max_links(1),
        config(&sshd).further_logins(FurtherLogins::Never),
    ] {
        let before = sshd.connections_accepted();
        let session = connect(config).await;
        let mut bulk = session.command("true");
        let bulk = bulk.lane(Lane::Bulk(None));
        within(LIMIT, "it", bulk.output()).await.unwrap();
        assert_eq!(sshd.connections_accepted(), before + 1);
    }
    // The further login fails.
    let session = connect(config(&sshd)).await;
    std::fs::write(sshd.folder().join("authorized_keys"), "").unwrap();
    let mut bulk = session.command("true");
    let bulk = bulk.lane(Lane::Bulk(None));
    within(LIMIT, "it", bulk.output()).await.unwrap();
    // A small one is not worth a login.
    let mut small = session.command("true");
    let small = small.lane(Lane::Bulk(Some(1)));
    within(LIMIT, "it", small.output()).await.unwrap();
}
