//! `-f`: into the background once let in, and not before.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::fixture::{options, options_without_key, rmux, run, sshd, wait_until};
use crate::screen::Screen;

const PASSPHRASE: &str = "correct horse";

/// Ids of the processes of rmux that inherited this environment.
fn processes(mark: &str) -> Vec<i32> {
    let entry = format!("MARK={mark}");
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|folder| {
            let folder = folder.ok()?;
            let pid = folder.file_name().to_str()?.parse().ok()?;
            let name = std::fs::read_to_string(folder.path().join("comm")).ok()?;
            if name.trim_end() != "rmux" {
                return None;
            }
            let environment = std::fs::read(folder.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == entry.as_bytes())
                .then_some(pid)
        })
        .collect()
}

/// The session of a process, and its terminal (0 for none).
fn session_and_terminal(pid: i32) -> (i32, i32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<_> = fields.split(' ').collect();
    (fields[3].parse().unwrap(), fields[4].parse().unwrap())
}

fn mark(folder: &Path) -> String {
    folder.display().to_string()
}

fn end(pid: i32) {
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
}

/// With its output into files: a pipe would stay open as long as the background goes on.
fn to_files(command: &mut Command, folder: &Path) -> std::process::Child {
    let file = |name: &str| std::fs::File::create(folder.join(name)).unwrap();
    command
        .stdin(Stdio::piped())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap()
}

#[test]
fn it_goes_on_after_whoever_started_it_has_gone_on() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .arg("-f")
        .args(options(&sshd))
        .args([
            "127.0.0.1",
            &format!(
                "wc -c; echo begun; while [ ! -e '{}' ]; do sleep 0.05; done; echo gone",
                sshd.folder().join("go").display()
            ),
        ])
        .env("MARK", mark(sshd.folder()));
    let mut child = to_files(&mut command, sshd.folder());
    assert!(child.wait().unwrap().success());
    let running = processes(&mark(sshd.folder()));
    assert_eq!(running.len(), 1, "{running:?}");
    assert_eq!(session_and_terminal(running[0]), (running[0], 0));
    let said = || std::fs::read_to_string(sshd.folder().join("stdout")).unwrap();
    // No input, although there is a pipe that stays open.
    wait_until("the command", || said() == "0\nbegun\n");
    std::fs::write(sshd.folder().join("go"), "").unwrap();
    wait_until("its end", || processes(&mark(sshd.folder())).is_empty());
    assert_eq!(said(), "0\nbegun\ngone\n");
    assert_eq!(
        std::fs::read_to_string(sshd.folder().join("stderr")).unwrap(),
        ""
    );
}

#[test]
fn the_setting_does_the_same() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .args(["-o", "ForkAfterAuthentication=yes"])
        .args(options(&sshd))
        .args(["127.0.0.1", "echo done"])
        .env("MARK", mark(sshd.folder()));
    let mut child = to_files(&mut command, sshd.folder());
    assert!(child.wait().unwrap().success());
    wait_until("its end", || processes(&mark(sshd.folder())).is_empty());
    let said = std::fs::read_to_string(sshd.folder().join("stdout")).unwrap();
    assert_eq!(said, "done\n");
}

#[test]
fn with_n_there_is_nothing_but_the_connection() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .arg("-fN")
        .args(options(&sshd))
        .arg("127.0.0.1")
        .env("MARK", mark(sshd.folder()));
    let mut child = to_files(&mut command, sshd.folder());
    assert!(child.wait().unwrap().success());
    let running = processes(&mark(sshd.folder()));
    assert_eq!(running.len(), 1, "{running:?}");
    assert_eq!((sshd.connections(), sshd.open_sessions()), (1, 0));
    end(running[0]);
    wait_until("its end", || processes(&mark(sshd.folder())).is_empty());
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0));
}

#[test]
fn what_fails_before_is_told_by_the_status() {
    let sshd = sshd();
    let run_marked = |mut command: Command| {
        command.env("MARK", mark(sshd.folder()));
        let ran = run(command, b"");
        assert!(processes(&mark(sshd.folder())).is_empty(), "{ran:?}");
        ran
    };
    let mut command = rmux();
    command
        .arg("-f")
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.stranger_key())
        .args(["127.0.0.1", "true"]);
    let ran = run_marked(command);
    assert_eq!(ran.code(), 255);
    assert!(ran.stderr.contains("was not let in"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);

    let mut command = rmux();
    command.arg("-f").args(options(&sshd)).arg("127.0.0.1");
    let ran = run_marked(command);
    assert_eq!(ran.code(), 255);
    assert!(ran.stderr.contains("background"), "{}", ran.stderr);

    let mut command = rmux();
    command.args(["-f", "-F", "none", "-p", "0", "host", "true"]);
    let ran = run_marked(command);
    assert_eq!(ran.code(), 255);
    assert!(ran.stderr.contains("port"), "{}", ran.stderr);
}

#[test]
fn questions_are_asked_before_on_the_terminal() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .arg("-f")
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.client_key_encrypted(PASSPHRASE))
        .args(["127.0.0.1", "echo begun; sleep 0.5; echo done"])
        .env("MARK", mark(sshd.folder()));
    let mut screen = Screen::start(&command, 80, 24);
    screen.expect("Passphrase of ");
    screen.expect_no_echo();
    screen.type_in(&format!("{PASSPHRASE}\n"));
    screen.expect("ended 0");
    screen.expect("done");
    wait_until("its end", || processes(&mark(sshd.folder())).is_empty());
    assert_eq!(screen.finish().0, 0);

    // Given up instead: no process stays behind, and the terminal is as it was.
    let mut screen = Screen::start(&command, 80, 24);
    screen.expect("Passphrase of ");
    screen.expect_no_echo();
    screen.type_in("\x03");
    assert_eq!(screen.finish().0, 130);
    wait_until("its end", || processes(&mark(sshd.folder())).is_empty());
}

#[test]
fn a_signal_to_the_one_that_waits_ends_both() {
    let sshd = sshd();
    let mut command = rmux();
    command
        .arg("-f")
        .args(options_without_key(&sshd))
        .arg("-i")
        .arg(sshd.client_key_encrypted(PASSPHRASE))
        .args(["127.0.0.1", "true"])
        .env("MARK", mark(sshd.folder()));
    let screen = Screen::start(&command, 80, 24);
    screen.expect("Passphrase of ");
    screen.expect_no_echo();
    assert_eq!(processes(&mark(sshd.folder())).len(), 2);
    screen.signal(Signal::TERM);
    assert_eq!(screen.finish().0, 143);
    wait_until("its end", || processes(&mark(sshd.folder())).is_empty());
}

#[test]
fn what_it_starts_knows_nothing_of_the_background() {
    let sshd = sshd();
    let proxy = sshd.folder().join("proxy");
    let local = sshd.folder().join("local");
    let environment = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("PATH="), "{text}");
        let ours = |name: &str| std::env::var_os(name).is_some();
        let names = text.lines().filter_map(|line| line.split_once('='));
        // What the tests themselves were started with is handed on.
        let added = names.filter(|(name, _)| name.starts_with("RMUX") && !ours(name));
        added.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    for flags in [&[][..], &["-f"]] {
        let mut command = rmux();
        command
            .args(flags)
            .args(options(&sshd))
            .args(["-o", "PermitLocalCommand=yes", "-o"])
            .arg(format!("LocalCommand=env >'{}'", local.display()))
            .args(["127.0.0.1", "true"])
            .env("MARK", mark(sshd.folder()));
        assert!(
            to_files(&mut command, sshd.folder())
                .wait()
                .unwrap()
                .success()
        );
        wait_until("its end", || processes(&mark(sshd.folder())).is_empty());
        assert!(environment(&local).is_empty(), "{flags:?}");

        let mut command = rmux();
        command
            .args(flags)
            .args(["-F", "none", "-o"])
            .arg(format!("ProxyCommand=env >'{}'", proxy.display()))
            .args(["127.0.0.1", "true"]);
        assert_eq!(run(command, b"").code(), 255);
        assert!(environment(&proxy).is_empty(), "{flags:?}");
    }
}

/// The word by which a child of it is told is none for anybody else.
#[test]
fn only_a_child_of_it_takes_itself_for_one() {
    for parent in [1, std::process::id()] {
        let mut command = rmux();
        command.args([&format!("--child-of={parent}"), "-F", "none", "host"]);
        let ran = run(command, b"input");
        assert_eq!(ran.code(), 255);
        assert!(ran.stderr.contains("unknown option"), "{}", ran.stderr);
    }
}
