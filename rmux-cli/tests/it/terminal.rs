//! Commands with a terminal: modes, window sizes, and the way back.

use std::time::Duration;

use rustix::process::Signal;

use crate::fixture::{bare, options, rmux, rmux_to, run, sshd};
use crate::screen::Screen;

#[test]
fn a_shell_gets_a_terminal_like_the_local_one() {
    let sshd = sshd();
    let mut screen = Screen::start(&rmux_to(&sshd), 91, 37);
    screen.expect_raw();
    // Cut in two, so that the echo of what is typed is not taken for the answer.
    screen.type_in("stty size; echo \"term is\" $TERM; echo answer''ed\r");
    screen.expect("37 91");
    screen.expect("term is vt220");
    screen.expect("answered");
    screen.type_in("exit 5\r");
    let (code, text) = screen.finish();
    assert_eq!(code, 5);
    assert!(text.contains("Connection to 127.0.0.1 closed."), "{text}");
}

#[test]
fn a_new_window_size_arrives() {
    let sshd = sshd();
    let mut command = rmux();
    command.arg("-t").args(options(&sshd)).args([
        "127.0.0.1",
        "n=0; while [ $n -lt 3 ]; do now=$(stty size); if [ \"$now\" != \"$last\" ]; \
         then echo \"<$now>\"; last=$now; n=$((n+1)); fi; sleep 0.05; done",
    ]);
    let screen = Screen::start(&command, 80, 24);
    screen.expect("<24 80>");
    screen.expect_raw();
    screen.resize(132, 50);
    screen.expect("<50 132>");
    screen.resize(60, 20);
    screen.expect("<20 60>");
    assert_eq!(screen.finish().0, 0);
}

#[test]
fn keys_go_to_the_remote_as_they_are_typed() {
    let sshd = sshd();
    let mut command = rmux();
    command.arg("-t").args(options(&sshd)).args([
        "127.0.0.1",
        "trap 'echo interrupted' INT; stty -echo; echo ready; sleep 20; stty raw; echo go; \
         head -c 4 | od -An -tx1",
    ]);
    let mut screen = Screen::start(&command, 80, 24);
    screen.expect("ready");
    screen.expect_raw();
    screen.type_in("\x03");
    screen.expect("interrupted");
    screen.expect("go");
    screen.type_in("\x03~.\x1a");
    screen.expect("03 7e 2e 1a");
    assert_eq!(screen.finish().0, 0);
}

#[test]
fn the_terminal_is_put_back_whatever_ends_it() {
    let sshd = sshd();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let screen = Screen::start(&rmux_to(&sshd), 80, 24);
        screen.expect_raw();
        screen.signal(signal);
        assert_eq!(screen.finish().0, 255, "{signal:?}");
    }
    let screen = Screen::start(&rmux_to(&sshd), 80, 24);
    screen.expect_raw();
    sshd.kill_connections();
    let (code, text) = screen.finish();
    assert_eq!(code, 255);
    assert!(text.contains("rmux: "), "{text}");
    assert!(text.contains("127.0.0.1"), "{text}");
}

#[test]
fn dash_t_needs_a_terminal_here_and_dash_tt_does_not() {
    let sshd = sshd();
    let with = |option: &str| {
        let mut command = rmux();
        command
            .arg(option)
            .args(options(&sshd))
            .args(["127.0.0.1", "tty; stty size"]);
        run(command, b"")
    };
    let ran = with("-t");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "not a tty\n");
    assert!(ran.stderr.starts_with("rmux: no terminal is allocated"));
    let ran = with("-tt");
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(shown.contains("/dev/pts/"), "{shown}");
    assert!(shown.contains("\n0 0\r"), "{shown}");
    assert_eq!(ran.code(), 0);
    let ran = with("-qt");
    assert!(!ran.stderr.contains("rmux"), "{}", ran.stderr);
}

#[test]
fn a_command_gets_no_terminal_unasked() {
    let sshd = sshd();
    let mut command = rmux_to(&sshd);
    command.arg("tty; exit 4");
    let screen = Screen::start(&command, 80, 24);
    let (code, text) = screen.finish();
    assert!(text.contains("not a tty"), "{text}");
    assert!(!text.contains("Connection to"), "{text}");
    assert_eq!(code, 4);

    let mut command = rmux();
    command.arg("-T").args(options(&sshd)).arg("127.0.0.1");
    let mut screen = Screen::start(&command, 80, 24);
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.open_sessions() == 1));
    screen.type_in("tty; exit 6\n");
    let (code, text) = screen.finish();
    assert!(text.contains("not a tty"), "{text}");
    assert_eq!(code, 6);
}

#[test]
fn the_command_of_the_settings_is_a_command() {
    let sshd = sshd();
    for (terminal, tty) in [("auto", "not a tty"), ("yes", "/dev/pts/")] {
        for program in [bare(std::process::Command::new("ssh")), rmux()] {
            let mut command = program;
            command
                .args(["-o", "RemoteCommand=tty; exit 4", "-o"])
                .arg(format!("RequestTTY={terminal}"))
                .args(options(&sshd))
                .arg("127.0.0.1");
            let (code, text) = Screen::start(&command, 80, 24).finish();
            assert_eq!(code, 4, "{text}");
            assert!(text.contains(tty), "{terminal}: {text}");
        }
    }
}
