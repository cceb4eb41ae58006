//! Questions on the terminal, and what happens without one.

use rmux_testkit::embedded::{EmbeddedServer, EmbeddedServerBuilder, Round};
use rustix::process::Signal;

use crate::fixture::{options, options_without_key, rmux, run, sshd};
use crate::screen::Screen;

const PASSPHRASE: &str = "correct horse";

#[test]
fn an_unknown_host_key_is_asked_about_and_remembered() {
    let sshd = sshd();
    let known = sshd.folder().join("known_by_user");
    let command = || {
        let mut command = rmux();
        command
            // Before the fixture's own, so that it wins.
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .args(options(&sshd))
            .args(["127.0.0.1", "echo", "let", "in"]);
        command
    };
    let mut screen = Screen::start(&command(), 80, 24);
    screen.expect("SHA256:");
    screen.expect("(yes, no, or its fingerprint)? ");
    screen.type_in("perhaps\n");
    screen.expect("Please type yes, no");
    screen.type_in("no\n");
    let (code, text) = screen.finish();
    assert_eq!(code, 255);
    assert!(!text.contains("let in"), "{text}");
    assert!(!known.exists());

    let mut screen = Screen::start(&command(), 80, 24);
    screen.expect("fingerprint)? ");
    let text = screen.text();
    let (_, rest) = text.split_once("SHA256:").unwrap();
    let hash = rest.split_whitespace().next().unwrap();
    screen.type_in(&format!("SHA256:{hash}\n"));
    screen.expect("let in");
    assert_eq!(screen.finish().0, 0);
    let line = std::fs::read_to_string(&known).unwrap();
    assert!(
        line.starts_with(&format!("[127.0.0.1]:{} ", sshd.port())),
        "{line}"
    );

    let ran = run(command(), b"");
    assert_eq!(ran.stdout, b"let in\n", "now it is known");
}

#[test]
fn a_passphrase_is_asked_for_and_never_shown() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.client_key_encrypted(PASSPHRASE))
        .args(["127.0.0.1", "echo", "let", "in"]);

    let mut screen = Screen::start(&command, 80, 24);
    screen.expect("Passphrase of ");
    screen.expect_no_echo();
    screen.type_in("wrong\n");
    screen.expect("That was wrong. Passphrase of ");
    screen.expect_no_echo();
    screen.type_in(&format!("{PASSPHRASE}\n"));
    screen.expect("let in");
    let (code, text) = screen.finish();
    assert_eq!(code, 0);
    assert!(!text.contains(PASSPHRASE), "{text}");

    let mut screen = Screen::start(&command, 80, 24);
    for times in 1..=3 {
        let asked = || screen.text().matches("Passphrase of ").count() == times;
        crate::fixture::wait_until("the question", asked);
        screen.expect_no_echo();
        screen.type_in("wrong\n");
    }
    let (code, text) = screen.finish();
    assert_eq!(code, 255);
    assert!(text.contains("wrong passphrase"), "{text}");
    assert!(text.contains("127.0.0.1"), "{text}");
}

#[test]
fn a_signal_at_a_question_puts_the_terminal_back() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.client_key_encrypted(PASSPHRASE))
        .args(["127.0.0.1", "true"]);
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let screen = Screen::start(&command, 80, 24);
        screen.expect("Passphrase of ");
        screen.expect_no_echo();
        screen.signal(signal);
        assert_eq!(screen.finish().0, code, "{signal:?}");
    }
}

#[test]
fn an_error_amid_a_question_begins_a_line() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.client_key_encrypted(PASSPHRASE))
        .args(["127.0.0.1", "true"]);
    let screen = Screen::start(&command, 80, 24);
    screen.expect("Passphrase of ");
    screen.expect_no_echo();
    sshd.kill_connections();
    let (code, text) = screen.finish();
    assert_eq!(code, 255);
    assert!(text.contains(": \r\nrmux: "), "{text:?}");
}

#[test]
fn in_batch_mode_nobody_is_asked() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .args(["-o", "BatchMode=yes"])
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.client_key_encrypted(PASSPHRASE))
        .args(["127.0.0.1", "true"]);
    let screen = Screen::start(&command, 80, 24);
    let (code, text) = screen.finish();
    assert_eq!(code, 255);
    assert!(!text.contains("Passphrase of"), "{text}");
}

/// A server that asks, which the stock sshd without a password database cannot.
struct Asking {
    server: EmbeddedServer,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Asking {
    fn start(builder: EmbeddedServerBuilder) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = runtime
            .block_on(builder.user("somebody").shell("/bin/sh").start())
            .unwrap();
        std::fs::write(
            folder.path().join("known_hosts"),
            server.host_public_key_line() + "\n",
        )
        .unwrap();
        Self {
            server,
            folder,
            _runtime: runtime,
        }
    }

    fn rmux(&self) -> std::process::Command {
        let known_hosts = self.folder.path().join("known_hosts");
        let mut command = rmux();
        command
            .args(["-F", "none", "-o", "IdentityAgent=none", "-o"])
            .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
            .args(["-p", &self.server.addr().port().to_string()])
            .args(["somebody@127.0.0.1", "echo", "let", "in"])
            // No keys of the user's.
            .env("HOME", self.folder.path());
        command
    }
}

#[test]
fn a_password_is_asked_for_until_it_is_right_and_never_shown() {
    let asking = Asking::start(EmbeddedServer::builder().password("open sesame"));
    let mut screen = Screen::start(&asking.rmux(), 80, 24);
    screen.expect("Password of somebody@127.0.0.1: ");
    screen.expect_no_echo();
    screen.type_in("close sesame\n");
    screen.expect("That was wrong. Password of somebody@127.0.0.1: ");
    screen.expect_no_echo();
    screen.type_in("open sesame\n");
    screen.expect("let in");
    let (code, text) = screen.finish();
    assert_eq!(code, 0);
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn questions_are_asked_as_the_server_words_them_without_its_control_characters() {
    let round = Round::new("Two steps", "Have your token \x1b[31mready.")
        .echoed("Colour? ", "blue")
        .secret("Token? ", "123456");
    let asking = Asking::start(
        EmbeddedServer::builder()
            .keyboard_interactive([round])
            .banner("Be \x1b[5mgood.\n"),
    );
    let mut screen = Screen::start(&asking.rmux(), 80, 24);
    screen.expect("Colour? ");
    screen.type_in("blue\n");
    screen.expect("Token? ");
    screen.expect_no_echo();
    screen.type_in("123456\n");
    screen.expect("let in");
    let (code, text) = screen.finish();
    assert_eq!(code, 0);
    for shown in [
        "Two steps",
        "Have your token ?[31mready.",
        "Be ?[5mgood.",
        "blue",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    for hidden in ["\x1b", "123456"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

#[test]
fn an_end_of_file_at_a_password_gives_up() {
    let asking = Asking::start(EmbeddedServer::builder().password("open sesame"));
    let mut screen = Screen::start(&asking.rmux(), 80, 24);
    screen.expect("Password of ");
    screen.expect_no_echo();
    screen.type_in("\x04");
    let (code, text) = screen.finish();
    assert_eq!(code, 255);
    assert!(text.contains("somebody was not let in"), "{text}");
}
