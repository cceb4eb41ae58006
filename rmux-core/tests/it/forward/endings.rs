//! How forwards and their connections end: from here, with their handles, with the session.

use std::net::Ipv4Addr;
use std::time::Duration;

use rmux_core::{Config, Endpoint, ErrorKind, ForwardSpec, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{LIMIT, answer, call, to_port};
use crate::fixture::{connect, eventually, relayed, session, within};
use crate::reach::echo;

#[tokio::test]
async fn an_open_connection_goes_on_after_close_and_ends_with_cut() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let forward = to_port(&session, echo().await).await;
    let open = call(&forward).await;
    eventually(LIMIT, "it is open", || forward.stats().open == 1).await;
    forward.close().await;
    assert!(!forward.stats().listening);
    assert_eq!(session.forwards().len(), 1, "a connection is open");
    assert_eq!(answer(open, b"still").await.unwrap(), b"STILL");

    let forward = to_port(&session, echo().await).await;
    let mut open = call(&forward).await;
    eventually(LIMIT, "it is open", || forward.stats().open == 1).await;
    forward.cut().await;
    let read = within(LIMIT, "the cut", open.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    eventually(LIMIT, "it ends", || forward.stats().open == 0).await;
    assert!(session.forwards().is_empty());
}

#[tokio::test]
async fn the_last_handle_closes_and_the_session_outlives_none() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let forward = to_port(&session, echo().await).await;
    let port = forward.port().unwrap();
    let open = call(&forward).await;
    let twin = forward.clone();
    drop(forward);
    assert_eq!(answer(call(&twin).await, b"on").await.unwrap(), b"ON");
    // The handle alone keeps the session, and so does an open connection.
    drop(session);
    assert_eq!(answer(call(&twin).await, b"on").await.unwrap(), b"ON");
    drop(twin);
    let start = std::time::Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        assert!(start.elapsed() < LIMIT, "it listens on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(answer(open, b"last").await.unwrap(), b"LAST");
    eventually(LIMIT, "the session ends", || sshd.connections() == 0).await;
}

#[tokio::test]
async fn all_ends_when_the_session_is_closed_or_lost() {
    let sshd = Sshd::start();
    for lost in [false, true] {
        let relay = Relay::to(sshd.addr()).start().await;
        let session = connect(relayed(&sshd, &relay)).await;
        let local = to_port(&session, echo().await).await;
        let spec = ForwardSpec::new(Endpoint::port(0), Endpoint::port(echo().await));
        let remote = session.forward_remote(&spec).await.unwrap();
        let mut open = call(&local).await;
        eventually(LIMIT, "it is open", || local.stats().open == 1).await;
        let kind = if lost {
            relay.cut();
            ErrorKind::Disconnected
        } else {
            session.close().await;
            ErrorKind::Closed
        };
        for forward in [&local, &remote] {
            let end = within(LIMIT, "its end", forward.closed()).await;
            assert_eq!(end.unwrap_err().kind(), kind);
        }
        // A cut does not look like an end.
        let read = within(LIMIT, "the cut", open.read(&mut [0; 1])).await;
        assert!(read.is_err(), "{read:?}");
        let port = local.port().unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
        assert!(session.forwards().is_empty());
    }
}

#[tokio::test]
async fn the_far_side_hangs_up_on_one_that_goes_on_writing() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let forward = to_port(&session, listener.local_addr().unwrap().port()).await;
    let mut mine = call(&forward).await;
    let (theirs, _) = listener.accept().await.unwrap();
    drop(theirs);
    let mut heard = Vec::new();
    let reading = mine.read_to_end(&mut heard);
    within(LIMIT, "their end", reading).await.unwrap();
    mine.write_all(b"into nothing").await.unwrap();
    drop(mine);
    eventually(LIMIT, "it ends", || forward.stats().open == 0).await;
    eventually(LIMIT, "its channel ends", || {
        session.stats().channels <= session.stats().channels_ready
    })
    .await;
}

#[tokio::test]
async fn a_spec_that_is_dropped_and_a_program_without_a_runtime() {
    // Dropping a forward outside of a runtime neither panics nor waits.
    let sshd = Sshd::start();
    let config: Config = crate::fixture::config(&sshd);
    let forward = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let forward = runtime.block_on(async {
            let session = Session::connect("127.0.0.1", config).await.unwrap();
            to_port(&session, 1).await
        });
        drop(runtime);
        forward
    });
    drop(forward.join().unwrap());
}
