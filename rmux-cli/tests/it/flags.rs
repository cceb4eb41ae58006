//! The options of `rmux ssh` beside the stock `ssh`'s: the same options, the same effect.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;
use rustix::process::{Pid, Signal};

use crate::fixture::{Ran, Running, bare, options, rmux, run, sshd};
use crate::screen::Screen;

/// Both programs with these arguments before the destination, and behind it.
fn both(sshd: &Sshd, before: &[&str], after: &[&str]) -> [Ran; 2] {
    [bare(Command::new("ssh")), rmux()].map(|mut command| {
        command
            .args(before)
            .args(options(sshd))
            .arg("127.0.0.1")
            .args(after);
        run(command, b"")
    })
}

/// Both must end well and print the same; what they print is returned.
#[track_caller]
fn agreed(sshd: &Sshd, before: &[&str], after: &[&str]) -> String {
    let [ssh, ours] = both(sshd, before, after);
    assert_eq!(ssh.code(), 0, "{before:?}: {ssh:?}");
    assert_eq!(ours.code(), 0, "{before:?}: {ours:?}");
    let text = |ran: &Ran| String::from_utf8(ran.stdout.clone()).unwrap();
    assert_eq!(text(&ssh), text(&ours), "{before:?}");
    text(&ours)
}

/// Both must refuse.
#[track_caller]
fn refused(sshd: &Sshd, before: &[&str], after: &[&str]) -> String {
    let [ssh, ours] = both(sshd, before, after);
    assert_eq!(
        (ssh.code(), ours.code()),
        (255, 255),
        "{before:?}: {ours:?}"
    );
    assert!(ours.stderr.starts_with("rmux: "), "{before:?}: {ours:?}");
    assert_eq!(ours.stderr.lines().count(), 1, "{before:?}: {ours:?}");
    ours.stderr.clone()
}

#[test]
fn the_way_to_the_server() {
    let sshd = sshd();
    let from = ["echo ${SSH_CLIENT%% *}"];
    assert_eq!(agreed(&sshd, &["-4"], &from), "127.0.0.1\n");
    assert_eq!(agreed(&sshd, &["-b", "127.0.0.9"], &from), "127.0.0.9\n");
    assert_eq!(agreed(&sshd, &["-B", "lo"], &from), "127.0.0.1\n");
    refused(&sshd, &["-6"], &from);
    refused(&sshd, &["-B", "no-such-interface"], &from);
    // The last one counts.
    assert_eq!(agreed(&sshd, &["-6", "-4"], &from), "127.0.0.1\n");
}

#[test]
fn the_algorithms() {
    let sshd = Sshd::builder().log_channels().start();
    let log = |sshd: &Sshd| sshd.log();
    for (before, negotiated) in [
        (
            &["-c", "aes256-ctr", "-m", "hmac-sha2-512"][..],
            "cipher: aes256-ctr MAC: hmac-sha2-512 compression: none",
        ),
        (
            &["-C", "-c", "aes128-gcm@openssh.com"],
            "cipher: aes128-gcm@openssh.com MAC: <implicit> compression: zlib@openssh.com",
        ),
    ] {
        let mut command = rmux();
        command
            .args(before)
            .args(options(&sshd))
            .args(["127.0.0.1", "true"]);
        let before = log(&sshd).len();
        assert_eq!(run(command, b"").code(), 0);
        let said = log(&sshd)[before..].to_owned();
        assert!(said.contains(negotiated), "{negotiated}: {said}");
    }
    for wrong in [&["-c", "no-such-cipher"][..], &["-m", "no-such-mac"]] {
        refused(&sshd, wrong, &["true"]);
    }
}

#[test]
fn what_is_run() {
    let sshd = sshd();
    agreed(&sshd, &["-o", "RemoteCommand=echo %r by %n"], &[]);
    let said = refused(&sshd, &["-o", "RemoteCommand=echo"], &["true"]);
    assert!(said.contains("RemoteCommand"), "{said}");
    agreed(&sshd, &["-o", "StdinNull=yes"], &["wc -c"]);
    agreed(&sshd, &["-o", "SessionType=default"], &["echo", "command"]);
    refused(&sshd, &["-s"], &[]);
    refused(&sshd, &["-s"], &["no-such-subsystem"]);
    refused(&sshd, &["-N", "-s"], &["sftp"]);
    refused(&sshd, &["-f"], &[]);
    refused(&sshd, &["-e", "abc"], &["true"]);
}

#[test]
fn a_subsystem_is_spoken_to() {
    let sshd = sshd();
    for option in [&["-s"][..], &["-o", "SessionType=subsystem"]] {
        let answers = [bare(Command::new("ssh")), rmux()].map(|mut command| {
            let mut child = command
                .args(option)
                .args(options(&sshd))
                .args(["127.0.0.1", "sftp"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let mut stdout = child.stdout.take().unwrap();
            // SSH_FXP_INIT of version 3; the answer is SSH_FXP_VERSION. Its end comes after the
            // answer: the server gives none to who is gone.
            stdin.write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).unwrap();
            let mut answer = [0; 9];
            stdout.read_exact(&mut answer).unwrap();
            drop(stdin);
            assert!(child.wait().unwrap().success());
            answer
        });
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[1][4..9], [2, 0, 0, 0, 3]);
    }
}

#[test]
fn sftp_and_scp_run_over_it() {
    let sshd = sshd();
    let program = crate::fixture::script(
        &sshd.folder().join("rmux-ssh"),
        &format!("exec '{}' ssh \"$@\"", env!("CARGO_BIN_EXE_rmux")),
    );
    let from = sshd.folder().join("from");
    std::fs::write(&from, vec![7; 300_000]).unwrap();
    let to = sshd.home().join("to");
    for legacy in [&[][..], &["-O"]] {
        let mut options = options(&sshd);
        let at = options.iter().position(|word| word == "-p").unwrap();
        options[at] = "-P".into();
        let at = options.iter().position(|word| word == "-l").unwrap();
        options.drain(at..at + 2);
        let mut command = bare(Command::new("scp"));
        command
            .arg("-S")
            .arg(&program)
            .args(legacy)
            .args(options)
            .arg(&from)
            .arg(format!("{}@127.0.0.1:{}", sshd.user(), to.display()));
        let ran = run(command, b"");
        assert_eq!(ran.code(), 0, "{legacy:?} {ran:?}");
        assert_eq!(std::fs::read(&to).unwrap(), vec![7; 300_000]);
        std::fs::remove_file(&to).unwrap();
    }
}

#[test]
fn with_dash_n_nothing_runs_until_it_is_ended() {
    let sshd = sshd();
    for options_before in [&["-N"][..], &["-o", "SessionType=none"]] {
        for signal in [Signal::INT, Signal::TERM] {
            let mut command = rmux();
            command
                .args(options_before)
                .args(options(&sshd))
                .arg("127.0.0.1");
            let running = Running::start(command.stdin(Stdio::null()));
            let pid = Pid::from_child(&running.child);
            assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 1));
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(sshd.open_sessions(), 0);
            rustix::process::kill_process(pid, signal).unwrap();
            let code = running.finish().status;
            // Before the login is over, it is the signal that ends it.
            assert_eq!(code.code(), Some(255), "{signal:?} {code:?}");
            assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0));
        }
    }
    let mut command = rmux();
    command.arg("-N").args(options(&sshd)).arg("127.0.0.1");
    let running = Running::start(command.stdin(Stdio::null()));
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 1));
    std::thread::sleep(Duration::from_millis(300));
    sshd.kill_connections();
    let ran = running.finish();
    assert_eq!(ran.code(), 255);
    assert!(ran.stderr.contains("127.0.0.1"), "{ran:?}");
}

#[test]
fn a_jump_goes_through_another_host() {
    let [inner, outer] = [sshd(), sshd()];
    // As with ssh -J, the host on the way is known by its own settings.
    let config = outer.folder().join("config");
    let text = |sshd: &Sshd, name: &str| {
        format!(
            "Host {name}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  \
             UserKnownHostsFile {}\n",
            sshd.port(),
            sshd.user(),
            sshd.client_key().display(),
            sshd.known_hosts().display()
        )
    };
    let all = "Host *\n  IdentitiesOnly yes\n  IdentityAgent none\n  GlobalKnownHostsFile none\n";
    std::fs::write(
        &config,
        text(&inner, "inner") + &text(&outer, "outer") + all,
    )
    .unwrap();
    let command = |arguments: &[&str]| {
        let mut command = rmux();
        command.arg("-F").arg(&config).args(arguments);
        command
    };
    let ran = run(command(&["-J", "outer", "inner", "echo there"]), b"");
    assert_eq!(
        (ran.code(), &ran.stdout[..]),
        (0, &b"there\n"[..]),
        "{ran:?}"
    );
    assert_eq!(outer.connections_accepted(), 1);
    for wrong in [
        &["-J", "outer", "-J", "outer", "inner", "true"][..],
        &["-o", "ProxyCommand=true", "-J", "outer", "inner", "true"],
    ] {
        let ran = run(command(wrong), b"");
        assert_eq!(ran.code(), 255, "{ran:?}");
        assert!(ran.stderr.contains("-J"), "{ran:?}");
    }
}

#[test]
fn the_agent_is_lent_when_asked_for() {
    let sshd = sshd();
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let keys = |before: &[&str]| {
        let counted = [bare(Command::new("ssh")), rmux()].map(|mut command| {
            command
                // Before the fixture's own, so that it wins.
                .args(["-o", "IdentityAgent=SSH_AUTH_SOCK"])
                .args(before)
                .args(options(&sshd))
                .args(["127.0.0.1", "ssh-add -L 2>/dev/null | wc -l"])
                .env("SSH_AUTH_SOCK", agent.socket());
            let ran = run(command, b"");
            assert_eq!(ran.code(), 0, "{ran:?}");
            String::from_utf8(ran.stdout).unwrap().trim().to_owned()
        });
        assert_eq!(counted[0], counted[1], "{before:?}");
        counted[1].clone()
    };
    assert_eq!(keys(&["-A"]), "1");
    assert_eq!(keys(&["-o", "ForwardAgent=yes"]), "1");
    assert_eq!(keys(&["-o", "ForwardAgent=$SSH_AUTH_SOCK"]), "1");
    assert_eq!(keys(&[]), "0");
    assert_eq!(keys(&["-A", "-a"]), "0");
    assert_eq!(keys(&["-a", "-A"]), "1");
}

#[test]
fn what_rmux_does_not_do_is_refused_but_for_its_settings() {
    for (arguments, said) in [
        (&["-K"][..], "GSSAPI"),
        (&["-k"], "GSSAPI"),
        (&["-X"], "X11"),
        (&["-Y"], "X11"),
        (&["-w", "1"], "not supported yet"),
        (&["-O", "forward"], "not supported yet"),
        (&["-O", "dance"], "there is no order"),
        (&["-I", "/p"], "PKCS#11"),
    ] {
        let with = |first: &[&str]| {
            let mut command = rmux();
            command
                .args(first)
                .args(["-F", "none"])
                .args(arguments)
                .args(["no-such-host.invalid", "true"]);
            run(command, b"")
        };
        let ran = with(&[]);
        assert_eq!(
            (ran.code(), ran.stderr.lines().count()),
            (255, 1),
            "{ran:?}"
        );
        assert!(ran.stderr.contains(arguments[0]), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
        assert_eq!(with(&["-G"]).code(), 0, "{arguments:?}");
    }
}

#[test]
fn the_lists_of_algorithms_are_printed() {
    let list = |query: &[&str]| {
        let mut command = rmux();
        command.arg("-Q").args(query);
        run(command, b"")
    };
    let names = |query: &str| {
        let ran = list(&[query]);
        assert_eq!((ran.code(), &ran.stderr[..]), (0, ""), "{query}");
        let text = String::from_utf8(ran.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for query in names("help") {
        assert!(!names(&query).is_empty(), "{query}");
    }
    assert!(names("cipher").contains(&"aes128-gcm@openssh.com".to_owned()));
    assert_eq!(names("Ciphers"), names("cipher"));
    assert!(
        names("key-cert")
            .iter()
            .all(|name| name.contains("-cert-v01@"))
    );
    assert!(
        names("key-plain")
            .iter()
            .all(|name| !name.contains("-cert-"))
    );
    assert!(names("sig").contains(&"rsa-sha2-512".to_owned()));
    assert!(!names("key").contains(&"rsa-sha2-512".to_owned()));
    // No destination is needed, and what follows is not looked at.
    assert_eq!(list(&["mac", "-Z"]).code(), 0);
    let ran = list(&["nonsense"]);
    assert_eq!(ran.code(), 255);
    assert!(ran.stderr.contains("nonsense"), "{ran:?}");
    assert_eq!(ran.stdout, b"");
}

/// Every name that is printed can be used.
#[test]
fn what_is_listed_can_be_asked_for() {
    for (query, option) in [("cipher", "-c"), ("mac", "-m")] {
        let mut command = rmux();
        command.args(["-Q", query]);
        let listed = run(command, b"").stdout;
        for name in String::from_utf8(listed).unwrap().lines() {
            let mut command = rmux();
            command.args(["-G", "-F", "none", option, name, "host"]);
            let ran = run(command, b"");
            assert_eq!(ran.code(), 0, "{name}: {ran:?}");
            let setting = format!("{query}s {name}\n");
            let printed = String::from_utf8(ran.stdout).unwrap();
            assert!(printed.contains(&setting), "{name}");
        }
    }
}

#[test]
fn a_terminal_that_the_server_refuses_is_gone_without_unless_asked_for() {
    let sshd = Sshd::builder()
        .option("PermitTTY", "no")
        .option("SetEnv", "SHLVL=2")
        .start();
    for insists in ["-tt", "-oRequestTTY=force"] {
        let said = refused(&sshd, &[insists], &["true"]);
        assert!(said.contains("terminal"), "{said}");
    }
    for program in [bare(Command::new("ssh")), rmux()] {
        let mut command = program;
        command.args(options(&sshd)).arg("127.0.0.1");
        let mut screen = Screen::start(&command, 80, 24);
        assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.open_sessions() == 1));
        screen.type_in("tty; exit 6\n");
        let (code, text) = screen.finish();
        assert_eq!(code, 6, "{text}");
        assert!(text.contains("not a tty"), "{text}");
    }
}
