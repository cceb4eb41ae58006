//! Connections that the host makes, and those that come in there.

use std::net::Ipv4Addr;
use std::time::Duration;

use rmux_core::{Endpoint, ErrorKind, Session};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::fixture::{config, connect, eventually, session, within};

const LIMIT: Duration = Duration::from_secs(60);

/// A server that answers with all that it was sent, in capitals, once it has come to the end.
pub(crate) async fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                let _ = stream.read_to_end(&mut all).await;
                let _ = stream.write_all(&all.to_ascii_uppercase()).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_half_closed_stream_goes_on_the_other_way() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let port = echo().await;
    let mut stream = session.connect_tcp("127.0.0.1", port).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within(LIMIT, "the answer", stream.read_to_end(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, b"HELLO");
    drop(stream);

    // The other way round: the remote ends its direction first.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stream = session.connect_tcp("localhost", port).await.unwrap();
    let (mut theirs, _) = listener.accept().await.unwrap();
    theirs.write_all(b"bye").await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut heard = Vec::new();
    within(LIMIT, "their end", stream.read_to_end(&mut heard))
        .await
        .unwrap();
    assert_eq!(heard, b"bye");
    stream.write_all(b"still here").await.unwrap();
    stream.shutdown().await.unwrap();
    heard.clear();
    within(LIMIT, "what follows", theirs.read_to_end(&mut heard))
        .await
        .unwrap();
    assert_eq!(heard, b"still here");
    session.close().await;
}

#[tokio::test]
async fn a_unix_socket_of_the_host() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let path = sshd.folder().join("sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut stream = session.connect_unix(&path).await.unwrap();
    let (mut theirs, _) = listener.accept().await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut heard = [0; 4];
    within(LIMIT, "the word", theirs.read_exact(&mut heard))
        .await
        .unwrap();
    assert_eq!(&heard, b"ping");
    let error = session
        .connect_unix(sshd.folder().join("nobody"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    assert!(error.to_string().contains("nobody"), "{error}");
    let error = session.connect_unix("a\0b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_refusal_names_the_place_and_says_why() {
    let sshd = Sshd::builder()
        .option("PermitOpen", "127.0.0.1:1 localhost:1")
        .start();
    let session = session(&sshd).await;
    let error = session.connect_tcp("127.0.0.1", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused);
    assert_eq!(error.host(), Some("127.0.0.1"));
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1: connect failed"), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    let error = session.connect_tcp("127.0.0.1", 2).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:2: administratively"), "{text}");
    // The session goes on.
    assert!(session.command("true").output().await.is_ok());
}

#[tokio::test]
async fn connections_take_no_place_of_a_command() {
    let sshd = Sshd::builder().option("MaxSessions", "2").start();
    let session = connect(config(&sshd).max_links(1)).await;
    let port = echo().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(session.connect_tcp("127.0.0.1", port).await.unwrap());
    }
    let mut command = session.command("echo");
    let output = command.arg("free").output();
    let output = within(LIMIT, "a command", output).await.unwrap();
    assert_eq!(output.stdout, b"free\n");
    for stream in &mut streams {
        stream.write_all(b"x").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"X");
    }
    drop(streams);
    eventually(LIMIT, "the streams end", || {
        session.stats().channels <= session.stats().channels_ready
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_up_no_other_and_writers_wait() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd).memory_budget(1 << 16)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut unread = session.connect_tcp("127.0.0.1", port).await.unwrap();
    let (mut theirs, _) = listener.accept().await.unwrap();
    let sent: Vec<u8> = (0..4 << 20).map(|i: u32| (i / 7) as u8).collect();
    let copy = sent.clone();
    let sending = tokio::spawn(async move {
        theirs.write_all(&copy).await.unwrap();
        theirs.shutdown().await.unwrap();
        theirs
    });
    let mut theirs = within(LIMIT, "the sender", sending).await.unwrap();
    let mut command = session.command("echo");
    let output = command.arg("on").output();
    within(LIMIT, "a command", output).await.unwrap();
    let mut heard = Vec::new();
    within(LIMIT, "all of it", unread.read_to_end(&mut heard))
        .await
        .unwrap();
    assert!(heard == sent, "{} bytes", heard.len());

    // Up to what is accepted ahead and what the sockets between take, and no further.
    let piece = vec![0; 1 << 20];
    let mut accepted = 0u64;
    loop {
        match tokio::time::timeout(Duration::from_secs(2), unread.write(&piece)).await {
            Ok(written) => accepted += written.unwrap() as u64,
            Err(_) => break,
        }
        assert!(accepted < 256 << 20, "it takes whatever it is given");
    }
    unread.shutdown().await.unwrap();
    let mut count = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = within(LIMIT, "the rest", theirs.read(&mut buffer)).await;
        match read.unwrap() {
            0 => break,
            length => count += length as u64,
        }
    }
    assert_eq!(count, accepted);
}

#[tokio::test]
async fn everything_ends_with_the_session() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stream = session.connect_tcp("127.0.0.1", port).await.unwrap();
    let mut remote = session.listen(&Endpoint::port(0)).await.unwrap();
    let (_theirs, _) = listener.accept().await.unwrap();
    let (heard, accepted) = within(LIMIT, "both", async {
        let reading = stream.chunk();
        let accepting = remote.accept();
        let closing = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            session.close().await;
        };
        let (heard, accepted, ()) = tokio::join!(reading, accepting, closing);
        (heard, accepted)
    })
    .await;
    assert_eq!(heard.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::Closed);
    let error = session.connect_tcp("127.0.0.1", port).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = session.listen(&Endpoint::port(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

async fn heard_over(session: &Session, at: &Endpoint) -> (Vec<u8>, Option<(String, u16)>) {
    let mut listener = session.listen(at).await.unwrap();
    let calling = async {
        match listener.endpoint().clone() {
            Endpoint::Unix(path) => {
                let mut caller = tokio::net::UnixStream::connect(path).await.unwrap();
                caller.write_all(b"called").await.unwrap();
            }
            endpoint => {
                let port = endpoint.port_number().unwrap();
                assert_ne!(port, 0);
                let mut caller = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                caller.write_all(b"called").await.unwrap();
            }
        }
    };
    calling.await;
    let mut accepted = within(LIMIT, "a caller", listener.accept()).await.unwrap();
    let mut heard = Vec::new();
    let reading = accepted.stream.read_to_end(&mut heard);
    within(LIMIT, "the word", reading).await.unwrap();
    let port = listener.endpoint().port_number();
    within(LIMIT, "the listener's end", listener.close()).await;
    if let Some(port) = port {
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }
    (heard, accepted.from)
}

#[tokio::test]
async fn the_host_listens_and_tells_where() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    for host in [None, Some("127.0.0.1".to_owned()), Some("*".to_owned())] {
        let at = Endpoint::Tcp { host, port: 0 };
        let (heard, from) = heard_over(&session, &at).await;
        assert_eq!(heard, b"called");
        assert_eq!(from.unwrap().0, "127.0.0.1");
    }
    let at = Endpoint::unix(sshd.folder().join("remote.sock"));
    let (heard, from) = heard_over(&session, &at).await;
    assert_eq!((&heard[..], from), (&b"called"[..], None));
}

#[tokio::test]
async fn what_the_host_cannot_listen_on_is_refused() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = Endpoint::tcp("127.0.0.1", taken.local_addr().unwrap().port());
    let error = session.listen(&at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    assert!(error.to_string().contains(&at.to_string()), "{error}");
    // Twice the same, by one session.
    let first = session
        .listen(&Endpoint::tcp("127.0.0.1", 0))
        .await
        .unwrap();
    let error = session.listen(first.endpoint()).await.unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");

    let strict = Sshd::builder()
        .option("AllowTcpForwarding", "no")
        .option("AllowStreamLocalForwarding", "no")
        .start();
    let session = crate::fixture::session(&strict).await;
    let socket = Endpoint::unix(strict.folder().join("sock"));
    for at in [Endpoint::port(0), socket] {
        let error = session.listen(&at).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    }
    let error = session.connect_tcp("127.0.0.1", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
}

#[tokio::test]
async fn who_gives_up_leaves_nothing_open() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let port = echo().await;
    for _ in 0..50 {
        let connecting = session.connect_tcp("127.0.0.1", port);
        let _ = tokio::time::timeout(Duration::from_micros(50), connecting).await;
        let at = Endpoint::port(0);
        let _ = tokio::time::timeout(Duration::from_micros(50), session.listen(&at)).await;
    }
    eventually(LIMIT, "the streams end", || {
        session.stats().channels <= session.stats().channels_ready
    })
    .await;
    // A port that is still listened on would be in the list of the server's process.
    let listening = || {
        let output = std::process::Command::new("ss").arg("-Hltnp").output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        let ours = sshd.descendant_pids();
        let of = |line: &&str| ours.iter().any(|pid| line.contains(&format!("pid={pid},")));
        output.lines().filter(of).count()
    };
    eventually(LIMIT, "the host listens no more", || listening() == 0).await;
}
