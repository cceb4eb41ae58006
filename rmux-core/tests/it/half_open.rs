//! A connection whose other side is gone without a word is found, whatever it leads through and
//! whatever is being done on it.

use std::time::Duration;

use rmux_core::{CloseReason, ErrorKind, Session, WhenFull};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt as _;

use crate::fixture::{relayed, within};
use crate::map::{Map, works};

const INTERVAL: Duration = Duration::from_millis(400);
const COUNT: u32 = 2;
/// Several times what is documented, for machines with much else to do.
const LIMIT: Duration = Duration::from_secs(12);

/// How the server is reached. Between it and what leads there is the relay.
#[derive(Debug, Clone, Copy)]
enum Way {
    Straight,
    Jump,
    Program,
}

async fn reached(way: Way, hop: &Sshd, last: &Sshd, relay: &Relay) -> Session {
    let map = Map::of(&[("hop", hop)], "");
    let (address, port) = ("127.0.0.1", relay.port());
    let config = relayed(last, relay).keepalive(INTERVAL, COUNT);
    let config = match way {
        Way::Straight => config,
        Way::Jump => config.config_file(rmux_core::ConfigFile::Path(map.path())),
        Way::Program => {
            let line = format!("ssh -F {} -W {address}:{port} hop", map.path().display());
            config.option("ProxyCommand", line)
        }
    };
    let config = match way {
        Way::Jump => config.option("ProxyJump", "hop"),
        Way::Straight | Way::Program => config,
    };
    let connecting = Session::connect(address, config);
    within(Duration::from_secs(30), "the way", connecting)
        .await
        .unwrap()
}

async fn is_lost(session: &Session, what: &str) {
    let CloseReason::Lost(reason) = within(LIMIT, what, session.closed()).await else {
        panic!("{what}: it was lost")
    };
    assert_eq!(reason.kind(), ErrorKind::Disconnected, "{what}: {reason}");
    assert!(
        reason.to_string().contains("signs of life"),
        "{what}: {reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_every_direction() {
    let (hop, last) = (Sshd::start(), Sshd::start());
    for way in [Way::Straight, Way::Jump, Way::Program] {
        for direction in Direction::BOTH {
            let relay = Relay::to(last.addr()).start().await;
            let session = reached(way, &hop, &last, &relay).await;
            works(&session).await;
            // Longer than a dead one would be borne: it is the answers that keep it.
            tokio::time::sleep(INTERVAL * (COUNT + 3)).await;
            assert!(!session.is_closed(), "{way:?}");
            let mut waiting = session.shell("sleep 600").spawn().await.unwrap();
            relay.stall(direction);
            is_lost(&session, &format!("{way:?}, {direction:?}")).await;
            let error = waiting.wait().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            relay.resume();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_write_is_blocked() {
    let (hop, last) = (Sshd::start(), Sshd::start());
    for way in [Way::Straight, Way::Jump, Way::Program] {
        let relay = Relay::to(last.addr()).start().await;
        let session = reached(way, &hop, &last, &relay).await;
        // More than every buffer on the way takes, over as many windows as that needs.
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let command = session.shell("exec cat >/dev/null");
                tokio::spawn(async move {
                    let mut child = command.spawn().await?;
                    let mut stdin = child.stdin.take().unwrap();
                    let piece = vec![b'x'; 1 << 20];
                    while stdin.write_all(&piece).await.is_ok() {}
                    child.wait().await
                })
            })
            .collect();
        while relay.bytes(Direction::Up) < 4 << 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It still acknowledges what is sent to it, and reads nothing.
        relay.stall(Direction::Up);
        is_lost(&session, &format!("{way:?}")).await;
        for writer in writers {
            let ended = within(LIMIT, "a writer", writer).await.unwrap();
            assert_eq!(ended.unwrap_err().kind(), ErrorKind::Disconnected);
        }
    }
}

#[tokio::test]
async fn while_output_is_not_read() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let config = relayed(&sshd, &relay)
        .keepalive(INTERVAL, COUNT)
        .memory_budget(1 << 20);
    let session = crate::fixture::connect(config.clone()).await;
    let flood = session.shell("exec cat /dev/zero");
    let mut child = flood.spawn().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    relay.drop_all();
    is_lost(&session, "nobody reads").await;
    assert!(child.wait().await.is_err());
    relay.resume();

    // A session that waits for its reader is not lost meanwhile, and found to be once he goes on.
    let session = crate::fixture::connect(config.when_full(WhenFull::Wait)).await;
    let mut child = session
        .shell("head -c 50000000 /dev/zero; sleep 600")
        .spawn()
        .await
        .unwrap();
    tokio::time::sleep(INTERVAL * (COUNT + 5)).await;
    assert!(!session.is_closed(), "the server is not at fault");
    relay.drop_all();
    drop(child.stdout.take());
    is_lost(&session, "the reader went").await;
}
