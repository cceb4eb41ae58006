//! A busy session is cut at every 1,000th byte, each way: everything settles, and nothing is left
//! here or there. `RMUX_SOAK` 100 has every 50th byte.

use std::time::Duration;

use rmux_core::{Error, ErrorKind, Session};
use rmux_testkit::relay::{Cut, Direction, Relay};
use rmux_testkit::sshd::Sshd;

use crate::ALONE;
use crate::fixture::{self, eventually, relayed, within};
use crate::level::Level;

const SOON: Duration = Duration::from_secs(30);
/// Sent and got by each session besides the handshake.
const INPUT: usize = 6_000;

/// What a session is for: commands with input, output and an end, and one that waits.
async fn work(sshd: &Sshd, relay: &Relay) -> Result<(), Error> {
    let config = relayed(sshd, relay);
    let session = Session::connect("127.0.0.1", config).await?;
    let mut waiting = session.command("cat").spawn().await?;
    let input = vec![b'x'; INPUT];
    let echo = session.command("cat").input(input.clone()).clone();
    let output = session.shell(format!("head -c {INPUT} /dev/zero; exit 3"));
    let (echo, output) = tokio::join!(echo.output(), output.output());
    // What is said to have been done was done whole.
    if let Ok(echo) = &echo {
        assert!(echo.stdout == input && echo.status.success());
    }
    if let Ok(output) = &output {
        assert_eq!(output.stdout.len(), INPUT);
        assert_eq!(output.status.code(), Some(3));
    }
    let done = echo.and(output).map(drop);
    let ended = match &done {
        Ok(()) => waiting.wait().await.map(drop),
        // Not before, and not later, than the others.
        Err(_) => {
            let kept = waiting.stdin.take();
            let ended = waiting.wait().await.map(drop);
            drop(kept);
            ended
        }
    };
    session.close().await;
    done.and(ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_thousandth_byte_of_a_busy_session() {
    let _alone = ALONE.lock().await;
    let percent = std::env::var("RMUX_SOAK").ok();
    let percent: f64 = percent.map_or(1.0, |percent| percent.parse().unwrap());
    let step = if percent >= 100.0 { 50 } else { 1_000 };
    let sshd = Sshd::start();
    // One that nothing is cut from tells how much there is, and warms up.
    let relay = Relay::to(sshd.addr()).start().await;
    work(&sshd, &relay).await.unwrap();
    let whole = Direction::BOTH.map(|direction| relay.bytes(direction));
    drop(relay);
    let gone = || sshd.connections() == 0 && sshd.open_sessions() == 0;
    eventually(SOON, "it is gone", gone).await;
    let before = Level::now();
    let mut cuts = 0;
    for direction in Direction::BOTH {
        for at in (0..whole[direction as usize]).step_by(step) {
            let how = match cuts % 2 {
                0 => Cut::Reset,
                _ => Cut::Finish,
            };
            let relay = Relay::to(sshd.addr()).cut_after(direction, at).cut_by(how);
            let relay = relay.start().await;
            let what = format!("{at} bytes {direction:?}, {how:?}");
            match within(SOON, &what, work(&sshd, &relay)).await {
                // The good-bye is not needed.
                Ok(()) => assert!(at + 2_000 > whole[direction as usize], "{what}"),
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::Disconnected | ErrorKind::ConnectFailed
                    ),
                    "{what}: {error}"
                ),
            }
            cuts += 1;
        }
    }
    assert!(cuts >= 20, "{whole:?} is not much");
    eventually(SOON, "nothing is left on the server", gone).await;
    before.is_reached_again(&sshd, 0).await;
    let after = Level::now();
    println!("cuts: {cuts} over {whole:?} bytes; before {before}, after {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_at_any_byte_is_found_and_leaves_nothing() {
    let _alone = ALONE.lock().await;
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    session.close().await;
    let gone = || sshd.connections() == 0 && sshd.open_sessions() == 0;
    eventually(SOON, "it is gone", gone).await;
    let before = Level::now();
    for direction in Direction::BOTH {
        for at in [0, 600, 1_500, 2_500, 3_500, 4_500, 6_000, 9_000] {
            let relay = Relay::to(sshd.addr()).stall_after(direction, at);
            let relay = relay.start().await;
            let config = relayed(&sshd, &relay)
                .connect_timeout(Duration::from_secs(1))
                .keepalive(Duration::from_millis(250), 2);
            let work = async {
                let session = Session::connect("127.0.0.1", config).await?;
                let input = vec![b'x'; 20_000];
                session.command("cat").input(input).output().await
            };
            let what = format!("a stall after {at} bytes {direction:?}");
            let error = within(SOON, &what, work).await.unwrap_err();
            let kinds = [ErrorKind::TimedOut, ErrorKind::Disconnected];
            assert!(kinds.contains(&error.kind()), "{what}: {error}");
        }
    }
    eventually(SOON, "nothing is left on the server", gone).await;
    before.is_reached_again(&sshd, 0).await;
}
