//! What cannot work: one clear line with the host in it, status 255, in time, nothing left behind.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fixture::{Ran, Running, options, options_without_key, rmux, rmux_to, run, sshd};

/// Runs it; it must refuse in one line that holds every one of `parts`.
#[track_caller]
fn refused(command: Command, parts: &[&str]) -> Ran {
    let shown = format!("{command:?}");
    let ran = run(command, b"");
    assert_refused(&shown, &ran, parts);
    ran
}

#[track_caller]
fn assert_refused(what: &str, ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code(), 255, "{what}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{what}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("rmux: "), "{what}: {}", ran.stderr);
    for part in parts {
        assert!(
            ran.stderr.contains(part),
            "{part:?} is missing in {:?}",
            ran.stderr
        );
    }
    assert!(ran.took < Duration::from_secs(10), "{what}: {:?}", ran.took);
}

fn to_port(port: u16) -> Command {
    let mut command = rmux();
    command
        .args(["-F", "none", "-o", "ConnectTimeout=1", "-p"])
        .arg(port.to_string())
        .args(["127.0.0.1", "true"]);
    command
}

#[test]
fn an_unknown_host() {
    let mut command = rmux();
    command.args(["-F", "none", "no-such-host.invalid", "true"]);
    refused(command, &["no-such-host.invalid"]);
}

#[test]
fn a_refused_port() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    refused(
        to_port(port),
        &[&format!("127.0.0.1:{port}"), "Connection refused"],
    );
}

#[test]
fn a_server_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ran = refused(to_port(port), &[&format!("127.0.0.1:{port}"), "1s"]);
    assert!(ran.took >= Duration::from_secs(1));
    assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
}

#[test]
fn a_server_of_another_kind() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .unwrap();
    });
    let ran = run(to_port(port), b"");
    server.join().unwrap();
    assert_refused("http", &ran, &[&format!("127.0.0.1:{port}"), "SSH"]);
}

#[test]
fn a_key_that_may_not_log_in() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.stranger_key())
        .args(["127.0.0.1", "true"]);
    refused(command, &["127.0.0.1", sshd.user(), "publickey"]);
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0));
}

#[test]
fn a_host_key_that_changed_and_one_that_is_unknown() {
    let sshd = sshd();
    let other = sshd.folder().join("other_known_hosts");
    let to = |file: &std::path::Path| {
        let mut command = rmux();
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", file.display()))
            .args(options(&sshd))
            .args(["127.0.0.1", "true"]);
        command
    };
    let line = format!("[127.0.0.1]:{} {}\n", sshd.port(), sshd.client_public_key());
    std::fs::write(&other, &line).unwrap();
    refused(
        to(&other),
        &["127.0.0.1", "changed", "SHA256:", "other_known_hosts"],
    );
    assert_eq!(std::fs::read_to_string(&other).unwrap(), line);

    let none = sshd.folder().join("no_known_hosts");
    refused(to(&none), &["127.0.0.1", "not known", "SHA256:"]);
    assert!(!none.exists());
}

#[test]
fn an_encrypted_key_without_anybody_to_ask() {
    let sshd = sshd();
    let key = sshd.client_key_encrypted("correct horse");
    let mut command = crate::fixture::bare(Command::new("setsid"));
    command
        .arg("--wait")
        .arg(env!("CARGO_BIN_EXE_rmux"))
        .arg("ssh")
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(&key)
        .args(["127.0.0.1", "true"]);
    let ran = refused(command, &["127.0.0.1", &key.display().to_string()]);
    assert!(!ran.stderr.contains("correct horse"));
}

#[test]
fn an_identity_file_that_is_missing() {
    const WARNING: &str =
        "Warning: Identity file /nonexistent/key not accessible: No such file or directory.";
    let sshd = sshd();
    let with = |flags: &[&str]| {
        let mut command = rmux();
        command.args(flags).args(options_without_key(&sshd)).args([
            "-i",
            "/nonexistent/key",
            "127.0.0.1",
            "true",
        ]);
        run(command, b"")
    };
    let ran = with(&[]);
    let (warning, refusal) = ran.stderr.split_once('\n').expect("two lines");
    assert_eq!((ran.code(), warning), (255, WARNING));
    for part in ["rmux: ", "127.0.0.1", "/nonexistent/key"] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    assert_eq!(with(&["-q"]).stderr, "");
}

#[test]
fn a_tunnel_of_the_settings_is_missed_aloud() {
    let sshd = sshd();
    {
        let setting = "Tunnel=yes";
        let with = |more: &[&str]| {
            let mut command = rmux();
            command
                .args(["-o", setting])
                .args(more)
                .args(options(&sshd))
                .args(["127.0.0.1", "echo ran"]);
            run(command, b"")
        };
        let (name, _) = setting.split_once('=').unwrap();
        let said = format!("command line: {name} is not supported yet\n");
        let ran = with(&[]);
        assert_eq!(
            (ran.code(), &ran.stdout[..]),
            (0, &b"ran\n"[..]),
            "{setting}"
        );
        assert_eq!(ran.stderr, format!("rmux: warning: {said}"));
        assert_eq!(with(&["-q"]).stderr, "");
        let none = with(&[
            "-o",
            "ClearAllForwardings=yes",
            "-o",
            "ExitOnForwardFailure=yes",
        ]);
        assert_eq!((none.code(), none.stderr.as_str()), (0, ""), "{setting}");
        let ran = with(&["-o", "ExitOnForwardFailure=yes"]);
        assert_eq!((ran.code(), &ran.stdout[..]), (255, &b""[..]), "{setting}");
        assert_eq!(ran.stderr, format!("rmux: {said}"));
    }
    let mut command = rmux();
    command
        .args(["-o", "Tunnel=no", "-o", "ExitOnForwardFailure=yes"])
        .args(options(&sshd))
        .args(["127.0.0.1", "true"]);
    let ran = run(command, b"");
    assert_eq!((ran.code(), ran.stderr.as_str()), (0, ""));
}

#[test]
fn arguments_that_make_no_sense() {
    for (args, parts) in [
        (&["-Z", "host"][..], &["unknown option -Z", "--help"][..]),
        (&["--child-of=1", "host"], &["unknown option --child-of=1"]),
        (
            &["-F", "none", "-L", "1:a", "host"],
            &["bad local forwarding", "1:a"],
        ),
        (&["-p", "99999", "host"], &["port", "99999"]),
        (&["-p", "many", "host"], &["port", "many"]),
        (&["ssh://host:0"], &["ssh://host:0", "no port"]),
        (&[], &["destination is missing"]),
        (&["-F", "none", "-o", "Nonsense=1", "host"], &["Nonsense"]),
        (&["-F", "none", "-o", "Port=x", "host"], &["Port", "x"]),
        (
            &["-F", "/nonexistent/config", "host"],
            &["/nonexistent/config"],
        ),
    ] {
        let mut command = rmux();
        command.args(args);
        let insensitive = run(command, b"");
        assert_eq!(insensitive.code(), 255, "{args:?}");
        assert_eq!(
            insensitive.stderr.lines().count(),
            1,
            "{}",
            insensitive.stderr
        );
        let said = insensitive.stderr.to_lowercase();
        for part in parts {
            assert!(said.contains(&part.to_lowercase()), "{part}: {said}");
        }
    }
}

#[test]
fn a_command_that_does_not_exist_is_the_remotes_to_report() {
    let sshd = sshd();
    let mut command = rmux_to(&sshd);
    command.arg("no-such-program-anywhere");
    let ran = run(command, b"");
    assert_eq!(ran.code(), 127);
    assert!(ran.stderr.contains("not found"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("rmux:"), "{}", ran.stderr);
}

#[test]
fn a_server_that_dies_while_output_comes() {
    let sshd = sshd();
    let mut command = rmux_to(&sshd);
    let running = Running::start(
        command
            .arg("while :; do echo line; done")
            .stdin(Stdio::null()),
    );
    running.expect("line\nline\n");
    sshd.kill_connections();
    let ran = running.finish();
    assert_refused("killed", &ran, &["127.0.0.1"]);
    assert!(ran.stdout.starts_with(b"line\nline\n"));
}

#[test]
fn what_the_server_wrote_before_it_died_is_written() {
    let sshd = sshd();
    let mut command = rmux_to(&sshd);
    // The process of the connection itself.
    command.arg("echo last words; sleep 0.3; kill -9 $PPID");
    let ran = run(command, b"");
    assert_refused("killed", &ran, &["127.0.0.1"]);
    assert_eq!(ran.stdout, b"last words\n");
}
