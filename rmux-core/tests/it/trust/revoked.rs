//! RevokedHostKeys: lists of keys, certificates and authorities that are trusted no more.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmux_core::{ConfigFile, ErrorKind, Session};
use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;

use super::liar::{signed, text};
use super::setup::{Case, Keys, NAME, config};
use crate::fixture::within;

/// A server with a certified key that is known in both ways.
struct Known {
    sshd: Sshd,
    keys: Keys,
}

impl Known {
    fn new() -> Self {
        let (sshd, keys) = (Sshd::start(), Keys::new());
        keys.make("ca", "ed25519");
        keys.make("other", "ed25519");
        let host = keys.make("host", "ed25519");
        keys.sign("ca", "host", &["-h", "-n", NAME, "-z", "7"]);
        sshd.set_host_keys(&[&host], "");
        let (ca, host) = (keys.public("ca"), keys.public("host"));
        keys.write(
            "known_hosts",
            format!("@cert-authority * {ca}\n{NAME} {host}\n"),
        );
        Self { sshd, keys }
    }

    /// What comes of the file of this name.
    async fn judged(&self, file: &str) -> Result<(), rmux_core::Error> {
        let known = self.keys.path("known_hosts");
        let case = Case {
            sshd: &self.sshd,
            known: &known,
            options: vec![(
                "RevokedHostKeys",
                self.keys.path(file).display().to_string(),
            )],
        };
        case.judged(file).await
    }

    async fn assert_revoked(&self, file: &str) {
        let error = self.judged(file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostKeyRevoked, "{file}: {error}");
        assert!(error.message().contains(file), "{error}");
    }
}

#[tokio::test]
async fn keys_certificates_and_authorities_are_revoked_by_text() {
    let known = Known::new();
    let keys = &known.keys;
    let certificate = std::fs::read_to_string(keys.path("host-cert.pub")).unwrap();
    keys.write("text_empty", "");
    keys.write(
        "text_other",
        format!("# stolen\n\n{}\n", keys.public("other")),
    );
    keys.write(
        "text_key",
        format!("{}\n{}\n", keys.public("other"), keys.public("host")),
    );
    keys.write("text_certificate", certificate);
    keys.write("text_authority", keys.public("ca"));
    known.judged("text_empty").await.unwrap();
    known.judged("text_other").await.unwrap();
    for file in ["text_key", "text_certificate", "text_authority"] {
        known.assert_revoked(file).await;
    }
}

#[tokio::test]
async fn and_by_revocation_lists() {
    let known = Known::new();
    let keys = &known.keys;
    let list = |name: &str, arguments: &[&str]| {
        keys.run(&[&["-k", "-f", name][..], arguments].concat());
    };
    keys.write("serials", "serial: 5-10\n");
    keys.write("other_serials", "serial: 8-10\nserial: 6\n");
    keys.write("id", "id: a certificate\n");
    keys.write("hash", format!("sha256: {}\n", keys.public("host")));
    list("krl_empty", &[]);
    list("krl_other", &["other.pub"]);
    list("krl_key", &["host.pub"]);
    list("krl_certificate", &["host-cert.pub"]);
    list("krl_authority", &["ca.pub"]);
    list("krl_serials", &["-s", "ca.pub", "serials"]);
    list("krl_other_serials", &["-s", "ca.pub", "other_serials"]);
    list("krl_serials_of_another", &["-s", "other.pub", "serials"]);
    list("krl_id", &["-s", "ca.pub", "id"]);
    list("krl_hash", &["hash"]);
    for file in [
        "krl_empty",
        "krl_other",
        "krl_other_serials",
        "krl_serials_of_another",
    ] {
        known.judged(file).await.unwrap();
    }
    for file in [
        "krl_key",
        "krl_certificate",
        "krl_authority",
        "krl_serials",
        "krl_id",
        "krl_hash",
    ] {
        known.assert_revoked(file).await;
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_lets_nobody_through() {
    let known = Known::new();
    let keys = &known.keys;
    keys.run(&["-k", "-f", "krl", "other.pub"]);
    let list = std::fs::read(keys.path("krl")).unwrap();
    keys.write("cut", &list[..list.len() - 3]);
    let mut version = list.clone();
    version[11] ^= 4;
    keys.write("version", version);
    keys.write("no_key", "this is no key\n");
    std::fs::create_dir(keys.path("folder")).unwrap();
    for file in ["cut", "version", "no_key", "folder", "missing"] {
        let error = known.judged(file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{file}: {error}");
        assert!(error.message().contains("RevokedHostKeys"), "{error}");
        assert_eq!(error.host(), Some(NAME));
    }
}

#[tokio::test]
async fn signatures_in_a_list_must_be_good() {
    let known = Known::new();
    let (keys, agent) = (&known.keys, Agent::start());
    keys.run(&["-k", "-f", "krl", "other.pub"]);
    let list = std::fs::read(keys.path("krl")).unwrap();
    let mut elder = list.clone();
    elder[27] ^= 1; // the date
    for (number, kind) in ["ed25519", "rsa", "ecdsa"].into_iter().enumerate() {
        let signer = format!("signer{number}");
        agent.add(&keys.make(&signer, kind));
        let key = keys.blob(&signer);
        let section = [&[4], &text(&key)[..]].concat();
        let whole = [&list[..], &section].concat();
        let signature = text(signed(&agent, &key, &whole, 0).await);
        keys.write("signed", [&whole[..], &signature].concat());
        known.judged("signed").await.unwrap();
        keys.write("resigned", [&elder[..], &section, &signature].concat());
        let error = known.judged("resigned").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{kind}: {error}");
    }
    // A certificate in a text file stands for its key, and is one only if it is signed.
    keys.sign("ca", "other", &["-h"]);
    let mut certificate = keys.blob("other-cert");
    for (file, flip) in [("certified", 0), ("forged", 1)] {
        *certificate.last_mut().unwrap() ^= flip;
        let base64 = STANDARD.encode(&certificate);
        keys.write(file, format!("ssh-ed25519-cert-v01@openssh.com {base64}\n"));
    }
    known.judged("certified").await.unwrap();
    let error = known.judged("forged").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error}");
}

#[tokio::test]
async fn a_pipe_keeps_nobody_waiting() {
    let known = Known::new();
    let pipe = known.keys.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let (file, pipe) = (known.keys.path("known_hosts"), pipe.display().to_string());
    let strict = |config: rmux_core::Config| config.option("StrictHostKeyChecking", "yes");
    let revoked = strict(config(&known.sshd, &file)).option("RevokedHostKeys", &pipe);
    let only = config(&known.sshd, pipe.as_ref());
    let accepting = only.clone().option("StrictHostKeyChecking", "accept-new");
    for (config, kind) in [
        (revoked, ErrorKind::ConfigInvalid),
        (strict(only), ErrorKind::HostKeyUnknown),
        (accepting, ErrorKind::Io),
    ] {
        let connecting = Session::connect(NAME, config);
        let error = within(Duration::from_secs(10), "a pipe", connecting).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    // A device that ends is as good as an empty file.
    let null = config(&known.sshd, "/dev/null".as_ref());
    let accepting = null.option("StrictHostKeyChecking", "accept-new");
    Session::connect(NAME, accepting)
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn its_name_may_be_any_bytes() {
    let known = Known::new();
    let folder = known.keys.path("").join(OsStr::from_bytes(b"d\xe9"));
    std::fs::create_dir(&folder).unwrap();
    let list = folder.join("revoked");
    let setting = [b"RevokedHostKeys ", list.as_os_str().as_bytes(), b"\n"].concat();
    let file = known.keys.write("config", setting);
    let config = config(&known.sshd, &known.keys.path("known_hosts"))
        .config_file(ConfigFile::Path(file))
        .option("StrictHostKeyChecking", "yes");
    std::fs::write(&list, "").unwrap();
    let session = Session::connect(NAME, config.clone()).await.unwrap();
    session.close().await;
    std::fs::write(&list, known.keys.public("host")).unwrap();
    let error = Session::connect(NAME, config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyRevoked, "{error}");
}
