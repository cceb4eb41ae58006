//! `rmux run`: one command on many hosts, its output, its exit status, and that nothing is left.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rmux_testkit::embedded::EmbeddedServer;
use rmux_testkit::sshd::Sshd;
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Ran, Running, bare, run, sshd, wait_until, without_terminal};
use crate::screen::Screen;

/// `rmux run` with an `ssh_config` that names these servers, to which options, `--` and the command
/// are to be added.
fn many(servers: &[(&str, &Sshd)], more: &str) -> Command {
    let mut text = more.to_owned();
    for (name, sshd) in servers {
        text += &format!(
            "Host {name}\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n \
             UserKnownHostsFile {}\n",
            sshd.port(),
            sshd.user(),
            sshd.client_key().display(),
            sshd.known_hosts().display(),
        );
    }
    text += "Host *\n GlobalKnownHostsFile none\n IdentityAgent none\n";
    let (_, sshd) = servers[0];
    let config = sshd.folder().join("config-of-many");
    std::fs::write(&config, text).unwrap();
    let mut command = bare(Command::new(env!("CARGO_BIN_EXE_rmux")));
    command.arg("run").arg("-F").arg(config);
    command
}

/// Runs it with these words behind it.
#[track_caller]
fn ran(mut command: Command, words: &[&str]) -> Ran {
    command.args(words);
    run(without_terminal(&command), b"")
}

fn sorted(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Whether a process with this argument runs anywhere on this machine.
fn runs(argument: &str) -> bool {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|process| {
            std::fs::read(process.path().join("cmdline")).is_ok_and(|line| {
                line.split(|byte| *byte == 0)
                    .any(|word| word == argument.as_bytes())
            })
        })
}

#[test]
fn lines_stand_behind_the_name_of_their_host() {
    let (one, two) = (sshd(), sshd());
    let command = || many(&[("one", &one), ("two", &two)], "");
    // Lines come in pieces, and are whole all the same.
    let line =
        "for n in 1 2 3; do printf 'a%s' $n; sleep 0.1; echo b; done; printf end; echo e >&2";
    let ran_all = ran(command(), &["--hosts", "one,two", "--", line]);
    assert_eq!(ran_all.code(), 0, "{}", ran_all.stderr);
    let expected: Vec<String> = ["one", "two"]
        .iter()
        .flat_map(|host| ["a1b", "a2b", "a3b", "end"].map(|text| format!("{host}: {text}")))
        .collect();
    assert_eq!(sorted(&ran_all.stdout), expected);
    let errors = sorted(ran_all.stderr.as_bytes());
    assert_eq!(errors, ["one: e", "two: e"]);

    let file = one.folder().join("hosts");
    std::fs::write(&file, "# both\none\ntwo # the second\n").unwrap();
    let file = file.to_str().unwrap();
    let words = ["--hosts-file", file, "--no-prefix", "--", "echo", "a  b"];
    assert_eq!(ran(command(), &words).stdout, b"a  b\na  b\n");
    // A single host needs no name.
    assert_eq!(
        ran(command(), &["-H", "one", "--", "echo up"]).stdout,
        b"up\n"
    );
    let words = ["-H", "two,one", "--group", "--", "echo", "up"];
    let grouped = b"==> two <==\nup\n==> one <==\nup\n";
    assert_eq!(ran(command(), &words).stdout, grouped);
}

#[test]
fn the_exit_status_and_the_summary_tell_what_failed() {
    let (one, two) = (sshd(), sshd());
    let more = "Host down\n ProxyCommand false\nHost two\n SetEnv X=2\n";
    let command = || many(&[("one", &one), ("two", &two)], more);
    let words = ["-H", "one,two", "--", "exit 3"];
    let failed = ran(command(), &words);
    assert_eq!(failed.code(), 1);
    let told = sorted(failed.stderr.as_bytes());
    assert_eq!(
        told,
        [
            "rmux: 2 of 2 hosts failed:",
            "rmux: one: exit status 3",
            "rmux: two: exit status 3"
        ]
    );
    let down = ran(command(), &["-H", "one,down", "--", "exit 3"]);
    assert_eq!(down.code(), 255);
    assert!(down.stderr.contains("connect: down: "), "{}", down.stderr);

    let words = [
        "-H",
        "down,one,two",
        "-l",
        "1",
        "--fail-fast",
        "--",
        "echo no",
    ];
    let ended = ran(command(), &words);
    assert_eq!((ended.code(), ended.stdout.as_slice()), (255, &b""[..]));
    assert!(
        ended.stderr.contains("not begun, since down failed"),
        "{}",
        ended.stderr
    );

    let words = ["-H", "one", "--timeout", "2", "--", "sleep", "6411"];
    let late = ran(command(), &words);
    // Whether it had begun within that time is the machine's matter.
    assert!(matches!(late.code(), 1 | 255), "{}", late.stderr);
    wait_until("it is killed", || !runs("6411"));

    for words in [
        &["-H", ",", "--", "true"][..],
        &["--hosts-file", "/nowhere", "true"],
    ] {
        assert_eq!(ran(command(), words).code(), 255);
    }
}

#[test]
fn json_has_a_line_for_each_host() {
    let one = sshd();
    let more = "Host down\n ProxyCommand false\n";
    let command = many(&[("one", &one)], more);
    let line = r"printf 'a\nb'; printf '\377' >&2; exit 4";
    let ran = ran(command, &["-H", "one,down", "--json", "--", line]);
    assert_eq!(ran.code(), 255);
    let text = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        serde_json::json!({
            "index": 0, "host": "one", "exit_code": 4, "signal": null,
            "stdout": "a\nb", "stderr": {"base64": "/w=="}, "error": null,
        })
    );
    assert_eq!(
        (&lines[1]["host"], &lines[1]["error"]["code"]),
        (&"down".into(), &"CONNECT_FAILED".into())
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn input_is_read_only_if_asked_for_and_then_goes_to_all() {
    let (one, two) = (sshd(), sshd());
    let command = || many(&[("one", &one), ("two", &two)], "");
    let mut with = command();
    with.args(["-H", "one,two", "--stdin", "--", "cat"]);
    let ran = run(with, b"words\n");
    assert_eq!(sorted(&ran.stdout), ["one: words", "two: words"]);
    let mut without = command();
    without.args(["-H", "one,two", "--", "wc", "-c"]);
    let ran = run(without, b"words\n");
    assert_eq!(sorted(&ran.stdout), ["one: 0", "two: 0"]);
}

#[test]
fn ctrl_c_ends_the_remote_commands() {
    let (one, two) = (sshd(), sshd());
    let mut command = many(&[("one", &one), ("two", &two)], "");
    command.args(["-H", "one,two", "--", "echo up; sleep 6412; true"]);
    let running = Running::start(&mut command);
    running.expect("one: up");
    running.expect("two: up");
    let pid = Pid::from_child(&running.child);
    kill_process(pid, Signal::INT).unwrap();
    let ran = running.finish();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&ran.status),
        Some(2)
    );
    assert!(
        !runs("6412"),
        "it ends when they have ended, and not before"
    );
    assert!(ran.stderr.contains("2 of 2 hosts failed"), "{}", ran.stderr);
    let confirmed = ran.stderr.matches("the command was ended").count();
    assert_eq!(confirmed, 2, "{}", ran.stderr);
}

#[test]
fn a_second_ctrl_c_waits_for_nobody() {
    let one = sshd();
    let mut command = many(&[("one", &one)], "");
    command.args(["-H", "one", "--", "echo up; sleep 6413; true"]);
    let running = Running::start(&mut command);
    running.expect("up");
    let pid = Pid::from_child(&running.child);
    // Nobody answers, so that nothing is confirmed for long.
    one.suspend();
    kill_process(pid, Signal::INT).unwrap();
    // Two that come at once are one.
    std::thread::sleep(Duration::from_secs(1));
    let insisted = Instant::now();
    kill_process(pid, Signal::INT).unwrap();
    let ran = running.finish();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&ran.status),
        Some(2)
    );
    let took = insisted.elapsed();
    assert!(took < Duration::from_secs(8), "it waited for {took:?}");
    assert!(runs("6413"));
    one.resume();
}

#[test]
fn at_a_terminal_there_is_a_bar_and_nowhere_else() {
    let (one, two) = (sshd(), sshd());
    let mut command = many(&[("one", &one), ("two", &two)], "");
    let words = ["-H", "one,two", "--", "echo up"];
    let piped = ran(many(&[("one", &one), ("two", &two)], ""), &words);
    assert_eq!(piped.stderr, "");
    command.args(words);
    let screen = Screen::start(&command, 80, 24);
    screen.expect("hosts");
    let (code, text) = screen.finish();
    assert_eq!(code, 0);
    assert!(
        text.contains("one: up") && text.contains("two: up"),
        "{text}"
    );
}

#[test]
fn questions_come_one_after_the_other_and_name_their_host() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = || {
        runtime
            .block_on(EmbeddedServer::builder().password("open sesame").start())
            .unwrap()
    };
    let (one, two) = (start(), start());
    let folder = tempfile::tempdir().unwrap();
    let text: String = [("one", &one), ("two", &two)]
        .iter()
        .map(|(name, server)| {
            let known = folder.path().join(name);
            std::fs::write(&known, server.host_public_key_line() + "\n").unwrap();
            block(name, server, &known)
        })
        .collect();
    let config = folder.path().join("config");
    std::fs::write(
        &config,
        text + "Host *\n GlobalKnownHostsFile none\n IdentityAgent none\n IdentityFile none\n",
    )
    .unwrap();
    let mut command = bare(Command::new(env!("CARGO_BIN_EXE_rmux")));
    command.arg("run").arg("-F").arg(config);
    command.args(["-H", "one,two", "--", "echo up"]);
    let mut screen = Screen::start(&command, 80, 24);
    let mut left = vec!["@one: ", "@two: "];
    while !left.is_empty() {
        wait_until("a question", || {
            left.iter().any(|host| screen.text().contains(host))
        });
        let text = screen.text();
        let asked: Vec<_> = left
            .iter()
            .filter(|host| text.contains(**host))
            .copied()
            .collect();
        assert_eq!(asked.len(), 1, "one at a time: {text}");
        left.retain(|host| *host != asked[0]);
        screen.type_in("open sesame\n");
    }
    screen.expect("one: up");
    screen.expect("two: up");
    assert_eq!(screen.finish().0, 0);
    runtime.block_on(async {
        one.stop().await;
        two.stop().await;
    });
}

fn block(name: &str, server: &EmbeddedServer, known: &Path) -> String {
    format!(
        "Host {name}\n HostName 127.0.0.1\n Port {}\n User {}\n UserKnownHostsFile {}\n",
        server.addr().port(),
        server.user(),
        known.display(),
    )
}
