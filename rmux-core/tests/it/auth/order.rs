//! Which keys are offered, in which order, held against the stock client with the same settings.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rmux_core::{Config, ConfigFile, ErrorKind, Session};
use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, certify, make_key};
use crate::fixture::within;

/// Lets nobody in, and says which keys it was asked about.
fn stern() -> Sshd {
    Sshd::builder()
        .log_channels()
        .option("MaxAuthTries", "1000")
        .start()
}

/// The signature algorithm and fingerprint of each key the server was asked about since `from`.
fn offered(sshd: &Sshd, from: usize) -> Vec<String> {
    let log = sshd.log();
    let asked = log[from..].lines().filter_map(|line| {
        let (_, key) = line.split_once(" test pkalg ")?;
        Some(key.to_owned())
    });
    asked.collect()
}

/// Settings that both clients read.
type Settings = Vec<(&'static str, String)>;

fn by_ssh(sshd: &Sshd, settings: &Settings) -> Vec<String> {
    let from = sshd.log().len();
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-p", &sshd.port().to_string()]);
    for (key, value) in settings {
        ssh.arg("-o").arg(format!("{key}={value}"));
    }
    let known_hosts = format!("UserKnownHostsFile={}", sshd.known_hosts().display());
    ssh.args(["-o", &known_hosts, "-o", "BatchMode=yes"])
        .arg(format!("{}@127.0.0.1", sshd.user()))
        .arg("true")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    assert!(!ssh.status().expect("ssh runs").success());
    offered(sshd, from)
}

async fn by_rmux(sshd: &Sshd, settings: &Settings) -> Vec<String> {
    let from = sshd.log().len();
    let mut config = Config::new()
        .config_file(ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .option(
            "UserKnownHostsFile",
            sshd.known_hosts().display().to_string(),
        )
        .option("BatchMode", "yes");
    for (key, value) in settings {
        config = config.option(*key, value.clone());
    }
    let login = Session::connect("127.0.0.1", config);
    let error = within(LIMIT, "the refusal", login).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
    offered(sshd, from)
}

struct Keys {
    folder: tempfile::TempDir,
    names: Vec<&'static str>,
}

/// Keys of every kind; each has a certificate in a file that is not found by its name.
fn keys() -> Keys {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    make_key(&at("ca"), &["-t", "ed25519"], "");
    let kinds: [(&'static str, &[&str]); 5] = [
        ("a", &["-t", "ed25519"]),
        ("b", &["-t", "ecdsa"]),
        ("c", &["-t", "rsa", "-b", "2048"]),
        ("d", &["-t", "ed25519"]),
        ("e", &["-t", "rsa", "-b", "2048"]),
    ];
    for (name, arguments) in kinds {
        make_key(&at(name), arguments, "");
        certify(&at("ca"), &at(name), &["-n", "nobody"]);
        let certificate = at(&format!("{name}-cert.pub"));
        std::fs::rename(certificate, at(&format!("{name}.certificate"))).unwrap();
    }
    Keys {
        folder,
        names: kinds.iter().map(|(name, _)| *name).collect(),
    }
}

/// Lays out some of the keys: each with or without its private half, its public file and the
/// certificate beside it, as identity files; some with the agent.
fn scene(keys: &Keys, folder: &Path, agent: &Agent, dice: &mut StdRng) -> Settings {
    let mut settings: Settings = vec![("IdentityAgent", agent.socket().display().to_string())];
    agent.remove_all();
    let mut names = keys.names.clone();
    for index in (1..names.len()).rev() {
        names.swap(index, dice.random_range(0..=index));
    }
    let copy = |from: PathBuf, to: PathBuf| {
        std::fs::copy(&from, &to).unwrap();
    };
    let from = |name: &str| keys.folder.path().join(name);
    let mut certificate_files = Vec::new();
    for name in names {
        let path = folder.join(name);
        let held = dice.random_bool(0.5);
        if held {
            agent.add(&from(name));
        }
        let named = dice.random_bool(0.7);
        // Without anybody who has the private half, the stock client offers in vain.
        let whole = !held || dice.random_bool(0.5);
        let shown = !whole || dice.random_bool(0.5);
        let certified = dice.random_bool(0.4);
        if !named {
            continue;
        }
        if whole {
            copy(from(name), path.clone());
        }
        if shown {
            copy(from(&format!("{name}.pub")), path.with_extension("pub"));
        }
        let certificate = from(&format!("{name}.certificate"));
        if certified {
            copy(certificate.clone(), folder.join(format!("{name}-cert.pub")));
        }
        if dice.random_bool(0.3) {
            certificate_files.push(certificate);
        }
        settings.push(("IdentityFile", path.display().to_string()));
    }
    if !settings.iter().any(|(key, _)| *key == "IdentityFile") {
        settings.push(("IdentityFile", "none".into()));
    }
    for certificate in certificate_files {
        settings.push(("CertificateFile", certificate.display().to_string()));
    }
    if dice.random_bool(0.4) {
        settings.push(("IdentitiesOnly", "yes".into()));
    }
    let accepted = [
        None,
        None,
        Some("ssh-ed25519,rsa-sha2-256"),
        Some("-ssh-ed25519"),
        Some("rsa-sha2-256*,ecdsa-*"),
        Some("^rsa-sha2-256,rsa-sha2-256-cert-v01@openssh.com"),
        Some("ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512*,ecdsa-sha2-nistp256"),
    ][dice.random_range(0..7)];
    if let Some(accepted) = accepted {
        settings.push(("PubkeyAcceptedAlgorithms", accepted.into()));
    }
    if dice.random_bool(0.2) {
        settings.push(("RequiredRSASize", "3072".into()));
    }
    settings
}

#[tokio::test]
async fn keys_are_offered_in_the_order_of_the_stock_client() {
    let seed: u64 = match std::env::var("RMUX_SEED") {
        Ok(seed) => seed.parse().expect("RMUX_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("RMUX_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let (sshd, keys, agent) = (stern(), keys(), Agent::start());
    let mut compared = 0;
    for case in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let settings = scene(&keys, folder.path(), &agent, &mut dice);
        let expected = by_ssh(&sshd, &settings);
        let found = by_rmux(&sshd, &settings).await;
        assert_eq!(
            found, expected,
            "case {case} of RMUX_SEED={seed}: {settings:#?}"
        );
        compared += expected.len();
    }
    assert!(compared > 40, "the cases are empty: {compared}");
}

#[tokio::test]
async fn what_cannot_be_used_is_not_offered() {
    let (sshd, keys) = (stern(), keys());
    let at = |name: &str| keys.folder.path().join(name).display().to_string();
    let none: Settings = vec![
        ("IdentityAgent", "none".into()),
        ("IdentityFile", at("a.pub")),
        ("IdentityFile", at("c")),
        ("IdentityFile", at("c")),
        ("CertificateFile", at("b.certificate")),
        ("CertificateFile", at("a.pub")),
        ("RequiredRSASize", "2048".into()),
    ];
    // A public file whose private half nobody has, the same key once more, a certificate without
    // its key and one that is none.
    assert_eq!(by_rmux(&sshd, &none).await.len(), 1);

    // A host's certificate is not for users.
    let host = keys.folder.path().join("d");
    certify(&keys.folder.path().join("ca"), &host, &["-h", "-n", "x"]);
    let settings: Settings = vec![("IdentityAgent", "none".into()), ("IdentityFile", at("d"))];
    let offered = by_rmux(&sshd, &settings).await;
    assert_eq!(offered, by_ssh(&sshd, &settings));
    assert!(
        offered.len() == 1 && !offered[0].contains("cert"),
        "{offered:?}"
    );
}
