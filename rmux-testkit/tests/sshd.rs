//! The sshd fixture, seen by the stock `ssh` client.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rmux_testkit::KeyKind;
use rmux_testkit::sshd::Sshd;

const SOON: Duration = Duration::from_secs(10);

/// Running, and not a zombie that whoever adopted it has yet to reap.
fn alive(pid: u32) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = text(&output.stdout);
    !state.trim().is_empty() && !state.starts_with('Z')
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn runs_a_command_with_its_streams_and_status() {
    let sshd = Sshd::start();
    let mut child = sshd
        .ssh()
        .arg("cat; echo err >&2; exit 7")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"in\0out").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"in\0out");
    assert_eq!(text(&output.stderr), "err\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn options_repeat_and_win_over_the_defaults() {
    let sshd = Sshd::builder()
        .option("AcceptEnv", "FOO_*")
        .option("AcceptEnv", "BAR")
        .option("LogLevel", "QUIET")
        .match_block("Match User nobody\n  PermitTTY no")
        .start();
    let output = sshd
        .ssh()
        .args(["-o", "SendEnv=FOO_A BAR BAZ", "env"])
        .env("FOO_A", "1")
        .env("BAR", "2")
        .env("BAZ", "3")
        .output()
        .unwrap();
    // Options after the destination are still options to ssh.
    assert!(output.status.success(), "{}", text(&output.stderr));
    let env = text(&output.stdout);
    assert!(
        env.contains("FOO_A=1\n") && env.contains("BAR=2\n"),
        "{env}"
    );
    assert!(!env.contains("BAZ="), "{env}");
    assert_eq!(sshd.log(), "");
}

#[test]
fn the_home_of_commands_is_empty_unless_asked_for() {
    let sshd = Sshd::builder()
        .option("SetEnv", "ONE=1")
        .option("SetEnv", "TWO=2")
        .start();
    let output = sshd
        .ssh()
        .arg("echo $HOME $ONE $TWO; ls -A ~")
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        format!("{} 1 2\n", sshd.home().display())
    );
    let sshd = Sshd::builder()
        .option("SetEnv", "ONE=1")
        .real_home()
        .start();
    let output = sshd
        .ssh()
        .arg("test $HOME = $PWD && echo $ONE")
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "1\n");
}

#[test]
fn only_authorized_keys_log_in() {
    let other = Sshd::start();
    let sshd = Sshd::builder()
        .authorized_key(other.client_public_key())
        .start();
    let login = |key: std::path::PathBuf| {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args(["-o", "IdentityAgent=none", "-p", &sshd.port().to_string()])
        .arg("-o")
        .arg(format!(
            "UserKnownHostsFile={}",
            sshd.known_hosts().display()
        ))
        .arg("-i")
        .arg(key)
        .arg(format!("{}@127.0.0.1", sshd.user()))
        .arg("true")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
        ssh.status().unwrap().success()
    };
    assert!(login(sshd.client_key()));
    assert!(login(other.client_key()));
    assert!(!login(sshd.stranger_key()));
    assert!(
        !login(sshd.client_key_encrypted("open sesame")),
        "no passphrase, no login"
    );
    sshd.authorize(&std::fs::read_to_string(sshd.stranger_key().with_extension("pub")).unwrap());
    assert!(login(sshd.stranger_key()));
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_only() {
    let sshd = Sshd::start();
    let key = sshd.client_key_encrypted("open sesame");
    let public = |passphrase: &str| {
        Command::new("ssh-keygen")
            .args(["-y", "-P", passphrase, "-f"])
            .arg(&key)
            .output()
            .unwrap()
    };
    assert!(!public("wrong").status.success());
    assert!(text(&public("open sesame").stdout).starts_with(sshd.client_public_key()));
}

#[test]
fn host_keys_can_be_chosen_and_made_anew() {
    let shared = Sshd::start();
    let kinds: Vec<_> = shared
        .host_public_keys()
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds, KeyKind::ALL);
    let one = Sshd::builder().host_keys(&[KeyKind::Ed25519]).start();
    assert_eq!(one.host_public_keys(), shared.host_public_keys()[..1]);
    let less = Sshd::builder().without_host_key(KeyKind::Rsa).start();
    assert_eq!(less.host_public_keys().len(), 2);
    let new = Sshd::builder()
        .host_keys(&[KeyKind::Ed25519])
        .new_host_keys()
        .start();
    assert_ne!(new.host_public_keys(), one.host_public_keys());
    assert!(new.ssh().arg("true").status().unwrap().success());
    // Another server's key under this server's address is a changed key.
    let mut ssh = new.ssh();
    let forged = new.folder().join("forged");
    let line = format!(
        "[127.0.0.1]:{} {}\n",
        new.port(),
        one.host_public_keys()[0].1
    );
    std::fs::write(&forged, line).unwrap();
    let known_hosts = std::fs::read(new.known_hosts()).unwrap();
    std::fs::copy(&forged, new.known_hosts()).unwrap();
    let output = ssh.arg("true").output().unwrap();
    assert!(text(&output.stderr).contains("IDENTIFICATION HAS CHANGED"));
    std::fs::write(new.known_hosts(), known_hosts).unwrap();
}

#[test]
fn counts_what_runs() {
    let sshd = Sshd::builder().log_channels().start();
    assert_eq!(
        (
            sshd.connections(),
            sshd.open_sessions(),
            sshd.open_channels()
        ),
        (0, 0, 0)
    );
    let mut first = sshd.ssh().arg("sleep 60").spawn().unwrap();
    let mut second = sshd.ssh().arg("sleep 60").spawn().unwrap();
    assert!(
        sshd.wait_until(SOON, |sshd| sshd.open_sessions() == 2),
        "{sshd:?}\n{}",
        sshd.log()
    );
    assert_eq!((sshd.connections(), sshd.open_channels()), (2, 2));
    sshd.kill_connections();
    assert!(!first.wait().unwrap().success());
    assert!(!second.wait().unwrap().success());
    assert_eq!((sshd.connections(), sshd.open_sessions()), (0, 0));
    assert!(
        sshd.ssh().arg("true").status().unwrap().success(),
        "it still accepts"
    );
    assert_eq!(sshd.channels_opened(), 3);
    assert_eq!(sshd.connections_accepted(), 3);
}

#[test]
fn counts_sftp_as_a_session() {
    let sshd = Sshd::start();
    let mut sftp = sshd.ssh();
    let mut sftp = sftp
        .args(["-s", "sftp"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(
        sshd.wait_until(SOON, |sshd| sshd.open_sessions() == 1),
        "{}",
        sshd.log()
    );
    drop(sftp.stdin.take());
    sftp.wait().unwrap();
    assert!(sshd.wait_until(SOON, |sshd| sshd.processes() == 0));
}

#[test]
fn serves_files() {
    let sshd = Sshd::start();
    let (here, there) = (sshd.folder().join("here"), sshd.folder().join("there"));
    std::fs::write(&here, "content").unwrap();
    let batch = sshd.folder().join("batch");
    std::fs::write(
        &batch,
        format!("put {} {}\n", here.display(), there.display()),
    )
    .unwrap();
    assert!(sshd.sftp(&batch).output().unwrap().status.success());
    assert_eq!(std::fs::read(there).unwrap(), b"content");
}

#[test]
fn suspended_it_is_silent_and_resumed_it_goes_on() {
    let sshd = Sshd::start();
    let mut child = sshd
        .ssh()
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(sshd.wait_until(SOON, |sshd| sshd.open_sessions() == 1));
    sshd.suspend();
    drop(child.stdin.take());
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        child.try_wait().unwrap().is_none(),
        "nothing can have answered"
    );
    sshd.resume();
    assert!(child.wait().unwrap().success());
}

#[test]
fn nothing_is_left_after_drop() {
    let sshd = Sshd::start();
    let (pid, addr, folder) = (sshd.pid(), sshd.addr(), sshd.folder().to_owned());
    let mut child = sshd
        .ssh()
        .arg("echo $$; exec sleep 61")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.as_mut().unwrap()),
        &mut line,
    )
    .unwrap();
    let remote: u32 = line.trim().parse().unwrap();
    // One that outlives its connection: its parent is gone, and nothing but its environment
    // says where it came from.
    let left = sshd
        .ssh()
        .arg("nohup sleep 62 >/dev/null 2>&1 & echo $!")
        .output()
        .unwrap();
    let orphan: u32 = text(&left.stdout).trim().parse().unwrap();
    assert!(alive(pid) && alive(remote) && alive(orphan));
    drop(sshd);
    assert!(!alive(pid) && !alive(remote) && !alive(orphan));
    assert!(!folder.exists());
    assert!(TcpStream::connect(addr).is_err());
    child.wait().unwrap();
}

#[test]
fn killed_it_is_gone_at_once_and_drop_is_quiet() {
    let sshd = Sshd::start();
    let mut child = sshd
        .ssh()
        .arg("sleep 60")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(sshd.wait_until(SOON, |sshd| sshd.open_sessions() == 1));
    let start = Instant::now();
    sshd.kill();
    assert_eq!(child.wait().unwrap().code(), Some(255));
    assert!(start.elapsed() < Duration::from_secs(2));
    sshd.kill();
}

#[test]
fn many_start_at_once_on_ports_of_their_own() {
    // Ports come and go meanwhile, so that some of the free ones are lost to others.
    let servers: Vec<Sshd> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let _taken = TcpListener::bind("127.0.0.1:0").unwrap();
                    Sshd::start()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut ports: Vec<_> = servers.iter().map(Sshd::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 8);
}

#[test]
#[should_panic(expected = "Bad configuration option: NoSuchOption")]
fn a_wrong_option_is_told() {
    Sshd::builder().option("NoSuchOption", "yes").start();
}
