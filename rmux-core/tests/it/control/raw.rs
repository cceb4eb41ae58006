//! Clients that speak the protocol themselves, and those that do not know it.

use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::task::spawn_blocking;

use super::{LIMIT, Served};
use crate::fixture::{eventually, within};

const ALIVE_CHECK: u32 = 0x1000_0004;

fn message(words: &[u32]) -> Vec<u8> {
    let mut message = (words.len() as u32 * 4).to_be_bytes().to_vec();
    words
        .iter()
        .for_each(|word| message.extend(word.to_be_bytes()));
    message
}

/// A request to run `command`, without a terminal.
fn new_session(command: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let text = |body: &mut Vec<u8>, text: &str| {
        body.extend((text.len() as u32).to_be_bytes());
        body.extend(text.as_bytes());
    };
    for word in [0x1000_0002_u32, 7] {
        body.extend(word.to_be_bytes());
    }
    text(&mut body, "");
    for word in [0, 0, 0, 0, u32::MAX] {
        body.extend(word.to_be_bytes());
    }
    text(&mut body, "xterm");
    text(&mut body, command);
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn pass(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    sendmsg(
        stream,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )
    .unwrap();
}

/// Behind both greetings.
fn greeted(served: &Served) -> UnixStream {
    let mut stream = UnixStream::connect(served.path()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(&message(&[1, 4])).unwrap();
    assert_eq!(words(&mut stream), [1, 4]);
    stream
}

/// The next message as numbers; none at the end.
fn words(stream: &mut UnixStream) -> Vec<u32> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer"),
        Err(_) => return Vec::new(),
    }
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).unwrap();
    body.chunks_exact(4)
        .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
        .collect()
}

fn is_alive(stream: &mut UnixStream) -> bool {
    stream.write_all(&message(&[ALIVE_CHECK, 3])).unwrap();
    words(stream) == [0x8000_0005, 3, std::process::id()]
}

fn non_blocking(descriptor: &OwnedFd) -> bool {
    fcntl_getfl(descriptor).unwrap().contains(OFlags::NONBLOCK)
}

#[tokio::test(flavor = "multi_thread")]
async fn passed_descriptors_stay_as_they_are() {
    let served = Served::start().await;
    let stream = greeted(&served);
    let (input, mut typed) = std::io::pipe().unwrap();
    let (mut read, output) = std::io::pipe().unwrap();
    let (input, output) = (OwnedFd::from(input), OwnedFd::from(output));
    let mut writing = &stream;
    writing.write_all(&new_session("cat; exit 5")).unwrap();
    for descriptor in [&input, &output, &output] {
        pass(&stream, &[descriptor.as_fd()]);
    }
    let mut stream = stream;
    let talk = spawn_blocking(move || {
        let opened = words(&mut stream);
        assert_eq!(opened[..2], [0x8000_0006, 7]);
        typed.write_all(b"to and fro").unwrap();
        let mut echo = [0; 10];
        read.read_exact(&mut echo).unwrap();
        // Amid the session.
        assert!(!non_blocking(&input) && !non_blocking(&output));
        assert!(is_alive(&mut stream), "it is still listened to");
        drop(typed);
        assert_eq!(words(&mut stream), [0x8000_0004, opened[2], 5]);
        assert!(words(&mut stream).is_empty());
        assert!(!non_blocking(&input) && !non_blocking(&output));
        echo
    });
    let echo = within(LIMIT, "the session", talk).await.unwrap();
    assert_eq!(&echo, b"to and fro");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_client_sends_ends_its_connection_alone() {
    let served = Served::start().await;
    let descriptor = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let mut witness = greeted(&served);
    let ends = |what: &'static str, mut stream: UnixStream| async move {
        let end = spawn_blocking(move || while !words(&mut stream).is_empty() {});
        within(LIMIT, what, end).await.unwrap();
    };
    for (what, garbage) in [
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a length", vec![0xff; 64]),
        ("no type", vec![0, 0, 0, 0]),
        ("a cut message", message(&[ALIVE_CHECK])),
        ("a second greeting", message(&[1, 4])),
    ] {
        let mut stream = greeted(&served);
        stream.write_all(&garbage).unwrap();
        ends(what, stream).await;
    }
    // Bytes for descriptors; two at once; none at all.
    let mut stream = greeted(&served);
    stream.write_all(&new_session("true")).unwrap();
    stream.write_all(&[0; 3]).unwrap();
    ends("bytes for descriptors", stream).await;
    let mut stream = greeted(&served);
    stream.write_all(&new_session("true")).unwrap();
    pass(&stream, &[descriptor.as_fd(), descriptor.as_fd()]);
    ends("two descriptors at once", stream).await;
    for sent in 0..3 {
        let mut stream = greeted(&served);
        stream.write_all(&new_session("true")).unwrap();
        for _ in 0..sent {
            pass(&stream, &[descriptor.as_fd()]);
        }
    }
    // One that nobody asked for is dropped.
    let mut stream = greeted(&served);
    pass(&stream, &[descriptor.as_fd()]);
    stream
        .write_all(&[0, 0, 8, 0x10, 0, 0, 4, 0, 0, 0, 3])
        .unwrap();
    let answer = spawn_blocking(move || words(&mut stream)).await.unwrap();
    assert_eq!(answer, [0x8000_0005, 3, std::process::id()]);
    let alive = spawn_blocking(move || is_alive(&mut witness)).await;
    assert!(alive.unwrap(), "who did nothing wrong is served on");
    assert_eq!(served.session.stats().commands_started, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_are_answered() {
    const CLIENTS: usize = 1000;
    let served = Served::start().await;
    let path = served.path();
    let all = spawn_blocking(move || {
        let mut streams: Vec<UnixStream> = (0..CLIENTS)
            .map(|_| {
                let mut stream = connect_patiently(&path);
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                stream.write_all(&message(&[1, 4])).unwrap();
                stream.write_all(&message(&[ALIVE_CHECK, 3])).unwrap();
                stream
            })
            .collect();
        streams.iter_mut().all(|stream| {
            words(stream) == [1, 4] && words(stream) == [0x8000_0005, 3, std::process::id()]
        })
    });
    assert!(within(LIMIT, "all", all).await.unwrap());
    eventually(LIMIT, "all are gone", || served.master.clients() == 0).await;
    let path = served.path();
    let greeting = spawn_blocking(move || words(&mut connect_patiently(&path)));
    assert_eq!(greeting.await.unwrap(), [1, 4]);
}

/// The system refuses one more while too many wait to be taken in.
fn connect_patiently(path: &std::path::Path) -> UnixStream {
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Answers that depend on the run, or on what OpenSSH has and rmux does not, by their first words.
const DIFFERS: &[&str] = &[
    // OpenSSH has it from 10.3 on.
    "EXT_INFO connection",
    // Refused in words.
    "PROXY: open+exec",
    // The system resets a connection with unread input; that much is chance.
    "packet length > 256 KiB",
    "NEW_SESSION, plain bytes instead of fds",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_hears_what_it_hears_from_openssh() {
    let Some(tools) = std::env::var_os("RMUX_CONFORMANCE").map(std::path::PathBuf::from) else {
        let test = "a_probe_hears_what_it_hears_from_openssh";
        let note =
            format!("\n*** SKIPPED {test}: RMUX_CONFORMANCE does not point to the tools ***");
        let _ = writeln!(std::io::stderr(), "{note}");
        return;
    };
    let served = Served::start().await;
    let mut probe = tokio::process::Command::new("python3");
    probe
        .arg(tools.join("muxprobe.py"))
        .arg(served.path())
        .args([served.session.host().port.to_string(), "--kill".to_owned()]);
    let (code, heard, stderr) = super::outcome(&mut probe, b"").await;
    // The last probe comes when nobody listens any more.
    assert!(
        code == 0 || stderr.contains("FileNotFoundError"),
        "{stderr}"
    );
    let stock = std::fs::read_to_string(tools.join("muxprobe.stock-9.2p1.txt")).unwrap();
    let comparable = |transcript: &str| -> Vec<(String, String)> {
        let lines = transcript
            .lines()
            .filter_map(|line| line.split_at_checked(44));
        let lines = lines.map(|(name, answer)| (name.trim().to_owned(), normal(answer)));
        let lines = lines.filter(|(name, _)| !DIFFERS.contains(&&name[..]));
        lines.collect()
    };
    let (stock, heard) = (comparable(&stock), comparable(&heard));
    assert!(stock.len() > 15, "{stock:?}");
    for (name, answer) in &stock {
        let ours = heard.iter().find(|(other, _)| other == name);
        assert_eq!(ours.map(|(_, ours)| ours), Some(answer), "{name}");
    }
    assert!(!served.session.is_closed());
}

/// Without the numbers of processes and sessions, and without the order of two streams.
fn normal(answer: &str) -> String {
    let parts = answer.trim().split(" | ").map(|part| {
        let Some((name, numbers)) = part.split_once(" [") else {
            return part.to_owned();
        };
        let numbers = numbers.trim_end_matches(']').split(", ");
        let numbers: Vec<&str> = numbers.collect();
        match (name, &numbers[..]) {
            ("ALIVE", [id, _]) => format!("ALIVE {id}"),
            ("SESSION_OPENED", [id, _]) => format!("SESSION_OPENED {id}"),
            ("REMOTE_PORT", [id, _]) => format!("REMOTE_PORT {id}"),
            ("EXIT_MESSAGE", [_, status]) => format!("EXIT_MESSAGE {status}"),
            _ => part.to_owned(),
        }
    });
    let text = parts.collect::<Vec<_>>().join(" | ");
    text.replace("err\\nout\\n", "out\\nerr\\n")
}
