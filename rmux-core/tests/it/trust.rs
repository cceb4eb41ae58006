//! Host keys: known, unknown, changed, revoked, and what the policies make of them.

mod certificates;
mod command;
mod large_rsa;
mod liar;
mod lying;
mod revoked;
mod setup;
mod update;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rmux_core::{Answer, Config, ErrorKind, HostKeyPolicy, HostKeyPrompt, Prompter, Session};
use rmux_testkit::KeyKind;
use rmux_testkit::sshd::Sshd;

use crate::fixture::config;

struct Says(bool, AtomicUsize);

impl Prompter for Says {
    fn host_key<'a>(&'a self, prompt: &'a HostKeyPrompt) -> Answer<'a, bool> {
        assert!(prompt.fingerprint.starts_with("SHA256:"));
        assert!(prompt.known_as.starts_with("[127.0.0.1]:"));
        self.1.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(self.0) })
    }
}

/// Settings with a `known_hosts` of this text.
fn knowing(sshd: &Sshd, folder: &tempfile::TempDir, text: &str) -> (Config, PathBuf) {
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, text).unwrap();
    let config = Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .identity_file(sshd.client_key())
        .option("IdentityAgent", "none")
        .option("UserKnownHostsFile", path.display().to_string())
        .option("GlobalKnownHostsFile", "none");
    (config, path)
}

async fn refused(config: Config) -> rmux_core::Error {
    Session::connect("127.0.0.1", config)
        .await
        .expect_err("the key must be refused")
}

#[tokio::test]
async fn an_unknown_key_is_refused_unless_the_policy_or_a_person_accepts_it() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let (config, path) = knowing(&sshd, &folder, "");
    for strict in [
        config.clone(),
        config.clone().host_key_policy(HostKeyPolicy::Strict),
        config.clone().option("StrictHostKeyChecking", "yes"),
        config.clone().host_key_policy(HostKeyPolicy::Ask),
    ] {
        let error = refused(strict).await;
        assert_eq!(error.kind(), ErrorKind::HostKeyUnknown);
        assert_eq!(error.host(), Some("127.0.0.1"));
        assert!(error.to_string().contains("SHA256:"), "{error}");
    }
    let no = Arc::new(Says(false, AtomicUsize::new(0)));
    let error = refused(config.clone().prompter(no.clone())).await;
    assert_eq!(error.kind(), ErrorKind::HostKeyUnknown);
    assert_eq!(no.1.load(Ordering::Relaxed), 1);
    assert_eq!(std::fs::read(&path).unwrap(), b"", "nothing was learnt");

    let yes = Arc::new(Says(true, AtomicUsize::new(0)));
    for _ in 0..2 {
        let session = Session::connect("127.0.0.1", config.clone().prompter(yes.clone())).await;
        session.unwrap().close().await;
    }
    assert_eq!(
        yes.1.load(Ordering::Relaxed),
        1,
        "the second time the key is known"
    );
}

#[tokio::test]
async fn accepted_keys_are_remembered_plain_or_hashed() {
    let sshd = Sshd::start();
    for hashed in ["no", "yes"] {
        let folder = tempfile::tempdir().unwrap();
        let (config, path) = knowing(&sshd, &folder, "# mine");
        let config = config.option("HashKnownHosts", hashed);
        let accepting = config.clone().host_key_policy(HostKeyPolicy::AcceptNew);
        Session::connect("127.0.0.1", accepting)
            .await
            .unwrap()
            .close()
            .await;
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.strip_prefix("# mine\n").expect("what was there stays");
        assert_eq!(line.starts_with("|1|"), hashed == "yes", "{line}");
        assert_eq!(line.contains("127.0.0.1"), hashed == "no", "{line}");
        let strict = config.host_key_policy(HostKeyPolicy::Strict);
        Session::connect("127.0.0.1", strict)
            .await
            .unwrap()
            .close()
            .await;
    }
}

#[tokio::test]
async fn a_name_that_would_mean_other_hosts_is_not_remembered() {
    let sshd = Sshd::start();
    for hashed in ["no", "yes"] {
        let folder = tempfile::tempdir().unwrap();
        let (config, path) = knowing(&sshd, &folder, "# mine\n");
        let config = config
            .option("HashKnownHosts", hashed)
            .host_key_policy(HostKeyPolicy::AcceptNew);
        for alias in ["*", "[*]:22", "a,b"] {
            let aliased = config.clone().option("HostKeyAlias", alias);
            Session::connect("127.0.0.1", aliased)
                .await
                .unwrap()
                .close()
                .await;
        }
        let lines = config.option("HostKeyAlias", "a\n* ssh-ed25519 AAAA");
        assert_eq!(refused(lines).await.kind(), ErrorKind::ConfigInvalid);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\n");
    }
}

#[tokio::test]
async fn new_keys_are_accepted_only_where_all_files_can_be_read() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let (config, path) = knowing(&sshd, &folder, "");
    // A folder cannot be read as a file, not even by root.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    for accepting in [
        config.clone().host_key_policy(HostKeyPolicy::AcceptNew),
        config.clone().option("StrictHostKeyChecking", "accept-new"),
    ] {
        let error = refused(accepting).await;
        assert_eq!(error.operation(), "read known_hosts", "{error}");
        assert_eq!(error.host(), Some("127.0.0.1"));
    }
    // Where a person is asked, it goes on with what can be read, as ssh does.
    let yes = Arc::new(Says(true, AtomicUsize::new(0)));
    let asking = config.prompter(yes);
    let session = Session::connect("127.0.0.1", asking).await;
    session.unwrap().close().await;
}

#[tokio::test]
async fn a_changed_key_is_refused_by_every_policy_and_nothing_is_written() {
    let sshd = Sshd::start();
    let other = Sshd::builder().new_host_keys().start();
    let folder = tempfile::tempdir().unwrap();
    let wrong: String = other
        .host_public_keys()
        .iter()
        .map(|(_, key)| format!("[127.0.0.1]:{} {key}\n", sshd.port()))
        .collect();
    let (config, path) = knowing(&sshd, &folder, &wrong);
    for policy in [
        HostKeyPolicy::Strict,
        HostKeyPolicy::AcceptNew,
        HostKeyPolicy::Ask,
    ] {
        let yes = Arc::new(Says(true, AtomicUsize::new(0)));
        let error = refused(config.clone().host_key_policy(policy).prompter(yes.clone())).await;
        assert_eq!(error.kind(), ErrorKind::HostKeyChanged, "{policy:?}");
        assert!(
            error.to_string().contains(&format!("{}:", path.display())),
            "{error}"
        );
        assert_eq!(yes.1.load(Ordering::Relaxed), 0, "nobody is asked");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), wrong);
    let any = config.danger_accept_any_host_key();
    Session::connect("127.0.0.1", any)
        .await
        .unwrap()
        .close()
        .await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), wrong);
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let lines: String = sshd
        .host_public_keys()
        .iter()
        .map(|(_, key)| format!("@revoked * {key}\n[127.0.0.1]:{} {key}\n", sshd.port()))
        .collect();
    let (config, _) = knowing(&sshd, &folder, &lines);
    assert_eq!(refused(config).await.kind(), ErrorKind::HostKeyRevoked);
}

#[tokio::test]
async fn the_server_is_asked_for_the_type_of_key_that_is_known() {
    let sshd = Sshd::start();
    for kind in [KeyKind::Ed25519, KeyKind::Ecdsa, KeyKind::Rsa] {
        let folder = tempfile::tempdir().unwrap();
        let keys = sshd.host_public_keys();
        let (_, key) = keys.iter().find(|(known, _)| *known == kind).unwrap();
        let line = format!("[127.0.0.1]:{} {key}\n", sshd.port());
        let (config, _) = knowing(&sshd, &folder, &line);
        let strict = config.host_key_policy(HostKeyPolicy::Strict);
        let session = Session::connect("127.0.0.1", strict).await;
        session
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"))
            .close()
            .await;
    }
}

#[tokio::test]
async fn an_alias_stands_for_name_and_port() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let lines: String = sshd
        .host_public_keys()
        .iter()
        .map(|(_, key)| format!("the-box {key}\n"))
        .collect();
    let (settings, _) = knowing(&sshd, &folder, &lines);
    let aliased = settings.option("HostKeyAlias", "the-box");
    Session::connect("127.0.0.1", aliased)
        .await
        .unwrap()
        .close()
        .await;
    // And the fixture's own file knows it by name and port.
    Session::connect("127.0.0.1", config(&sshd))
        .await
        .unwrap()
        .close()
        .await;
}
