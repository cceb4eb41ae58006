//! The link simulator: what it does to the time, the bytes and the life of a connection.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rmux_testkit::relay::{Cut, Direction, Relay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(200);

/// A server that sends back what it receives, and its address.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                socket.set_nodelay(true).unwrap();
                let (mut from, mut to) = socket.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    addr
}

async fn connect(relay: &Relay) -> TcpStream {
    let socket = TcpStream::connect(relay.addr()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

async fn round_trip(socket: &mut TcpStream, text: &[u8]) -> Duration {
    let start = Instant::now();
    socket.write_all(text).await.unwrap();
    let mut answer = vec![0; text.len()];
    timeout(SOON, socket.read_exact(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    assert_eq!(answer, text);
    start.elapsed()
}

async fn is_quiet(socket: &mut TcpStream) -> bool {
    timeout(QUIET, socket.read_u8()).await.is_err()
}

async fn rest(socket: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = timeout(SOON, socket.read_to_end(&mut bytes))
        .await
        .expect("an end");
    (bytes, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn forwards_both_ways_and_passes_each_end_on() {
    let relay = Relay::to(echo().await).start().await;
    let mut socket = connect(&relay).await;
    let sent: Vec<u8> = (0..3_000_000u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let (mut from, mut to) = socket.split();
    let mut received = Vec::new();
    let (read, ()) = tokio::join!(from.read_to_end(&mut received), async {
        to.write_all(&sent).await.unwrap();
        // Half-closed: the server's answer still comes.
        to.shutdown().await.unwrap();
    });
    read.unwrap();
    assert_eq!(received, sent);
    for direction in Direction::BOTH {
        assert_eq!(relay.bytes(direction), 3_000_000);
    }
    drop(socket);
    timeout(SOON, async {
        while relay.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(relay.accepted(), 1);
}

#[tokio::test]
async fn delay_is_exact_and_can_change() {
    let relay = Relay::to(echo().await)
        .delay(Duration::from_millis(25))
        .start()
        .await;
    let mut socket = connect(&relay).await;
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let took = round_trip(&mut socket, b"ping").await;
        assert!(took >= Duration::from_millis(50), "{took:?}");
        best = best.min(took);
    }
    assert!(best < Duration::from_millis(52), "{best:?}");
    relay.set_delay(Duration::ZERO);
    assert!(round_trip(&mut socket, b"ping").await < Duration::from_millis(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delay_does_not_limit_throughput() {
    let relay = Relay::to(echo().await)
        .delay(Duration::from_millis(50))
        .start()
        .await;
    let mut socket = connect(&relay).await;
    let total = 64 << 20;
    let start = Instant::now();
    let (mut from, mut to) = socket.split();
    let write = async {
        let block = vec![7; 1 << 20];
        for _ in 0..total >> 20 {
            to.write_all(&block).await.unwrap();
        }
    };
    let read = async {
        let mut block = vec![0; 1 << 20];
        let mut received = 0;
        while received < total {
            received += from.read(&mut block).await.unwrap();
        }
    };
    tokio::join!(write, read);
    // One window of 64 KiB per round trip would take 100 s.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn bandwidth_is_kept_and_shared() {
    let relay = Relay::to(echo().await).bandwidth(1_000_000).start().await;
    let start = Instant::now();
    let one = async {
        let mut socket = connect(&relay).await;
        round_trip(&mut socket, &[7; 250_000]).await
    };
    let two = async {
        let mut socket = connect(&relay).await;
        round_trip(&mut socket, &[7; 250_000]).await
    };
    tokio::join!(one, two);
    let took = start.elapsed();
    assert!(took > Duration::from_millis(490), "{took:?}");
    assert!(took < Duration::from_millis(900), "{took:?}");
}

#[tokio::test]
async fn cuts_after_exactly_n_bytes_and_only_once() {
    let relay = Relay::to(echo().await)
        .cut_after(Direction::Down, 1000)
        .cut_by(Cut::Finish)
        .start()
        .await;
    let mut socket = connect(&relay).await;
    socket.write_all(&[7; 5000]).await.unwrap();
    let (bytes, error) = rest(&mut socket).await;
    assert_eq!(bytes.len(), 1000);
    // FIN, or RST because of bytes the relay had not read: the other side cannot tell why.
    assert!(
        matches!(error, None | Some(ErrorKind::ConnectionReset)),
        "{error:?}"
    );
    assert_eq!(relay.bytes(Direction::Down), 1000);
    let mut socket = connect(&relay).await;
    round_trip(&mut socket, &[7; 5000]).await;
    relay.set_cut_after(Direction::Up, 10);
    socket.write_all(&[7; 5000]).await.unwrap();
    rest(&mut socket).await;
    assert_eq!(relay.bytes(Direction::Up), 5000 + 5000 + 10);
}

#[tokio::test]
async fn cut_resets_or_finishes_what_is_live() {
    let relay = Relay::to(echo().await).start().await;
    let mut socket = connect(&relay).await;
    round_trip(&mut socket, b"ping").await;
    relay.cut();
    assert_eq!(
        rest(&mut socket).await,
        (vec![], Some(ErrorKind::ConnectionReset))
    );
    let mut socket = connect(&relay).await;
    round_trip(&mut socket, b"ping").await;
    relay.cut_by(Cut::Finish);
    assert_eq!(rest(&mut socket).await, (vec![], None));
}

#[tokio::test]
async fn stalls_one_direction_and_resumes_without_loss() {
    let relay = Relay::to(echo().await).start().await;
    let mut socket = connect(&relay).await;
    round_trip(&mut socket, b"ping").await;
    for direction in Direction::BOTH {
        let before = relay.bytes(Direction::Up);
        relay.stall(direction);
        socket.write_all(b"x").await.unwrap();
        assert!(is_quiet(&mut socket).await);
        let passed = relay.bytes(Direction::Up) - before;
        assert_eq!(
            passed,
            u64::from(direction == Direction::Down),
            "only {direction:?} stalls"
        );
        relay.resume();
        assert_eq!(
            timeout(SOON, socket.read_u8()).await.unwrap().unwrap(),
            b'x'
        );
    }
    relay.stall_after(Direction::Down, 2);
    socket.write_all(b"abcd").await.unwrap();
    let mut two = [0; 2];
    timeout(SOON, socket.read_exact(&mut two))
        .await
        .unwrap()
        .unwrap();
    assert!(is_quiet(&mut socket).await);
    relay.resume();
    timeout(SOON, socket.read_exact(&mut two))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&two, b"cd");
}

#[tokio::test]
async fn a_stalled_sender_meets_back_pressure() {
    let relay = Relay::to(echo().await).start().await;
    let mut socket = connect(&relay).await;
    round_trip(&mut socket, b"ping").await;
    relay.stall(Direction::Up);
    let block = vec![0; 64 << 20];
    assert!(
        timeout(Duration::from_secs(1), socket.write_all(&block))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn half_close_ends_one_direction_only() {
    // A server that says "end" when its client's direction ends, and goes on talking.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::to(listener.local_addr().unwrap()).start().await;
    let mut socket = connect(&relay).await;
    let (mut server, _) = listener.accept().await.unwrap();
    socket.write_all(b"hi").await.unwrap();
    let mut hi = [0; 2];
    server.read_exact(&mut hi).await.unwrap();
    relay.half_close(Direction::Up);
    assert_eq!(
        timeout(SOON, server.read(&mut hi)).await.unwrap().unwrap(),
        0
    );
    socket.write_all(b"lost").await.unwrap();
    server.write_all(b"still here").await.unwrap();
    let mut answer = [0; 10];
    timeout(SOON, socket.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"still here");
}

#[tokio::test]
async fn refuses_and_accepts_again_on_the_same_port() {
    let relay = Relay::to(echo().await).refuse().start().await;
    let refused = || async {
        TcpStream::connect(relay.addr())
            .await
            .is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
    };
    assert!(refused().await);
    relay.resume();
    let mut socket = timeout(SOON, async {
        loop {
            if let Ok(socket) = TcpStream::connect(relay.addr()).await {
                return socket;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    round_trip(&mut socket, b"ping").await;
    relay.refuse().await;
    assert!(refused().await);
    round_trip(&mut socket, b"live ones go on").await;
}

#[tokio::test]
async fn drop_all_is_silent_for_old_and_new_connections() {
    let relay = Relay::to(echo().await).start().await;
    let mut old = connect(&relay).await;
    round_trip(&mut old, b"ping").await;
    relay.drop_all();
    old.write_all(b"lost").await.unwrap();
    let mut new = connect(&relay).await;
    new.write_all(b"lost").await.unwrap();
    assert!(is_quiet(&mut old).await && is_quiet(&mut new).await);
    relay.resume();
    old.write_all(b"too late").await.unwrap();
    assert!(
        is_quiet(&mut old).await,
        "what follows a loss must not arrive"
    );
    round_trip(&mut connect(&relay).await, b"ping").await;
}

#[tokio::test]
async fn an_unreachable_target_resets() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let relay = Relay::to(gone).start().await;
    let mut socket = connect(&relay).await;
    assert_eq!(rest(&mut socket).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn dropping_it_resets_connections_and_closes_the_port() {
    let relay = Relay::to(echo().await).start().await;
    let addr = relay.addr();
    let mut socket = connect(&relay).await;
    round_trip(&mut socket, b"ping").await;
    drop(relay);
    assert_eq!(rest(&mut socket).await.1, Some(ErrorKind::ConnectionReset));
    assert!(TcpStream::connect(addr).await.is_err());
}

#[test]
fn the_program_obeys_and_exits_when_stdin_closes() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rmux-relay"))
        .args([
            "--delay-ms",
            "20",
            "--to",
            &server.local_addr().unwrap().to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut client = std::net::TcpStream::connect(lines.next().unwrap().unwrap()).unwrap();
    let (mut peer, _) = server.accept().unwrap();
    let start = Instant::now();
    client.write_all(b"x").unwrap();
    peer.read_exact(&mut [0]).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
    let mut ask = |line: &str| {
        writeln!(stdin, "{line}").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(
        ask("status"),
        r#"{"accepted":1,"connections":1,"down":0,"up":1}"#
    );
    assert!(ask("nonsense").starts_with("error: "));
    assert_eq!(ask("cut"), "ok");
    assert_eq!(
        client.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
