//! The shared cases hold for the stock `ssh` client: what they expect is what OpenSSH does.
//! Cases about connecting are for rmux alone, and only their form is checked here.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command as Process, Output, Stdio};
use std::time::Duration;

use rmux_testkit::cases::{self, Case, Command, End, Target};
use rmux_testkit::sshd::Sshd;

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
        let is_error = matches!(case.expect.end, End::Error(_));
        assert_eq!(is_error, case.target != Target::Server, "{}", case.name);
    }
}

#[test]
fn they_hold_for_the_stock_client() {
    let sshd = Sshd::builder().option("AcceptEnv", "RMUX_*").start();
    let socket = sshd.folder().join("mux");
    let control = format!("-oControlPath={}", socket.display());
    let mut master = sshd
        .ssh()
        .args(["-oControlMaster=yes", &control, "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(sshd.wait_until(Duration::from_secs(10), |_| socket.exists()));
    let mut failures = Vec::new();
    for case in cases::all()
        .iter()
        .filter(|case| case.target == Target::Server)
    {
        let output = run(&sshd, &control, case);
        if let Err(problem) = check(case, &output) {
            failures.push(format!("{}: {problem}", case.name));
        }
    }
    drop(master.stdin.take());
    master.wait().unwrap();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn run(sshd: &Sshd, control: &str, case: &Case) -> Output {
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
    }
    let mut ssh = sshd.ssh();
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
            "stty cols {} rows {} -opost; exec {}",
            pty.columns,
            pty.rows,
            words.join(" ")
        );
        return Process::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", &pty.term)
            .stdin(Stdio::null())
            .output()
            .unwrap();
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
        End::Error(kind) => return Err(format!("{kind} cannot come from a command")),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(wanted) {
        return Err(format!("{:?} instead of {wanted}; {stderr}", output.status));
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
    let shown = String::from_utf8_lossy(&output.stdout);
    let shown = shown
        .split_inclusive('\n')
        .filter(|line| !line.contains("closed."))
        .collect::<String>();
    case.expect
        .stdout
        .check(shown.as_bytes())
        .map_err(told("terminal"))
}

/// In single quotes, for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
