//! Words survive every login shell.
//!
//! sshd runs `SHELL -c LINE`. These tests do the same with the line that rmux sends, caught by a
//! forced command in place of the account's shell.

use rmux_testkit::sshd::Sshd;

use crate::fixture::session;

/// Without their start-up files, which belong to whoever runs the tests.
const SHELLS: [&str; 6] = [
    "sh",
    "bash --norc",
    "zsh -f",
    "fish --no-config",
    "csh -f",
    "tcsh -f",
];

const WORDS: &[&str] = &[
    "",
    " ",
    "plain",
    "two words",
    "it's",
    "''",
    "\"double\"",
    "back\\slash",
    "\\",
    "ends in \\",
    "\\'",
    "a\\nb",
    "$HOME ${HOME} $(id) `id`",
    "!event !! !$",
    "bang!",
    "*",
    "[a-z]?",
    "{a,b}",
    "~",
    "~root",
    "=ls",
    "^caret^",
    "%self",
    "#comment",
    ";&|<>()",
    "a\nb",
    "\n",
    "ends in newline\n",
    "tab\tand\rreturn",
    "\u{1b}[31m\u{7}",
    "ünïcödé 漢字 🦀",
    "-n",
    "--",
    "a=b",
    "@home",
    "x'\\!\"$`y",
];

#[tokio::test]
async fn words_survive_every_login_shell() {
    for shell in SHELLS {
        // The forced command stands where sshd would start the account's shell.
        let sshd = Sshd::builder()
            .option(
                "ForceCommand",
                &format!("exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""),
            )
            .start();
        let session = session(&sshd).await;
        let version = session.shell("echo it runs").output().await.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&version.stdout),
            "it runs\n",
            "{shell} cannot be started (is it installed?): {}",
            String::from_utf8_lossy(&version.stderr)
        );
        for word in WORDS {
            let output = session
                .command("/usr/bin/printf")
                .args(["%s|%s|%s\\0", "first", word, "last"])
                .output()
                .await
                .unwrap();
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                format!("first|{word}|last\0"),
                "{shell}, {word:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let all = session
            .command("/usr/bin/printf")
            .arg("%s\\0")
            .args(WORDS)
            .env("RMUX_WORD", WORDS.concat())
            .current_dir("/tmp")
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let expected: String = WORDS.iter().map(|word| format!("{word}\0")).collect();
        assert_eq!(
            String::from_utf8_lossy(&all.stdout),
            expected,
            "{shell}, all at once"
        );
        assert_eq!(String::from_utf8_lossy(&all.stderr), "", "{shell}");

        // Signals and the way a command ends are the command's own, not the shell's.
        let ended = session
            .command("sh")
            .args(["-c", "kill -TERM $$"])
            .output()
            .await
            .unwrap();
        let signal = ended.status.signal().map(|signal| signal.name().to_owned());
        assert!(
            signal.as_deref() == Some("TERM") || ended.status.code() == Some(128 + 15),
            "{shell}: {}",
            ended.status
        );
        let missing = session.command("no-such-program").output().await.unwrap();
        assert!(!missing.status.success(), "{shell}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf8_survive_too() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let word: Vec<u8> = (1..=255).collect();
    let output = session
        .command("/usr/bin/printf")
        .arg("%s")
        .arg(OsStr::from_bytes(&word))
        .output()
        .await
        .unwrap();
    assert_eq!(output.stdout, word);
}
