//! A session served at a control socket, used by the stock `ssh` and its kin.
//!
//! Each client is given a `ProxyCommand` that fails, so that none can connect by itself.

mod raw;
mod terminals;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rmux_core::{Config, ControlEnd, ControlMaster, ControlSocket, Session};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::fixture::{config, connect, eventually, within};

const LIMIT: Duration = Duration::from_secs(60);

/// A session and its master.
pub(crate) struct Served {
    pub(crate) session: Session,
    pub(crate) master: ControlMaster,
    folder: tempfile::TempDir,
    _sshd: Sshd,
}

impl Served {
    async fn start() -> Self {
        Self::of(Sshd::builder().start(), |config| config).await
    }

    async fn of(sshd: Sshd, more: impl FnOnce(Config) -> Config) -> Self {
        let session = connect(more(config(&sshd))).await;
        let folder = tempfile::tempdir().unwrap();
        let socket = ControlSocket::bind(folder.path().join("s")).unwrap();
        let master = socket.serve(session.clone());
        Self {
            session,
            master,
            folder,
            _sshd: sshd,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// The stock client.
    fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        command.args(options(&self.path()));
        command
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.ssh();
        command.args(arguments);
        outcome(&mut command, b"").await
    }
}

fn options(path: &Path) -> [String; 8] {
    let path = format!("ControlPath={}", path.display());
    [
        "-F",
        "none",
        "-o",
        &path,
        "-o",
        "ProxyCommand=false",
        "-o",
        "LogLevel=ERROR",
    ]
    .map(str::to_owned)
}

/// Exit status, standard output and standard error.
async fn outcome(command: &mut Command, input: &[u8]) -> (i32, String, String) {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.expect("OpenSSH's clients are installed");
    let mut stdin = child.stdin.take().unwrap();
    let feed = async {
        // Who does not read its input may do so.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let work = async { tokio::join!(feed, child.wait_with_output()).1 };
    let output = within(LIMIT, "the client", work).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("it ends by itself"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn commands_have_their_streams_and_their_status() {
    let served = Served::start().await;
    let ran = served.run(&["h", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!(ran, (7, "out\n".into(), "err\n".into()));
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    let mut cat = served.ssh();
    let (code, stdout, stderr) = outcome(cat.args(["h", "cat"]), &big).await;
    assert_eq!((code, &stderr[..]), (0, ""));
    assert!(stdout.as_bytes() == big, "{} bytes came back", stdout.len());
    // Without a status the client says nothing and fails.
    let killed = served.run(&["h", "kill -9 $$"]).await;
    assert_eq!(killed, (255, String::new(), String::new()));
    let unknown = served.run(&["-s", "h", "nosuchsubsystem"]).await;
    assert_eq!(unknown, (255, String::new(), String::new()));
    assert_eq!(served.session.stats().commands_started, 3);
    assert_eq!(served.session.stats().links, 1);
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_the_command() {
    let served = Served::start().await;
    let mut shell = Command::new("sh");
    let line = format!(
        "ssh {} h 'echo first; exec yes' | head -n 1",
        options(&served.path()).join(" ")
    );
    let (code, stdout, _) = outcome(shell.args(["-c", &line]), b"").await;
    assert_eq!((code, &stdout[..]), (0, "first\n"));
    eventually(LIMIT, "the channel is given back", || {
        let stats = served.session.stats();
        served.master.clients() == 0 && stats.channels == stats.channels_ready
    })
    .await;
}

#[tokio::test]
async fn files_go_over_it_by_scp_and_sftp() {
    let served = Served::start().await;
    let folder = served.folder.path();
    let (from, to) = (folder.join("from"), folder.join("to"));
    let data: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    std::fs::write(&from, &data).unwrap();
    let mut scp = Command::new("scp");
    scp.args(options(&served.path()))
        .arg(&from)
        .arg(format!("h:{}", to.display()));
    let (code, _, stderr) = outcome(&mut scp, b"").await;
    assert_eq!((code, &stderr[..]), (0, ""));
    assert!(std::fs::read(&to).unwrap() == data);
    let mut sftp = Command::new("sftp");
    let again = folder.join("again");
    let batch = format!("get {} {}\n", to.display(), again.display());
    sftp.args(options(&served.path())).args(["-b", "-", "h"]);
    let (code, _, stderr) = outcome(&mut sftp, batch.as_bytes()).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(std::fs::read(&again).unwrap() == data);
}

#[tokio::test]
async fn variables_pass_where_the_master_lets_them() {
    let sshd = Sshd::builder().option("AcceptEnv", "*").start();
    let served = Served::of(sshd, |config| {
        config
            .option("SendEnv", "SHARED_*")
            .option("SetEnv", "SHARED_SET=master")
    })
    .await;
    let mut ssh = served.ssh();
    ssh.args(["-o", "SendEnv=SHARED_*", "-o", "SendEnv=OTHER_*"])
        .args(["h", "echo $SHARED_ONE $SHARED_SET $OTHER_ONE"])
        .env("SHARED_ONE", "one")
        .env("SHARED_SET", "client")
        .env("OTHER_ONE", "other");
    let ran = outcome(&mut ssh, b"").await;
    assert_eq!(ran, (0, "one master\n".into(), String::new()));
}

#[tokio::test]
async fn the_commands_of_a_master_are_obeyed_in_openssh_s_words() {
    let served = Served::start().await;
    let check = served.run(&["-O", "check", "h"]).await;
    let running = format!("Master running (pid={})\r\n", std::process::id());
    assert_eq!(check, (0, String::new(), running));
    let sleeping = served.ssh().args(["h", "sleep 600"]).spawn();
    let mut sleeping = sleeping.unwrap();
    eventually(LIMIT, "it runs", || {
        served.session.stats().commands_started == 1
    })
    .await;
    let proxy = served.run(&["-O", "proxy", "h"]).await;
    assert!(proxy.0 == 255, "{proxy:?}");
    let stop = served.run(&["-O", "stop", "h"]).await;
    let asked = "Stop listening request sent.\r\n".to_owned();
    assert_eq!(stop, (0, String::new(), asked));
    assert!(!served.path().exists());
    let only_one = || served.master.clients() == 1;
    eventually(
        LIMIT,
        "who is served is served on, and nobody else",
        only_one,
    )
    .await;
    served.master.close().await;
    let status = within(LIMIT, "the client", sleeping.wait()).await.unwrap();
    assert_eq!(status.code(), Some(255));
    assert!(!served.session.is_closed());
}

#[tokio::test]
async fn a_client_may_end_the_master_and_a_lost_session_does() {
    let served = Served::start().await;
    let exit = served.run(&["-O", "exit", "h"]).await;
    let asked = "Exit request sent.\r\n".to_owned();
    assert_eq!(exit, (0, String::new(), asked));
    let ended = within(LIMIT, "the master", served.master.ended()).await;
    assert!(matches!(ended, ControlEnd::Terminated), "{ended:?}");
    assert!(!served.path().exists());

    let socket = ControlSocket::bind(served.path()).unwrap();
    let master = socket.serve(served.session.clone());
    let mut sleeping = served.ssh().args(["h", "sleep 600"]).spawn().unwrap();
    eventually(LIMIT, "it runs", || master.clients() == 1).await;
    served.session.close().await;
    let ended = within(LIMIT, "the master", master.ended()).await;
    assert!(matches!(ended, ControlEnd::Closed), "{ended:?}");
    assert!(!served.path().exists());
    let status = within(LIMIT, "the client", sleeping.wait()).await.unwrap();
    assert_eq!(status.code(), Some(255));
}

#[tokio::test]
async fn a_client_that_is_killed_leaves_no_channel() {
    let served = Served::start().await;
    let mut sleeping = served
        .ssh()
        .args(["h", "exec sleep 601.25"])
        .spawn()
        .unwrap();
    eventually(LIMIT, "it runs", || {
        served.session.stats().commands_started == 1
    })
    .await;
    sleeping.kill().await.unwrap();
    eventually(LIMIT, "the channel is given back", || {
        let stats = served.session.stats();
        served.master.clients() == 0 && stats.channels == stats.channels_ready
    })
    .await;
    assert_eq!(served.run(&["h", "echo on"]).await.1, "on\n");
}

/// Answers each connection with what it sends, in capitals.
async fn echo() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    buffer.make_ascii_uppercase();
                    if stream.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn answer(port: u16, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(sent).await?;
    let mut heard = vec![0; sent.len()];
    stream.read_exact(&mut heard).await?;
    Ok(heard)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn forwards_move_to_the_master_and_outlive_their_client() {
    let served = Served::start().await;
    let (target, local) = (echo().await, free_port());
    let to = format!("{local}:127.0.0.1:{target}");
    let forward = ["-O", "forward", "-L", &to, "h"];
    let silent = (0, String::new(), String::new());
    assert_eq!(served.run(&forward).await, silent);
    assert_eq!(
        served.run(&forward).await,
        silent,
        "once more is no failure"
    );
    let heard = within(LIMIT, "the forward", answer(local, b"local")).await;
    assert_eq!(heard.unwrap(), b"LOCAL");
    // Another target at the same port.
    let other = format!("{local}:127.0.0.1:{local}");
    let refused = served.run(&["-O", "forward", "-L", &other, "h"]).await;
    assert_eq!(refused.0, 255, "{refused:?}");
    // The server chooses, and the client prints it.
    let to = format!("0:127.0.0.1:{target}");
    let remote = served.run(&["-O", "forward", "-R", &to, "h"]).await;
    let port: u16 = remote
        .1
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{remote:?}"));
    let heard = within(LIMIT, "the forward", answer(port, b"remote")).await;
    assert_eq!(heard.unwrap(), b"REMOTE");
    let to = format!("{local}:127.0.0.1:{target}");
    let cancelled = served.run(&["-O", "cancel", "-L", &to, "h"]).await;
    assert_eq!(cancelled, silent);
    assert!(answer(local, b"x").await.is_err());
    let again = served.run(&["-O", "cancel", "-L", &to, "h"]).await;
    assert!(
        again.0 == 0 && again.2.contains("port not forwarded"),
        "{again:?}"
    );
    // With a command, they outlive it.
    let ran = served.run(&["-L", &to, "h", "true"]).await;
    assert_eq!(ran.0, 0);
    let heard = within(LIMIT, "the forward", answer(local, b"after")).await;
    assert_eq!(heard.unwrap(), b"AFTER");
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_and_output_are_carried() {
    let served = Served::start().await;
    let place = format!("127.0.0.1:{}", echo().await);
    let mut ssh = served.ssh();
    ssh.args(["-W", &place, "h"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = ssh.spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(b"to and fro").await.unwrap();
    let mut heard = [0; 10];
    let reading = stdout.read_exact(&mut heard);
    within(LIMIT, "the echo", reading).await.unwrap();
    assert_eq!(&heard, b"TO AND FRO");
    drop(stdin);
    within(LIMIT, "the client", child.wait()).await.unwrap();
    let closed = format!("127.0.0.1:{}", free_port());
    let refused = served.run(&["-W", &closed, "h"]).await;
    assert_eq!(refused.0, 255, "{refused:?}");
    assert!(
        refused.2.contains("Stdio forwarding request failed"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn nobody_is_missed_while_the_time_without_clients_runs() {
    let served = Served::start().await;
    within(LIMIT, "nobody", served.master.unused_for(Duration::ZERO)).await;
    let idle = async {
        served.master.unused_for(Duration::from_secs(2)).await;
        served.session.stats().commands_started
    };
    let client = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        served.run(&["h", "sleep 2.5"]).await
    };
    let (started, ran) = within(LIMIT, "both", async { tokio::join!(idle, client) }).await;
    assert_eq!((started, ran.0), (1, 0));
    drop(served.master);
    assert!(!served.folder.path().join("s").exists());
}
