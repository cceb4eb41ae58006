//! The shared cases of contexts, in Rust.

use rmux_core::{Session, ShellContext};
use rmux_testkit::cases::keeping::{self, Case, Step};
use rmux_testkit::cases::{Command, End};
use rmux_testkit::sshd::Sshd;

use crate::fixture::session;

#[tokio::test]
async fn shared_cases_of_contexts_hold() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut failures = Vec::new();
    let cases = keeping::all();
    for case in &cases {
        if let Err(why) = check(case, &session).await {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(cases.len() > 15, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn check(case: &Case, session: &Session) -> Result<(), String> {
    let context = session.context();
    if let Some(interpreter) = &case.interpreter {
        context.interpreter(interpreter);
    }
    if let Some(directory) = &case.cwd {
        context.current_dir(directory);
    }
    for (name, value) in &case.env {
        match value {
            Some(value) => context.env(name, value),
            None => context.env_remove(name),
        };
    }
    for (index, step) in case.steps.iter().enumerate() {
        let done = run(step, &context).await;
        done.map_err(|why| format!("step {}: {why}", index + 1))?;
    }
    let cwd = context.cwd();
    if case.left_cwd.is_some() && cwd.as_deref() != case.left_cwd.as_deref().map(AsRef::as_ref) {
        return Err(format!("it is in {cwd:?}"));
    }
    let Some(wanted) = &case.left_env else {
        return Ok(());
    };
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let changes = context.variables().into_iter();
    let changes = changes.map(|(name, value)| (text(name), value.map(text)));
    match changes.collect::<std::collections::BTreeMap<_, _>>() {
        changes if changes == *wanted => Ok(()),
        changes => Err(format!("its variables are {changes:?}")),
    }
}

async fn run(step: &Step, context: &ShellContext) -> Result<(), String> {
    let mut command = match &step.command {
        Command::Argv(words) => context.command(&words[0]).args(&words[1..]).clone(),
        Command::Shell(line) => context.shell(line),
        other => return Err(format!("no context runs {other:?}")),
    };
    command.envs(&step.env);
    if let Some(directory) = &step.cwd {
        command.current_dir(directory);
    }
    if let Some(timeout) = step.timeout {
        command.timeout(timeout);
    }
    if let Some(input) = &step.stdin {
        command.input(input.clone());
    }
    match (command.output().await, &step.end) {
        (Ok(output), End::Code(code)) if output.status.code() == Some(*code) => {
            let stdout = step.stdout.check(&output.stdout);
            stdout.map_err(|why| format!("stdout: {why}"))?;
            let stderr = step.stderr.check(&output.stderr);
            stderr.map_err(|why| format!("stderr: {why}"))
        }
        (Ok(output), wanted) => Err(format!("{output:?} instead of {wanted:?}")),
        (Err(error), End::Error(kind)) if error.kind().code() == kind => Ok(()),
        (Err(error), wanted) => Err(format!("{error} instead of {wanted:?}")),
    }
}
