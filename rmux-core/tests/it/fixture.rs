//! How the tests connect: to an sshd of their own, with its keys and nothing of the user's.

use std::time::{Duration, Instant};

use rmux_core::{Config, ConfigFile, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::{Sshd, SshdBuilder};

/// Settings that know only the fixture.
pub(crate) fn config(sshd: &Sshd) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .identity_file(sshd.client_key())
        .option("IdentityAgent", "none")
        .option(
            "UserKnownHostsFile",
            sshd.known_hosts().display().to_string(),
        )
        .option("GlobalKnownHostsFile", "none")
}

/// The same through a relay, under whose port nobody knows the host key.
pub(crate) fn relayed(sshd: &Sshd, relay: &Relay) -> Config {
    config(sshd)
        .port(relay.port())
        .option("HostKeyAlias", format!("[127.0.0.1]:{}", sshd.port()))
}

/// A server that has no SFTP.
pub(crate) fn without_sftp() -> SshdBuilder {
    Sshd::builder().option("Subsystem", "none /bin/false")
}

/// A session with the fixture.
pub(crate) async fn session(sshd: &Sshd) -> Session {
    connect(config(sshd)).await
}

/// A session with whoever is at the configured port.
pub(crate) async fn connect(config: Config) -> Session {
    Session::connect("127.0.0.1", config)
        .await
        .expect("the fixture lets us in")
}

/// Runs `work`, which must not take longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {limit:?}"))
}

/// Waits until `condition` holds, which must not take longer than `limit`.
pub(crate) async fn eventually(limit: Duration, what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process with this argument runs anywhere on this machine.
pub(crate) fn runs(argument: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|word| word == argument.as_bytes())
        })
    })
}

/// Runs the test of this name once more, at a terminal of its own where somebody types `please`
/// again and again; false where it is that one.
pub(crate) async fn outside_of_a_terminal(test: &str) -> bool {
    use tokio::io::AsyncWriteExt as _;

    const INNER: &str = "RMUX_TEST_AT_TERMINAL";
    if std::env::var_os(INNER).is_some() {
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let line = format!("'{}' --exact {test} --nocapture", program.display());
    let mut child = tokio::process::Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .env(INNER, "1")
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("script(1) of util-linux is installed");
    let mut typing = child.stdin.take().unwrap();
    let output = tokio::spawn(child.wait_with_output());
    // Each line typed is an answer to the one question, whenever it comes.
    while !output.is_finished() {
        let _ = typing.write_all(b"please\n").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let output = output.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    true
}
