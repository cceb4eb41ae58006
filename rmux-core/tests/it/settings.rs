//! What the user's settings say about commands is acted on: environment, terminal, local command;
//! and subsystems.

use std::time::Duration;

use rmux_core::{Config, ConfigFile, ErrorKind, Pty, Session};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{config, connect, session, within};

const LIMIT: Duration = Duration::from_secs(20);

async fn print_env(session: &Session, name: &str) -> String {
    let output = session.command("printenv").arg(name).output().await;
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// A variable of this process that no login sets by itself.
fn own_variable() -> (String, String) {
    let at_login = [
        "HOME", "LOGNAME", "MAIL", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "TERM",
    ];
    std::env::vars()
        .find(|(name, value)| {
            let plain = value.bytes().all(|b| b.is_ascii_graphic());
            plain && !value.is_empty() && name.len() > 3 && !at_login.contains(&name.as_str())
        })
        .expect("cargo sets some")
}

#[tokio::test]
async fn variables_of_the_settings_are_sent_where_the_server_takes_them() {
    let (name, own) = own_variable();
    let accepted = format!("{name} RMUX_*");
    let sshd = Sshd::builder().option("AcceptEnv", &accepted).start();
    let base = config(&sshd).option("SetEnv", "RMUX_A=\"a b\" RMUX_B=b OTHER=x");

    let pattern = format!("?{} NO_SUCH_*", &name[1..]);
    let session = connect(base.clone().option("SendEnv", pattern)).await;
    assert_eq!(print_env(&session, &name).await, format!("{own}\n"));
    assert_eq!(print_env(&session, "RMUX_A").await, "a b\n");
    // Refused ones are dropped, and never put in front of the command, where all could see them.
    assert_eq!(print_env(&session, "OTHER").await, "");
    let line = session.shell("cat /proc/$$/cmdline").output().await;
    assert!(!String::from_utf8_lossy(&line.unwrap().stdout).contains("OTHER"));

    let mut command = session.command("printenv");
    command.arg("RMUX_B").env("RMUX_B", "mine");
    assert_eq!(command.output().await.unwrap().stdout, b"mine\n");

    // Of several SetEnv settings the first counts, so this one says nothing.
    let twice = base.option("SendEnv", &name);
    let session = connect(twice.option("SetEnv", format!("{name}=x"))).await;
    assert_eq!(print_env(&session, &name).await, format!("{own}\n"));
}

#[tokio::test]
async fn set_env_overrules_send_env() {
    let (name, _) = own_variable();
    let sshd = Sshd::builder().option("AcceptEnv", &name).start();
    let config = config(&sshd).option("SendEnv", &name);
    let session = connect(config.option("SetEnv", format!("{name}=x"))).await;
    assert_eq!(print_env(&session, &name).await, "x\n");
}

#[tokio::test]
async fn the_local_command_runs_once_connected_and_only_where_it_is_permitted() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let line = format!("echo '%h %p %T' >>{}; exit 3", log.display());
    let local = config(&sshd).option("LocalCommand", line);

    connect(local.clone()).await.close().await;
    assert!(!log.exists(), "it is not permitted");

    let permitted = local.option("PermitLocalCommand", "yes");
    let refused = permitted.clone().user("nobody-of-that-name");
    Session::connect("127.0.0.1", refused).await.unwrap_err();
    assert!(!log.exists(), "nobody was let in");

    let session = connect(permitted.clone()).await;
    let expected = format!("127.0.0.1 {} NONE\n", sshd.port());
    assert_eq!(std::fs::read_to_string(&log).unwrap(), expected);
    session.close().await;

    let unknown = permitted.option("Port", sshd.port().to_string());
    let unknown = unknown.config_file(ConfigFile::None).flag('C');
    connect(unknown).await.close().await;
    let bad = config(&sshd)
        .option("PermitLocalCommand", "yes")
        .option("LocalCommand", "echo %Z");
    let error = Session::connect("127.0.0.1", bad).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error}");
    assert!(error.to_string().contains("LocalCommand"), "{error}");
}

#[tokio::test]
async fn a_local_command_that_hangs_is_ended_with_who_waits_for_it() {
    let sshd = Sshd::start();
    let hanging = config(&sshd)
        .option("PermitLocalCommand", "yes")
        .option("LocalCommand", "exec sleep 6301");
    let connecting = Session::connect("127.0.0.1", hanging);
    let connecting = tokio::time::timeout(Duration::from_secs(1), connecting).await;
    connecting.expect_err("it hangs");
    crate::fixture::eventually(LIMIT, "it is ended", || !crate::fixture::runs("6301")).await;
    crate::fixture::eventually(LIMIT, "it is cut", || sshd.connections() == 0).await;
}

#[tokio::test]
async fn subsystems_are_commands_without_a_line() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut sftp = session.subsystem("sftp").spawn().await.unwrap();
    let (mut input, mut output) = (sftp.stdin.take().unwrap(), sftp.stdout.take().unwrap());
    // SSH_FXP_INIT, version 3.
    input.write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await.unwrap();
    let mut answer = [0; 9];
    let reading = output.read_exact(&mut answer);
    within(LIMIT, "the version", reading).await.unwrap();
    assert_eq!((answer[4], &answer[5..]), (2, &[0, 0, 0, 3][..]));
    drop(input);
    let status = within(LIMIT, "its end", sftp.wait()).await.unwrap();
    assert!(status.success());

    let error = session.subsystem("no-such").spawn().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    let mut command = session.subsystem("sftp");
    let error = command.arg("x").spawn().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let mut command = session.subsystem("sftp");
    let error = command.env("REFUSED", "x").spawn().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    assert!(error.to_string().contains("REFUSED"), "{error}");
    // Killed by the channel, since there is no line to wrap.
    let mut command = session.subsystem("sftp");
    drop(command.kill_on_drop(true).spawn().await.unwrap());
    let gone = || sshd.open_sessions() == 0;
    crate::fixture::eventually(LIMIT, "it is gone", gone).await;
}

#[tokio::test]
async fn a_terminal_may_be_optional() {
    let sshd = Sshd::start();
    let stranger = sshd.stranger_key();
    let public = std::fs::read_to_string(stranger.with_extension("pub")).unwrap();
    sshd.authorize(&format!("no-pty {}", public.trim()));
    let config = Config::new()
        .config_file(ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .identity_file(stranger)
        .option("IdentityAgent", "none")
        .option(
            "UserKnownHostsFile",
            sshd.known_hosts().display().to_string(),
        );
    let session = connect(config).await;
    let mut command = session.shell("tty; echo over >&2");
    let error = command.pty(Pty::default()).spawn().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelRefused, "{error}");
    let child = command
        .pty(Pty::default().optional())
        .spawn()
        .await
        .unwrap();
    assert!(!child.has_pty());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"not a tty\n");
    assert_eq!(output.stderr, b"over\n");

    let session = crate::fixture::session(&sshd).await;
    let mut command = session.command("tty");
    let child = command
        .pty(Pty::default().optional())
        .spawn()
        .await
        .unwrap();
    assert!(child.has_pty());
}
