//! The shared cases hold for the stock `ssh` client, with sshd and with the embedded server: what
//! they expect is what OpenSSH does, and the embedded server does the same.
//! Cases about connecting are for rmux alone, and only their form is checked here.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command as Process, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rmux_testkit::KeyKind;
use rmux_testkit::cases::{
    self, Case, Command, End, Target, fanning, forwarding, pooling, resolving,
};
use rmux_testkit::embedded::EmbeddedServer;
use rmux_testkit::sshd::Sshd;

/// What the stock client tells by its status alone.
const REFUSED: &str = "CHANNEL_REFUSED";

#[test]
fn names_are_unique_and_every_subject_is_there() {
    let all = cases::all();
    let names: BTreeSet<_> = all.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), all.len());
    for file in [
        "arguments",
        "connect",
        "environment",
        "exit",
        "input",
        "output",
        "refused-terminal",
        "settings",
        "subsystem",
        "terminal",
    ] {
        assert!(
            names
                .iter()
                .any(|name| name.starts_with(&format!("{file}/"))),
            "{file}"
        );
    }
    for case in &all {
        let is_error = matches!(&case.expect.end, End::Error(kind) if kind != REFUSED);
        // A command that is let in may still take too long, or write too much.
        let may_fail = case.request.timeout.is_some() || case.request.limit.is_some();
        let refused = case.target != Target::Server;
        assert!(is_error == refused || may_fail, "{}", case.name);
    }
    assert!(resolving::all().len() > 30 && pooling::all().len() > 5);
    assert!(forwarding::all().len() > 10);
    assert!(fanning::all().len() > 5);
}

#[test]
fn they_hold_for_the_stock_client_and_an_sshd_with_settings() {
    let all = cases::all();
    let with_settings: BTreeSet<_> = all.iter().map(|case| &case.sshd).collect();
    for lines in with_settings {
        if lines.is_empty() {
            continue;
        }
        let mut builder = Sshd::builder();
        for line in lines {
            let (keyword, value) = line.split_once(' ').unwrap();
            builder = builder.option(keyword, value);
        }
        let sshd = builder.start();
        hold(sshd.folder(), &|| sshd.ssh(), &of_server(&all, lines));
    }
}

fn of_server<'a>(all: &'a [Case], sshd: &[String]) -> Vec<&'a Case> {
    let cases = all.iter();
    cases
        .filter(|case| case.sshd == sshd && is_worth_a_process(case))
        .collect()
}

#[test]
fn they_hold_for_the_stock_client_and_sshd() {
    let sshd = Sshd::builder().option("AcceptEnv", "RMUX_*").start();
    hold(
        sshd.folder(),
        &|| sshd.ssh(),
        &of_server(&cases::all(), &[]),
    );
}

#[test]
fn they_hold_for_the_stock_client_and_the_embedded_server() {
    // For its keys only.
    let sshd = Sshd::builder().host_keys(&[KeyKind::Ed25519]).start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builder = EmbeddedServer::builder()
        .authorized_key(sshd.client_public_key())
        .accept_env("RMUX_*")
        .shell("/bin/sh");
    let server = runtime.block_on(builder.start()).unwrap();
    let known_hosts = sshd.folder().join("embedded_hosts");
    std::fs::write(&known_hosts, server.host_public_key_line()).unwrap();
    let client = || {
        let mut ssh = Process::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-oBatchMode=yes",
            "-oIdentitiesOnly=yes",
            "-oIdentityAgent=none",
        ])
        .arg(format!("-oUserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(sshd.client_key())
        .args(["-p", &server.addr().port().to_string()])
        .arg(format!("{}@127.0.0.1", server.user()))
        .stdin(Stdio::null());
        ssh
    };
    hold(sshd.folder(), &client, &of_server(&cases::all(), &[]));
    runtime.block_on(server.stop());
}

/// Runs the cases by the client that `ssh` makes, all over one connection.
fn hold(folder: &Path, ssh: &(dyn Fn() -> Process + Sync), cases: &[&Case]) {
    let socket = folder.join("mux");
    let control = format!("-oControlPath={}", socket.display());
    let mut master = ssh()
        .args(["-oControlMaster=yes", "-oSendEnv=RMUX_*", &control, "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() {
        assert!(Instant::now() < deadline, "no master");
        std::thread::sleep(Duration::from_millis(10));
    }
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = check(case, &run(ssh(), &control, case)) {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{}: {problem}", case.name));
                    }
                }
            });
        }
    });
    drop(master.stdin.take());
    master.wait().unwrap();
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// The subjects in which rmux does what the stock client does not.
const OURS: [&str; 2] = ["long/", "startup/"];

/// Whether the stock client can do it. Not each of the 256 exit codes: the client is a process a case, and they differ in nothing.
fn is_worth_a_process(case: &Case) -> bool {
    if OURS.iter().any(|subject| case.name.starts_with(subject)) {
        return false;
    }
    let code: Option<u32> = case
        .name
        .strip_prefix("exit/code-")
        .and_then(|number| number.parse().ok());
    let is_chosen =
        |code: u32| code < 3 || code.is_multiple_of(32) || (125..132).contains(&code) || code > 253;
    // The stock client knows variables by its settings only.
    let is_sayable = case.request.options.is_empty() || case.request.env.is_empty();
    let is_unbounded = case.request.timeout.is_none() && case.request.limit.is_none();
    case.target == Target::Server && is_sayable && is_unbounded && code.is_none_or(is_chosen)
}

fn run(mut ssh: Process, control: &str, case: &Case) -> Output {
    let request = &case.request;
    let mut text = String::new();
    if let Some(cwd) = &request.cwd {
        text.push_str(&format!("cd {} && ", quoted(cwd)));
    }
    match &request.command {
        Command::Shell(shell) => text.push_str(shell),
        Command::Argv(argv) => {
            text.push_str(
                &argv
                    .iter()
                    .map(|word| quoted(word))
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
        Command::Subsystem(name) => {
            ssh.arg("-s");
            text.push_str(name);
        }
    }
    for (key, value) in &request.options {
        ssh.arg(format!("-o{key}={value}"));
    }
    ssh.arg(control);
    if let Some(pty) = &request.pty {
        // The stock client takes the size from its own terminal: `script` gives it one.
        ssh.arg("-tt").arg(text);
        let words: Vec<_> = std::iter::once(ssh.get_program())
            .chain(ssh.get_args())
            .collect();
        let words: Vec<_> = words
            .iter()
            .map(|word| quoted(word.to_str().unwrap()))
            .collect();
        let line = format!(
            "stty cols {} rows {}; exec {}",
            pty.columns,
            pty.rows,
            words.join(" ")
        );
        let mut script = Process::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", &pty.term)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Held open to the end: `script` would type the end of its input.
        let stdin = script.stdin.take();
        let output = script.wait_with_output().unwrap();
        drop(stdin);
        return output;
    }
    for (name, value) in &request.env {
        ssh.arg(format!("-oSendEnv={name}")).env(name, value);
    }
    let stdin = if request.stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let mut child = ssh
        .arg(text)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let feeder = request
        .stdin
        .clone()
        .zip(child.stdin.take())
        .map(|(bytes, mut stdin)| {
            // It fails when the command ends without reading, as in some cases it should.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)))
        });
    let output = child.wait_with_output().unwrap();
    if let Some(feeder) = feeder {
        feeder.join().unwrap();
    }
    output
}

fn check(case: &Case, output: &Output) -> Result<(), String> {
    let wanted = match &case.expect.end {
        End::Code(code) => *code,
        // The stock client has no other way to tell.
        End::Signal(_) => 255,
        End::Error(kind) if kind == REFUSED => return refused(case, output),
        End::Error(kind) => return Err(format!("{kind} cannot come from a command")),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(wanted) {
        return Err(format!("{:?} instead of {wanted}; {stderr}", output.status));
    }
    if case.expect.pty == Some(false) {
        // It complains, in a terminal of its own.
        return Ok(());
    }
    let told = |stream: &'static str| move |problem| format!("{stream}: {problem}");
    // With a terminal the client adds a line of its own.
    if case.request.pty.is_none() {
        case.expect
            .stdout
            .check(&output.stdout)
            .map_err(told("stdout"))?;
        return case
            .expect
            .stderr
            .check(&output.stderr)
            .map_err(told("stderr"));
    }
    // What arrives before it has made its own terminal raw is converted twice.
    let shown = String::from_utf8_lossy(&output.stdout).replace("\r\r\n", "\r\n");
    let shown = shown
        .split_inclusive('\n')
        .filter(|line| !line.contains("closed."))
        .collect::<String>();
    case.expect
        .stdout
        .check(shown.as_bytes())
        .map_err(told("terminal"))
}

/// The stock client runs a command without a terminal that was refused, and drops variables.
fn refused(case: &Case, output: &Output) -> Result<(), String> {
    let is_lenient = case.request.pty.is_some() || !case.request.env.is_empty();
    match is_lenient || !output.status.success() {
        true => Ok(()),
        false => Err("it was not refused".to_owned()),
    }
}

/// In single quotes, for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
