//! Commands longer than Linux allows for one argument: they travel in front of the input.

use std::time::Duration;

use rmux_core::Session;
use rmux_testkit::sshd::Sshd;

use crate::fixture::{eventually, runs, session, within};

const LIMIT: Duration = Duration::from_secs(60);

/// The account's shell is the first, and `sh` is the second.
fn server(folder: &std::path::Path, shell: &str, sh: &str) -> Sshd {
    let link = folder.join("sh");
    let script = format!("#!/bin/sh\nexec {sh} \"$@\"\n");
    std::fs::write(&link, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&link, executable).unwrap();
    Sshd::builder()
        .option(
            "ForceCommand",
            &format!(
                "PATH={}:$PATH; SHELL=$(command -v {shell}); export PATH SHELL; \
                 exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"",
                folder.display()
            ),
        )
        .start()
}

/// More than two arguments' worth of words, with all bytes but NUL among them.
fn words() -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = (1..=255).collect();
    let mut words = vec![bytes.repeat(400), b"-n".to_vec(), b"".to_vec()];
    words.extend((0..1500).map(|i| format!("{i} {}", "x'\\\n%s".repeat(100)).into_bytes()));
    words
}

async fn arguments_arrive(session: &Session, what: &str) {
    use std::os::unix::ffi::OsStrExt as _;
    let words = words();
    let mut expected = Vec::new();
    for word in &words {
        expected.extend_from_slice(word);
        expected.push(0);
    }
    for guarded in [false, true] {
        let mut command = session.command("sh");
        command
            .args([
                "-c",
                "printf '%s\\0' \"$@\"; cat; echo err >&2; exit 5",
                "sh",
            ])
            .args(words.iter().map(|word| std::ffi::OsStr::from_bytes(word)))
            .current_dir("/usr")
            .input("the input\n\n")
            .kill_on_drop(guarded);
        let output = within(LIMIT, what, command.output()).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "err\n", "{what}");
        assert_eq!(output.status.code(), Some(5), "{what}");
        let (got, rest) = output
            .stdout
            .split_at(expected.len().min(output.stdout.len()));
        assert!(got == expected, "{what}: the arguments differ");
        assert_eq!(rest, b"the input\n\n", "{what}");
    }
}

#[tokio::test]
async fn long_arguments_arrive_whatever_sh_is_and_the_input_begins_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    for sh in ["dash", "bash", "busybox sh"] {
        let sshd = server(folder.path(), "bash", sh);
        arguments_arrive(&session(&sshd).await, sh).await;
    }
}

#[tokio::test]
async fn long_lines_run_in_every_account_s_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["sh", "bash", "zsh", "fish"] {
        let sshd = server(folder.path(), shell, "dash");
        let session = session(&sshd).await;
        // Each of them knows these spellings.
        let line = format!("{}cat; echo 'end'", "echo 'a word';".repeat(12_000));
        let mut command = session.shell(&line);
        command.input("in\n").kill_on_drop(true);
        let output = within(LIMIT, shell, command.output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, "", "{shell}");
        let expected = "a word\n".repeat(12_000) + "in\nend\n";
        assert!(
            output.stdout == expected.as_bytes(),
            "{shell}: {} bytes, {}",
            output.stdout.len(),
            output.status
        );
    }
}

#[tokio::test]
async fn a_shell_that_cannot_read_long_lines_is_not_given_any() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["csh", "tcsh"] {
        let sshd = server(folder.path(), shell, "dash");
        let session = session(&sshd).await;
        let command = session.shell("echo 'a word';".repeat(12_000));
        let output = within(LIMIT, shell, command.output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, format!("{shell} reads no line of this length\n"));
        assert_eq!(output.status.code(), Some(126));
        assert!(output.stdout.is_empty());
        // Arguments are not read by it.
        let long = session
            .command("sh")
            .args(["-c", "echo ${#1}", "sh"])
            .arg("x".repeat(100_000))
            .arg("y".repeat(100_000))
            .clone();
        let output = within(LIMIT, shell, long.output()).await.unwrap();
        assert_eq!(output.stdout, b"100000\n", "{shell}");
    }
}

#[tokio::test]
async fn variables_that_the_server_does_not_take_may_be_long() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.command("sh");
    command.args(["-c", "echo ${#A} ${#B}"]);
    command
        .env("A", "a".repeat(100_000))
        .env("B", "b".repeat(100_000));
    let output = within(LIMIT, "a program", command.output()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "100000 100000\n");
    let mut command = session.shell("echo ${#A} ${#B}");
    command
        .env("A", "a".repeat(100_000))
        .env("B", "b".repeat(100_000));
    let output = within(LIMIT, "a line", command.output()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "100000 100000\n");
}

#[tokio::test]
async fn what_no_kernel_takes_is_a_status_and_a_message() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut whole = session.command("true");
    whole.args(vec!["x".repeat(100_000); 60]);
    let mut one = session.command("printf");
    one.args(["%s", &"x".repeat(200_000)]);
    for command in [whole, one] {
        let output = within(LIMIT, "the refusal", command.output())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(126), "{said}");
        assert!(said.contains("too long"), "{said}");
        let error = output.check().unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }
}

#[tokio::test]
async fn a_long_command_leaves_no_process_behind_and_can_be_killed() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell(format!("{}exec sleep 6190", ": a word;".repeat(16_000)));
    let child = command.kill_on_drop(true).spawn().await.unwrap();
    eventually(LIMIT, "it runs", || runs("6190")).await;
    drop(child);
    eventually(LIMIT, "it is gone", || !runs("6190")).await;
}
