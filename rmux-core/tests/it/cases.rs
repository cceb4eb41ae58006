//! The shared cases, in Rust: those of commands. Those of resolving are in `resolving`, those of a
//! pool in `pooling`, of a fan-out in `fanning`, of files in `filing`, of transfers in
//! `transferring`, of dropped files in `dropping`, of contexts in `keeping`.

mod dropping;
mod fanning;
mod filing;
mod forwarding;
mod keeping;
mod pooling;
mod resolving;
mod transferring;

use std::collections::BTreeMap;

use std::time::Duration;

use rmux_core::{
    Config, ConfigFile, Error, HostKeyPolicy, Output, OutputLimit, Pty, RemoteEnd, Session, Stdio,
};
use rmux_testkit::cases::{self, Case, Command, End, Excess, Target};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use crate::fixture::config;

#[tokio::test]
async fn shared_cases_hold() {
    let all = cases::all();
    let plain = Sshd::start();
    let accepting = Sshd::builder().option("AcceptEnv", "*").start();
    let mut others: BTreeMap<&[String], Vec<&Case>> = BTreeMap::new();
    for case in &all {
        others.entry(&case.sshd).or_default().push(case);
    }
    let common = others.remove(&[][..]).expect("most need no settings");
    // Where nothing of the environment is sent, both servers would say the same.
    let with_env = common.iter().copied();
    let with_env = with_env
        .filter(|case| !case.request.env.is_empty())
        .collect();
    let mut failures = run(&plain, &common).await;
    failures.extend(run(&accepting, &with_env).await);
    for (lines, cases) in others {
        let mut builder = Sshd::builder();
        for line in lines {
            let (keyword, value) = line.split_once(' ').expect("a keyword and its value");
            builder = builder.option(keyword, value);
        }
        failures.extend(run(&builder.start(), &cases).await);
    }
    assert!(all.len() > 50, "only {} cases", all.len());
    assert!(
        failures.is_empty(),
        "of {} cases\n{}",
        all.len(),
        failures.join("\n")
    );
}

/// What is wrong with these cases on this server.
async fn run(sshd: &Sshd, cases: &Vec<&Case>) -> Vec<String> {
    let session = Session::connect("127.0.0.1", config(sshd)).await.unwrap();
    let mut failures = Vec::new();
    for case in cases {
        if let Err(why) = check(case, sshd, &session).await {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    session.close().await;
    failures
}

async fn check(case: &Case, sshd: &Sshd, session: &Session) -> Result<(), String> {
    match (request(case, sshd, session).await, &case.expect.end) {
        (Ok((_, has_pty)), _) if case.expect.pty.is_some_and(|wanted| wanted != has_pty) => {
            Err(format!("it has a terminal: {has_pty}"))
        }
        (Ok((output, _)), End::Code(code)) if output.status.code() == Some(*code) => {
            streams(case, &output)
        }
        (Ok((output, _)), End::Signal(signal))
            if output.status.signal().is_some_and(|s| s.name() == signal) =>
        {
            streams(case, &output)
        }
        (Ok((output, _)), expected) => Err(format!(
            "{} instead of {expected:?}; {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
        (Err(error), End::Error(code)) if error.kind().code() == code => ended(case, &error),
        (Err(error), expected) => Err(format!("{error} instead of {expected:?}")),
    }
}

/// What is wrong with how a command was ended.
fn ended(case: &Case, error: &Error) -> Result<(), String> {
    let Some(wanted) = case.expect.confirmed else {
        return Ok(());
    };
    let confirmed = error.remote_end().map(|end| end == RemoteEnd::Confirmed);
    if confirmed != Some(wanted) {
        return Err(format!("its end was confirmed: {confirmed:?}; {error}"));
    }
    let (stdout, stderr) = (error.partial_stdout(), error.partial_stderr());
    let stdout = case.expect.stdout.check(stdout.unwrap_or_default());
    stdout.map_err(|why| format!("stdout: {why}"))?;
    let stderr = case.expect.stderr.check(stderr.unwrap_or_default());
    stderr.map_err(|why| format!("stderr: {why}"))
}

fn streams(case: &Case, output: &Output) -> Result<(), String> {
    let dropped = (output.stdout_dropped, output.stderr_dropped);
    if dropped != case.expect.dropped {
        return Err(format!("{dropped:?} bytes were dropped"));
    }
    match (&output.stdout_file, &case.expect.stdout_file) {
        (Some(path), Some(wanted)) => {
            let all = std::fs::read(path).map_err(|error| error.to_string())?;
            std::fs::remove_file(path).map_err(|error| error.to_string())?;
            wanted.check(&all).map_err(|why| format!("file: {why}"))?;
        }
        (None, None) => {}
        (file, _) => return Err(format!("its file is {file:?}")),
    }
    case.expect
        .stdout
        .check(&output.stdout)
        .map_err(|why| format!("stdout: {why}"))?;
    case.expect
        .stderr
        .check(&output.stderr)
        .map_err(|why| format!("stderr: {why}"))
}

/// What comes of a case, and whether it had a terminal.
async fn request(case: &Case, sshd: &Sshd, session: &Session) -> Result<(Output, bool), Error> {
    let own;
    let session = match case.target {
        Target::Server if case.request.options.is_empty() => session,
        Target::Server => {
            let options = case.request.options.iter();
            let config = options.fold(config(sshd), |config, (key, value)| {
                config.option(key, value)
            });
            own = Session::connect("127.0.0.1", config).await?;
            &own
        }
        target => {
            own = connect(target, sshd).await?;
            &own
        }
    };
    let mut command = match &case.request.command {
        Command::Argv(words) => {
            let mut command = session.command(&words[0]);
            command.args(&words[1..]);
            command
        }
        Command::Shell(line) => session.shell(line),
        Command::Subsystem(name) => session.subsystem(name),
    };
    command.envs(&case.request.env);
    if let Some(directory) = &case.request.cwd {
        command.current_dir(directory);
    }
    if let Some(wanted) = &case.request.pty {
        let pty = Pty::new(&wanted.term).size(wanted.columns.into(), wanted.rows.into());
        command.pty(if wanted.optional { pty.optional() } else { pty });
        command.stdin(Stdio::Null);
        let child = command.spawn().await?;
        let has_pty = child.has_pty();
        return Ok((child.wait_with_output().await?, has_pty));
    }
    if let Some(timeout) = case.request.timeout {
        command.timeout(timeout);
    }
    if let Some(limit) = case.request.limit {
        command.output_limit(output_limit(limit));
    }
    if let Some(input) = &case.request.stdin {
        // An empty input is an input: it is sent and ended, not left out.
        command.stdin(Stdio::Piped).input(input.clone());
    }
    Ok((command.output().await?, false))
}

async fn connect(target: Target, sshd: &Sshd) -> Result<Session, Error> {
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts");
    let lines = match target {
        Target::UnknownHostKey => String::new(),
        _ => {
            let other = Sshd::builder().new_host_keys().start();
            let lines = other.host_public_keys().into_iter();
            lines
                .map(|(_, key)| format!("[127.0.0.1]:{} {key}\n", sshd.port()))
                .collect()
        }
    };
    std::fs::write(&known, lines).unwrap();
    // Settings of the fixture, but with one file replaced: the first value of a key wins.
    let with = |key: &str, file: &std::path::Path| {
        let shared = Config::new()
            .config_file(ConfigFile::None)
            .port(sshd.port())
            .user(sshd.user())
            .option(key, file.display().to_string());
        let shared = match key {
            // Identity files add up, so this one must stand alone.
            "IdentityFile" => shared,
            _ => shared.identity_file(sshd.client_key()),
        };
        shared
            .option(
                "UserKnownHostsFile",
                sshd.known_hosts().display().to_string(),
            )
            .option("GlobalKnownHostsFile", "none")
            .option("IdentityAgent", "none")
            .host_key_policy(HostKeyPolicy::Strict)
    };
    match target {
        Target::Refused => {
            let relay = Relay::to(sshd.addr()).refuse().start().await;
            Session::connect("127.0.0.1", config(sshd).port(relay.port())).await
        }
        Target::Silent => {
            let relay = Relay::to(sshd.addr()).drop_all().start().await;
            let hasty = config(sshd)
                .port(relay.port())
                .connect_timeout(Duration::from_secs(1));
            Session::connect("127.0.0.1", hasty).await
        }
        Target::UnknownHostKey | Target::ChangedHostKey => {
            Session::connect("127.0.0.1", with("UserKnownHostsFile", &known)).await
        }
        Target::Stranger => {
            let stranger = with("IdentityFile", &sshd.stranger_key());
            Session::connect("127.0.0.1", stranger).await
        }
        other => panic!("this runner does not know the target {other:?}"),
    }
}

/// How much of what a command writes is kept, as a case has it.
fn output_limit((most, excess): (u64, Excess)) -> OutputLimit {
    match excess {
        Excess::Error => OutputLimit::Error(most),
        Excess::Truncate => OutputLimit::Truncate(most),
        Excess::Spill => OutputLimit::Spill(most),
    }
}
