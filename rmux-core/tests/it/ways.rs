//! Ways to a host that is not reached directly: through other hosts, through a program.

use std::time::Duration;

use rmux_core::{ErrorKind, Session};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{eventually, outside_of_a_terminal, runs, within};
use crate::map::{Map, works};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn through_three_hosts() {
    let (first, second, third, last) = (Sshd::start(), Sshd::start(), Sshd::start(), Sshd::start());
    let servers = [
        ("first", &first),
        ("second", &second),
        ("third", &third),
        ("last", &last),
    ];
    let map = Map::of(&servers, "Host last\n ProxyJump first,second,third\n");
    let session = within(LIMIT, "the way", Session::connect("last", map.config()))
        .await
        .unwrap();
    works(&session).await;
    let counts = [&first, &second, &third, &last].map(Sshd::connections);
    assert_eq!(counts, [1, 1, 1, 1]);
    session.close().await;
    for (name, sshd) in servers {
        let what = format!("{name} is let go of");
        eventually(LIMIT, &what, || sshd.connections() == 0).await;
    }
}

#[tokio::test]
async fn each_host_of_the_way_has_its_own_settings_and_its_own_way() {
    let (outer, inner, last) = (Sshd::start(), Sshd::start(), Sshd::start());
    let more = "Host last\n ProxyJump inner\nHost inner\n ProxyJump outer\n";
    let map = Map::of(
        &[("outer", &outer), ("inner", &inner), ("last", &last)],
        more,
    );
    let session = within(LIMIT, "the way", Session::connect("last", map.config()))
        .await
        .unwrap();
    works(&session).await;
    assert_eq!(outer.connections(), 1);
    session.close().await;
    // The destination's options are not the hop's.
    let config = map
        .config()
        .option("ProxyJump", "inner")
        .option("HostKeyAlias", "nobody");
    let error = within(LIMIT, "the way", Session::connect("last", config))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyUnknown, "{error}");
    assert_eq!(error.host(), Some("last"));
}

#[tokio::test]
async fn ways_that_do_not_lead_there() {
    let (hop, last) = (Sshd::start(), Sshd::start());
    let servers = [("hop", &hop), ("last", &last)];
    let circle = Map::of(
        &servers,
        "Host hop\n ProxyJump last\nHost last\n ProxyJump hop\n",
    );
    let error = within(LIMIT, "a circle", Session::connect("last", circle.config())).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::ConfigInvalid);

    let map = Map::of(&servers, "Host last\n ProxyJump hop\n");
    let nowhere = map.config().option("Port", "1");
    let error = within(LIMIT, "a refusal", Session::connect("last", nowhere))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectFailed, "{error}");
    assert!(
        error.to_string().contains("last") && error.to_string().contains("hop"),
        "{error}"
    );

    let session = within(LIMIT, "the way", Session::connect("last", map.config()))
        .await
        .unwrap();
    let command = session.command("sleep");
    let waiting = tokio::spawn(async move { command.clone().arg("60").output().await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    hop.kill_connections();
    let error = within(LIMIT, "the news", waiting)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
}

#[tokio::test]
async fn through_a_program() {
    let (hop, last) = (Sshd::start(), Sshd::start());
    let map = Map::of(&[("hop", &hop), ("last", &last)], "");
    let command = format!("ssh -F {} -W %h:%p hop", map.path().display());
    let config = map.config().option("ProxyCommand", command);
    let session = within(LIMIT, "the way", Session::connect("last", config))
        .await
        .unwrap();
    works(&session).await;
    session.close().await;
    drop(session);
    eventually(LIMIT, "the program has ended", || hop.connections() == 0).await;
    let direct = map
        .config()
        .option("ProxyCommand", "none")
        .option("ProxyJump", "hop");
    within(LIMIT, "no program", Session::connect("last", direct))
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn programs_that_fail_or_hang_are_said_and_ended() {
    let last = Sshd::start();
    let map = Map::of(&[("last", &last)], "");
    let with = |command: &str| map.config().option("ProxyCommand", command);
    for (failing, told) in [
        ("exit 3", "exit status 3"),
        ("no-such-program-anywhere 2>/dev/null", "exit status 127"),
        ("echo hello", "it said \"hello\""),
        ("echo hello; exit 4", "exit status 4"),
        ("kill -9 $$", "signal 9"),
        ("head -c 20000 /dev/zero", "NUL"),
        ("yes hello", "1024 lines"),
        // It runs on, and says no more.
        ("exec sleep 6200 >&-", "closed the connection"),
    ] {
        // `exec`, which comes before it, wants a program.
        let line = format!("sh -c '{failing}'");
        let connecting = Session::connect("last", with(&line));
        let error = within(LIMIT, "the failure", connecting).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectFailed, "{failing}: {error}");
        for told in [told, "the ProxyCommand"] {
            assert!(error.message().contains(told), "{failing}: {error}");
        }
        let by_status = told.contains("status");
        let by_stderr = error.message().contains("standard error");
        assert!(by_stderr || !by_status, "{failing}: {error}");
    }
    let hanging = with("sleep 6201").connect_timeout(Duration::from_millis(600));
    let error = within(LIMIT, "the deadline", Session::connect("last", hanging)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    eventually(LIMIT, "the programs are ended", || {
        !runs("6200") && !runs("6201")
    })
    .await;
    for (key, value) in [("ProxyUseFdpass", "yes"), ("ProxyCommand", "-")] {
        let config = match key {
            "ProxyCommand" => with(value),
            _ => with("true").option(key, value),
        };
        let error = Session::connect("last", config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(key), "{error}");
    }
}

/// The way through `hop` by a program that has started another one, and ends by neither the end of
/// its input nor SIGHUP.
fn stubborn(map: &Map, marks: [&str; 2]) -> String {
    let [first, second] = marks;
    format!(
        "sh -c 'trap \"\" HUP TERM; sleep {first} & ssh -F {} -W %h:%p hop; sleep {second}'",
        map.path().display()
    )
}

#[tokio::test]
async fn a_program_is_killed_with_all_it_has_started() {
    let (hop, last) = (Sshd::start(), Sshd::start());
    let map = Map::of(&[("hop", &hop), ("last", &last)], "");
    let line = stubborn(&map, ["6202", "6203"]);
    let config = || map.config().option("ProxyCommand", &line);
    let session = Session::connect("last", config()).await.unwrap();
    works(&session).await;
    assert!(runs("6202"));
    within(LIMIT, "close", session.close()).await;
    let gone = || !runs("6202") && !runs("6203");
    eventually(Duration::from_millis(500), "closed is closed", gone).await;

    let session = Session::connect("last", config()).await.unwrap();
    drop(session);
    eventually(LIMIT, "what was dropped is killed", gone).await;

    // And a runtime that ends takes the program with it.
    let config = config();
    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let session = runtime.block_on(Session::connect("last", config)).unwrap();
        drop(runtime);
        drop(session);
    });
    thread.join().unwrap();
    eventually(LIMIT, "what was left is killed", gone).await;
    eventually(LIMIT, "the hop is let go of", || hop.connections() == 0).await;
}

/// At a terminal a program must be able to ask there, and is still ended with all it has started.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_asks_at_the_terminal() {
    if outside_of_a_terminal("ways::a_program_asks_at_the_terminal").await {
        return;
    }
    let (hop, last) = (Sshd::start(), Sshd::start());
    let map = Map::of(&[("hop", &hop), ("last", &last)], "");
    let line = stubborn(&map, ["6204", "6205"]);
    let line = line.replacen(
        "sh -c '",
        "sh -c 'read word </dev/tty; test $word = please || exit 5; ",
        1,
    );
    let config = map.config().option("ProxyCommand", line);
    let session = within(LIMIT, "the way", Session::connect("last", config))
        .await
        .unwrap();
    works(&session).await;
    assert!(runs("6204"));
    within(LIMIT, "close", session.close()).await;
    eventually(LIMIT, "all is ended", || !runs("6204") && !runs("6205")).await;
}
