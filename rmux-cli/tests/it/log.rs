//! How much is said, and where: `LogLevel`, `-q`, `-v`, `-E`, `-y`.

use std::process::Command;

use crate::fixture::{bare, options, rmux, run, sshd};

#[test]
fn the_level_decides_what_is_said() {
    let sshd = sshd();
    let said = |arguments: &[&str], destination: &str| {
        let mut command = rmux();
        command
            .args(arguments)
            .args(options(&sshd))
            .args([destination, "true"]);
        run(command, b"").stderr
    };
    for quiet in [
        &[][..],
        &["-o", "LogLevel=ERROR"],
        &["-v", "-q"],
        &["-o", "LogLevel=FATAL"],
    ] {
        assert_eq!(said(quiet, "127.0.0.1"), "", "{quiet:?}");
    }
    let verbose = said(&["-o", "LogLevel=VERBOSE"], "127.0.0.1");
    assert!(verbose.contains("logged in as"), "{verbose}");
    assert!(!verbose.contains("connecting to"), "{verbose}");
    let debug = said(&["-o", "LogLevel=DEBUG"], "127.0.0.1");
    assert!(debug.contains("connecting to"), "{debug}");
    assert!(!debug.contains("rmux: debug: "), "{debug}");
    let debug2 = said(&["-vv"], "127.0.0.1");
    assert!(debug2.contains("rmux: debug: rmux_core"), "{debug2}");
    let debug3 = said(&["-o", "LogLevel=DEBUG3"], "127.0.0.1");
    assert!(debug3.lines().count() >= debug2.lines().count(), "{debug3}");
}

/// Also why it gave up is not said to those who want nothing said, as with ssh.
#[test]
fn quiet_is_quiet_even_in_failure() {
    for program in [bare(Command::new("ssh")), rmux()] {
        let mut command = program;
        command.args(["-F", "none", "-q", "no-such-host.invalid", "true"]);
        let ran = run(command, b"");
        assert_eq!((ran.code(), &ran.stderr[..]), (255, ""));
    }
    let mut command = rmux();
    command.args([
        "-F",
        "none",
        "-o",
        "LogLevel=FATAL",
        "no-such-host.invalid",
        "true",
    ]);
    let ran = run(command, b"");
    assert!(
        ran.stderr.contains("no-such-host.invalid"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_settings_of_a_file_count_from_where_they_are_known() {
    let sshd = sshd();
    let file = sshd.folder().join("verbose");
    std::fs::write(&file, "LogLevel VERBOSE\n").unwrap();
    let mut options = options(&sshd);
    options[1] = file.into();
    let mut command = rmux();
    command.args(options).args(["127.0.0.1", "true"]);
    let ran = run(command, b"");
    assert!(ran.stderr.contains("logged in as"), "{}", ran.stderr);
}

#[test]
fn the_log_can_go_to_a_file_to_which_it_is_added() {
    let sshd = sshd();
    let log = sshd.folder().join("the log");
    std::fs::write(&log, "before\n").unwrap();
    for (command_line, code) in [("true", 0), ("echo out; echo err >&2; exit 3", 3)] {
        let mut command = rmux();
        command
            .arg("-vE")
            .arg(&log)
            .args(options(&sshd))
            .args(["127.0.0.1", command_line]);
        let ran = run(command, b"");
        let expected = if code == 0 { "" } else { "err\n" };
        assert_eq!((ran.code(), &ran.stderr[..]), (code, expected));
    }
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("before\n"), "{text}");
    assert_eq!(text.matches("logged in as").count(), 2, "{text}");
    let ours = |line: &str| line == "before" || line.starts_with("rmux: ");
    assert!(text.lines().all(ours), "{text}");

    let mut command = rmux();
    command
        .arg("-E")
        .arg(&log)
        .args(["-F", "none", "no-such-host.invalid", "true"]);
    let ran = run(command, b"");
    assert_eq!((ran.code(), &ran.stderr[..]), (255, ""));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("no-such-host.invalid"), "{text}");
}

#[test]
fn a_new_log_file_is_for_its_owner_and_one_that_cannot_be_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let to = |log: &std::path::Path| {
        let mut command = rmux();
        command
            .arg("-E")
            .arg(log)
            .args(["-G", "-F", "none", "host"]);
        run(command, b"")
    };
    assert_eq!(to(&log).code(), 0);
    let mode = std::fs::metadata(&log).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    let ran = to(&folder.path().join("no/log"));
    assert_eq!(ran.code(), 1, "as ssh");
    assert!(ran.stderr.contains("no/log"), "{}", ran.stderr);
}

#[test]
fn the_log_can_go_to_syslog() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .arg("-yvvv")
        .args(options(&sshd))
        .args(["127.0.0.1", "echo err >&2"]);
    let ran = run(command, b"");
    // Nothing of it here, whether there is a daemon or not.
    assert_eq!((ran.code(), &ran.stderr[..]), (0, "err\n"));
    let mut command = rmux();
    command.args(["-y", "-E", "log", "host"]);
    let ran = run(command, b"");
    assert_eq!(ran.code(), 255);
    assert!(ran.stderr.contains("-y and -E"), "{}", ran.stderr);
}
