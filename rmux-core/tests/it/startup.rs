//! What start-up files print is no output, whatever the account's shell is.

use std::time::{Duration, Instant};

use rmux_core::{Command, Session};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt as _;

use crate::fixture::{session, within};

const LIMIT: Duration = Duration::from_secs(60);

/// Each shell, and the file that it reads before it runs a line. `sh` reads none, so that it is
/// given one.
const SHELLS: [(&str, &str); 6] = [
    ("sh", ""),
    ("bash", ".bashrc"),
    ("zsh", ".zshenv"),
    ("fish", ".config/fish/config.fish"),
    ("csh", ".cshrc"),
    ("tcsh", ".tcshrc"),
];

/// Prints the file `noise` on both streams, in every shell.
const RC: &str = "cat $HOME/noise; sh -c 'cat $HOME/noise >&2'\n";

/// A server whose account has this shell, with a start-up file.
fn server(shell: &str, file: &str, rc: &str) -> Sshd {
    let before = match file {
        "" => ". \"$HOME/rc\"; ",
        _ => "",
    };
    let sshd = Sshd::builder()
        .option(
            "ForceCommand",
            &format!(
                "{before}SHELL=$(command -v {shell}); export SHELL; \
                 exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""
            ),
        )
        .start();
    let path = home(&sshd).join(if file.is_empty() { "rc" } else { file });
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, rc).unwrap();
    set_noise(&sshd, b"");
    sshd
}

fn home(sshd: &Sshd) -> std::path::PathBuf {
    sshd.folder().join("home")
}

fn set_noise(sshd: &Sshd, noise: &[u8]) {
    std::fs::write(home(sshd).join("noise"), noise).unwrap();
}

async fn is_clean(command: &Command, what: &str) {
    let output = within(LIMIT, what, command.output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let said = &said[..said.len().min(300)];
    assert_eq!(output.stderr, b"err\n", "{what}: {said:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    let said = &said[..said.len().min(300)];
    assert_eq!(output.stdout, b"out", "{what}: {said:?}");
    assert_eq!(output.status.code(), Some(7), "{what}");
}

/// The same command in each of its forms.
fn forms(session: &Session) -> Vec<(&'static str, Command)> {
    let script = "printf out; echo err >&2; exit 7";
    let line = format!("sh -c '{script}'");
    let mut program = session.command("sh");
    program.args(["-c", script]);
    let mut all = Vec::new();
    for (name, command) in [("program", program), ("line", session.shell(line))] {
        let mut guarded = command.clone();
        guarded.kill_on_drop(true);
        let mut elsewhere = guarded.clone();
        elsewhere.current_dir("/usr").env("RMUX_NOT_TAKEN", "a b");
        let mut moved = command.clone();
        moved.current_dir("/usr");
        all.push((name, command));
        all.push((name, guarded));
        all.push((name, elsewhere));
        all.push((name, moved));
    }
    all
}

#[tokio::test]
async fn what_start_up_files_print_is_no_output_in_any_login_shell() {
    let mut noises: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"welcome\n".to_vec(),
        b"no end of line".to_vec(),
        b"rmux-pid-rmux-pid-0123456789abcdef\nrmux-pid-".to_vec(),
        (0..=255).collect(),
    ];
    noises.push("0123456789abcde\n".repeat(20_000).into_bytes());
    for (shell, file) in SHELLS {
        let sshd = server(shell, file, RC);
        for noise in &noises {
            set_noise(&sshd, noise);
            let session = crate::fixture::session(&sshd).await;
            for (index, (name, command)) in forms(&session).iter().enumerate() {
                let what = format!("{shell}, {name} {index}, {} bytes", noise.len());
                is_clean(command, &what).await;
            }
        }
        // The noise is real: who asks for all of it gets it.
        set_noise(&sshd, b"welcome\n");
        let session = crate::fixture::session(&sshd).await;
        let mut all = session.shell("printf out");
        let output = all.verbatim(true).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.ends_with("welcome\nout"), "{shell}: {said:?}");
        assert!(output.stderr.ends_with(b"welcome\n"), "{shell}");
    }
}

#[tokio::test]
async fn a_line_runs_in_its_directory_or_not_at_all_in_any_login_shell() {
    for (shell, file) in SHELLS {
        let sshd = server(shell, file, "");
        let session = session(&sshd).await;
        let inside = home(&sshd).join("it's ! \\ a $dir");
        std::fs::create_dir(&inside).unwrap();
        let mut command = session.shell("pwd; pwd");
        command.current_dir(&inside);
        let output = command.output().await.unwrap();
        let expected = format!("{0}\n{0}\n", inside.display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{shell}");
        let mut command = session.shell("echo ran; echo ran");
        command.current_dir("/no/such/place");
        let output = command.output().await.unwrap();
        assert!(!output.status.success(), "{shell}");
        assert!(!output.stdout.ends_with(b"ran\n"), "{shell}");
        assert!(!output.stderr.is_empty(), "{shell}");
    }
}

#[tokio::test]
async fn start_up_files_that_read_take_no_more_of_the_input_than_with_ssh() {
    for (shell, file) in [("sh", ""), ("bash", ".bashrc"), ("zsh", ".zshenv")] {
        let sshd = server(shell, file, "read -r line; echo \"got $line\"\n");
        let session = session(&sshd).await;
        for (name, mut command) in [
            ("program", session.command("cat")),
            ("line", session.shell("cat")),
        ] {
            for guarded in [false, true] {
                command.input("one\ntwo\nthree\nfour\nfive");
                let ssh = command.verbatim(true).output().await.unwrap();
                let ssh = String::from_utf8_lossy(&ssh.stdout).into_owned();
                let left = ssh.lines().filter(|line| !line.starts_with("got "));
                let left: Vec<&str> = left.collect();
                assert!(left.len() < 5, "{shell} reads nothing: {ssh:?}");
                command.verbatim(false).kill_on_drop(guarded);
                let output = within(LIMIT, name, command.output()).await.unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                assert_eq!(said, left.join("\n"), "{shell}, {name}, guarded: {guarded}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_runs_something_else_is_heard_all_the_same() {
    let sshd = Sshd::builder()
        .option(
            "ForceCommand",
            "echo first; echo err >&2; read -r x; echo second",
        )
        .start();
    let session = session(&sshd).await;
    let mut command = session.command("whatever");
    command.input("x\n");
    let output = within(LIMIT, "its end", command.output()).await.unwrap();
    assert_eq!(output.stdout, b"first\nsecond\n");
    assert_eq!(output.stderr, b"err\n");

    // One that goes on is waited for once.
    for known in [false, true] {
        let mut child = session.command("whatever").spawn().await.unwrap();
        let start = Instant::now();
        let stdout = child.stdout.as_mut().unwrap();
        let first = within(LIMIT, "its output", stdout.chunk()).await.unwrap();
        assert_eq!(first.as_deref(), Some(&b"first\n"[..]));
        if !known {
            assert!(start.elapsed() > Duration::from_secs(5), "it was not held");
        }
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"x\n").await.unwrap();
        drop(stdin);
        let output = within(LIMIT, "its end", child.wait_with_output())
            .await
            .unwrap();
        assert_eq!(output.stdout, b"second\n");
        assert_eq!(output.stderr, b"err\n");
    }
}

#[tokio::test]
async fn noise_that_comes_late_is_noticed() {
    let sshd = server("bash", ".bashrc", RC);
    let session = session(&sshd).await;
    for noise in [&b""[..], b"", b"now\n", b"now\n", b""] {
        set_noise(&sshd, noise);
        // The first noisy command may show it on standard error, where a quiet shell is not marked.
        let output = session.command("true").output().await.unwrap();
        assert_eq!(output.stdout, b"");
    }
    set_noise(&sshd, b"now\n");
    for (name, command) in forms(&session) {
        is_clean(&command, name).await;
    }
}
