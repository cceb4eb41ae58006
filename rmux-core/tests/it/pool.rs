//! Sessions that are shared: among callers, among targets behind the same host.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use rmux_core::{
    Answer, CloseReason, Config, ConfigFile, ErrorKind, PassphrasePrompt, Pool, Prompter, Secret,
};
use rmux_testkit::sshd::Sshd;
use tokio::sync::Semaphore;

use crate::fixture::{config, eventually, within};
use crate::map::{Map, works};

const LIMIT: Duration = Duration::from_secs(20);

/// Says the passphrase once it may, and counts how often it was asked.
struct Gate {
    passphrase: &'static str,
    open: Semaphore,
    asked: AtomicUsize,
}

impl Gate {
    fn new(passphrase: &'static str) -> Arc<Self> {
        Arc::new(Self {
            passphrase,
            open: Semaphore::new(0),
            asked: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Prompter for Gate {
    fn passphrase<'a>(&'a self, _: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            self.open.acquire().await.unwrap().forget();
            Ok(Some(Secret::new(self.passphrase)))
        })
    }
}

/// Logs in with a key that only `gate` can unlock.
fn guarded(sshd: &Sshd, gate: &Arc<Gate>) -> Config {
    let known_hosts = sshd.known_hosts().display().to_string();
    Config::new()
        .config_file(ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .identity_file(sshd.client_key_encrypted("open sesame"))
        .option("IdentityAgent", "none")
        .option("UserKnownHostsFile", known_hosts)
        .option("GlobalKnownHostsFile", "none")
        .prompter(Arc::clone(gate) as Arc<dyn Prompter>)
}

#[tokio::test]
async fn one_connect_and_one_question_serve_all_who_wait() {
    let sshd = Sshd::start();
    let gate = Gate::new("open sesame");
    let pool = Pool::new(guarded(&sshd, &gate));
    let asking = (0..20).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.session("127.0.0.1").await })
    });
    let asking: Vec<_> = asking.collect();
    eventually(LIMIT, "the question", || gate.asked() == 1).await;
    gate.open.add_permits(20);
    for waiting in asking {
        let session = within(LIMIT, "connecting", waiting).await.unwrap().unwrap();
        assert!(session.command("true").status().await.unwrap().success());
    }
    assert_eq!(gate.asked(), 1);
    assert_eq!(sshd.connections_accepted(), 1);
}

#[tokio::test]
async fn who_gives_up_leaves_the_others_their_connection() {
    let sshd = Sshd::start();
    let gate = Gate::new("open sesame");
    let pool = Pool::new(guarded(&sshd, &gate));
    let ask = || {
        let pool = pool.clone();
        tokio::spawn(async move { pool.session("127.0.0.1").await })
    };
    // The first one is who drives the connection: the others must be woken to go on.
    let first = ask();
    eventually(LIMIT, "the question", || gate.asked() == 1).await;
    let (second, third) = (ask(), ask());
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.abort();
    third.abort();
    gate.open.add_permits(1);
    let session = within(LIMIT, "connecting", second).await.unwrap().unwrap();
    works(&session).await;
    assert_eq!((gate.asked(), sshd.connections_accepted()), (1, 1));
}

#[tokio::test]
async fn when_nobody_waits_any_more_the_connection_is_given_up() {
    let sshd = Sshd::start();
    let gate = Gate::new("open sesame");
    let pool = Pool::new(guarded(&sshd, &gate));
    for round in 1..=2 {
        let asking = pool.session("127.0.0.1");
        let asking = tokio::time::timeout(Duration::from_millis(400), asking);
        asking.await.expect_err("nobody answers");
        assert_eq!(gate.asked(), round, "asked again");
        eventually(LIMIT, "it is given up", || sshd.connections() == 0).await;
    }
    assert!(pool.sessions().is_empty());
}

#[tokio::test]
async fn a_failure_reaches_all_and_the_next_one_tries_anew() {
    let sshd = Sshd::start();
    let gate = Gate::new("wrong");
    let pool = Pool::new(guarded(&sshd, &gate).option("NumberOfPasswordPrompts", "1"));
    let asking = join_all((0..5).map(|_| pool.session("127.0.0.1")));
    gate.open.add_permits(100);
    for outcome in within(LIMIT, "the failure", asking).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AuthFailed);
    }
    let asked = gate.asked();
    assert_eq!(sshd.connections_accepted(), 1);
    pool.session("127.0.0.1").await.unwrap_err();
    assert_eq!((gate.asked(), sshd.connections_accepted()), (2 * asked, 2));
}

#[tokio::test]
async fn what_was_lost_or_closed_is_connected_anew() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd));
    let first = pool.session("127.0.0.1").await.unwrap();
    sshd.kill_connections();
    assert!(matches!(first.closed().await, CloseReason::Lost(_)));
    let second = pool.session("127.0.0.1").await.unwrap();
    works(&second).await;
    second.close().await;
    let third = pool.session("127.0.0.1").await.unwrap();
    works(&third).await;
    assert_eq!(sshd.connections_accepted(), 3);
    drop((third, pool));
    eventually(LIMIT, "nobody holds it", || sshd.connections() == 0).await;
}

#[tokio::test]
async fn a_session_is_held_by_who_uses_it_and_not_by_the_pool() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd));
    let session = pool.session("127.0.0.1").await.unwrap();
    let child = session.command("sleep").arg("60").spawn().await.unwrap();
    drop(session);
    let same = pool.session("127.0.0.1").await.unwrap();
    assert_eq!(sshd.connections_accepted(), 1, "the child holds it");
    drop((child, same));
    eventually(LIMIT, "nobody holds it", || sshd.connections() == 0).await;
    assert!(pool.sessions().is_empty());
}

#[tokio::test]
async fn one_host_on_the_way_serves_all_behind_it() {
    let (hop, one, two) = (Sshd::start(), Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("one", &one), ("two", &two), ("uno", &one)],
        "Host one two uno\n ProxyJump hop\n",
    );
    let pool = Pool::new(map.config());
    let names = ["one", "two", "uno", "hop"];
    let asking = try_join_all(names.map(|name| pool.session(name)));
    let mut sessions = within(LIMIT, "connecting", asking).await.unwrap();
    for session in &sessions {
        works(session).await;
    }
    let accepted = [&hop, &one, &two].map(Sshd::connections_accepted);
    assert_eq!(accepted, [1, 1, 1], "two names of one host share, too");
    // Who wanted the host itself lets go of it, and one of the targets closes.
    drop(sessions.pop());
    let (uno, two) = (sessions.pop().unwrap(), sessions.remove(1));
    two.close().await;
    works(&uno).await;
    assert_eq!(hop.connections(), 1);
    drop((uno, two));
    // The last one takes the way with it, and waits for that.
    sessions.remove(0).close().await;
    eventually(LIMIT, "the way is closed", || hop.connections() == 0).await;
}

#[tokio::test]
async fn different_settings_or_ways_do_not_share() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[
            ("hop", &hop),
            ("direct", &target),
            ("behind", &target),
            ("env", &target),
        ],
        "Host behind\n ProxyJump hop\nHost env\n SetEnv A=b\n",
    );
    let pool = Pool::new(map.config());
    let asking = try_join_all(["direct", "behind", "env"].map(|name| pool.session(name)));
    let sessions = within(LIMIT, "connecting", asking).await.unwrap();
    assert_eq!(target.connections_accepted(), 3);
    assert_eq!(pool.sessions().len(), 4);
    within(LIMIT, "closing", pool.close()).await;
    for session in &sessions {
        let error = session.command("true").status().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    assert!(pool.sessions().is_empty());
    eventually(LIMIT, "all is closed", || {
        target.connections() + hop.connections() == 0
    })
    .await;
}

#[tokio::test]
async fn an_unused_session_lingers_and_is_used_again() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd).linger(Duration::from_millis(700)));
    for _ in 0..3 {
        let session = pool.session("127.0.0.1").await.unwrap();
        works(&session).await;
        drop(session);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // Used anew before the time was over each time, and longer than that in the end.
    let session = pool.session("127.0.0.1").await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    works(&session).await;
    assert_eq!(sshd.connections_accepted(), 1);
    drop(session);
    eventually(LIMIT, "its time is over", || sshd.connections() == 0).await;
    assert!(pool.sessions().is_empty());
    let session = pool.session("127.0.0.1").await.unwrap();
    assert_eq!(sshd.connections_accepted(), 2);
    drop(session);
}

#[tokio::test]
async fn nothing_lingers_without_its_pool() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("target", &target)],
        "Host target\n ProxyJump hop\n",
    );
    let lingering = || map.config().linger(Duration::from_secs(600));
    let pool = Pool::new(lingering());
    let used = pool.session("target").await.unwrap();
    drop(pool.session("hop").await.unwrap());
    let connections = || target.connections() + hop.connections();
    drop(pool);
    works(&used).await;
    drop(used);
    eventually(LIMIT, "the used one ends, and its way", || {
        connections() == 0
    })
    .await;

    let pool = Pool::new(lingering());
    drop(pool.session("target").await.unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(connections(), 2, "both linger");
    drop(pool);
    eventually(LIMIT, "the unused ones end", || connections() == 0).await;

    drop(
        rmux_core::Session::connect("target", lingering())
            .await
            .unwrap(),
    );
    eventually(LIMIT, "one without a pool", || connections() == 0).await;

    let pool = Pool::new(lingering());
    drop(pool.session("target").await.unwrap());
    within(LIMIT, "closing", pool.close()).await;
    eventually(LIMIT, "lingering ones are closed", || connections() == 0).await;
}
