//! The stock `ssh` client through the link simulator: what it does to an SSH connection.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rmux_testkit::embedded::EmbeddedServer;
use rmux_testkit::relay::{Direction, Relay, RelayBuilder};
use rmux_testkit::sshd::Sshd;

struct Link {
    relay: Relay,
    sshd: Sshd,
    runtime: tokio::runtime::Runtime,
}

impl Link {
    fn start(change: impl FnOnce(RelayBuilder) -> RelayBuilder) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sshd = Sshd::start();
        let relay = runtime.block_on(change(Relay::to(sshd.addr())).start());
        Self {
            relay,
            sshd,
            runtime,
        }
    }

    fn ssh(&self) -> Command {
        through(
            &self.relay,
            &self.sshd,
            &self.sshd.known_hosts(),
            self.sshd.port(),
        )
    }
}

/// `ssh` to the relay, which knows the host key of the server behind it.
fn through(relay: &Relay, sshd: &Sshd, known_hosts: &std::path::Path, port: u16) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "none",
        "-oBatchMode=yes",
        "-oIdentitiesOnly=yes",
        "-oIdentityAgent=none",
    ])
    .arg(format!("-oUserKnownHostsFile={}", known_hosts.display()))
    .arg(format!("-oHostKeyAlias=[127.0.0.1]:{port}"))
    .arg("-i")
    .arg(sshd.client_key())
    .args(["-p", &relay.port().to_string()])
    .arg(format!("{}@127.0.0.1", sshd.user()))
    .stdin(Stdio::null());
    ssh
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn timed(ssh: &mut Command) -> (Duration, std::process::Output) {
    let start = Instant::now();
    let output = ssh.output().unwrap();
    (start.elapsed(), output)
}

#[test]
fn a_delay_costs_whole_round_trips() {
    let link = Link::start(|relay| relay);
    let (fast, output) = timed(link.ssh().arg("echo hello"));
    assert_eq!(text(&output.stdout), "hello\n");
    link.relay.set_delay(Duration::from_millis(50));
    let (slow, output) = timed(link.ssh().arg("echo hello"));
    assert_eq!(text(&output.stdout), "hello\n");
    // Version, key exchange, service, logins, channel, command: no client does it in fewer than
    // five; the stock one takes eight beyond the TCP handshake.
    let trips = (slow.as_secs_f64() - fast.as_secs_f64()) / 0.1;
    println!("cold connect: {trips:.1} round trips, {fast:?} of work");
    assert!(slow >= Duration::from_millis(500), "{slow:?}");
    assert!(slow < Duration::from_secs(10), "{slow:?}");
}

#[test]
fn a_cut_ends_a_command_in_the_middle_of_its_output() {
    let link = Link::start(|relay| relay.cut_after(Direction::Down, 500_000));
    let (took, output) = timed(link.ssh().arg("head -c 5000000 /dev/zero"));
    assert_eq!(output.status.code(), Some(255));
    assert!(output.stdout.len() < 500_000, "{}", output.stdout.len());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(link.relay.bytes(Direction::Down), 500_000);
    // Once only.
    let (_, output) = timed(link.ssh().arg("head -c 5000000 /dev/zero"));
    assert_eq!(output.stdout.len(), 5_000_000);
}

#[test]
fn a_stall_is_noticed_by_keepalives_only() {
    let link = Link::start(|relay| relay);
    let mut child = link
        .ssh()
        .args([
            "-oServerAliveInterval=1",
            "-oServerAliveCountMax=1",
            "sleep 60",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(
        link.sshd
            .wait_until(Duration::from_secs(10), |sshd| sshd.open_sessions() == 1)
    );
    link.relay.stall(Direction::Down);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert!(
        text(&output.stderr).contains("not responding"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_refusal_and_a_black_hole_look_as_they_should() {
    let link = Link::start(RelayBuilder::refuse);
    let (_, output) = timed(link.ssh().arg("true"));
    assert!(
        text(&output.stderr).contains("Connection refused"),
        "{}",
        text(&output.stderr)
    );
    link.relay.resume();
    link.relay.drop_all();
    let start = Instant::now();
    let mut told = String::new();
    // The port opens a moment after resume().
    while !told.contains("timed out") {
        assert!(start.elapsed() < Duration::from_secs(10), "{told}");
        let (_, output) = timed(link.ssh().args(["-oConnectTimeout=1", "true"]));
        assert_eq!(output.status.code(), Some(255));
        told = text(&output.stderr);
    }
    drop(link.runtime);
}

#[test]
fn the_embedded_server_works_through_it_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // For its keys only.
    let sshd = Sshd::start();
    let builder = EmbeddedServer::builder().authorized_key(sshd.client_public_key());
    let server = runtime.block_on(builder.start()).unwrap();
    let known_hosts = sshd.folder().join("embedded_hosts");
    std::fs::write(&known_hosts, server.host_public_key_line()).unwrap();
    let relay = Relay::to(server.addr()).delay(Duration::from_millis(20));
    let relay = runtime.block_on(relay.start());
    let mut ssh = through(&relay, &sshd, &known_hosts, server.addr().port());
    let (took, output) = timed(ssh.arg("head -c 3000000 /dev/zero"));
    assert_eq!(output.stdout.len(), 3_000_000, "{}", text(&output.stderr));
    assert!(took >= Duration::from_millis(200), "{took:?}");
    relay.set_cut_after(Direction::Down, 100_000);
    let mut ssh = through(&relay, &sshd, &known_hosts, server.addr().port());
    let (_, output) = timed(ssh.arg("head -c 3000000 /dev/zero; sleep 60"));
    assert_eq!(output.status.code(), Some(255));
    let start = Instant::now();
    while server.programs() > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the program outlives the cut"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    runtime.block_on(server.stop());
}
