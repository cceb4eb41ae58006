//! KnownHostsCommand: a program that says which keys are known.

use std::time::{Duration, Instant};

use rmux_core::{Error, ErrorKind, Session};
use rmux_testkit::sshd::Sshd;

use super::setup::{Case, Keys, NAME, config};
use crate::fixture::{eventually, outside_of_a_terminal, runs, within};

/// A server, and nothing known of it but what the program says.
struct Asked {
    sshd: Sshd,
    keys: Keys,
}

impl Asked {
    fn new() -> Self {
        let (sshd, keys) = (Sshd::start(), Keys::new());
        let host = keys.make("host", "ed25519");
        keys.make("other", "ed25519");
        sshd.set_host_keys(&[&host], "");
        keys.write("known_hosts", "");
        Self { sshd, keys }
    }

    /// The command line of a program with this text.
    fn program(&self, text: &str) -> String {
        self.keys.script("program", text).display().to_string()
    }

    async fn judged(&self, what: &str, command: &str) -> Result<(), Error> {
        let known = self.keys.path("known_hosts");
        let case = Case {
            sshd: &self.sshd,
            known: &known,
            options: vec![("KnownHostsCommand", command.to_owned())],
        };
        case.judged(what).await
    }

    fn line(&self, name: &str, key: &str) -> String {
        format!("echo '{name} {}'", self.keys.public(key))
    }
}

#[tokio::test]
async fn what_it_prints_is_known() {
    let asked = Asked::new();
    let mine = asked.line(NAME, "host");
    let others: String = (0..20_000)
        .map(|n| format!("host{n} ssh-ed25519 AAAA\n"))
        .collect();
    let many = asked.keys.write("many", others);
    for (what, text, trusted) in [
        ("the key", mine.clone(), true),
        (
            "the key behind many",
            format!("cat {}\n{mine}", many.display()),
            true,
        ),
        ("nothing", String::new(), false),
        ("rubbish", "printf '\\0\\377 x\\n@@'".to_owned(), false),
        ("another host's", asked.line("other.example", "host"), false),
        ("another key", asked.line(NAME, "other"), false),
        (
            "revoked",
            format!(
                "{mine}\n{}",
                asked.line(&format!("@revoked {NAME}"), "host")
            ),
            false,
        ),
    ] {
        let command = asked.program(&text);
        let judged = asked.judged(what, &command).await;
        assert_eq!(judged.is_ok(), trusted, "{what}: {judged:?}");
        if what == "another key" {
            let error = judged.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::HostKeyChanged);
            assert!(error.message().contains("KnownHostsCommand:1"), "{error}");
        }
    }
    let known = std::fs::read(asked.keys.path("known_hosts")).unwrap();
    assert_eq!(known, b"", "what a program says is not written down");
}

#[tokio::test]
async fn it_may_name_an_authority() {
    let asked = Asked::new();
    asked.keys.make("ca", "ed25519");
    asked.keys.sign("ca", "host", &["-h", "-n", NAME]);
    let only = "HostKeyAlgorithms *-cert-v01@openssh.com";
    asked.sshd.set_host_keys(&[&asked.keys.path("host")], only);
    let command = asked.program(&asked.line("@cert-authority *", "ca"));
    asked.judged("an authority", &command).await.unwrap();
}

#[tokio::test]
async fn its_tokens_are_those_of_ssh() {
    let asked = Asked::new();
    asked.keys.make("ca", "rsa");
    asked.keys.make("rsa", "rsa");
    asked.keys.sign("ca", "rsa", &["-h", "-n", NAME]);
    let log = asked.keys.path("log");
    let text = format!(
        "for word; do echo \"<$word>\"; done >> {}\n{}\n{}",
        log.display(),
        asked.line(NAME, "host"),
        asked.line(NAME, "rsa"),
    );
    let program = asked.program(&text);
    let known = asked.keys.path("known_hosts");
    for key in ["host", "rsa"] {
        asked.sshd.set_host_keys(&[&asked.keys.path(key)], "");
        for hash in ["sha256", "md5"] {
            let case = Case {
                sshd: &asked.sshd,
                known: &known,
                options: vec![
                    (
                        "KnownHostsCommand",
                        format!(
                            "{program} %I %H '%t' \"%f %K\" a\\ b '' %h-%n-%p-%r-%k %% ${{HOME}}"
                        ),
                    ),
                    ("FingerprintHash", hash.to_owned()),
                ],
            };
            let mut said = Vec::new();
            for ours in [true, false] {
                std::fs::write(&log, "").unwrap();
                if ours {
                    case.rmux().await.unwrap();
                } else {
                    assert!(case.ssh().status.success());
                }
                said.push(std::fs::read_to_string(&log).unwrap());
            }
            assert_eq!(said[0], said[1]);
            assert!(
                said[0].contains("<ORDER>") && said[0].contains("<HOSTNAME>"),
                "{said:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_name_it_is_asked_for_is_that_of_ssh() {
    let asked = Asked::new();
    let log = asked.keys.path("log");
    let text = format!(
        "echo $1 $2 >> {}\n{}",
        log.display(),
        asked.line("*", "host")
    );
    let program = asked.program(&text);
    let known = asked.keys.path("known_hosts");
    let port = ("Port", "2222");
    let alias = ("HostKeyAlias", "The-Box");
    let loud = ("HostName", "BOX.Example.ORG");
    for more in [
        &[][..],
        &[port],
        &[alias],
        &[loud],
        &[loud, port],
        &[loud, port, alias],
    ] {
        let command = ("KnownHostsCommand", format!("{program} %I %H"));
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let case = Case {
            sshd: &asked.sshd,
            known: &known,
            options: more.chain([command]).collect(),
        };
        std::fs::write(&log, "").unwrap();
        case.rmux().await.unwrap();
        let ours = std::fs::read_to_string(&log).unwrap();
        std::fs::write(&log, "").unwrap();
        assert!(case.ssh().status.success());
        let theirs = std::fs::read_to_string(&log).unwrap();
        assert_eq!(ours, theirs, "{:?}", case.options);
        assert!(ours.contains("ORDER box.example"), "{ours}");
    }
}

#[tokio::test]
async fn a_fixed_order_of_algorithms_needs_no_advice() {
    let asked = Asked::new();
    let log = asked.keys.path("log");
    let text = format!("echo $1 >> {}\n{}", log.display(), asked.line(NAME, "host"));
    let program = asked.program(&text);
    let known = asked.keys.path("known_hosts");
    for (algorithms, asked_for) in [
        ("ssh-ed25519", "HOSTNAME\n"),
        ("^ssh-ed25519", "HOSTNAME\n"),
        ("+ssh-rsa", "ORDER\nHOSTNAME\n"),
        ("-ssh-rsa*", "ORDER\nHOSTNAME\n"),
    ] {
        let case = Case {
            sshd: &asked.sshd,
            known: &known,
            options: vec![
                ("KnownHostsCommand", format!("{program} %I")),
                ("HostKeyAlgorithms", algorithms.to_owned()),
            ],
        };
        std::fs::write(&log, "").unwrap();
        case.rmux().await.unwrap();
        assert!(case.ssh().status.success());
        let said = std::fs::read_to_string(&log).unwrap();
        assert_eq!(said, asked_for.repeat(2), "{algorithms}");
    }
}

#[tokio::test]
async fn where_it_fails_nobody_is_trusted() {
    let asked = Asked::new();
    let mine = asked.line(NAME, "host");
    let good = asked.program(&mine);
    asked.judged("as it should be", &good).await.unwrap();
    let failing = asked.keys.script("failing", &format!("{mine}\nexit 3"));
    for (what, command) in [
        ("an exit status", failing.display().to_string()),
        ("no such program", "/no/such/program".to_owned()),
        ("a program without its folder", "cat /dev/null".to_owned()),
        ("an unknown token", format!("{good} %z")),
        ("an open quote", format!("{good} 'a")),
    ] {
        let error = asked.judged(what, &command).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{what}: {error}");
        assert_eq!(error.host(), Some(NAME));
    }
    // Where new keys are accepted unseen, what it would have said counts all the more.
    let accepting = config(&asked.sshd, &asked.keys.path("known_hosts"))
        .option("StrictHostKeyChecking", "accept-new")
        .option("KnownHostsCommand", "/no/such/program");
    let error = Session::connect(NAME, accepting).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error}");
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_it_started() {
    let asked = Asked::new();
    for (number, when) in [("6211", "ORDER"), ("6212", "HOSTNAME")] {
        let text = format!(
            "[ \"$1\" = {when} ] && sleep {number}\n{}",
            asked.line(NAME, "host")
        );
        let command = format!("{} %I", asked.program(&text));
        let config = config(&asked.sshd, &asked.keys.path("known_hosts"))
            .option("KnownHostsCommand", command)
            .connect_timeout(Duration::from_millis(1500));
        let begun = Instant::now();
        let error = Session::connect(NAME, config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{when}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        let ended = || !runs(number);
        eventually(Duration::from_secs(10), "the program is ended", ended).await;
    }
}

/// It may ask for a password, say, and is still ended with all it started.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_may_ask_at_the_terminal() {
    if outside_of_a_terminal("trust::command::it_may_ask_at_the_terminal").await {
        return;
    }
    let asked = Asked::new();
    let ask = "read word </dev/tty; test $word = please || exit 5";
    let mine = asked.line(NAME, "host");
    let known = asked.keys.path("known_hosts");
    let config = config(&asked.sshd, &known).connect_timeout(Duration::from_secs(10));
    let program = asked.program(&format!("{ask}\n{mine}"));
    let asking = config.clone().option("KnownHostsCommand", program);
    let limit = Duration::from_secs(30);
    let session = within(limit, "an answer", Session::connect(NAME, asking)).await;
    session.unwrap().close().await;

    let text = format!("{ask}\n[ $1 = HOSTNAME ] && {{ sleep 6213 & sleep 6214; }}\n{mine}");
    let command = format!("{} %I", asked.program(&text));
    let hanging = config.option("KnownHostsCommand", command);
    let hanging = hanging.connect_timeout(Duration::from_secs(3));
    let error = within(limit, "the deadline", Session::connect(NAME, hanging)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let ended = || !runs("6213") && !runs("6214");
    eventually(limit, "the program is ended", ended).await;
}
