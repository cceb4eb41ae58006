//! Pools whose connections are limited: who waits, in which order, and what makes room.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use rmux_core::{Config, ErrorKind, Pool};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, eventually, within};
use crate::map::{Map, works};

const LIMIT: Duration = Duration::from_secs(30);

/// Names of one server whose settings differ, so that each is a session of its own.
fn names(sshd: &Sshd, names: &[&str], more: &str) -> Map {
    let servers: Vec<_> = names.iter().map(|name| (*name, sshd)).collect();
    let settings = names
        .iter()
        .map(|name| format!("Host {name}\n SetEnv NAME={name}\n"));
    Map::of(&servers, &format!("{}{more}", settings.collect::<String>()))
}

#[tokio::test]
async fn who_asks_past_the_limit_waits_in_the_order_of_asking() {
    let sshd = Sshd::start();
    const ALL: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let map = names(&sshd, &ALL, "");
    let pool = Pool::new(map.config().max_connections(2));
    let held = try_join_all(["a", "b"].map(|name| pool.session(name)))
        .await
        .unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut asking = Vec::new();
    for (place, name) in ALL[2..].iter().enumerate() {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        asking.push(tokio::spawn({
            let pool = pool.clone();
            async move {
                let session = pool.session(name).await.unwrap();
                order.lock().unwrap().push(*name);
                let stats = pool.stats();
                assert!(stats.sessions.len() + stats.connecting <= 2, "{stats:?}");
                works(&session).await;
            }
        }));
        eventually(LIMIT, "it is in line", || {
            pool.stats().waiting_for_room == place + 1
        })
        .await;
    }
    // Who wants what is there already waits for nobody.
    works(
        &within(LIMIT, "a session that is there", pool.session("a"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(sshd.connections_accepted(), 2);
    drop(held);
    for asked in asking {
        within(LIMIT, "its turn", asked).await.unwrap();
    }
    // Two at a time: who of these two is told first is open, and no other change of order.
    let order = order.lock().unwrap().clone();
    for (place, name) in ALL[2..].iter().enumerate() {
        let got = order.iter().position(|got| got == name).unwrap();
        assert!(got.abs_diff(place) <= 1, "{order:?}");
    }
    assert_eq!(sshd.connections_accepted(), ALL.len());
    assert_eq!(pool.stats().waiting_for_room, 0);
}

#[tokio::test]
async fn many_who_want_one_host_need_one_place() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd).max_connections(1).max_connections_per_host(1));
    let asking = join_all((0..50).map(|_| pool.session("127.0.0.1")));
    for session in within(LIMIT, "connecting", asking).await {
        assert!(
            session
                .unwrap()
                .command("true")
                .status()
                .await
                .unwrap()
                .success()
        );
    }
    assert_eq!(sshd.connections_accepted(), 1);
}

#[tokio::test]
async fn who_waits_for_one_server_does_not_hold_up_who_wants_another() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("a", &one), ("b", &one), ("c", &two)],
        "Host a\n SetEnv A=a\nHost b\n SetEnv A=b\n",
    );
    let pool = Pool::new(map.config().max_connections_per_host(1));
    let a = pool.session("a").await.unwrap();
    let b = tokio::spawn({
        let pool = pool.clone();
        async move { pool.session("b").await }
    });
    eventually(LIMIT, "b waits", || pool.stats().waiting_for_room == 1).await;
    works(
        &within(LIMIT, "the other server", pool.session("c"))
            .await
            .unwrap(),
    )
    .await;
    assert!(!b.is_finished());
    drop(a);
    works(&within(LIMIT, "its turn", b).await.unwrap().unwrap()).await;
}

#[tokio::test]
async fn ways_through_other_hosts_take_all_their_places_at_once() {
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[
            ("h1", &hop),
            ("h2", &hop),
            ("h3", &hop),
            ("a", &target),
            ("b", &target),
            ("c", &target),
            ("d", &target),
        ],
        "Host h1\n SetEnv A=1\nHost h2\n SetEnv A=2\nHost h3\n SetEnv A=3\n\
         Host a\n ProxyJump h1\nHost b\n ProxyJump h2\nHost c\n ProxyJump h3\n\
         Host d\n ProxyJump h1\n SetEnv A=d\n",
    );
    // Taken one after the other, each way would hold the place that another one lacks.
    let pool = Pool::new(map.config().max_connections(2));
    let asking = (0..4).flat_map(|_| ["a", "b", "c", "d"]).map(|name| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let session = pool.session(name).await.unwrap();
            let stats = pool.stats();
            assert!(stats.sessions.len() + stats.connecting <= 2, "{stats:?}");
            assert!(session.command("true").status().await.unwrap().success());
        })
    });
    for asked in within(LIMIT, "all of them", join_all(asking)).await {
        asked.unwrap();
    }
    eventually(LIMIT, "all are closed", || {
        hop.connections() + target.connections() == 0
    })
    .await;

    let narrow = Pool::new(map.config().max_connections(1));
    let error = narrow.session("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert_eq!(error.host(), Some("a"));
    works(&narrow.session("h1").await.unwrap()).await;
}

#[tokio::test]
async fn what_fails_or_is_given_up_gives_its_place_back() {
    let sshd = Sshd::start();
    let map = names(&sshd, &["good", "other"], "Host bad\n IdentitiesOnly yes\n");
    // Nobody is let in under this name.
    let text = std::fs::read_to_string(map.path()).unwrap();
    let bad = format!(
        "Host bad\n HostName 127.0.0.1\n Port {}\n User {}\n UserKnownHostsFile {}\n IdentityFile none\n",
        sshd.port(),
        sshd.user(),
        sshd.known_hosts().display()
    );
    std::fs::write(map.path(), bad + &text).unwrap();
    let pool = Pool::new(map.config().max_connections(1));
    for _ in 0..3 {
        let error = within(LIMIT, "the failure", pool.session("bad"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
    }
    let good = within(LIMIT, "the good one", pool.session("good"))
        .await
        .unwrap();
    // Some who wait give up, and then who holds the place does.
    for _ in 0..3 {
        let waiting = tokio::time::timeout(Duration::from_millis(50), pool.session("other"));
        waiting.await.expect_err("there is no room");
    }
    assert_eq!(pool.stats().waiting_for_room, 0);
    let [first, second] = [(); 2].map(|()| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.session("other").await })
    });
    eventually(LIMIT, "both wait", || pool.stats().waiting_for_room == 2).await;
    first.abort();
    eventually(LIMIT, "one waits", || pool.stats().waiting_for_room == 1).await;
    drop(good);
    works(&within(LIMIT, "its turn", second).await.unwrap().unwrap()).await;
    eventually(LIMIT, "all is closed", || sshd.connections() == 0).await;
    // Given up amid connecting.
    for _ in 0..5 {
        let connecting = tokio::time::timeout(Duration::from_millis(3), pool.session("good"));
        let _ = connecting.await;
    }
    works(
        &within(LIMIT, "the place", pool.session("other"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(pool.stats().connecting, 0);
}

#[tokio::test]
async fn unused_sessions_make_room_those_first_that_were_used_longest_ago() {
    let sshd = Sshd::start();
    let map = names(&sshd, &["a", "b", "c", "d"], "");
    let lingering = |limit| {
        map.config()
            .linger(Duration::from_secs(600))
            .max_connections(limit)
    };
    let pool = Pool::new(lingering(3));
    let used = pool.session("a").await.unwrap();
    for name in ["b", "c", "b"] {
        works(&pool.session(name).await.unwrap()).await;
    }
    works(&within(LIMIT, "room", pool.session("d")).await.unwrap()).await;
    works(&used).await;
    let mut left: Vec<_> = pool.stats().sessions.into_iter().map(|s| s.host).collect();
    left.sort();
    assert_eq!(left, ["a", "b", "d"], "c was used longest ago");
    assert_eq!(sshd.connections_accepted(), 4);
    drop(used);

    // One that leads to another is let go of after that.
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[
            ("hop", &hop),
            ("target", &target),
            ("other", &hop),
            ("behind", &target),
        ],
        "Host target\n ProxyJump hop\nHost other\n SetEnv A=b\nHost behind\n ProxyJump other\n",
    );
    let pool = Pool::new(
        map.config()
            .linger(Duration::from_secs(600))
            .max_connections(2),
    );
    for name in ["target", "behind", "target"] {
        works(
            &within(LIMIT, "room for both", pool.session(name))
                .await
                .unwrap(),
        )
        .await;
    }
    assert_eq!(
        (hop.connections_accepted(), target.connections_accepted()),
        (3, 3)
    );
}

#[tokio::test]
async fn further_links_of_a_session_need_places_too() {
    let sshd = Sshd::builder().option("MaxSessions", "1").start();
    for limit in [1, 2] {
        let pool = Pool::new(config(&sshd).max_connections(limit));
        let session = pool.session("127.0.0.1").await.unwrap();
        let mut held = session.command("cat").spawn().await.unwrap();
        let second = tokio::spawn({
            let session = session.clone();
            async move { session.command("true").status().await }
        });
        if limit == 1 {
            // Longer than it takes where there is room.
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!((session.stats().links, sshd.connections()), (1, 1));
            drop(held.stdin.take());
        }
        let status = within(LIMIT, "the second", second).await.unwrap().unwrap();
        assert!(status.success());
        assert_eq!(session.stats().links, limit);
        assert_eq!(pool.stats().links, limit);
        drop(held);
        session.close().await;
        eventually(LIMIT, "all is closed", || sshd.connections() == 0).await;
    }
}

#[tokio::test]
async fn waiting_for_room_may_have_a_limit() {
    let sshd = Sshd::start();
    let map = names(&sshd, &["a", "b"], "");
    let config: Config = map.config().max_connections(1);
    let pool = Pool::new(config.acquire_timeout(Duration::from_millis(100)));
    let held = pool.session("a").await.unwrap();
    let error = within(LIMIT, "the limit", pool.session("b"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!(error.host(), Some("b"));
    drop(held);
    works(&within(LIMIT, "room", pool.session("b")).await.unwrap()).await;
}
