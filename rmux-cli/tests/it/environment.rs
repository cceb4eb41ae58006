//! `rmux env` prints commands that every kind of shell reads as the same variables.

use std::process::Command;

use crate::fixture::{bare, run};

const CONFIG: &str = r#"
Host box
    HostName 127.0.0.1
    Port 2201
    User somebody
    SetEnv EDITOR_REMOTE=true "AWKWARD=it's $HOME \"x\" \\ `id` !x;" no-name=x
"#;
const AWKWARD: &str = "it's $HOME \"x\" \\ `id` !x;";

fn env(arguments: &[&str]) -> crate::fixture::Ran {
    let mut command = bare(Command::new(env!("CARGO_BIN_EXE_rmux")));
    command.arg("env").args(arguments);
    run(command, b"")
}

#[test]
fn each_kind_of_shell_reads_the_same_variables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, CONFIG).unwrap();
    let file = file.to_str().unwrap();
    for (name, shell) in [
        ("sh", "sh"),
        ("sh", "bash"),
        ("sh", "zsh -f"),
        ("fish", "fish --no-config"),
        ("csh", "csh -f"),
        ("csh", "tcsh -f"),
    ] {
        let ran = env(&["--shell", name, "-F", file, "-p", "99", "box"]);
        assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("no-name"), "{}", ran.stderr);
        let script = folder.path().join("script");
        let printing = "sh -c 'printf \"%s|\" \"$RMUX_HOST\" \"$RMUX_HOSTNAME\" \"$RMUX_USER\" \
                        \"$RMUX_PORT\" \"$EDITOR_REMOTE\" \"$AWKWARD\"'\n";
        let text = [&ran.stdout[..], printing.as_bytes()].concat();
        std::fs::write(&script, text).unwrap();
        let mut words = shell.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(&script);
        let read = run(command, b"");
        assert_eq!(
            String::from_utf8_lossy(&read.stdout),
            format!("box|127.0.0.1|somebody|99|true|{AWKWARD}|"),
            "{shell}: {}",
            read.stderr
        );
    }
    let ran = env(&["box", "-F", file, "-oSetEnv=A=b", "--json"]);
    let read: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let expected = serde_json::json!({
        "RMUX_HOST": "box",
        "RMUX_HOSTNAME": "127.0.0.1",
        "RMUX_USER": "somebody",
        "RMUX_PORT": "2201",
        "A": "b",
    });
    assert_eq!(read, expected);
}

#[test]
fn it_refuses_what_it_cannot_do() {
    for (arguments, why) in [
        (&["-F", "none"][..], "a destination is missing"),
        (&["-F", "none", "host", "ls"], "no command"),
        (&["--shell", "rc", "host"], "\"rc\""),
        (&["--shell"], "takes a value"),
        (&["-F", "/no/such/file", "host"], "/no/such/file"),
    ] {
        let ran = env(arguments);
        assert_eq!(ran.status.code(), Some(255), "{arguments:?}");
        assert!(ran.stderr.contains(why), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{arguments:?}");
    }
    let help = env(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("RMUX_HOSTNAME"));
}
