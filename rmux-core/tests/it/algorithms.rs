//! Algorithms: each that rmux offers works with sshd, and the user's settings decide.

use rmux_core::{ErrorKind, Session};
use rmux_testkit::sshd::Sshd;

use crate::fixture::config;

/// What the sshd of these tests accepts besides its defaults.
fn sshd() -> Sshd {
    Sshd::builder()
        .option("Ciphers", "+aes128-cbc,aes192-cbc,aes256-cbc")
        .option(
            "KexAlgorithms",
            "+diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1",
        )
        .option("HostKeyAlgorithms", "+ssh-rsa")
        .start()
}

#[tokio::test]
async fn each_algorithm_alone_carries_a_command() {
    let sshd = sshd();
    for (key, names) in [
        (
            "Ciphers",
            "aes128-gcm@openssh.com aes256-gcm@openssh.com chacha20-poly1305@openssh.com \
             aes128-ctr aes192-ctr aes256-ctr aes128-cbc aes192-cbc aes256-cbc",
        ),
        (
            "KexAlgorithms",
            "curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256 \
             ecdh-sha2-nistp384 ecdh-sha2-nistp521 diffie-hellman-group-exchange-sha256 \
             diffie-hellman-group16-sha512 diffie-hellman-group18-sha512 \
             diffie-hellman-group14-sha256 diffie-hellman-group14-sha1 \
             diffie-hellman-group-exchange-sha1",
        ),
        (
            "HostKeyAlgorithms",
            "ssh-ed25519 ecdsa-sha2-nistp256 rsa-sha2-512 rsa-sha2-256 ssh-rsa",
        ),
        ("Compression", "yes no"),
    ] {
        for name in names.split_whitespace() {
            let config = config(&sshd).option(key, name);
            let session = Session::connect("127.0.0.1", config)
                .await
                .unwrap_or_else(|error| panic!("{key}={name}: {error}"));
            let input = vec![b'x'; 100_000];
            let echo = session.command("cat").input(input.clone()).output().await;
            let output = echo.unwrap_or_else(|error| panic!("{key}={name}: {error}"));
            assert!(output.stdout == input, "{key}={name}");
            session.close().await;
        }
    }
    for mac in [
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
        "hmac-sha1",
        "hmac-sha1-etm@openssh.com",
    ] {
        // An AEAD cipher would leave the MAC unused.
        let config = config(&sshd)
            .option("Ciphers", "aes128-ctr")
            .option("MACs", mac);
        let session = Session::connect("127.0.0.1", config).await;
        let session = session.unwrap_or_else(|error| panic!("{mac}: {error}"));
        assert!(
            session
                .command("true")
                .output()
                .await
                .unwrap()
                .status
                .success()
        );
        session.close().await;
    }
}

#[tokio::test]
async fn lists_made_for_openssh_stay_usable() {
    let sshd = sshd();
    // Names the engine lacks drop out of a list; wildcards and signs work as for ssh.
    let config = config(&sshd)
        .option(
            "KexAlgorithms",
            "sntrup761x25519-sha512@openssh.com,curve25519-sha256",
        )
        .option("MACs", "-*sha1*")
        .option("Ciphers", "^aes256-ctr");
    let session = Session::connect("127.0.0.1", config).await.unwrap();
    assert_eq!(session.host().ciphers.as_ref().unwrap()[0], "aes256-ctr");
    assert!(
        session.host().ignored.is_empty(),
        "{:?}",
        session.host().ignored
    );
    session.close().await;
}

#[tokio::test]
async fn what_cannot_be_agreed_on_is_said_clearly() {
    let sshd = Sshd::builder().option("Ciphers", "aes256-ctr").start();
    for (key, value, named, kind) in [
        (
            "Ciphers",
            "aes128-gcm@openssh.com",
            "aes256-ctr",
            ErrorKind::Unsupported,
        ),
        // Known to OpenSSH, but not one that rmux has; and one that nobody has.
        (
            "KexAlgorithms",
            "sntrup761x25519-sha512",
            "kexalgorithms",
            ErrorKind::ConfigInvalid,
        ),
        ("Ciphers", "rot13", "rot13", ErrorKind::ConfigInvalid),
    ] {
        let config = config(&sshd).option(key, value);
        let error = Session::connect("127.0.0.1", config).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(error.host(), Some("127.0.0.1"));
    }
}
