//! Forwards: what comes in on one side comes out on the other, to its own end in each direction.

mod bad_input;
mod dynamic;
mod endings;

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rmux_core::{Endpoint, ErrorKind, Forward, ForwardSpec, Session};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::fixture::{eventually, session, within};
use crate::reach::echo;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A forward to a port of this machine, by way of the host.
pub(crate) async fn to_port(session: &Session, port: u16) -> Forward {
    let spec = ForwardSpec::new(Endpoint::port(0), Endpoint::tcp("127.0.0.1", port));
    session.forward_local(&spec).await.unwrap()
}

pub(crate) async fn call(forward: &Forward) -> TcpStream {
    let port = forward.port().expect("it listens on a port");
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// What comes back for `text` where all of it is sent and ended first.
pub(crate) async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    text: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    let asking = async {
        stream.write_all(text).await?;
        stream.shutdown().await?;
        stream.read_to_end(&mut heard).await
    };
    within(LIMIT, "an answer", asking).await?;
    Ok(heard)
}

#[tokio::test]
async fn a_local_port_and_its_figures() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let forward = to_port(&session, echo().await).await;
    assert_eq!(
        answer(call(&forward).await, b"hello").await.unwrap(),
        b"HELLO"
    );
    let open = call(&forward).await;
    let own = open.local_addr().unwrap().to_string();
    eventually(LIMIT, "it is counted", || forward.stats().open == 1).await;
    let stats = forward.stats();
    assert!(stats.listening);
    assert_eq!((stats.total, stats.failed), (2, 0));
    assert_eq!((stats.bytes_sent, stats.bytes_received), (5, 5));
    assert_eq!(stats.connections[0].from.as_deref(), Some(&*own));
    assert_eq!(Some(&stats.connections[0].target), forward.target());
    assert_eq!(session.forwards().len(), 1);
    drop(open);
    eventually(LIMIT, "it ends", || forward.stats().open == 0).await;
    forward.close().await;
    assert!(session.forwards().is_empty());
    let port = forward.port().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(forward.closed().await.is_ok());
}

#[tokio::test]
async fn both_families_of_loopback_and_no_other_address() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let forward = to_port(&session, echo().await).await;
    let port = forward.port().unwrap();
    match TcpStream::connect(("::1", port)).await {
        Ok(stream) => assert_eq!(answer(stream, b"six").await.unwrap(), b"SIX"),
        Err(error) => eprintln!("SKIPPED: this machine has no ::1: {error}"),
    }
    // 127.0.0.2 is this machine too, and is listened on only where all addresses are.
    assert!(TcpStream::connect(("127.0.0.2", port)).await.is_err());
    let target = forward.target().unwrap().clone();
    let everywhere = ForwardSpec::new(Endpoint::port(0), target.clone()).gateway_ports(true);
    let star = ForwardSpec::new(Endpoint::tcp("*", 0), target);
    for spec in [everywhere, star] {
        let forward = session.forward_local(&spec).await.unwrap();
        let port = forward.port().unwrap();
        let stream = TcpStream::connect(("127.0.0.2", port)).await.unwrap();
        assert_eq!(answer(stream, b"all").await.unwrap(), b"ALL");
    }
}

#[tokio::test]
async fn unix_sockets_on_either_side() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let (here, there) = (sshd.folder().join("here"), sshd.folder().join("there"));
    let listener = UnixListener::bind(&there).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
            let _ = stream.write_all(&all.to_ascii_uppercase()).await;
        }
    });
    let spec = ForwardSpec::new(Endpoint::unix(&here), Endpoint::unix(&there));
    let forward = session.forward_local(&spec).await.unwrap();
    let mode = std::fs::metadata(&here).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&here).await.unwrap();
    assert_eq!(answer(stream, b"socket").await.unwrap(), b"SOCKET");
    // Nothing else is left in the folder.
    let hidden = std::fs::read_dir(sshd.folder()).unwrap().flatten();
    let hidden = hidden.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);

    let error = session.forward_local(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    let replacing = spec.clone().unlink(true).bind_mask(0o111);
    let second = session.forward_local(&replacing).await.unwrap();
    forward.close().await;
    let mode = std::fs::metadata(&here).expect("it is the second's now");
    assert_eq!(mode.permissions().mode() & 0o777, 0o666);
    let stream = UnixStream::connect(&here).await.unwrap();
    assert_eq!(answer(stream, b"again").await.unwrap(), b"AGAIN");
    second.close().await;
    assert!(!here.exists());
}

#[tokio::test]
async fn from_the_remote_to_this_machine() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let target = Endpoint::tcp("127.0.0.1", echo().await);
    let spec = ForwardSpec::new(Endpoint::port(0), target.clone());
    let forward = session.forward_remote(&spec).await.unwrap();
    assert_ne!(forward.port(), Some(0));
    assert_eq!(
        answer(call(&forward).await, b"back").await.unwrap(),
        b"BACK"
    );
    eventually(LIMIT, "it is counted", || forward.stats().open == 0).await;
    let stats = forward.stats();
    assert_eq!(
        (stats.total, stats.bytes_received, stats.bytes_sent),
        (1, 4, 4)
    );

    let path = sshd.folder().join("remote");
    let spec = ForwardSpec::new(Endpoint::unix(&path), target);
    let socket = session.forward_remote(&spec).await.unwrap();
    let stream = UnixStream::connect(&path).await.unwrap();
    assert_eq!(answer(stream, b"socket").await.unwrap(), b"SOCKET");
    assert_eq!(session.forwards().len(), 2);
    forward.close().await;
    socket.close().await;
    let port = forward.port().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(session.forwards().is_empty());
}

#[tokio::test]
async fn much_data_both_ways_at_once() {
    const MUCH: usize = 8 << 20;
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let forward = to_port(&session, listener.local_addr().unwrap().port()).await;
    let mine = call(&forward).await;
    let (theirs, _) = listener.accept().await.unwrap();
    let both = |stream: TcpStream, seed: u8| async move {
        let data: Vec<u8> = (0..MUCH).map(|i| (i / 251) as u8 ^ seed).collect();
        let (mut reader, mut writer) = stream.into_split();
        let sending = async {
            writer.write_all(&data).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let (read, ()) = tokio::join!(reader.read_to_end(&mut heard), sending);
        read.unwrap();
        let expected: Vec<u8> = data.iter().map(|byte| byte ^ seed ^ (seed ^ 1)).collect();
        assert!(heard == expected, "{} bytes", heard.len());
    };
    let both = async { tokio::join!(both(mine, 6), both(theirs, 7)) };
    within(LIMIT, "all of it", both).await;
    eventually(LIMIT, "it ends", || forward.stats().open == 0).await;
    let stats = forward.stats();
    assert_eq!(stats.bytes_sent, MUCH as u64);
    assert_eq!(stats.bytes_received, MUCH as u64);
}
