//! Contexts where something is odd: the account's shell, the remote, what was asked for.

use rmux_core::{ErrorKind, Pty, blocking};
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, prints, run};
use crate::fixture::{config, eventually, runs, session, within};

#[tokio::test]
async fn the_account_s_shell_and_its_noise_do_not_matter() {
    for (shell, file) in [
        ("bash", ".bashrc"),
        ("zsh", ".zshenv"),
        ("fish", ".config/fish/config.fish"),
        ("csh", ".cshrc"),
        ("tcsh", ".tcshrc"),
    ] {
        let sshd = Sshd::builder()
            .option(
                "ForceCommand",
                &format!("exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""),
            )
            .start();
        let path = sshd.folder().join("home").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "echo noise; sh -c 'echo noise >&2'\n").unwrap();
        let session = session(&sshd).await;
        let context = session.context();
        let (code, stdout, stderr) = run(
            &context,
            "cd /usr; export A=\"it's\"; echo out; echo err >&2; exit 3",
        )
        .await;
        assert_eq!(
            (code, &stdout[..], &stderr[..]),
            (Some(3), "out\n", "err\n"),
            "{shell}"
        );
        let mut guarded = context.shell("pwd; echo $A; cat");
        guarded.kill_on_drop(true).input("in");
        let output = within(LIMIT, shell, guarded.output()).await.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "/usr\nit's\nin",
            "{shell}"
        );
        assert_eq!(output.stderr, b"", "{shell}");
    }
}

#[tokio::test]
async fn a_remote_that_makes_the_state_up_can_set_it_and_no_more() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let context = session.context();
    prints(&context, "cd /usr; export A=old").await;
    // The line meddles with what tells the state.
    for (made_up, kind) in [
        ("echo 'export A=$(id)'", ErrorKind::ProtocolViolation),
        ("echo 'export A=1; id'", ErrorKind::ProtocolViolation),
        ("echo 'id'", ErrorKind::ProtocolViolation),
        (
            "head -c 20000000 /dev/zero | tr '\\0' x",
            ErrorKind::LimitExceeded,
        ),
    ] {
        let line = format!("cd /; _rmux_exported() {{ {made_up}; }}; echo out; exit 3");
        let command = context.shell(&line);
        let error = within(LIMIT, made_up, command.output()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("exit status 3"), "{error}");
        assert_eq!(error.partial_stdout(), Some(&b"out\n"[..]), "{made_up}");
        assert_eq!(error.partial_stderr(), Some(&b""[..]), "{made_up}");
        assert_eq!(prints(&context, "pwd; echo $A").await, "/usr\nold\n");
    }
    let mark = sshd.folder().join("mark");
    let line = format!(
        "_rmux_exported() {{ echo 'export A='\\''$(touch {0}) `touch {0}`; touch {0}'\\'; }}",
        mark.display()
    );
    prints(&context, &line).await;
    let seen = prints(&context, "printf %s \"$A\"").await;
    assert!(seen.starts_with("$(touch "), "{seen}");
    assert!(!mark.exists(), "what came back was run");
}

#[tokio::test]
async fn a_directory_that_is_gone_runs_nothing_and_can_be_left() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let context = session.context();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's gone");
    std::fs::create_dir(&path).unwrap();
    prints(&context, &format!("cd \"{}\"", path.display())).await;
    // Its own shell sees no harm in a directory that goes.
    prints(&context, "rmdir \"$PWD\"").await;
    let (code, stdout, stderr) = run(&context, "echo ran").await;
    assert!(code != Some(0), "{code:?}");
    assert_eq!(stdout, "");
    assert!(stderr.contains("it's gone"), "{stderr}");
    context.current_dir("/usr");
    assert_eq!(prints(&context, "pwd").await, "/usr\n");
}

#[tokio::test]
async fn no_value_is_in_the_list_of_processes() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let context = session.context();
    let mut command = context.shell("export TOKEN=\"$(cat)\"");
    command.input("rmux-no-one-sees-this");
    within(LIMIT, "its end", command.output()).await.unwrap();
    let line = "echo \"$TOKEN\"; sleep 6132";
    let mut command = context.shell(line);
    command
        .env("OTHER", "rmux-no-one-sees-this")
        .kill_on_drop(true);
    let mut child = command.spawn().await.unwrap();
    let stdout = child.stdout.as_mut().unwrap();
    let said = within(LIMIT, "its output", stdout.chunk()).await.unwrap();
    assert_eq!(said.as_deref(), Some(&b"rmux-no-one-sees-this\n"[..]));
    eventually(LIMIT, "it runs", || runs("6132")).await;
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let shown = processes.filter(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            let line = String::from_utf8_lossy(&line);
            line.contains("no-one-sees-this")
        })
    });
    assert_eq!(shown.count(), 0);
    assert!(!format!("{context:?}").contains("no-one"), "{context:?}");
    let stopped = child.stop(std::time::Duration::ZERO).await.unwrap();
    assert!(!stopped.status.success());
}

#[tokio::test]
async fn what_no_context_can_do_is_refused() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let context = session.context();
    let mut pty = context.shell("true");
    pty.pty(Pty::default());
    let mut verbatim = context.command("true");
    verbatim.verbatim(true);
    let mut name = context.shell("true");
    name.env("a-b", "1");
    let (bad_name, nul) = (context.fork(), context.fork());
    bad_name.env("1A", "1");
    nul.env("A", "a\0b");
    let (directory, interpreter) = (context.fork(), context.fork());
    directory.current_dir("a\0b");
    interpreter.interpreter("a\0b");
    for command in [
        pty,
        verbatim,
        name,
        bad_name.shell("true"),
        nul.shell("true"),
        directory.shell("true"),
        interpreter.shell("true"),
    ] {
        let error = command.output().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    // Nothing of this holds it up.
    assert_eq!(prints(&context, "echo on").await, "on\n");
    let none = context.fork();
    none.interpreter("no-such-shell");
    let (code, _, _) = run(&none, "true").await;
    assert_eq!(code, Some(127));
}

#[test]
fn blocking_code_has_contexts_too() {
    let sshd = Sshd::start();
    let session = blocking::Session::connect("127.0.0.1", config(&sshd)).unwrap();
    let context = session.context();
    context.env("A", "1").interpreter("bash");
    let output = context.shell("cd /usr; export B=$A").output().unwrap();
    assert!(output.status.success());
    assert_eq!(context.cwd().as_deref(), Some("/usr".as_ref()));
    let child = context.command("printenv").arg("B").spawn().unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"1\n");
    let fork = context.fork();
    fork.env_remove("B").current_dir("/");
    assert_eq!(context.variables().len(), 2, "{:?}", context.variables());
    let output = fork.shell("pwd; echo ${B-unset}").output().unwrap();
    assert_eq!(output.stdout, b"/\nunset\n");
    session.close().unwrap();
}
