//! What a shell keeps from command to command, over channels of their own, in real shells.

mod odd;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use futures_util::future::join;
use rmux_core::{ErrorKind, OutputLimit, RemoteEnd, ShellContext, Stdio};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, connect, eventually, runs, session, within};

const LIMIT: Duration = Duration::from_secs(60);

/// Each shell that a context may be run by, as its program is called.
struct Shells(tempfile::TempDir);

impl Shells {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/busybox", folder.path().join("ash"))
            .expect("busybox is installed");
        Self(folder)
    }

    fn all(&self) -> [String; 5] {
        let ash = self.0.path().join("ash").display().to_string();
        ["sh".into(), "dash".into(), "bash".into(), "zsh".into(), ash]
    }
}

/// Status, standard output and standard error of a line.
async fn run(context: &ShellContext, line: &str) -> (Option<i32>, String, String) {
    let command = context.shell(line);
    let output = within(LIMIT, line, command.output())
        .await
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// What a line prints that succeeds without a word of complaint.
async fn prints(context: &ShellContext, line: &str) -> String {
    let (code, stdout, stderr) = run(context, line).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{line}");
    stdout
}

#[tokio::test]
async fn what_a_shell_keeps_is_kept_in_every_shell() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let shells = Shells::new();
    for shell in &shells.all() {
        let context = session.context();
        context.interpreter(shell);
        assert_eq!(context.cwd(), None);
        // Where each line leads, and what the next one sees.
        for (line, code, out) in [
            ("cd /usr/lib && export A='x'", 0, ""),
            ("pwd; echo $A; cd ..", 0, "/usr/lib\nx\n"),
            ("pwd; cd - >/dev/null; pwd", 0, "/usr\n/usr/lib\n"),
            ("cd - >/dev/null; pwd; unset HOME", 0, "/usr\n"),
            ("echo ${HOME-unset}; umask 027", 0, "unset\n"),
            ("umask | grep -c 027; export HOME=/h", 0, "1\n"),
            ("echo $HOME; export B=1; exit 3", 3, "/h\n"),
            ("echo $B; set -e; export B=2; false; export B=3", 1, "1\n"),
            (
                "echo $B; export B=4; exec >/dev/null 2>&1; exit 5",
                5,
                "2\n",
            ),
            ("echo $B; export C=1; (exit 7)", 7, "4\n"),
            ("echo $C; C=2; D=1", 0, "1\n"),
            (
                "echo $C ${D-unset}; readonly C; E=1; export C",
                0,
                "2 unset\n",
            ),
            ("C=3; echo $C; set -a; E=5", 0, "3\n"),
            ("echo $E; trap 'echo bye' EXIT; cd /usr/bin", 0, "5\nbye\n"),
            (
                "pwd; printf() { echo no; }; cd() { :; }; export F=1",
                0,
                "/usr/bin\n",
            ),
            ("echo $F; IFS=159; export IFS F=2", 0, "1\n"),
            ("echo $F; unset IFS; exec 9>/dev/null; export G=1", 0, "2\n"),
            ("echo $G; cd /; exec true", 0, "1\n"),
            (
                "pwd; -no-such-option 2>/dev/null; export G=2; set -u",
                0,
                "/usr/bin\n",
            ),
            ("echo $G; export G=; true; set -f", 0, "2\n"),
            ("echo ${G-unset}; cat", 0, "\n"),
        ] {
            let (is, stdout, stderr) = run(&context, line).await;
            let what = format!("{shell}: {line}");
            assert_eq!((is, stdout.as_str()), (Some(code), out), "{what}: {stderr}");
            assert_eq!(stderr, "", "{what}");
        }
        assert_eq!(context.cwd().as_deref(), Some("/usr/bin".as_ref()));
        // What fails for its own reasons says so, and keeps what was there.
        for line in ["cd /no/such/directory", "if then", "set -u; echo $NOWHERE"] {
            let (code, _, stderr) = run(&context, line).await;
            assert!(code != Some(0) && !stderr.is_empty(), "{shell}: {line}");
            assert!(!stderr.contains('\u{1e}'), "{shell}: {stderr:?}");
            let seen = prints(&context, "pwd; echo $F").await;
            assert_eq!(seen, "/usr/bin\n2\n", "{shell}: {line}");
        }
        // A trace shows the line and nothing else.
        for line in ["set -x; cd /", "set -x; cd /usr; exit 3"] {
            let (_, _, stderr) = run(&context, line).await;
            assert!(stderr.contains("cd /"), "{shell}: {stderr:?}");
            assert!(!stderr.contains("rmux"), "{shell}: {stderr:?}");
        }
        assert_eq!(context.cwd().as_deref(), Some("/usr".as_ref()), "{shell}");
    }
}

#[tokio::test]
async fn all_bytes_arrive_in_values_and_directories_in_every_shell() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let shells = Shells::new();
    let bytes: Vec<u8> = (1..=255).chain("\n'\"$`\\ ü漢\n.".bytes()).collect();
    let folder = tempfile::tempdir().unwrap();
    let name: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|b| *b != b'/')
        .take(200)
        .collect();
    let odd = folder
        .path()
        .join(OsStr::from_bytes(&[&name[..], b"\n"].concat()));
    std::fs::create_dir(&odd).unwrap();
    for shell in &shells.all() {
        let context = session.context();
        context.interpreter(shell).env("LC_ALL", "C.UTF-8");
        let mut command = context.shell("export V=\"$(cat)\"; cd \"$W\"");
        command.env("W", &odd).input(bytes.clone());
        let output = within(LIMIT, shell, command.output()).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell}");
        let variables = context.variables();
        let value = variables.iter().find(|(name, _)| name == "V").unwrap();
        let value = value.1.as_ref().unwrap();
        assert!(value.as_bytes() == bytes, "{shell}: {value:?}");
        // Its own variable was for that line alone.
        assert!(!variables.iter().any(|(name, _)| name == "W"), "{shell}");
        assert_eq!(context.cwd().as_deref(), Some(odd.as_os_str()), "{shell}");
        let command = context.shell("printf %s \"$V\"; env | grep -c '^W='");
        let seen = within(LIMIT, shell, command.output()).await.unwrap();
        assert!(seen.stdout == [&bytes[..], b"0\n"].concat(), "{shell}");
        let program = context.command("printenv").arg("V").clone();
        let seen = within(LIMIT, shell, program.output()).await.unwrap();
        assert!(seen.stdout == [&bytes[..], b"\n"].concat(), "{shell}");
    }
}

#[tokio::test]
async fn a_large_environment_is_kept() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let shells = Shells::new();
    for shell in &shells.all() {
        let context = session.context();
        context.interpreter(shell);
        let many = "x=$(cat); for i in 0 1 2 3 4 5 6 7 8 9; do export \"V$i=$x$i\"; done";
        let mut command = context.shell(many);
        command.input("v".repeat(100_000));
        within(LIMIT, shell, command.output()).await.unwrap();
        let seen = prints(&context, "echo ${#V0} ${#V9}; env | grep -c '^V[0-9]='").await;
        assert_eq!(seen, "100001 100001\n10\n", "{shell}");
    }
    // One that no program could be given, but the shell's own commands can.
    let context = session.context();
    let mut command = context.shell("export V=\"$(cat)\"");
    command.input("v".repeat(300_000));
    within(LIMIT, "a large value", command.output())
        .await
        .unwrap();
    assert_eq!(prints(&context, "echo ${#V}; unset V").await, "300000\n");
    assert_eq!(prints(&context, "echo ${V-unset}; cat").await, "unset\n");
}

#[tokio::test]
async fn what_is_ended_from_here_leaves_all_as_it_was() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let shells = Shells::new();
    for shell in &shells.all() {
        let context = session.context();
        context.interpreter(shell);
        prints(&context, "cd /usr; export A=old").await;
        let line = "cd /; export A=new; echo begun; sleep 6130";
        let mut command = context.shell(line);
        let error = command
            .timeout(Duration::from_secs(3))
            .output()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{shell}");
        assert_eq!(error.remote_end(), Some(RemoteEnd::Confirmed), "{shell}");
        assert_eq!(error.partial_stdout(), Some(&b"begun\n"[..]), "{shell}");
        assert_eq!(error.partial_stderr(), Some(&b""[..]), "{shell}");
        assert_eq!(prints(&context, "pwd; echo $A").await, "/usr\nold\n");

        let mut command = context.shell(line);
        command.kill_on_drop(true);
        let mut child = within(LIMIT, "its start", command.spawn()).await.unwrap();
        let mut stdout = child.stdout.take().unwrap();
        within(LIMIT, "its beginning", stdout.chunk())
            .await
            .unwrap();
        let status = within(LIMIT, "its end", child.kill()).await.unwrap();
        assert!(!status.success(), "{shell}");
        assert_eq!(prints(&context, "pwd; echo $A").await, "/usr\nold\n");

        // Its limit is reached.
        let mut command = context.shell("cd /; export A=new; yes");
        command.output_limit(OutputLimit::Error(1000));
        let error = within(LIMIT, "too much", command.output())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{shell}");
        assert_eq!(prints(&context, "pwd; echo $A").await, "/usr\nold\n");
    }
    eventually(LIMIT, "nothing is left", || !runs("6130")).await;
}

#[tokio::test]
async fn what_writes_meanwhile_stays_whole_and_so_does_the_state() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    for shell in ["dash", "bash", "zsh"] {
        let context = session.context();
        context.interpreter(shell);
        let value = "it's ".repeat(2_000);
        for round in 0..5 {
            // It goes on while the state is told, behind the end of the line.
            let line = format!(
                "(i=0; while [ $i -lt 5000 ]; do echo noise >&2; i=$((i+1)); done) & \
                 export V=\"$(cat)\" R={round}; exit 3"
            );
            let mut command = context.shell(line);
            command.input(value.clone());
            let output = within(LIMIT, shell, command.output()).await.unwrap();
            assert_eq!(output.status.code(), Some(3));
            assert!(
                output.stderr == "noise\n".repeat(5_000).as_bytes(),
                "{shell}: {}",
                String::from_utf8_lossy(&output.stderr).replace("noise\n", "")
            );
            let seen = prints(&context, "echo $R ${#V}").await;
            assert_eq!(seen, format!("{round} {}\n", value.len()), "{shell}");
        }
    }
    // Where its errors go does not matter to what a line leaves.
    let context = session.context();
    let mut command = context.shell("echo err >&2; cd /usr; yes | head -n 1000");
    command
        .stderr(Stdio::Null)
        .output_limit(OutputLimit::Truncate(10));
    let output = within(LIMIT, "its end", command.output()).await.unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (10, 0));
    assert_eq!(context.cwd().as_deref(), Some("/usr".as_ref()));
}

#[tokio::test]
async fn commands_of_a_context_run_one_at_a_time_and_in_order() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let context = session.context();
    let lines: Vec<_> = (0..6)
        .map(|i| {
            context.shell(format!(
                "export L=\"${{L}}{i}\"; N=${{N:-0}}; sleep 0.1; export N=$((N+1))"
            ))
        })
        .collect();
    let outputs = lines.iter().map(|line| line.output());
    let all = futures_util::future::join_all(outputs);
    for output in within(LIMIT, "all", all).await {
        assert!(output.unwrap().status.success());
    }
    assert_eq!(prints(&context, "echo $L $N").await, "012345 6\n");
}

#[tokio::test]
async fn a_child_holds_its_context_until_it_was_waited_for_and_forks_go_on() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let context = session.context();
    prints(&context, "cd /usr; export A=1").await;
    let mut child = context
        .shell("read A; export A; cat")
        .spawn()
        .await
        .unwrap();
    let error = context.shell("true").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("fork"), "{error}");
    assert_eq!(error.host(), Some("127.0.0.1"));
    let fork = context.fork();
    assert_eq!(
        prints(&fork, "pwd; echo $A; cd /; export A=2").await,
        "/usr\n1\n"
    );

    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"new\nrest\n")
        .await
        .unwrap();
    drop(stdin);
    let output = within(LIMIT, "its end", child.wait_with_output())
        .await
        .unwrap();
    assert_eq!(output.stdout, b"rest\n");
    assert_eq!(prints(&context, "pwd; echo $A").await, "/usr\nnew\n");
    assert_eq!(prints(&fork, "pwd; echo $A").await, "/\n2\n");

    // One that is let go of, and one that is stopped, give the turn back.
    let line = "cd /; sleep 6131";
    drop(
        context
            .shell(line)
            .kill_on_drop(true)
            .spawn()
            .await
            .unwrap(),
    );
    assert_eq!(prints(&context, "pwd").await, "/usr\n");
    let child = context
        .shell(line)
        .kill_on_drop(true)
        .spawn()
        .await
        .unwrap();
    let stopped = within(LIMIT, "its end", child.stop(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(stopped.remote_end, RemoteEnd::Confirmed);
    assert_eq!(prints(&context, "pwd").await, "/usr\n");
    drop(child);
    eventually(LIMIT, "nothing is left", || !runs("6131")).await;
}

#[tokio::test]
async fn a_child_that_is_stopped_while_others_wait_leaves_nothing_and_one_that_ends_does() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let context = session.context();
    prints(&context, "cd /usr").await;
    let line = "trap 'exit 5' TERM; cd /; echo ready; sleep 6132 & wait";
    let mut child = (context.shell(line).kill_on_drop(true).spawn().await).unwrap();
    let ready = child.stdout.as_mut().unwrap().chunk();
    let ready = within(LIMIT, "that it runs", ready).await.unwrap();
    assert_eq!(ready.as_deref(), Some(&b"ready\n"[..]));
    let both = join(child.ended(), child.stop(Duration::from_secs(60)));
    let (exit, stopped) = within(LIMIT, "its end", both).await;
    assert_eq!(exit.unwrap().code(), Some(5));
    assert_eq!(stopped.unwrap().remote_end, RemoteEnd::Confirmed);
    assert_eq!(prints(&context, "pwd").await, "/usr\n");

    // All who wait for it are told, and what it leaves is kept once.
    let child = context.shell("cd lib; exit 3").spawn().await.unwrap();
    let all = within(LIMIT, "its end", join(child.ended(), child.ended())).await;
    let (one, other) = (all.0.unwrap(), all.1.unwrap());
    assert_eq!((one.code(), other.code()), (Some(3), Some(3)));
    assert_eq!(prints(&context, "pwd").await, "/usr/lib\n");
}

#[tokio::test]
async fn a_context_goes_on_over_another_connection() {
    let sshd = Sshd::start();
    let first = session(&sshd).await;
    let context = first.context();
    prints(&context, "cd /usr; export A=1").await;
    first.close().await;
    let error = context.shell("true").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let second = session(&sshd).await;
    let context = context.fork_on(&second);
    assert_eq!(prints(&context, "pwd; echo $A").await, "/usr\n1\n");
}

#[tokio::test]
async fn what_the_server_gives_and_what_it_is_told_lie_below_the_context() {
    for accepted in ["*", "NOTHING"] {
        let sshd = Sshd::builder().option("AcceptEnv", accepted).start();
        let config = config(&sshd).env("CONF", "config").env("odd.name", "odd");
        let session = connect(config).await;
        let context = session.context();
        // One of the shells that hand on a name which is none to them.
        context.interpreter("bash");
        context.env("A", "ctx").env_remove("GONE");
        let line = "echo $CONF $A; env | grep -c '^odd.name=odd$'";
        assert_eq!(
            prints(&context, line).await,
            "config ctx\n1\n",
            "{accepted}"
        );
        // Another's and its own stay what they are for one command.
        let mut command = context.shell("echo $CONF $A; pwd; export B=$A");
        command
            .env("A", "own")
            .env("CONF", "own")
            .current_dir("/usr");
        let output = within(LIMIT, "its end", command.output()).await.unwrap();
        assert_eq!(output.stdout, b"own own\n/usr\n", "{accepted}");
        assert_ne!(context.cwd().as_deref(), Some("/usr".as_ref()));
        let line = "echo $CONF $A $B; unset CONF";
        assert_eq!(prints(&context, line).await, "config ctx own\n");
        assert_eq!(prints(&context, "echo ${CONF-unset}").await, "unset\n");
        context.env("CONF", "again").current_dir("/usr");
        let line = "echo $CONF; pwd; exec 2>/dev/null; env | grep -c _rmux";
        let (_, stdout, _) = run(&context, line).await;
        assert_eq!(stdout, "again\n/usr\n0\n", "{accepted}");
        let mut relative = context.command("pwd");
        let output = relative.current_dir("lib").output();
        let output = within(LIMIT, "its end", output).await.unwrap();
        assert_eq!(output.stdout, b"/usr/lib\n");
        session.close().await;
    }
}
