//! What is typed at the beginning of a line behind a `~`.

use std::process::Command;
use std::time::Duration;

use rmux_testkit::sshd::Sshd;

use crate::fixture::{options, rmux, run, sshd};
use crate::screen::Screen;

/// A command that shows each byte it gets, on a terminal; ends at a `q`.
const SHOW: &str = "stty raw -echo; echo ready; \
    while c=$(dd bs=1 count=1 2>/dev/null | od -An -tx1) && [ \"$c\" != ' 71' ]; \
    do printf '<%s>' \"$c\"; done; echo quit";

fn show(sshd: &Sshd, before: &[&str]) -> Command {
    let mut command = rmux();
    command
        .arg("-t")
        .args(before)
        .args(options(sshd))
        .args(["127.0.0.1", SHOW]);
    command
}

#[track_caller]
fn ready(command: &Command) -> Screen {
    let screen = Screen::start(command, 80, 24);
    screen.expect("ready");
    screen.expect_raw();
    screen
}

#[test]
fn tilde_dot_ends_the_connection() {
    let sshd = sshd();
    let mut screen = ready(&show(&sshd, &[]));
    screen.type_in("~.");
    let (code, text) = screen.finish();
    assert_eq!(code, 255);
    assert!(text.contains("~."), "{text}");
    assert!(text.contains("Connection to 127.0.0.1 closed."), "{text}");
    assert!(!text.contains("<"), "nothing was sent: {text}");
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0));
}

#[test]
fn in_the_middle_of_a_line_it_is_a_tilde() {
    let sshd = sshd();
    let mut screen = ready(&show(&sshd, &[]));
    screen.type_in("a~.");
    screen.expect("< 61>< 7e>< 2e>");
    screen.type_in("\rb");
    screen.type_in("~.");
    screen.expect("< 0d>< 62>< 7e>< 2e>");
    screen.type_in("q");
    assert_eq!(screen.finish().0, 0);
}

#[test]
fn it_may_come_byte_by_byte() {
    let sshd = sshd();
    let mut screen = ready(&show(&sshd, &[]));
    screen.type_in("x\r");
    screen.expect("< 78>< 0d>");
    screen.type_in("~");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!screen.text().contains("7e"), "it waits: {}", screen.text());
    screen.type_in("~");
    screen.expect("< 7e>");
    screen.type_in("\r~");
    std::thread::sleep(Duration::from_millis(100));
    // What is unknown goes through whole.
    screen.type_in("z");
    screen.expect("< 0d>< 7e>< 7a>");
    screen.type_in("\r~");
    std::thread::sleep(Duration::from_millis(100));
    screen.type_in(".");
    assert_eq!(screen.finish().0, 255);
}

#[test]
fn the_others_say_what_they_do() {
    let sshd = sshd();
    let mut screen = ready(&show(&sshd, &[]));
    for (typed, shown) in [
        ("~?", "Supported escape sequences:"),
        ("~?", "terminate connection"),
        ("~#", "The following connections are open:"),
        ("~#", "#0 client-session"),
        ("~C", "commandline disabled"),
        ("~R", "~R [renewing the keys is not supported]"),
        ("~B", "~B [a BREAK is not supported]"),
        ("~&", "~& [going to the background is not supported]"),
        ("~v", "~v [LogLevel VERBOSE]"),
        ("~v", "~v [LogLevel DEBUG1]"),
        ("~V", "~V [LogLevel VERBOSE]"),
    ] {
        screen.type_in(typed);
        screen.expect(shown);
    }
    screen.type_in("q");
    let (code, text) = screen.finish();
    assert_eq!(code, 0);
    assert!(!text.contains("<"), "nothing was sent: {text}");
    // In raw mode a line feed alone would not go back to the left.
    let ours = text
        .split_once("ready\n")
        .unwrap()
        .1
        .split_once("quit")
        .unwrap()
        .0;
    assert!(!ours.replace("\r\n", "").contains('\n'), "{ours:?}");
}

#[test]
fn the_escape_character_can_be_another_or_none() {
    let sshd = sshd();
    let mut screen = ready(&show(&sshd, &["-e", "none"]));
    screen.type_in("~.");
    screen.expect("< 7e>< 2e>");
    screen.type_in("q");
    assert_eq!(screen.finish().0, 0);

    let mut screen = ready(&show(&sshd, &["-e", "^B"]));
    screen.type_in("~.\r\x02\x02");
    screen.expect("< 7e>< 2e>< 0d>< 02>");
    screen.type_in("\r\x02?");
    screen.expect(" ^B.   - terminate");
    screen.type_in("\x02.");
    assert_eq!(screen.finish().0, 255);

    let mut screen = ready(&show(&sshd, &["-o", "EscapeChar=%"]));
    screen.type_in("%.");
    assert_eq!(screen.finish().0, 255);
}

#[test]
fn without_a_terminal_there_are_no_escapes() {
    let sshd = sshd();
    for before in [&[][..], &["-e", "~"], &["-T"]] {
        let mut command = rmux();
        command
            .args(before)
            .args(options(&sshd))
            .args(["127.0.0.1", "cat"]);
        let ran = run(command, b"~.\n~~\n~?\n");
        assert_eq!(ran.code(), 0);
        assert_eq!(ran.stdout, b"~.\n~~\n~?\n");
    }
}

/// A terminal that is forced has escapes even where standard input is a pipe, as with ssh.
#[test]
fn a_forced_terminal_has_escapes() {
    let sshd = sshd();
    for program in [crate::fixture::bare(Command::new("ssh")), rmux()] {
        let mut command = program;
        command
            .arg("-tt")
            .args(options(&sshd))
            .args(["127.0.0.1", "sleep 20"]);
        let ran = run(command, b"~.");
        assert_eq!(ran.code(), 255, "{ran:?}");
        assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    }
}

#[test]
fn it_can_be_stopped_and_goes_on() {
    let sshd = sshd();
    let command = show(&sshd, &[]);
    let mut screen = Screen::start_as_job(&command, 80, 24);
    screen.expect("ready");
    screen.expect_raw();
    screen.type_in("a\r~\x1a");
    screen.expect("~^Z [suspend rmux]");
    screen.expect("stopped 148");
    screen.expect_cooked();
    // The shell's line; then it runs in the foreground again.
    screen.type_in("\n");
    screen.expect_raw();
    screen.type_in("b~");
    screen.expect("< 62>< 7e>");
    screen.type_in("q");
    assert_eq!(screen.finish().0, 0);
}

/// The reason why the escape is there at all.
#[test]
fn it_ends_although_the_server_says_nothing_any_more() {
    let sshd = sshd();
    let mut screen = ready(&show(&sshd, &[]));
    sshd.suspend();
    screen.type_in("typed into the void\r");
    screen.type_in(&"x".repeat(2000));
    screen.type_in("\r~.");
    let started = std::time::Instant::now();
    let (code, _) = screen.finish();
    sshd.resume();
    assert_eq!(code, 255);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}
