//! Commands: streams, status, signals, environment, and their end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::{Fixture, SOON, alive, text, within};

#[test]
fn streams_and_status() {
    let fixture = Fixture::start(|builder| builder);
    let mut child = fixture
        .ssh()
        .arg("cat; echo err >&2; exit 7")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"in\0out").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"in\0out");
    assert_eq!(text(&output.stderr), "err\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn large_streams_both_ways_at_once() {
    let fixture = Fixture::start(|builder| builder);
    let sent: Vec<u8> = (0..16_000_000u32)
        .map(|number| (number * 7 % 251) as u8)
        .collect();
    let mut child = fixture
        .ssh()
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&copy).unwrap());
    let mut received = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut received)
        .unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        received == sent,
        "{} of {} bytes",
        received.len(),
        sent.len()
    );
}

#[test]
fn a_program_that_does_not_read_holds_nobody_up() {
    let fixture = Fixture::start(|builder| builder);
    // One connection for both, by the client's own multiplexing.
    let socket = fixture.path("mux");
    let mut master = fixture.ssh();
    let mut master = master
        .arg("-oControlMaster=yes")
        .arg(format!("-oControlPath={}", socket.display()))
        .arg("sleep 30")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = master.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        let block = vec![7; 1 << 20];
        // Far more than any window.
        (0..40).all(|_| stdin.write_all(&block).is_ok())
    });
    assert!(within(SOON, || socket.exists()));
    assert!(feeding.join().unwrap(), "the server takes it all");
    let start = Instant::now();
    let output = Command::new("ssh")
        .arg(format!("-oControlPath={}", socket.display()))
        .args(["-F", "none", "localhost", "echo hello"])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "hello\n");
    assert!(start.elapsed() < Duration::from_secs(5));
    master.kill().unwrap();
    master.wait().unwrap();
    assert!(within(SOON, || fixture.server().programs() == 0));
}

#[test]
fn a_client_that_does_not_read_gets_all_later() {
    let fixture = Fixture::start(|builder| builder);
    let mut child = fixture
        .ssh()
        .arg("head -c 20000000 /dev/zero; echo end")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let mut received = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut received)
        .unwrap();
    assert_eq!(received.len(), 20_000_004);
    assert!(child.wait().unwrap().success());
}

#[test]
fn death_by_signal_is_told() {
    let fixture = Fixture::start(|builder| builder);
    // The stock client shows a signal as -v only, and exits with 255.
    let output = fixture
        .ssh()
        .args(["-v", "kill -TERM $$"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert!(
        text(&output.stderr).contains("rtype exit-signal"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn only_accepted_variables_arrive() {
    let fixture = Fixture::start(|builder| builder.accept_env("RMUX_*").accept_env("ONE?"));
    let output = fixture
        .ssh()
        .args(["-o", "SendEnv=RMUX_A ONE1 OTHER", "env"])
        .env("RMUX_A", "a b\nc=d")
        .env("ONE1", "1")
        .env("OTHER", "2")
        .output()
        .unwrap();
    let env = text(&output.stdout);
    assert!(
        env.contains("RMUX_A=a b\nc=d\n") && env.contains("ONE1=1\n"),
        "{env}"
    );
    assert!(!env.contains("OTHER="), "{env}");
    assert!(
        !env.contains("CARGO"),
        "the server's own environment stays its own: {env}"
    );
    let port = fixture.server().addr().port();
    assert!(env.contains(&format!(" 127.0.0.1 {port}\n")), "{env}");
}

#[test]
fn a_missing_command_is_127_and_a_shell_starts_at_home() {
    let fixture = Fixture::start(|builder| builder);
    let status = fixture
        .ssh()
        .arg("no-such-command-1")
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(127));
    let mut child = fixture
        .ssh()
        .arg("-T")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"pwd; exit 3\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let home = fixture.folder.path().canonicalize().unwrap();
    assert_eq!(text(&output.stdout).trim(), home.to_str().unwrap());
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn programs_end_with_their_connection() {
    let fixture = Fixture::start(|builder| builder);
    // It ignores SIGHUP, and so does its child.
    let mut child = fixture
        .ssh()
        .arg("trap '' HUP; sleep 63 & echo $$ $!; wait")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.split_whitespace().count() == 2 && line.split_whitespace().all(alive));
    assert_eq!(
        (fixture.server().connections(), fixture.server().programs()),
        (1, 1)
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(within(SOON, || !line.split_whitespace().any(alive)));
    let server = fixture.server();
    assert!(within(SOON, || (server.connections(), server.programs()) == (0, 0)));
}

#[test]
fn sessions_are_limited() {
    let fixture = Fixture::start(|builder| builder.max_sessions(1));
    let socket = fixture.path("mux");
    let mut master = fixture.ssh();
    let mut master = master
        .args(["-M", "-oControlPersist=no"])
        .arg(format!("-oControlPath={}", socket.display()))
        .arg("sleep 30")
        .spawn()
        .unwrap();
    assert!(within(SOON, || fixture.server().programs() == 1 && socket.exists()));
    let output = Command::new("ssh")
        .arg(format!("-oControlPath={}", socket.display()))
        .args(["-F", "none", "localhost", "true"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        text(&output.stderr).contains("refused"),
        "{}",
        text(&output.stderr)
    );
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn nothing_is_left_after_stop() {
    let mut fixture = Fixture::start(|builder| builder);
    let addr = fixture.server().addr();
    let mut child = fixture
        .ssh()
        .arg("echo $$; exec sleep 64")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let server = fixture.server.take().unwrap();
    let start = Instant::now();
    fixture.runtime.block_on(server.stop());
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert!(!alive(line.trim()));
    assert!(std::net::TcpStream::connect(addr).is_err());
    assert_eq!(child.wait().unwrap().code(), Some(255));
}

#[test]
fn nothing_is_left_when_dropped_with_its_runtime() {
    let mut fixture = Fixture::start(|builder| builder);
    let mut child = fixture
        .ssh()
        .arg("echo $$; exec sleep 65")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    fixture.server = None;
    let Fixture {
        runtime, folder, ..
    } = fixture;
    drop(runtime);
    assert!(within(SOON, || !alive(line.trim())));
    child.wait().unwrap();
    drop(folder);
}
