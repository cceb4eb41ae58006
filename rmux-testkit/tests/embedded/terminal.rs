//! Commands on a terminal.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::client::{Fixture, text};

#[test]
fn a_terminal_has_a_name_a_type_and_is_controlling() {
    let fixture = Fixture::start(|builder| builder);
    let output = fixture
        .ssh()
        .args([
            "-tt",
            "tty; echo $TERM; test -c \"$SSH_TTY\" && echo yes; echo x >/dev/tty; exit 5",
        ])
        .env("TERM", "vt220")
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("/dev/"), "{shown:?}");
    assert_eq!(lines[1..], ["vt220", "yes", "x"], "{shown:?}");
    assert!(
        shown.contains("yes\r\n"),
        "a terminal turns LF into CR LF: {shown:?}"
    );
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn the_size_arrives_and_changes() {
    let fixture = Fixture::start(|builder| builder);
    // `script` gives the client a terminal of its own, whose size it passes on.
    let ssh = fixture.ssh();
    let mut line =
        String::from("stty cols 91 rows 37; (sleep 1.5; stty cols 80 rows 24 </dev/tty) & ");
    for word in std::iter::once(ssh.get_program()).chain(ssh.get_args()) {
        line.push_str(&format!("'{}' ", word.to_str().unwrap()));
    }
    line.push_str("-t \"stty size; trap 'stty size; exit' WINCH; ");
    line.push_str("n=0; while test \\$n -lt 100; do n=\\$((n+1)); sleep 0.1; done\"");
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("37 91"), "{shown:?}");
    assert!(shown.contains("24 80"), "{shown:?}");
}

#[test]
fn input_is_echoed_and_control_c_interrupts() {
    use std::io::Write as _;
    let fixture = Fixture::start(|builder| builder);
    let mut child = fixture
        .ssh()
        .args([
            "-tt",
            "trap 'echo interrupted; exit 9' INT; read line; echo \"<$line>\"; sleep 30",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    stdin.write_all(b"hello\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    stdin.write_all(b"\x03").unwrap();
    let start = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed().as_secs() < 10);
    let shown = text(&output.stdout);
    assert!(shown.contains("hello\r\n<hello>\r\n"), "{shown:?}");
    assert!(shown.contains("interrupted"), "{shown:?}");
    assert_eq!(output.status.code(), Some(9));
}

#[test]
fn all_output_arrives_and_a_background_program_does_not_hold_the_end() {
    let fixture = Fixture::start(|builder| builder);
    let start = Instant::now();
    let output = fixture
        .ssh()
        .args([
            "-tt",
            "(trap '' HUP; exec sleep 20) & seq 1 20000; echo end",
        ])
        .output()
        .unwrap();
    assert!(start.elapsed().as_secs() < 10);
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().count(), 20_001);
    assert!(shown.ends_with("20000\r\nend\r\n"));
}
