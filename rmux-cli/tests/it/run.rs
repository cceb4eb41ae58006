//! Commands without a terminal: streams, statuses, signals.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::Rng as _;
use rustix::process::{Pid, Signal};

use crate::fixture::{Running, bare, options, rmux, rmux_to, run, sshd, wait_until};

#[test]
fn bytes_pass_unchanged_in_both_directions() {
    let sshd = sshd();
    let mut bytes = vec![0; 1 << 20];
    rand::rng().fill_bytes(&mut bytes);
    let mut command = rmux_to(&sshd);
    command.arg("cat");
    let ran = run(command, &bytes);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(ran.stdout == bytes, "{} bytes came back", ran.stdout.len());
    assert_eq!(ran.stderr, "");
}

#[test]
fn the_streams_are_kept_apart_and_the_status_is_the_commands() {
    let sshd = sshd();
    for code in [0, 1, 7, 255] {
        let mut command = rmux_to(&sshd);
        command.arg(format!("printf 'out\\0\\377'; printf err >&2; exit {code}"));
        let ran = run(command, b"");
        assert_eq!(ran.stdout, b"out\0\xff");
        assert_eq!(ran.stderr, "err");
        assert_eq!(ran.code(), code);
    }
}

#[test]
fn output_comes_while_the_command_runs() {
    let sshd = sshd();
    let mut child = rmux_to(&sshd)
        .arg("printf first; read -r line; echo \" $line\"")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 5];
    // Not a whole line, and the command has not ended.
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"second\n").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, " second\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_ends_with_the_command_while_standard_input_stays_open() {
    let sshd = sshd();
    let mut command = rmux_to(&sshd);
    let mut running = Running::start(command.arg("exit 3").stdin(Stdio::piped()));
    let held_open = running.child.stdin.take();
    let ran = running.finish();
    drop(held_open);
    assert_eq!(ran.code(), 3);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
}

#[test]
fn dash_n_leaves_standard_input_alone() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .arg("-n")
        .args(crate::fixture::options(&sshd))
        .args(["127.0.0.1", "wc -c"]);
    // From a pipe that never ends.
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let held_open = running.child.stdin.take();
    let ran = running.finish();
    drop(held_open);
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "0");
}

#[test]
fn a_signal_ends_it_with_255_and_closes_the_connection() {
    let sshd = sshd();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut command = rmux_to(&sshd);
        let running = Running::start(command.arg("echo ready; sleep 60").stdin(Stdio::null()));
        running.expect("ready");
        let pid = Pid::from_child(&running.child);
        rustix::process::kill_process(pid, signal).unwrap();
        let ran = running.finish();
        assert_eq!((ran.code(), ran.stderr.as_str()), (255, ""), "{signal:?}");
        assert!(
            sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0),
            "{signal:?}: the server heard of it"
        );
    }
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let sshd = sshd();
    let mut command = crate::fixture::bare(std::process::Command::new("nohup"));
    command
        .arg(env!("CARGO_BIN_EXE_rmux"))
        .arg("ssh")
        .args(crate::fixture::options(&sshd))
        .args(["127.0.0.1", "echo there; read -r line; echo $line"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    running.expect("there");
    let pid = Pid::from_child(&running.child);
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    stdin.write_all(b"still here\n").unwrap();
    drop(stdin);
    let ran = running.finish();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, b"there\nstill here\n");
}

#[test]
fn when_nobody_reads_its_output_it_ends_without_a_word() {
    let sshd = sshd();
    let mut child = rmux_to(&sshd)
        .arg("yes")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut some = [0; 1000];
    stdout.read_exact(&mut some).unwrap();
    drop(stdout);
    wait_until("its end", || child.try_wait().unwrap().is_some());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "");
    assert!(
        sshd.wait_until(Duration::from_secs(10), |sshd| sshd.processes() == 0),
        "the command has ended too"
    );
}

#[test]
fn when_nobody_reads_its_errors_the_command_goes_on() {
    const FEW: &str = "echo warn >&2; sleep 0.3; echo more >&2; sleep 0.3; echo done; exit 5";
    // More than a window, which rmux keeps open.
    const MANY: &str = "echo warn >&2; sleep 0.3; yes | head -c 4000000 >&2; echo done; exit 5";
    let sshd = sshd();
    for (mut program, line) in [
        (bare(Command::new("ssh")), FEW),
        (rmux(), FEW),
        (rmux(), MANY),
    ] {
        program.args(options(&sshd)).args(["127.0.0.1", line]);
        let mut child = program
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stderr.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            (said.as_ref(), output.status.code()),
            ("done\n", Some(5)),
            "{program:?}"
        );
    }
}

#[test]
fn what_is_on_its_way_to_standard_error_is_written_when_nobody_reads_the_output() {
    let sshd = sshd();
    let mut child = rmux_to(&sshd)
        .arg("echo warning >&2; sleep 0.3; yes")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (said.as_ref(), output.status.code()),
        ("warning\n", Some(255))
    );
}

#[test]
fn a_slow_reader_makes_the_command_wait() {
    const LENGTH: usize = 150 << 20;
    let sshd = sshd();
    let mut child = rmux_to(&sshd)
        .arg(format!("head -c {LENGTH} /dev/zero; echo done >&2"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    // Long enough to take all of it in, if nothing held it back.
    std::thread::sleep(Duration::from_secs(2));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak: usize = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|size| size.trim().strip_suffix(" kB")?.trim().parse().ok())
        .expect("Linux tells");
    assert!(peak < 100 << 10, "it held {peak} KiB");
    let rest = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(rest as usize + 1, LENGTH);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_full_disk_is_told() {
    let sshd = sshd();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = rmux_to(&sshd)
        .args(["echo", "text"])
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("rmux: cannot write standard output: No space left"),
        "{said}"
    );
}

#[test]
fn verbose_tells_what_happens_and_quiet_nothing() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .arg("-v")
        .args(crate::fixture::options(&sshd))
        // Read, and without effect: rmux does not carry X11.
        .args(["-o", "ForwardX11=yes", "127.0.0.1", "true"]);
    let ran = run(command, b"");
    assert_eq!(ran.code(), 0);
    let port = format!("port {}", sshd.port());
    for part in [
        "connecting to",
        &format!("127.0.0.1:{}", sshd.port()),
        "by publickey",
        &port,
        "forwardx11",
        "closed",
    ] {
        assert!(ran.stderr.contains(part), "{part}:\n{}", ran.stderr);
    }
    assert!(
        ran.stderr.lines().all(|line| line.starts_with("rmux: ")),
        "{}",
        ran.stderr
    );

    let mut command = rmux_to(&sshd);
    command.env("RMUX_LOG", "rmux_core=debug").arg("true");
    let ran = run(command, b"");
    assert!(ran.stderr.contains("debug: rmux_core"), "{}", ran.stderr);
}

#[test]
fn the_version_goes_to_standard_error_as_sshs_does() {
    let mut command = rmux();
    command.arg("-V");
    let ran = run(command, b"");
    assert_eq!((ran.code(), ran.stdout.len()), (0, 0));
    let version = concat!("rmux ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(ran.stderr, version);
}
