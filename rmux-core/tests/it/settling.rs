//! A link that dies settles every kind of pending call with its reason, at once.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rmux_core::{CloseReason, Error, ErrorKind, Pool, Session, SessionEvent};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::fixture::{relayed, within};
use crate::map::Map;

const SOON: Duration = Duration::from_secs(10);
/// From the moment at which the end is known.
const AT_ONCE: Duration = Duration::from_millis(100);
/// A machine with much else to do may be late now and then, but not each time.
const TRIES: usize = 5;

/// How a call ended, and when.
type Pending = (&'static str, JoinHandle<(Error, Instant)>);

fn pending<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Pending {
    let call = async move {
        let ended = call.await.err();
        let ended = ended.unwrap_or_else(|| panic!("{what} cannot have succeeded"));
        (ended, Instant::now())
    };
    (what, tokio::spawn(call))
}

/// As the streams tell it.
fn unwrapped(error: std::io::Error) -> Error {
    let inner = error.into_inner().expect("an error of ours");
    *inner.downcast().expect("an error of ours")
}

/// One call of every kind that can wait for the server.
async fn calls(session: &Session) -> Vec<Pending> {
    let cat = || session.command("cat");
    let (mut waited, mut read, mut written) = (
        cat().spawn().await.unwrap(),
        cat().spawn().await.unwrap(),
        session.shell("exec sleep 600").spawn().await.unwrap(),
    );
    let kept = waited.stdin.take();
    let mut calls = vec![
        pending("wait", async move {
            let ended = waited.wait().await;
            drop(kept);
            ended
        }),
        pending("read", async move {
            let mut stdout = read.stdout.take().unwrap();
            let got = stdout.read_u8().await.map_err(unwrapped);
            drop(read);
            got
        }),
        pending("write", async move {
            let mut stdin = written.stdin.take().unwrap();
            let piece = vec![b'x'; 1 << 20];
            loop {
                // What is written is lost; the status says why.
                if stdin.write_all(&piece).await.is_err() {
                    break written.wait().await;
                }
            }
        }),
    ];
    let (output, killed) = (session.shell("exec sleep 600"), session.clone());
    calls.push(pending("output", async move { output.output().await }));
    let mut child = killed
        .shell("trap '' TERM; sleep 600")
        .kill_on_drop(true)
        .spawn()
        .await
        .unwrap();
    calls.push(pending("kill", async move { child.wait().await }));
    let seen = session.clone();
    calls.push(pending("closed", async move {
        match seen.closed().await {
            CloseReason::Lost(reason) => Err::<(), _>(reason),
            other => panic!("{other:?}"),
        }
    }));
    calls
}

/// Those that only begin when nothing comes through any more.
fn late_calls(session: &Session, pool: &Pool) -> Vec<Pending> {
    let mut calls = Vec::new();
    // The first gets the channel that is ready, the others wait for one.
    for what in ["exec", "queue", "queue for long"] {
        let command = session.command("true");
        calls.push(pending(what, async move { command.spawn().await }));
    }
    let pool = pool.clone();
    calls.push(pending("dial", async move { pool.session("behind").await }));
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_tenth_of_a_second() {
    let (sshd, behind) = (Sshd::start(), Sshd::start());
    for attempt in 1.. {
        let relay = Relay::to(sshd.addr()).start().await;
        let known = Arc::new(Mutex::new(None));
        let map = Map::of(
            &[("behind", &behind)],
            &format!(
                "Host hop\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n \
                 UserKnownHostsFile {}\n HostKeyAlias [127.0.0.1]:{}\nHost behind\n ProxyJump hop\n",
                relay.port(),
                sshd.user(),
                sshd.client_key().display(),
                sshd.known_hosts().display(),
                sshd.port()
            ),
        );
        let pool = Pool::new({
            let known = Arc::clone(&known);
            map.config().on_event(move |event| {
                if let SessionEvent::Lost { .. } = event {
                    known.lock().unwrap().get_or_insert_with(Instant::now);
                }
            })
        });
        let session = pool.session("hop").await.unwrap();
        let mut all = calls(&session).await;
        relay.stall(Direction::Up);
        relay.stall(Direction::Down);
        all.extend(late_calls(&session, &pool));
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (what, call) in &all {
            assert!(!call.is_finished(), "{what} has ended before");
        }
        relay.cut();
        let mut slowest = (Duration::ZERO, "");
        let mut ends = Vec::new();
        for (what, call) in all {
            let (error, at) = within(SOON, what, call).await.unwrap();
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{what}: {error}");
            assert!(error.host().is_some(), "{what}: {error}");
            ends.push((what, at));
        }
        let known = known.lock().unwrap().expect("the event came");
        for (what, at) in ends {
            slowest = slowest.max((at.saturating_duration_since(known), what));
        }
        // What is begun later ends likewise.
        let late = session.command("true");
        let error = within(SOON, "a late call", late.output())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        if slowest.0 <= AT_ONCE {
            break;
        }
        assert!(attempt < TRIES, "{slowest:?} after the end was known");
    }
}

#[tokio::test]
async fn each_way_of_dying_is_told() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let lost = async |kill: &dyn Fn(), reason: &str| {
        let session = crate::fixture::connect(relayed(&sshd, &relay)).await;
        let waiting = session.shell("sleep 600");
        let waiting = tokio::spawn(async move { waiting.output().await });
        assert!(session.command("true").status().await.unwrap().success());
        kill();
        let error = within(SOON, reason, waiting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    };
    lost(&|| relay.cut(), "connection lost").await;
    // Where something of ours was on its way, it is answered by a reset.
    let finish = || relay.cut_by(rmux_testkit::relay::Cut::Finish);
    lost(&finish, "connection").await;
    lost(&|| sshd.kill_connections(), "connection").await;
}
