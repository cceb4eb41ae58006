//! Logging in with certificates: from files, from an agent, and with keys that are elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;
use tempfile::TempDir;

use super::{Script, certify, keeps_out, keyless, lets_in, make_key, without_keys};

/// An authority that an sshd trusts, and a key it has certified.
struct Authority {
    sshd: Sshd,
    folder: TempDir,
}

impl Authority {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca");
        make_key(&authority, &["-t", "ed25519"], "");
        let trusted = authority.with_extension("pub").display().to_string();
        let sshd = Sshd::builder()
            .option("TrustedUserCAKeys", &trusted)
            .start();
        Self { sshd, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A key and `<name>-cert.pub` beside it.
    fn certified(&self, name: &str, key: &[&str], passphrase: &str) -> PathBuf {
        let path = self.path(name);
        make_key(&path, key, passphrase);
        certify(&self.path("ca"), &path, &["-n", self.sshd.user()]);
        path
    }

    /// The certificate of a key, moved to where it is not found by its name.
    fn hide_certificate(&self, key: &Path) -> String {
        let beside = PathBuf::from(format!("{}-cert.pub", key.display()));
        let hidden = key.with_extension("certificate");
        std::fs::rename(beside, &hidden).unwrap();
        hidden.display().to_string()
    }
}

#[tokio::test]
async fn a_certificate_beside_each_kind_of_key_lets_in() {
    let authority = Authority::start();
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        let key = authority.certified(name, arguments, "");
        lets_in(keyless(&authority.sshd).identity_file(&key)).await;
        // The private half alone shows its public half.
        std::fs::remove_file(key.with_extension("pub")).unwrap();
        lets_in(keyless(&authority.sshd).identity_file(&key)).await;
        // Without the certificate the key is a stranger.
        authority.hide_certificate(&key);
        keeps_out(keyless(&authority.sshd).identity_file(&key)).await;
    }
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let key = authority.certified(algorithm, &["-t", "rsa", "-b", "2048"], "");
        let wanted = format!("{algorithm}-cert-v01@openssh.com");
        let config = keyless(&authority.sshd).identity_file(&key);
        lets_in(config.option("PubkeyAcceptedAlgorithms", wanted)).await;
    }
}

#[tokio::test]
async fn a_named_certificate_finds_its_key_in_a_file_or_an_agent() {
    let authority = Authority::start();
    let key = authority.certified("key", &["-t", "ed25519"], "");
    let other = authority.certified("other", &["-t", "ed25519"], "");
    let certificate = authority.hide_certificate(&key);
    authority.hide_certificate(&other);
    let config = || keyless(&authority.sshd).option("CertificateFile", &certificate);
    lets_in(config().identity_file(&other).identity_file(&key)).await;
    let error = keeps_out(config().identity_file(&other)).await;
    assert!(error.to_string().contains("no private key"), "{error}");

    let agent = Agent::start();
    agent.add(&key);
    assert_eq!(agent.public_keys().len(), 1, "the key and no certificate");
    let with_agent = || {
        without_keys(&authority.sshd)
            .option("IdentityAgent", agent.socket().display().to_string())
            .option("CertificateFile", &certificate)
    };
    lets_in(with_agent()).await;
    // Only what is named: the public file of the key is enough.
    let only = || with_agent().option("IdentitiesOnly", "yes");
    keeps_out(only().option("IdentityFile", "none")).await;
    lets_in(only().identity_file(key.with_extension("pub"))).await;
    lets_in(only().identity_file(&key)).await;
}

#[tokio::test]
async fn a_certificate_is_unlocked_with_its_key_when_the_server_takes_it() {
    let authority = Authority::start();
    for (name, arguments) in [
        ("new", &["-t", "ed25519"][..]),
        ("old", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
    ] {
        let key = authority.certified(name, arguments, "open sesame");
        let public = key.with_extension("pub");
        // With and without a file that shows the public half.
        for shown in [true, false] {
            if !shown {
                std::fs::remove_file(&public).unwrap();
            }
            let script = Arc::new(Script::default());
            *script.passphrases.lock().unwrap() = vec!["open sesame", "open sesame"];
            let config = keyless(&authority.sshd).identity_file(&key);
            lets_in(config.prompter(script.clone())).await;
            // The stock client asks for the plain key first, which here is a stranger; where
            // nothing shows its public half, that costs a question of its own.
            let questions = script.asked().len();
            assert!(questions <= 1 + usize::from(!shown), "{name} {shown}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_offered_and_named() {
    let authority = Authority::start();
    for (name, validity, said) in [
        ("past", "-3d:-2d", "it expired "),
        ("future", "+5h:+6h", "it becomes valid in "),
    ] {
        let key = authority.path(name);
        make_key(&key, &["-t", "ed25519"], "");
        let user = authority.sshd.user().to_owned();
        certify(&authority.path("ca"), &key, &["-n", &user, "-V", validity]);
        let error = keeps_out(keyless(&authority.sshd).identity_file(&key)).await;
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(
            authority.sshd.log().contains("ED25519-CERT"),
            "the server was asked"
        );
    }
}

#[tokio::test]
async fn principals_decide() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca");
    make_key(&authority, &["-t", "ed25519"], "");
    let principals = folder.path().join("principals");
    std::fs::write(&principals, "operators\n").unwrap();
    let sshd = Sshd::builder()
        .option(
            "TrustedUserCAKeys",
            &authority.with_extension("pub").display().to_string(),
        )
        .option(
            "AuthorizedPrincipalsFile",
            &principals.display().to_string(),
        )
        .start();
    for (principal, lets) in [("operators", true), ("guests", false)] {
        let key = folder.path().join(principal);
        make_key(&key, &["-t", "ed25519"], "");
        certify(&authority, &key, &["-n", principal]);
        let config = keyless(&sshd).identity_file(&key);
        match lets {
            true => lets_in(config).await,
            false => drop(keeps_out(config).await),
        }
    }
}
