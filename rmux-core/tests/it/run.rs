//! Running commands: words, streams, environment, directory, terminal, statuses.

use std::pin::Pin;
use std::time::Duration;

use rmux_core::{Config, ErrorKind, Output, Pty, Result, Session, Signal, Stdio};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use rmux_testkit::relay::{Direction, Relay};

use crate::fixture::{connect, relayed, session, within};

/// Compiles only if the futures may be spawned on any runtime.
#[test]
fn futures_can_be_sent_between_threads() {
    fn sent<T: Send>(_: impl FnOnce() -> T) {}
    sent(|| Session::connect("host", Config::new()));
    sent(|| -> Pin<Box<dyn Future<Output = Result<Output>> + Send>> {
        Box::pin(async {
            let session = Session::connect("host", Config::new()).await?;
            let mut child = session.command("true").spawn().await?;
            child.wait().await?;
            session.close().await;
            session.closed().await;
            session.command("true").output().await
        })
    });
}

#[tokio::test]
async fn output_and_status_come_back_exactly() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let output = session
        .shell("printf 'out\\0\\377'; printf err >&2; exit 7")
        .output()
        .await
        .unwrap();
    assert_eq!(output.stdout, b"out\0\xff");
    assert_eq!(output.stderr, b"err");
    assert_eq!(output.status.code(), Some(7));

    let status = session
        .shell("kill -TERM $$")
        .output()
        .await
        .unwrap()
        .status;
    assert_eq!(status.signal(), Some(&Signal::named("TERM").unwrap()));
    assert_eq!(status.code(), None);

    let missing = session.command("no-such-program").output().await.unwrap();
    assert_eq!(missing.status.code(), Some(127));
    let error = missing.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonZeroExit);
    assert!(error.to_string().contains("no-such-program"), "{error}");
    session.close().await;
}

#[tokio::test]
async fn input_of_every_byte_comes_back() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let input: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let output = session
        .command("cat")
        .input(input.clone())
        .output()
        .await
        .unwrap();
    assert!(
        output.stdout == input,
        "{} bytes of {}",
        output.stdout.len(),
        input.len()
    );

    // A command that does not read its input ends all the same.
    let deaf = session.command("true").input(input).clone();
    let output = within(
        Duration::from_secs(10),
        "true with 3 MiB of input",
        deaf.output(),
    )
    .await;
    assert!(output.unwrap().status.success());
}

#[tokio::test]
async fn without_input_a_command_sees_the_end_at_once() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let output = within(
        Duration::from_secs(5),
        "cat",
        session.command("cat").output(),
    )
    .await;
    assert_eq!(output.unwrap().stdout, b"");
}

#[tokio::test]
async fn a_child_is_talked_to_while_it_runs() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut child = session.command("cat").spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut answer = [0; 5];
    for word in [b"first", b"again"] {
        stdin.write_all(word).await.unwrap();
        stdout.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, word);
    }
    stdin.shutdown().await.unwrap();
    assert_eq!(stdout.read(&mut answer).await.unwrap(), 0);
    assert!(child.wait().await.unwrap().success());
    assert!(child.wait().await.unwrap().success(), "the answer stays");
    let error = stdin.write_all(b"late").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn environment_reaches_the_command_whether_the_server_takes_it_or_not() {
    let sshd = Sshd::builder().option("AcceptEnv", "TAKEN_*").start();
    let session = session(&sshd).await;
    let value = "two words, 'quotes' \"and\"\na line; $HOME `id` \\ !";
    for round in ["asks the server", "knows the answer"] {
        let output = session
            .command("printenv")
            .args(["TAKEN_A", "REFUSED_B"])
            .env("TAKEN_A", value)
            .env("REFUSED_B", value)
            .output()
            .await
            .unwrap();
        let expected = format!("{value}\n{value}\n");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            expected,
            "{round}"
        );
    }
    let output = session
        .shell("echo \"$REFUSED_B\"; echo $0 | tr -d -")
        .env("REFUSED_B", "for a line too")
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("for a line too\n"), "{text}");
    for (name, value) in [
        ("A=B", "x"),
        ("", "x"),
        ("N\0", "x"),
        ("N", "\0"),
        ("--split-string", "echo injected"),
        ("-u", "HOME"),
    ] {
        let error = session
            .command("true")
            .env(name, value)
            .output()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}={value:?}");
    }
}

#[tokio::test]
async fn a_command_runs_in_its_directory() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("-it's $odd\\ !\nfolder");
    std::fs::create_dir(&odd).unwrap();
    let output = session
        .command("pwd")
        .current_dir(&odd)
        .output()
        .await
        .unwrap();
    let expected = format!("{}\n", odd.canonicalize().unwrap().display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let output = session
        .shell("pwd")
        .current_dir(&odd)
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);

    let output = session
        .shell("echo ran")
        .current_dir(folder.path().join("missing"))
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(output.stdout, b"", "the command must not run elsewhere");
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing"));
}

#[tokio::test]
async fn a_terminal_has_the_type_size_and_modes_asked_for() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let pty = Pty::new("vt100").size(132, 43).mode(53, 0);
    let mut child = session
        .shell("tty >/dev/null && echo $TERM; stty size; stty -a | grep -o -- '-echo '; read line; stty size")
        .pty(pty)
        .spawn()
        .await
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"-echo \r\n") {
        let piece = within(Duration::from_secs(10), "stty", stdout.chunk())
            .await
            .unwrap();
        text.extend_from_slice(&piece.unwrap_or_else(|| panic!("{text:?}")));
    }
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "vt100\r\n43 132\r\n-echo \r\n"
    );
    child.resize(90, 30);
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"\n")
        .await
        .unwrap();
    let piece = stdout.chunk().await.unwrap().unwrap();
    assert_eq!(&piece[..], b"30 90\r\n");
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn streams_can_be_thrown_away_one_by_one() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let child = session
        .shell("echo out; echo err >&2")
        .stdout(Stdio::Null)
        .spawn()
        .await
        .unwrap();
    assert!(child.stdout.is_none());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(
        (output.stdout, output.stderr),
        (Vec::new(), b"err\n".to_vec())
    );
}

#[tokio::test]
async fn a_stream_that_was_taken_outlives_its_child() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut child = session.shell("sleep 3; echo late").spawn().await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    drop(child);
    let mut text = String::new();
    within(
        Duration::from_secs(10),
        "the late word",
        stdout.read_to_string(&mut text),
    )
    .await
    .unwrap();
    assert_eq!(text, "late\n");
}

#[tokio::test]
async fn a_login_shell_reads_its_input() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let output = session
        .login_shell()
        .input("echo from the shell\n")
        .output()
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("from the shell"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let refused = [
        session.command("a\0b").output().await,
        session.command("echo").arg("a\0b").output().await,
        session.shell("echo a\0b").output().await,
        session.shell("echo").arg("word").output().await,
        session.command("true").current_dir("a\0b").output().await,
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.host(), Some("127.0.0.1"));
    }
}

#[tokio::test]
async fn what_a_cancelled_command_set_does_not_reach_the_next() {
    let sshd = Sshd::builder().option("AcceptEnv", "LEAK_*").start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    session.command("true").output().await.unwrap();
    relay.stall(Direction::Down);
    let mut cancelled = session.command("true");
    cancelled.env("LEAK_TOKEN", "secret");
    let patience = Duration::from_millis(200);
    assert!(
        tokio::time::timeout(patience, cancelled.output())
            .await
            .is_err()
    );
    relay.resume();
    for _ in 0..3 {
        let output = session
            .shell("echo \"<$LEAK_TOKEN>\"")
            .output()
            .await
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "<>\n");
    }
}

#[tokio::test]
async fn directories_and_programs_that_shells_read_in_their_own_way() {
    let sshd = Sshd::builder().option("AcceptEnv", "CDPATH").start();
    let session = session(&sshd).await;
    let home = session.shell("pwd").output().await.unwrap().stdout;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("share")).unwrap();
    let output = session
        .command("pwd")
        .env("CDPATH", "/usr")
        .current_dir("share")
        .output()
        .await
        .unwrap();
    // There is no such folder in the account's home, and none elsewhere is meant.
    assert!(
        !output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let before = session
        .command("pwd")
        .current_dir("-")
        .output()
        .await
        .unwrap();
    assert_ne!(before.stdout, home, "\"-\" is a name");
    assert!(!before.status.success());

    let program = folder.path().join("a=b");
    std::fs::write(&program, "#!/bin/sh\necho ran $0\n").unwrap();
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let output = session
        .command(&program)
        .env("REFUSED", "x")
        .output()
        .await
        .unwrap();
    let expected = format!("ran {}\n", program.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[tokio::test]
async fn secrets_do_not_show_when_a_command_is_printed_or_refused() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.command("cat");
    command.env("TOKEN", "hidden-value").input("hidden-input");
    assert!(!format!("{command:?}").contains("hidden"));
    let error = session
        .command("x")
        .arg("hidden\0")
        .output()
        .await
        .unwrap_err();
    assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    assert!(error.to_string().contains("argument 1"), "{error}");
}
