//! Questions put by the program that `SSH_ASKPASS` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rmux_testkit::KeyKind;
use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;
use rustix::process::{Pid, Signal};

use crate::fixture::{
    Ran, Running, options, options_without_key, rmux, run, script, sshd, wait_until,
    without_terminal,
};
use crate::screen::Screen;

const PASSPHRASE: &str = "correct horse";

/// A program that notes its question and answers with what the text prints.
fn asking(sshd: &Sshd, text: &str) -> PathBuf {
    let noted = sshd.folder().join("asked");
    let text = format!(
        "printf '%s%s\\n--\\n' \"${{SSH_ASKPASS_PROMPT+$SSH_ASKPASS_PROMPT: }}\" \"$1\" >>'{}'\n{text}",
        noted.display()
    );
    script(&sshd.folder().join("ask"), &text)
}

fn asked(sshd: &Sshd) -> Vec<String> {
    let noted = std::fs::read_to_string(sshd.folder().join("asked")).unwrap_or_default();
    noted
        .split_terminator("\n--\n")
        .map(str::to_owned)
        .collect()
}

/// With a key that needs a passphrase, and no terminal.
fn with_encrypted_key(sshd: &Sshd, program: &Path) -> Command {
    let mut command = rmux();
    command
        .args(options_without_key(sshd))
        .arg("-i")
        .arg(sshd.client_key_encrypted(PASSPHRASE))
        .args(["127.0.0.1", "echo let in"])
        .env("SSH_ASKPASS", program)
        .env("DISPLAY", ":99");
    command
}

#[track_caller]
fn assert_not_let_in(ran: &Ran) {
    assert_eq!(ran.code(), 255, "{ran:?}");
    assert_eq!(ran.stdout, b"");
    assert!(!ran.stderr.contains(PASSPHRASE), "{ran:?}");
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
}

#[test]
fn it_asks_where_there_is_no_terminal() {
    let sshd = sshd();
    let program = asking(&sshd, &format!("echo '{PASSPHRASE}'; echo 'a second line'"));
    let ran = run(without_terminal(&with_encrypted_key(&sshd, &program)), b"");
    assert_eq!(
        (ran.code(), &ran.stdout[..]),
        (0, &b"let in\n"[..]),
        "{ran:?}"
    );
    assert_eq!(ran.stderr, "");
    let asked = asked(&sshd);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("Passphrase of "), "{asked:?}");
}

#[test]
fn a_wrong_answer_is_asked_for_again() {
    let sshd = sshd();
    let count = sshd.folder().join("asked");
    let program = asking(
        &sshd,
        &format!(
            "if [ $(grep -c -- -- '{}') -lt 2 ]; then echo wrong; else echo '{PASSPHRASE}'; fi",
            count.display()
        ),
    );
    let ran = run(without_terminal(&with_encrypted_key(&sshd, &program)), b"");
    assert_eq!(ran.code(), 0, "{ran:?}");
    let asked = asked(&sshd);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].starts_with("That was wrong."), "{asked:?}");
}

#[test]
fn one_that_gives_up_says_nothing_or_does_not_exist_is_a_no() {
    let sshd = sshd();
    for text in [
        &format!("echo '{PASSPHRASE}'; exit 1")[..],
        "exit 0",
        "echo",
        "kill -9 $$",
        "printf '\\377\\n'",
        "head -c 5000 /dev/zero | tr '\\0' x",
    ] {
        let program = asking(&sshd, text);
        let ran = run(without_terminal(&with_encrypted_key(&sshd, &program)), b"");
        assert_not_let_in(&ran);
    }
    let nobody = PathBuf::from("/nonexistent/ask");
    let ran = run(without_terminal(&with_encrypted_key(&sshd, &nobody)), b"");
    assert_not_let_in(&ran);
    assert!(ran.stderr.contains("/nonexistent/ask"), "{ran:?}");
}

#[test]
fn one_that_hangs_is_ended_with_rmux() {
    let sshd = sshd();
    let program = asking(&sshd, "exec sleep 60");
    let command = with_encrypted_key(&sshd, &program);
    let mut detached = Command::new(command.get_program());
    detached.args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            detached.env(name, value);
        }
    }
    // Whatever terminal there may be is not used.
    let running = Running::start(
        detached
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null()),
    );
    wait_until("the question", || !asked(&sshd).is_empty());
    let pid = Pid::from_child(&running.child);
    let children = || {
        let list = format!("/proc/{0}/task/{0}/children", pid.as_raw_nonzero());
        std::fs::read_to_string(list).unwrap_or_default()
    };
    let all_threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
            .collect::<String>()
    };
    let asker = [children(), all_threads()].concat();
    let asker: i32 = asker.split_whitespace().next().unwrap().parse().unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(running.finish().status.signal(), Some(15));
    wait_until("the program's end", || {
        !Path::new(&format!("/proc/{asker}/cmdline")).exists()
            || std::fs::read(format!("/proc/{asker}/cmdline")).is_ok_and(|line| line.is_empty())
    });
}

#[test]
fn ssh_askpass_require_decides_against_the_terminal() {
    let sshd = sshd();
    let program = asking(&sshd, &format!("echo '{PASSPHRASE}'"));
    for (require, display, asks_program) in [
        ("force", false, true),
        ("prefer", true, true),
        ("prefer", false, false),
        ("never", true, false),
        ("", true, false),
    ] {
        let mut command = with_encrypted_key(&sshd, &program);
        if !display {
            command.env("DISPLAY", "");
        }
        command.env("SSH_ASKPASS_REQUIRE", require);
        let mut screen = Screen::start(&command, 80, 24);
        if !asks_program {
            screen.expect("Passphrase of ");
            screen.expect_no_echo();
            screen.type_in(&format!("{PASSPHRASE}\n"));
        }
        let (code, text) = screen.finish();
        assert_eq!(code, 0, "{require:?} {display}: {text}");
        assert!(text.contains("let in"), "{text}");
        assert_eq!(text.contains("Passphrase of "), !asks_program, "{text}");
    }
    let mut command = with_encrypted_key(&sshd, &program);
    command.env("SSH_ASKPASS_REQUIRE", "never");
    assert_not_let_in(&run(without_terminal(&command), b""));
    let mut command = with_encrypted_key(&sshd, &program);
    command.env("DISPLAY", "");
    assert_not_let_in(&run(without_terminal(&command), b""));
}

#[test]
fn only_a_clear_yes_lets_an_unknown_host_key_pass() {
    let sshd = sshd();
    let known = sshd.folder().join("known_by_user");
    let with = |text: &str| {
        let mut command = rmux();
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .args(options(&sshd))
            .args(["127.0.0.1", "echo let in"])
            .env("SSH_ASKPASS", asking(&sshd, text))
            .env("SSH_ASKPASS_REQUIRE", "force");
        run(without_terminal(&command), b"")
    };
    for refusal in ["", "exit 1", "echo no", "echo yes; exit 1", "echo perhaps"] {
        let ran = with(refusal);
        assert_not_let_in(&ran);
        assert!(!known.exists(), "{refusal}");
    }
    // One that never gives a clear answer is not asked for ever.
    assert!(asked(&sshd).len() < 20);
    let ran = with("echo yes");
    assert_eq!(
        (ran.code(), &ran.stdout[..]),
        (0, &b"let in\n"[..]),
        "{ran:?}"
    );
    assert!(known.exists());
    let question = asked(&sshd).pop().unwrap();
    assert!(question.contains("SHA256:"), "{question}");
    assert!(
        question.contains("yes, no, or its fingerprint"),
        "{question}"
    );
}

#[test]
fn a_key_goes_to_the_agent_with_permission_only() {
    let sshd = sshd();
    let agent = Agent::start();
    let with = |text: &str| {
        let mut command = rmux();
        command
            .args(["-o", "AddKeysToAgent=ask", "-o"])
            .arg(format!("IdentityAgent={}", agent.socket().display()))
            .args(options(&sshd))
            .args(["127.0.0.1", "true"])
            .env("SSH_ASKPASS", asking(&sshd, text))
            .env("SSH_ASKPASS_REQUIRE", "force");
        let ran = run(without_terminal(&command), b"");
        assert_eq!(ran.code(), 0, "{text}: {ran:?}");
        let question = asked(&sshd).pop().unwrap();
        // The program is told that a button will do.
        assert!(question.starts_with("confirm: Add the key "), "{question}");
        agent.public_keys().len()
    };
    assert_eq!(with("exit 1"), 0);
    assert_eq!(with("echo no"), 0);
    assert_eq!(with("exit 0"), 1);
    agent.remove_all();
    assert_eq!(with("echo yes"), 1);
}

#[test]
fn new_host_keys_are_remembered_with_permission_only() {
    let sshd = Sshd::builder()
        .host_keys(&[KeyKind::Ed25519, KeyKind::Ecdsa])
        .option("SetEnv", "SHLVL=2")
        .start();
    let known = sshd.folder().join("known_by_user");
    let all = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    let one: String = all
        .lines()
        .filter(|line| line.contains("ssh-ed25519"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(one.lines().count(), 1, "{all}");
    // For a shell with a terminal: for anything else ssh does not ask either.
    let with = |program: Option<&str>| {
        std::fs::write(&known, &one).unwrap();
        let mut command = rmux();
        command
            .args(["-tt", "-o", "UpdateHostKeys=ask", "-o"])
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .args(options(&sshd))
            .arg("127.0.0.1");
        if let Some(text) = program {
            command
                .env("SSH_ASKPASS", asking(&sshd, text))
                .env("DISPLAY", ":99");
        }
        command
    };
    let lines = || std::fs::read_to_string(&known).unwrap().lines().count();
    for (text, count) in [
        ("echo no", 1),
        ("exit 1", 1),
        ("exit 0", 1),
        ("echo yes", 2),
    ] {
        let ran = run(without_terminal(&with(Some(text))), b"sleep 1; exit\n");
        assert_eq!(ran.code(), 0, "{ran:?}");
        assert_eq!(lines(), count, "{text}: {ran:?}");
        let question = asked(&sshd).pop().unwrap();
        assert!(question.contains("other host keys"), "{question}");
        assert!(question.contains("ecdsa"), "{question}");
    }
}

/// The question comes while what is typed goes to the remote, and its answer must not.
#[test]
fn a_question_amid_the_session_has_the_terminal_for_itself() {
    let sshd = Sshd::builder()
        .host_keys(&[KeyKind::Ed25519, KeyKind::Ecdsa])
        .option("SetEnv", "SHLVL=2")
        .start();
    let known = sshd.folder().join("known_by_user");
    let all = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    let is_first = |line: &&str| line.contains("ssh-ed25519");
    let one = all.lines().find(is_first).unwrap().to_owned() + "\n";
    std::fs::write(&known, one).unwrap();
    let mut command = rmux();
    command
        .args(["-o", "UpdateHostKeys=ask", "-o"])
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .args(options(&sshd))
        .arg("127.0.0.1");
    let mut screen = Screen::start(&command, 80, 24);
    screen.expect("Remember that (yes or no)? ");
    screen.type_in("perhaps\n");
    screen.expect("Please type yes or no: ");
    screen.type_in("yes\n");
    wait_until("the second key", || {
        std::fs::read_to_string(&known).unwrap().lines().count() == 2
    });
    screen.expect_raw();
    screen.type_in("echo go''ne on; exit 4\r");
    screen.expect("gone on");
    let (code, text) = screen.finish();
    assert_eq!(code, 4, "{text}");
    assert!(!text.contains("perhaps: "), "the shell saw it: {text}");
    assert!(!text.contains("yes: "), "the shell saw it: {text}");
}
