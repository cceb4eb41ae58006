//! Making the connection: which addresses, from where, how often, for how long, with which socket;
//! and servers that begin with something else than their version.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rmux_core::{Config, Error, ErrorKind, Pty, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::fixture::{config, connect, relayed, within};
use crate::map::Map;

const LIMIT: Duration = Duration::from_secs(20);

/// An sshd at both loopback addresses; none where the machine has no IPv6.
fn at_both_addresses() -> Option<Sshd> {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6 loopback");
        return None;
    }
    Some(Sshd::builder().option("ListenAddress", "::1").start())
}

fn known_as_v4(sshd: &Sshd) -> Config {
    config(sshd).option("HostKeyAlias", format!("[127.0.0.1]:{}", sshd.port()))
}

/// The client's and the server's address, as the server sees them.
async fn ends(session: &Session) -> (SocketAddr, SocketAddr) {
    let output = session.shell("echo $SSH_CONNECTION").output().await;
    let line = String::from_utf8(output.unwrap().stdout).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let end =
        |at: usize| SocketAddr::new(words[at].parse().unwrap(), words[at + 1].parse().unwrap());
    (end(0), end(2))
}

async fn fails(destination: &str, config: Config) -> Error {
    let connecting = Session::connect(destination, config);
    within(LIMIT, "the failure", connecting).await.unwrap_err()
}

#[tokio::test]
async fn only_addresses_of_the_family_are_tried() {
    let Some(sshd) = at_both_addresses() else {
        return;
    };
    for (family, name, server) in [
        ("any", "127.0.0.1", "127.0.0.1"),
        ("any", "::1", "::1"),
        ("inet", "localhost", "127.0.0.1"),
        ("inet6", "::1", "::1"),
    ] {
        let config = known_as_v4(&sshd).option("AddressFamily", family);
        let session = Session::connect(name, config).await.unwrap();
        assert_eq!(ends(&session).await.1.ip().to_string(), server, "{family}");
        session.close().await;
    }
    for (family, name, told) in [
        ("inet", "::1", "no IPv4 address"),
        ("inet6", "127.0.0.1", "no IPv6 address"),
    ] {
        let error = fails(name, known_as_v4(&sshd).option("AddressFamily", family)).await;
        assert_eq!(error.kind(), ErrorKind::ConnectFailed, "{error}");
        assert!(error.message().contains(told), "{error}");
        assert!(error.message().contains("AddressFamily"), "{error}");
    }
}

#[tokio::test]
async fn a_host_on_the_way_has_its_own_family_and_address() {
    let (hop, last) = (Sshd::start(), Sshd::start());
    let servers = [("hop", &hop), ("last", &last)];
    // What is said of the destination's socket is nobody's there: it has none.
    let more = "Host last\n ProxyJump hop\n AddressFamily inet6\n BindAddress 198.51.100.7\n";
    let map = Map::of(&servers, more);
    let session = Session::connect("last", map.config()).await.unwrap();
    session.close().await;
    let more = "Host last\n ProxyJump hop\nHost hop\n AddressFamily inet6\n";
    let error = fails("last", Map::of(&servers, more).config()).await;
    assert!(error.message().contains("no IPv6 address"), "{error}");
    assert_eq!(error.host(), Some("hop"));
}

#[tokio::test]
async fn it_is_connected_from_where_the_settings_say() {
    let sshd = Sshd::start();
    let loopback = if cfg!(target_os = "linux") {
        "lo"
    } else {
        "lo0"
    };
    let mut ways = vec![
        (vec![("BindAddress", "127.0.0.1")], "127.0.0.1"),
        (vec![("BindAddress", "localhost")], "127.0.0.1"),
        (vec![("BindInterface", loopback)], "127.0.0.1"),
    ];
    if cfg!(target_os = "linux") {
        // The whole network is the loopback's here.
        ways.push((vec![("BindAddress", "127.0.0.5")], "127.0.0.5"));
        let both = vec![("BindInterface", "no-such"), ("BindAddress", "127.0.0.6")];
        ways.push((both, "127.0.0.6"));
    }
    for (options, from) in ways {
        let set = |config: Config, (key, value)| config.option(key, value);
        let session = connect(options.into_iter().fold(config(&sshd), set)).await;
        assert_eq!(ends(&session).await.0.ip().to_string(), from);
        session.close().await;
    }
    for (key, value, told) in [
        ("BindAddress", "198.51.100.7", "cannot bind"),
        ("BindAddress", "::1", "no IPv4 address"),
        (
            "BindAddress",
            "no-such-host.invalid",
            "cannot find the address",
        ),
        ("BindInterface", "no-such", "no such interface"),
    ] {
        let error = fails("127.0.0.1", config(&sshd).option(key, value)).await;
        assert_eq!(error.kind(), ErrorKind::ConnectFailed, "{error}");
        for told in [told, key, value] {
            assert!(error.message().contains(told), "{told}: {error}");
        }
    }
}

#[tokio::test]
async fn it_is_tried_again_a_second_later_as_often_as_asked() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).refuse().start().await;
    let tried = |times: &str| {
        // Each attempt has its own time.
        let config = relayed(&sshd, &relay).connect_timeout(Duration::from_millis(900));
        Session::connect("127.0.0.1", config.option("ConnectionAttempts", times))
    };
    let start = Instant::now();
    let error = within(LIMIT, "one", tried("1")).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_millis(500));
    assert!(!error.message().contains("attempts"), "{error}");
    let error = within(LIMIT, "three", tried("3")).await.unwrap_err();
    let took = start.elapsed();
    assert!((2_000..3_000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(error.kind(), ErrorKind::ConnectFailed);
    assert!(error.message().contains("3 attempts"), "{error}");
    let (connected, ()) = tokio::join!(within(LIMIT, "the last", tried("4")), async {
        tokio::time::sleep(Duration::from_millis(2_400)).await;
        relay.resume();
    });
    connected.unwrap().close().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connect_timeout_is_for_the_connection_too() {
    let sshd = Sshd::start();
    // Its queue is full: what comes is dropped.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = silent.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let short = Duration::from_millis(300);
    let mut queue = Vec::new();
    while let Ok(Ok(socket)) = tokio::time::timeout(short, TcpStream::connect(address)).await {
        queue.push(socket);
        assert!(queue.len() < 100, "the queue never fills");
    }
    let start = Instant::now();
    let config = config(&sshd)
        .port(address.port())
        .option("ConnectTimeout", "1");
    let error = fails("127.0.0.1", config).await;
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.message().contains(&address.to_string()), "{error}");
    let took = start.elapsed();
    assert!((1_000..1_800).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_connect_timeout_of_zero_is_none() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd).option("ConnectTimeout", "0")).await;
    assert_eq!(session.host().connect_timeout, None);
    session.close().await;
}

/// What the system says of the socket that has this port here.
#[cfg(target_os = "linux")]
fn socket_of(port: u16) -> Option<String> {
    let output = std::process::Command::new("ss")
        .args(["-Htno", "--tos", "sport", "="])
        .arg(format!(":{port}"))
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        _ => {
            eprintln!("SKIPPED: no ss (iproute2) to look at sockets with");
            None
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_class_of_service_follows_the_terminals() {
    let sshd = Sshd::start();
    let class = |said: &str, class: &str| {
        assert!(
            said.split_whitespace().any(|word| word == class),
            "{class}: {said}"
        );
    };
    for (settings, bulk, interactive) in [
        ("af21 cs1", "tos:0x20", "tos:0x48"),
        ("lowdelay", "tos:0x10", "tos:0x10"),
    ] {
        let session = connect(config(&sshd).option("IPQoS", settings)).await;
        let port = ends(&session).await.0.port();
        let Some(said) = socket_of(port) else {
            return;
        };
        class(&said, bulk);
        let with = |terminal: bool| {
            let mut command = session.shell("exec cat");
            if terminal {
                command.pty(Pty::default());
            }
            command
        };
        let _plain = with(false).spawn().await.unwrap();
        class(&socket_of(port).unwrap(), bulk);
        let terminal = with(true).spawn().await.unwrap();
        class(&socket_of(port).unwrap(), interactive);
        drop(terminal);
        class(&socket_of(port).unwrap(), interactive);
        session.close().await;
    }
    for (keep_alive, has_timer) in [("yes", true), ("no", false)] {
        let session = connect(config(&sshd).option("TCPKeepAlive", keep_alive)).await;
        let port = ends(&session).await.0.port();
        let mut seen = false;
        for _ in 0..40 {
            // Other timers of the socket come first, and show instead.
            seen |= socket_of(port).unwrap().contains("timer:(keepalive");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(seen, has_timer, "TCPKeepAlive {keep_alive}");
        session.close().await;
    }
}

/// A server that says `before` and then is the sshd.
async fn preceded(sshd: &Sshd, before: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = sshd.addr();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(target).await.unwrap();
        near.write_all(&before).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    port
}

#[tokio::test]
async fn lines_before_the_version_are_read_over() {
    let sshd = Sshd::start();
    let many = "be welcome\r\n".repeat(1000) + &"x".repeat(8000) + "\r\n\n";
    for before in ["Authorized use only\r\n", "no carriage return\n", &many] {
        let port = preceded(&sshd, before.into()).await;
        let config = known_as_v4(&sshd).port(port);
        let session = within(LIMIT, "connecting", connect(config)).await;
        ends(&session).await;
        session.close().await;
    }
}

#[tokio::test]
async fn servers_that_never_come_to_their_version_are_left() {
    let sshd = Sshd::start();
    for (line, pause, kind, told) in [
        (
            &b"spam\r\n"[..],
            0,
            ErrorKind::ConnectFailed,
            "1024 lines; it said \"spam\"",
        ),
        (b"spam", 0, ErrorKind::ConnectFailed, "8192 bytes"),
        (b"\0", 0, ErrorKind::ConnectFailed, "NUL"),
        (
            b"SSH-1.5-old\r\n",
            0,
            ErrorKind::ConnectFailed,
            "SSH-1.5-old",
        ),
        (b".", 20, ErrorKind::TimedOut, "handshake"),
        (b"\n", 20, ErrorKind::TimedOut, "handshake"),
        // A version, and then no key exchange.
        (b"SSH-2.0-x\r\n", 3_000, ErrorKind::TimedOut, "handshake"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let speaker = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let piece = line.repeat(if pause == 0 { 1000 } else { 1 });
            while socket.write_all(&piece).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        });
        let config = config(&sshd).port(port).option("ConnectTimeout", "1");
        let error = fails("127.0.0.1", config).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(told), "{told}: {error}");
        within(LIMIT, "the socket's end", speaker).await.unwrap();
    }
}
