//! What cannot be forwarded, and what is too much.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rmux_core::{Endpoint, ErrorKind, ForwardSpec};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{LIMIT, answer, call, to_port};
use crate::fixture::{config, connect, eventually, session, within};
use crate::reach::echo;

#[tokio::test]
async fn a_closed_port_fails_the_connection_alone() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let heard = Arc::new(AtomicU32::new(0));
    let hearing = Arc::clone(&heard);
    let spec = ForwardSpec::new(Endpoint::port(0), Endpoint::tcp("127.0.0.1", 1));
    let spec = spec.on_failure(move |error| {
        assert!(error.to_string().contains("Connection refused"), "{error}");
        hearing.fetch_add(1, Ordering::Relaxed);
    });
    let forward = session.forward_local(&spec).await.unwrap();
    for _ in 0..3 {
        let mut stream = call(&forward).await;
        let read = within(LIMIT, "its end", stream.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    eventually(LIMIT, "all are told", || heard.load(Ordering::Relaxed) == 3).await;
    let stats = forward.stats();
    assert_eq!((stats.total, stats.failed, stats.open), (3, 3, 0));
    let error = stats.last_error.unwrap();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");

    // The same the other way round.
    let spec = ForwardSpec::new(Endpoint::port(0), Endpoint::tcp("127.0.0.1", 1));
    let forward = session.forward_remote(&spec).await.unwrap();
    let mut stream = call(&forward).await;
    let read = within(LIMIT, "its end", stream.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    eventually(LIMIT, "it is counted", || forward.stats().failed == 1).await;
    let error = forward.stats().last_error.unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectFailed, "{error}");
}

#[tokio::test]
async fn what_cannot_be_listened_on() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let to = Endpoint::tcp("127.0.0.1", 1);
    let spec = |listen: Endpoint| ForwardSpec::new(listen, to.clone());
    let at = Endpoint::tcp("127.0.0.1", port);
    let error = session.forward_local(&spec(at.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    let error = session.forward_remote(&spec(at)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    for (listen, kind) in [
        (Endpoint::tcp("no-such-host.invalid", 0), ErrorKind::Io),
        (Endpoint::tcp("192.0.2.1", 0), ErrorKind::Io),
        (Endpoint::unix("/no/such/folder/sock"), ErrorKind::NotFound),
    ] {
        let error = session.forward_local(&spec(listen)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED privileged ports: whoever is root may have them");
    } else {
        let error = session.forward_local(&spec(Endpoint::port(1))).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let error = session.forward_remote(&spec(Endpoint::port(1))).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::ChannelRefused);
    }
    assert!(session.forwards().is_empty());
}

#[tokio::test]
async fn more_than_may_be_open_wait_or_are_refused() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let to = Endpoint::tcp("127.0.0.1", echo().await);
    let spec = ForwardSpec::new(Endpoint::port(0), to).max_connections(1);
    let forward = session.forward_local(&spec).await.unwrap();
    let first = call(&forward).await;
    eventually(LIMIT, "it is open", || forward.stats().open == 1).await;
    let second = tokio::spawn(answer(call(&forward).await, b"second"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(forward.stats().total, 1, "the second waits");
    assert_eq!(answer(first, b"first").await.unwrap(), b"FIRST");
    assert_eq!(second.await.unwrap().unwrap(), b"SECOND");

    let forward = session.forward_remote(&spec).await.unwrap();
    let first = call(&forward).await;
    eventually(LIMIT, "it is open", || forward.stats().open == 1).await;
    let mut second = call(&forward).await;
    let read = within(LIMIT, "a refusal", second.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(answer(first, b"first").await.unwrap(), b"FIRST");
    let error = forward.stats().last_error.unwrap();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn a_thousand_connections_at_once() {
    const MANY: usize = 1000;
    // Each takes two descriptors here, one in the forward and two on the server.
    let (_, hard) = (
        0,
        rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
    );
    let limit = rustix::process::Rlimit {
        current: hard,
        maximum: hard,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    assert!(
        hard.is_none_or(|hard| hard > 5000),
        "this machine allows too few open files"
    );
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let forward = to_port(&session, echo().await).await;
    let mut open = Vec::new();
    for _ in 0..MANY {
        open.push(call(&forward).await);
    }
    eventually(LIMIT, "all are open", || forward.stats().open == MANY).await;
    // A command has its way meanwhile.
    let mut command = session.command("echo");
    let output = within(LIMIT, "a command", command.arg("on").output()).await;
    assert_eq!(output.unwrap().stdout, b"on\n");
    let mut asking = Vec::new();
    for (number, stream) in open.into_iter().enumerate() {
        asking.push(tokio::spawn(async move {
            let text = format!("n{number}");
            let heard = answer(stream, text.as_bytes()).await.unwrap();
            assert_eq!(heard, text.to_uppercase().as_bytes());
        }));
    }
    for asked in asking {
        asked.await.unwrap();
    }
    eventually(LIMIT, "all end", || forward.stats().open == 0).await;
    let stats = forward.stats();
    assert_eq!((stats.total, stats.failed), (MANY as u64, 0));
}

#[tokio::test]
async fn a_stalled_reader_holds_up_nobody_and_is_cut_past_the_limit() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd).memory_budget(1 << 16).spill_limit(1 << 20)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let forward = to_port(&session, listener.local_addr().unwrap().port()).await;
    let stalled = call(&forward).await;
    let (mut theirs, _) = listener.accept().await.unwrap();
    let flood = tokio::spawn(async move {
        let piece = vec![7; 1 << 20];
        for _ in 0..256 {
            if theirs.write_all(&piece).await.is_err() {
                return true;
            }
        }
        false
    });
    let other = to_port(&session, echo().await).await;
    for _ in 0..20 {
        assert_eq!(answer(call(&other).await, b"on").await.unwrap(), b"ON");
    }
    assert!(
        within(LIMIT, "the flood", flood).await.unwrap(),
        "it was let through"
    );
    drop(stalled);
    eventually(LIMIT, "it ends", || forward.stats().open == 0).await;
    assert!(session.command("true").output().await.is_ok());
}

#[tokio::test]
async fn a_port_of_the_remote_is_for_who_asked_for_it() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let to = Endpoint::tcp("127.0.0.1", echo().await);
    let mut forwards = Vec::new();
    // Several whose port is chosen, at the same address, at once.
    let spec = ForwardSpec::new(Endpoint::tcp("127.0.0.1", 0), to);
    let asking = (0..8).map(|_| session.forward_remote(&spec));
    for forward in futures_util::future::join_all(asking).await {
        forwards.push(forward.unwrap());
    }
    for forward in &forwards {
        let port = forward.port().unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        assert_eq!(answer(stream, b"mine").await.unwrap(), b"MINE");
        assert_eq!(forward.stats().total, 1);
    }
}
