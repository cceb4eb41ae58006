//! RevokedHostKeys: lists of keys, certificates and authorities that are trusted no more.

use rmux_core::ErrorKind;
use rmux_testkit::sshd::Sshd;

use super::setup::{Case, Keys, NAME};

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
