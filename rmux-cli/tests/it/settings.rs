//! `rmux ssh -G` prints what `ssh -G` prints.

use std::process::Command;

use crate::fixture::{bare, rmux, run};

/// The lists that belong to the SSH engine, which is another one.
const ENGINE: &[&str] = &[
    "casignaturealgorithms",
    "ciphers",
    "hostbasedacceptedalgorithms",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
];

const CONFIG: &str = "\
Host box
    HostName 127.0.0.1
    Port 2201
    User somebody
    IdentityFile ~/.ssh/id_%r
    ProxyJump first@one,two:2222
    SendEnv LANG LC_*
    SetEnv A=b \"C=d e\"
    LocalForward 8080 localhost:80
    ControlPath ~/.ssh/%C
Match host 127.0.0.1 user somebody
    Compression yes
    ServerAliveInterval 7
Host *
    ConnectTimeout 3
";

fn settings(mut command: Command, arguments: &[&str]) -> Vec<String> {
    command.arg("-G").args(arguments);
    let ran = run(command, b"");
    assert_eq!(ran.status.code(), Some(0), "{}", ran.stderr);
    let text = String::from_utf8(ran.stdout).unwrap();
    let key = |line: &&str| line.split(' ').next().unwrap_or_default().to_owned();
    text.lines()
        .filter(|line| !ENGINE.contains(&key(line).as_str()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_settings_are_those_of_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, CONFIG).unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        &["-F", "none", "example.com"][..],
        &["-F", file, "box"],
        &["-F", file, "-p", "99", "-l", "me", "box"],
        &["-F", file, "-o", "Port=5", "-i", "/dev/null", "other@box"],
        &["-F", "none", "-tt", "-n", "-q", "example.com"],
        &["-F", "none", "-T", "-v", "ssh://me@example.com:2222"],
        &[
            "-F",
            file,
            "-46AaCx",
            "-b",
            "127.0.0.1",
            "-B",
            "lo",
            "-e",
            "^B",
            "other",
        ],
        &[
            "-F",
            file,
            "-N",
            "-vvvv",
            "-E",
            "/dev/null",
            "other",
            "-p",
            "7",
        ],
        &[
            "-F",
            "none",
            "-fsqv",
            "-J",
            "a@b:1,c",
            "example.com",
            "sftp",
        ],
        &[
            "-F",
            "none",
            "-K",
            "-k",
            "-Y",
            "-g",
            "-M",
            "-M",
            "-S",
            "/s",
            "example.com",
        ],
        &[
            "-F",
            "none",
            "-W",
            "a:1",
            "-D",
            "1",
            "-L",
            "1:a:2",
            "-R",
            "3:b:4",
            "example.com",
        ],
        &[
            "-F",
            "none",
            "-oLogLevel=ERROR",
            "-v",
            "-w",
            "1:2",
            "-I",
            "/p",
            "example.com",
        ],
    ] {
        let ours = settings(rmux(), arguments);
        let theirs = settings(bare(Command::new("ssh")), arguments);
        assert_eq!(ours, theirs, "{arguments:?}");
        assert!(
            theirs.len() > 50,
            "{arguments:?}: {} settings",
            theirs.len()
        );
    }
}

#[test]
fn a_configuration_that_ssh_refuses_is_refused() {
    let mut command = rmux();
    command.args(["-G", "-F", "none", "-o", "Frobnicate=yes", "host"]);
    let ran = run(command, b"");
    assert_eq!(ran.status.code(), Some(255));
    assert_eq!(ran.stdout, b"");
    assert!(ran.stderr.contains("frobnicate"), "{}", ran.stderr);
}
