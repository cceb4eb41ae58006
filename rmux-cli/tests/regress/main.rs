//! OpenSSH's own regress scripts, with `rmux ssh` in the place of `ssh`.
//!
//! Each script must pass, but for those that `docs/openssh-regress.md` lists with a reason; and those
//! must fail, so that the list stays true. `RMUX_CONFORMANCE` points to the folder of the tools that
//! run them. Without it nothing runs, and the test says so loudly; tools that are not there are a
//! failure.

mod script;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use script::{Place, Ran, Verdict};

/// The scripts that run a whole `ssh` command line and say something about it, those that take long
/// first. With each, how often it runs `ssh` with OpenSSH 9.2: a script that has found nothing to
/// try passes too, and one that cannot begin fails too, so it must do so half as often at least.
const SCRIPTS: &[(&str, usize)] = &[
    ("cert-userkey", 218),
    ("cert-userkey-without-sk", 182),
    ("cert-hostkey", 189),
    ("agent-restrict", 71),
    ("exit-status", 10),
    ("try-ciphers", 39),
    ("stderr-data", 4),
    ("kextype", 48),
    ("percent", 131),
    ("agent", 21),
    ("key-options", 17),
    ("hostkey-agent", 16),
    ("hostkey-rotate", 13),
    ("keytype", 24),
    ("keytype-without-sk", 18),
    ("limit-keytype", 18),
    ("transfer", 8),
    ("yes-head", 1),
    ("stderr-after-eof", 1),
    ("banner", 8),
    ("envpass", 9),
    ("multipubkey", 8),
    ("cert-file", 10),
    ("knownhosts-command", 10),
    ("knownhosts", 3),
    ("connect", 2),
    ("connect-uri", 3),
    ("proxy-connect", 3),
    ("portnum", 10),
    ("brokenkeys", 1),
    ("allow-deny-users", 8),
    ("authinfo", 2),
    ("localcommand", 1),
    ("forcecommand", 3),
    ("host-expand", 1),
    ("exit-status-signal", 1),
    ("broken-pipe", 4),
    ("sshcfgparse", 22),
    ("cfginclude", 29),
];

/// Behind the name of a script that is run once more, as on a machine without security keys.
const WITHOUT_SECURITY_KEYS: &str = "-without-sk";

/// How many run at a time.
const AT_A_TIME: usize = 2;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openssh-regress.md");

#[test]
fn openssh_regress_scripts() {
    let Some(tools) = std::env::var_os("RMUX_CONFORMANCE").map(PathBuf::from) else {
        say(
            "*** SKIPPED openssh_regress_scripts: RMUX_CONFORMANCE does not point to the tools ***",
        );
        return;
    };
    let tools = tools.join("openssh-regress");
    for tool in ["setup.sh", "run.sh"] {
        let tool = tools.join(tool);
        assert!(
            tool.is_file(),
            "RMUX_CONFORMANCE is set, but there is no {}",
            tool.display()
        );
    }
    let chosen = chosen(std::env::var("RMUX_REGRESS").ok().as_deref());
    let suite = std::env::var_os("RMUX_REGRESS_DIR").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("openssh-regress"),
        PathBuf::from,
    );
    if !set_up(&tools, &suite) {
        return;
    }
    let listed = listed();
    let mut waiting = chosen;
    waiting.reverse();
    let waiting = Mutex::new(waiting);
    let ran = Mutex::new(BTreeMap::new());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some((name, usual)) = waiting.lock().unwrap().pop() else {
                        return;
                    };
                    let plain = name.strip_suffix(WITHOUT_SECURITY_KEYS);
                    let place = Place::new(&tools, &suite, plain.is_none());
                    let what = place.run(plain.unwrap_or(name));
                    ran.lock().unwrap().insert(name, (what, usual));
                }
            });
        }
    });
    judge(ran.into_inner().unwrap(), &listed, started);
}

/// All scripts, or those that are named.
fn chosen(names: Option<&str>) -> Vec<(&'static str, usize)> {
    let Some(names) = names else {
        return SCRIPTS.to_vec();
    };
    let chosen: Vec<_> = names
        .split_whitespace()
        .map(|name| {
            let script = SCRIPTS.iter().find(|(known, _)| *known == name);
            *script.unwrap_or_else(|| panic!("RMUX_REGRESS names {name}, which is not run"))
        })
        .collect();
    assert!(!chosen.is_empty(), "RMUX_REGRESS names no script");
    chosen
}

#[test]
fn a_choice_of_nothing_or_of_the_unknown_is_refused() {
    assert_eq!(chosen(None).len(), SCRIPTS.len());
    assert_eq!(chosen(Some(" percent agent")).len(), 2);
    for wrong in ["", " ", "no-such-script", "percent no-such-script"] {
        assert!(
            std::panic::catch_unwind(|| chosen(Some(wrong))).is_err(),
            "{wrong:?}"
        );
    }
}

fn judge(ran: BTreeMap<&str, (Ran, usize)>, listed: &BTreeMap<String, String>, started: Instant) {
    let mut wrong = Vec::new();
    let mut table = String::new();
    for (name, (ran, usual)) in &ran {
        let reason = listed.get(*name);
        let (calls, verdict) = (ran.calls, ran.verdict);
        table += &format!(
            "{:<8} {name:<20} {:>3} s {calls:>4} runs  {}\n",
            format!("{verdict:?}"),
            ran.took.as_secs(),
            reason.map_or("", |_| "(listed)")
        );
        match (verdict, reason) {
            (Verdict::Passed, None) | (Verdict::Failed, Some(_)) if calls * 2 < *usual => wrong
                .push(format!(
                    "{name} ran ssh only {calls} times, not {usual}:\n{}",
                    ran.output
                )),
            (Verdict::Passed, None) | (Verdict::Failed, Some(_)) => {}
            (Verdict::Passed, Some(_)) => {
                wrong.push(format!("{name} passes: take it off the list of {LIST}"));
            }
            _ => wrong.push(format!("{name}: {verdict:?}\n{}", ran.output)),
        }
        if !ran.left.is_empty() && reason.is_none() {
            wrong.push(format!("{name} left processes behind: {:?}", ran.left));
        }
    }
    say(&format!(
        "{table}{} scripts in {} s",
        ran.len(),
        started.elapsed().as_secs()
    ));
    for name in listed.keys() {
        if !SCRIPTS.iter().any(|(known, _)| known == name) {
            wrong.push(format!("{LIST} lists {name}, which is not run"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Unpacks OpenSSH's suite, unless it is there. It is fetched from the distribution.
fn set_up(tools: &Path, suite: &Path) -> bool {
    let output = Command::new("sh")
        .arg(tools.join("setup.sh"))
        .env("RMUX_REGRESS_DIR", suite)
        .stdin(Stdio::null())
        .output()
        .expect("sh runs the setup");
    if !output.status.success() {
        say(&format!(
            "*** SKIPPED openssh_regress_scripts: OpenSSH's suite cannot be fetched ***\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    output.status.success()
}

/// The scripts that fail, and why: the rows of the table in the docs.
fn listed() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(LIST).unwrap_or_else(|error| panic!("{LIST}: {error}"));
    text.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let name = cells.next()?.trim().trim_end_matches('`').to_owned();
            let reason = cells.next()?.trim().to_owned();
            assert!(reason.len() > 10, "{name} is listed without a reason");
            Some((name, reason))
        })
        .collect()
}

/// Says something to whoever runs the tests, past the capture of what tests print.
fn say(text: &str) {
    // Nobody to say it to is no reason to fail.
    let _ = writeln!(std::io::stderr(), "\n{text}");
}
