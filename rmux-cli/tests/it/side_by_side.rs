//! The same arguments given to the stock `ssh` and to `rmux ssh`: the same output and status.

use std::process::Command;

use rmux_testkit::sshd::Sshd;

use crate::fixture::{Ran, bare, options, rmux, run, sshd};

/// What is compared of standard error.
#[derive(Clone, Copy, PartialEq)]
enum Errors {
    /// All of it.
    Same,
    /// The programs speak for themselves there; but either both say something or neither.
    Worded,
}

struct Case {
    before: &'static [&'static str],
    destination: &'static str,
    after: &'static [&'static str],
    input: &'static [u8],
    errors: Errors,
}

const fn case(before: &'static [&'static str], after: &'static [&'static str]) -> Case {
    Case {
        before,
        destination: "127.0.0.1",
        after,
        input: b"",
        errors: Errors::Same,
    }
}

const fn worded(before: &'static [&'static str], after: &'static [&'static str]) -> Case {
    Case {
        errors: Errors::Worded,
        ..case(before, after)
    }
}

const CASES: &[Case] = &[
    case(&[], &["true"]),
    case(&[], &["exit 9"]),
    case(&[], &["exit", "9"]),
    case(&[], &["echo", "a  b", "", "c", "$HOME", "'q  q'", "*"]),
    case(&[], &["printf", "'%s|'", "\"a b\"", "c\\ d", "-x"]),
    case(&[], &["echo out; echo err >&2; exit 3"]),
    case(&[], &["printf 'no end of line'"]),
    case(&[], &["printf '\\001\\377\\000\\n'"]),
    case(&[], &["kill -TERM $$"]),
    case(&[], &["kill -KILL $$"]),
    case(&[], &["no-such-program-anywhere"]),
    case(&[], &["exec 1>&-; echo late >&2; exit 6"]),
    case(&[], &["(sleep 0.3; echo later) & exit 2"]),
    case(&[], &["-n", "cat"]),
    case(&[], &["-p", "1", "-q", "echo", "first port wins"]),
    case(&[], &["--", "echo", "-q"]),
    case(&[], &["echo", "--", "-q"]),
    case(&[], &["-x", "-a", "echo", "plain"]),
    case(&["-n"], &["wc -c"]),
    case(&["-qT"], &["tty"]),
    case(&["-q", "-t"], &["tty"]),
    case(
        &["-qtt"],
        &["test -t 0 && test -t 1 && test -t 2; echo $?; stty size"],
    ),
    case(&["-o", "RequestTTY=no"], &["tty"]),
    case(&["-oLogLevel ERROR", "-o User=nobody-at-all"], &["id -un"]),
    case(&["-4", "-x", "-a", "-2"], &["echo", "flags"]),
    case(
        &["-C", "-c", "aes128-ctr", "-m", "hmac-sha2-256"],
        &["echo", "algorithms"],
    ),
    case(&["-o", "RequestTTY=force", "-q"], &["test -t 0; echo $?"]),
    case(&["-o", "RequestTTY=force", "-T"], &["test -t 0; echo $?"]),
    case(&["-o", "StdinNull=yes"], &["wc -c"]),
    case(&["-o", "RemoteCommand=echo %r", "-T"], &[]),
    case(&["-o", "RemoteCommand=echo remote; exit 7", "-T"], &[]),
    case(&["-o", "SetEnv=LC_RMUX=here"], &["echo \"<$LC_RMUX>\""]),
    case(
        &[
            "-o",
            "PermitLocalCommand=yes",
            "-o",
            "LocalCommand=echo local %n",
        ],
        &["true"],
    ),
    case(&["-o", "LocalCommand=echo local"], &["true"]),
    worded(&["-6"], &["true"]),
    worded(&["-N", "-s"], &["sftp"]),
    worded(&["-s"], &[]),
    worded(&["-f"], &[]),
    worded(&["-o", "RemoteCommand=true"], &["true"]),
    worded(&["-e", "ab"], &["true"]),
    worded(&["-c", "nonsense"], &["true"]),
    worded(&["-J", "a", "-J", "b"], &["true"]),
    worded(&["-y", "-E", "/dev/null"], &["true"]),
    worded(&["-E", "/nonexistent/log"], &["true"]),
    case(&["-i", "/nonexistent"], &["true"]),
    case(&["-i", "/dev/null/key", "-i", "/nonexistent"], &["true"]),
    worded(&["-Q", "nonsense"], &[]),
    worded(&["-v"], &["true"]),
    worded(&["-q", "-6"], &["true"]),
    worded(&["-q", "-oNonsense=1"], &["true"]),
    worded(&["-E", "/dev/null", "-6"], &["true"]),
    Case {
        input: b"some\0input\xff",
        ..case(&[], &["od -c; exit 4"])
    },
    Case {
        input: b"echo from the shell; exit 8\n",
        errors: Errors::Worded,
        ..case(&[], &[])
    },
    Case {
        input: b"echo from the shell; exit 8\n",
        errors: Errors::Worded,
        ..case(&["-T"], &[""])
    },
    Case {
        input: b"never read",
        ..case(&[], &["exit 5"])
    },
    Case {
        destination: "nobody-at-all@127.0.0.1",
        ..case(&[], &["id -un"])
    },
    Case {
        destination: "ssh://nobody-at-all@127.0.0.1:1",
        ..case(&[], &["id -un"])
    },
    Case {
        destination: "ssh://127.0.0.1/",
        ..case(&[], &["echo", "by uri"])
    },
    worded(&["-V"], &["true"]),
    worded(&["-p", "0"], &["true"]),
    worded(&["-p", "70000"], &["true"]),
    worded(&["-oNonsense=1"], &["true"]),
    worded(&["-oPort"], &["true"]),
    worded(&["-%"], &["true"]),
    worded(&[], &["-%", "true"]),
    worded(&["-t"], &["tty"]),
    worded(&["-o", "StrictHostKeyChecking=maybe"], &["true"]),
    Case {
        destination: "ssh://127.0.0.1:70000",
        ..worded(&[], &["true"])
    },
    Case {
        destination: "",
        ..worded(&[], &["true"])
    },
];

impl Case {
    /// The fixture's options come first, so the case's own port and user lose, as with ssh, unless
    /// they are what the case is about.
    fn run(&self, mut program: Command, sshd: &Sshd) -> Ran {
        let own_port = self.before.contains(&"-p");
        if own_port {
            program.args(self.before);
        }
        program.args(options(sshd));
        if !own_port {
            program.args(self.before);
        }
        program.arg(self.destination).args(self.after);
        run(program, self.input)
    }
}

#[test]
fn ssh_and_rmux_do_the_same() {
    let sshd = sshd();
    let mut differences = Vec::new();
    for case in CASES {
        let ssh = case.run(bare(Command::new("ssh")), &sshd);
        let ours = case.run(rmux(), &sshd);
        let same = ssh.code() == ours.code()
            && ssh.stdout == ours.stdout
            && match case.errors {
                Errors::Same => ssh.stderr == ours.stderr,
                Errors::Worded => ssh.stderr.is_empty() == ours.stderr.is_empty(),
            };
        if !same {
            differences.push(format!(
                "{:?} {:?} {:?}\n  ssh:  {ssh:?}\n  rmux: {ours:?}",
                case.before, case.destination, case.after
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} cases differ:\n{}",
        differences.len(),
        CASES.len(),
        differences.join("\n")
    );
}

#[test]
fn a_configuration_file_means_the_same() {
    let sshd = sshd();
    let file = sshd.folder().join("client_config");
    let known_hosts = sshd.folder().join("known hosts");
    std::fs::copy(sshd.known_hosts(), &known_hosts).unwrap();
    let text = format!(
        "Host dev\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  \
         IdentitiesOnly yes\n  IdentityAgent none\nHost *\n  User nobody-at-all\n  \
         UserKnownHostsFile \"{}\"\n  GlobalKnownHostsFile none\n  \
         StrictHostKeyChecking yes\n",
        sshd.port(),
        sshd.user(),
        sshd.client_key().display(),
        known_hosts.display(),
    );
    std::fs::write(&file, text).unwrap();
    let with = |mut program: Command, destination: &str| {
        program.arg("-F").arg(&file).args([
            destination,
            "echo $SSH_CONNECTION | cut -d' ' -f3-; exit 12",
        ]);
        run(program, b"")
    };
    let there = format!("127.0.0.1 {}\n", sshd.port());
    for program in [bare(Command::new("ssh")), rmux()] {
        let ran = with(program, "dev");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), there, "{ran:?}");
        assert_eq!((ran.code(), ran.stderr.as_str()), (12, ""));
    }
    for program in [bare(Command::new("ssh")), rmux()] {
        let ran = with(program, "nobody-at-all@dev");
        assert_eq!(ran.code(), 255);
        assert_eq!(ran.stdout, b"");
        assert!(ran.stderr.contains("nobody-at-all"), "{ran:?}");
    }
}
