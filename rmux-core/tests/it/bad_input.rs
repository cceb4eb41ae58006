//! What users get wrong, and what servers do wrong: one clear line each, of the right kind, with
//! the host in it, in time, and nothing left behind.

use std::time::{Duration, Instant};

use rmux_core::{Config, ConfigFile, Error, ErrorKind, Session};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::fixture::{connect, relayed, session, within};

/// Connects, which must fail by this time, and checks the form of the error.
async fn fails(destination: &str, config: Config, kind: ErrorKind, limit: Duration) -> Error {
    let start = Instant::now();
    let connecting = Session::connect(destination, config);
    let error = within(limit, "the failure", connecting)
        .await
        .expect_err("this must fail");
    assert_eq!(error.kind(), kind, "{error}");
    let line = error.to_string();
    assert!(
        line.contains(destination.trim_start_matches("root@")),
        "no host in: {line}"
    );
    assert!(!line.contains('\n'), "more than a line: {line}");
    assert!(start.elapsed() < limit);
    error
}

fn bare(port: u16) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .port(port)
        .option("IdentityAgent", "none")
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_host_that_does_not_exist() {
    fails(
        "no-such-host.invalid",
        bare(22),
        ErrorKind::ConnectFailed,
        SOON,
    )
    .await;
}

#[tokio::test]
async fn a_port_that_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = fails("127.0.0.1", bare(port), ErrorKind::ConnectFailed, SOON).await;
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // Ends when the client closes its side: nothing of the attempt is left.
        tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
    });
    let config = bare(port).connect_timeout(Duration::from_millis(700));
    fails("127.0.0.1", config, ErrorKind::TimedOut, SOON).await;
    within(SOON, "the socket's end", accepted)
        .await
        .unwrap()
        .ok();
}

#[tokio::test]
async fn a_server_that_falls_silent_in_every_phase() {
    let sshd = Sshd::start();
    // The version line, the key exchange, the authentication: some bytes more each time.
    for bytes in [0, 10, 40, 400, 1_200, 1_700, 2_200] {
        let relay = Relay::to(sshd.addr())
            .stall_after(Direction::Down, bytes)
            .start()
            .await;
        let config = relayed(&sshd, &relay).connect_timeout(Duration::from_millis(800));
        let connecting = Session::connect("127.0.0.1", config);
        match within(SOON, "the deadline", connecting).await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{bytes}: {error}"),
            // Past the authentication the session stands; its commands wait for the server.
            Ok(_) => assert!(bytes > 1_700, "connected after {bytes} bytes"),
        }
        assert!(
            wait_for_none(&relay).await,
            "{bytes}: the connection is still open after the failure"
        );
    }
}

async fn wait_for_none(relay: &Relay) -> bool {
    for _ in 0..400 {
        // Held back, the server's side of the end would not come through.
        relay.resume();
        if relay.connections() == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn what_answers_is_no_ssh_server() {
    for greeting in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"220 mail.example.com ESMTP\r\n",
        b"SSH-1.5-ancient\r\n",
        b"\0\0\0\0\xff\xff\xff\xff",
        b"",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let greet = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(greeting).await.unwrap();
        });
        fails("127.0.0.1", bare(port), ErrorKind::ConnectFailed, SOON).await;
        greet.await.unwrap();
    }
}

#[tokio::test]
async fn a_banner_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let flood = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let line = vec![b'x'; 64 << 10];
        while socket.write_all(&line).await.is_ok() {}
    });
    let config = bare(port).connect_timeout(Duration::from_secs(1));
    let connecting = Session::connect("127.0.0.1", config);
    let error = within(SOON, "the end", connecting)
        .await
        .expect_err("this must fail");
    assert!(
        matches!(error.kind(), ErrorKind::ConnectFailed | ErrorKind::TimedOut),
        "{error}"
    );
    within(SOON, "the socket's end", flood).await.unwrap();
}

#[tokio::test]
async fn destinations_ports_and_options_that_make_no_sense() {
    for destination in [
        "",
        "-oProxyCommand=id",
        "ssh://host:0",
        "ssh://host:70000",
        "a b",
    ] {
        let error = Session::connect(destination, bare(22)).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::ConfigInvalid,
            "{destination:?}: {error}"
        );
    }
    for (key, value, named) in [
        ("Port", "70000", "70000"),
        ("Port", "ssh-port", "ssh-port"),
        ("NoSuchKey", "x", "nosuchkey"),
        ("StrictHostKeyChecking", "perhaps", "perhaps"),
        ("ConnectTimeout", "soon", "soon"),
    ] {
        let config = bare(22).option(key, value);
        let error = Session::connect("127.0.0.1", config).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::ConfigInvalid,
            "{key}={value}: {error}"
        );
        assert!(error.to_string().to_lowercase().contains(named), "{error}");
        assert_eq!(error.host(), Some("127.0.0.1"));
    }
}

#[tokio::test]
async fn a_config_file_with_an_error_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, "Host *\n  Port 22\n  Frobnicate yes\n").unwrap();
    let config = Config::new().config_file(ConfigFile::Path(path.clone()));
    let error = Session::connect("127.0.0.1", config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    let line = error.to_string();
    assert!(
        line.contains(&path.display().to_string()) && line.contains('3'),
        "{line}"
    );
    let missing = Config::new().config_file(ConfigFile::Path(folder.path().join("missing")));
    let error = Session::connect("127.0.0.1", missing).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn the_config_file_is_read() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(
        &path,
        format!(
            "Host box\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n \
             IdentitiesOnly yes\n UserKnownHostsFile {}\n GlobalKnownHostsFile none\n \
             StrictHostKeyChecking yes\n ForwardX11 yes\n",
            sshd.port(),
            sshd.user(),
            sshd.client_key().display(),
            sshd.known_hosts().display()
        ),
    )
    .unwrap();
    let config = Config::new().config_file(ConfigFile::Path(path.clone()));
    let session = Session::connect("box", config).await.unwrap();
    assert!(
        session
            .command("true")
            .output()
            .await
            .unwrap()
            .status
            .success()
    );
    let host = session.host();
    assert_eq!(
        (host.name.as_str(), host.hostname.as_str()),
        ("box", "127.0.0.1")
    );
    let ignored: Vec<String> = host.ignored.iter().map(ToString::to_string).collect();
    assert!(
        matches!(&ignored[..], [only] if only.contains("forwardx11") && only.contains("config")),
        "what is not acted on is named with its place: {ignored:?}"
    );
}

#[tokio::test]
async fn a_server_that_dies_amid_output() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    let command = session.shell("while :; do echo output; done");
    let running = tokio::spawn(async move { command.output().await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    sshd.kill_connections();
    let error = within(SOON, "the news", running)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    assert_eq!(error.host(), Some("127.0.0.1"));
    let later = session.command("true").output().await.unwrap_err();
    assert_eq!(
        later.kind(),
        ErrorKind::Disconnected,
        "the session's end is final"
    );
}

/// Everything above, again and again: nothing of it may stay.
#[tokio::test]
async fn a_banner_that_is_no_utf8_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("banner");
    std::fs::write(&banner, b"Zugang nur f\xfcr Befugte\n").unwrap();
    let sshd = Sshd::builder()
        .option("Banner", &banner.display().to_string())
        .start();
    let config = crate::fixture::config(&sshd);
    let error = fails("127.0.0.1", config, ErrorKind::ProtocolViolation, SOON).await;
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[tokio::test]
async fn use_after_close() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let command = session.shell("sleep 30");
    let running = tokio::spawn(async move { command.output().await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    within(SOON, "close", session.close()).await;
    assert!(session.is_closed());
    assert!(matches!(
        session.closed().await,
        rmux_core::CloseReason::Closed
    ));
    let error = within(SOON, "the running command", running)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let error = session.command("true").output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    within(SOON, "a second close", session.close()).await;
    // And the fixture sees the connection go.
    assert!(sshd.wait_until(SOON, |sshd| sshd.connections() == 0));
}
