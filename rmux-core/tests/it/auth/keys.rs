//! Logging in with key files: their formats, passphrases and modes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmux_core::Session;
use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;

use super::{Script, keeps_out, keyless, lets_in, make_key, without_keys};

#[tokio::test]
async fn key_files_of_every_kind_and_format() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
        &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"],
    ] {
        let path = folder.path().join(format!("key{}", arguments.concat()));
        make_key(&path, arguments, "");
        sshd.authorize(&std::fs::read_to_string(path.with_extension("pub")).unwrap());
        let session = Session::connect("127.0.0.1", keyless(&sshd).identity_file(&path)).await;
        session
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
            .close()
            .await;
    }
}

#[tokio::test]
async fn an_encrypted_key_is_unlocked_when_the_server_wants_it_and_not_before() {
    let sshd = Sshd::start();
    let key = sshd.client_key_encrypted("open sesame");
    let script = Arc::new(Script::default());
    *script.passphrases.lock().unwrap() = vec!["wrong", "open sesame"];
    lets_in(keyless(&sshd).identity_file(&key).prompter(script.clone())).await;
    assert_eq!(script.asked(), ["passphrase 1", "passphrase 2"]);

    // A key that the server does not take: nobody is asked for its passphrase.
    let folder = tempfile::tempdir().unwrap();
    let stranger = folder.path().join("stranger");
    make_key(&stranger, &["-t", "ed25519"], "secret");
    let script = Arc::new(Script::default());
    keeps_out(
        keyless(&sshd)
            .identity_file(&stranger)
            .prompter(script.clone()),
    )
    .await;
    assert!(
        !script
            .asked()
            .iter()
            .any(|asked| asked.starts_with("passphrase"))
    );
}

#[tokio::test]
async fn wrong_and_missing_passphrases_are_named() {
    let sshd = Sshd::start();
    let key = sshd.client_key_encrypted("open sesame");
    let script = Arc::new(Script::default());
    *script.passphrases.lock().unwrap() = vec!["no", "still no", "never"];
    let error = keeps_out(keyless(&sshd).identity_file(&key).prompter(script.clone())).await;
    assert!(error.to_string().contains("wrong passphrase"), "{error}");
    assert!(
        error.to_string().contains(&key.display().to_string()),
        "{error}"
    );
    assert!(
        !format!("{error:?}").contains("still no"),
        "a secret is in the error"
    );

    let error = keeps_out(keyless(&sshd).identity_file(&key)).await;
    assert!(error.to_string().contains("encrypted"), "{error}");
}

#[tokio::test]
async fn keys_that_do_not_help_are_named() {
    let sshd = Sshd::start();
    let error = keeps_out(keyless(&sshd).identity_file(sshd.stranger_key())).await;
    assert!(error.to_string().contains("publickey"), "{error}");
    let error = keeps_out(keyless(&sshd).identity_file("/no/such/key")).await;
    assert!(error.to_string().contains("/no/such/key"), "{error}");
    // A missing file does not keep the next one from being used.
    lets_in(
        keyless(&sshd)
            .identity_file("/no/such/key")
            .identity_file(sshd.client_key()),
    )
    .await;
    // A file that is no key.
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n").unwrap();
    let error = keeps_out(keyless(&sshd).identity_file(&garbage)).await;
    assert!(error.to_string().contains("garbage"), "{error}");
}

#[tokio::test]
async fn an_old_key_without_its_public_half_is_unlocked_once() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    for format in ["PEM", "PKCS8"] {
        let key = folder.path().join(format);
        make_key(
            &key,
            &["-t", "rsa", "-b", "2048", "-m", format],
            "open sesame",
        );
        let public = key.with_extension("pub");
        sshd.authorize(&std::fs::read_to_string(&public).unwrap());
        std::fs::remove_file(public).unwrap();
        let script = Arc::new(Script::default());
        *script.passphrases.lock().unwrap() = vec!["open sesame", "open sesame"];
        lets_in(keyless(&sshd).identity_file(&key).prompter(script.clone())).await;
        assert_eq!(script.asked(), ["passphrase 1"], "{format}");
    }
}

#[tokio::test]
async fn a_key_that_others_may_read_is_ignored_unless_an_agent_holds_it() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let key = copy_of_key(&sshd, folder.path());
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        let error = keeps_out(keyless(&sshd).identity_file(&key)).await;
        let said = format!("its mode is {mode:04o}");
        assert!(error.to_string().contains(&said), "{error}");
    }
    // The next one is still used, and so is the agent, which has its own copy.
    lets_in(
        keyless(&sshd)
            .identity_file(&key)
            .identity_file(sshd.client_key()),
    )
    .await;
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let socket = agent.socket().display().to_string();
    let held = without_keys(&sshd).option("IdentityAgent", socket);
    lets_in(held.option("IdentitiesOnly", "yes").identity_file(&key)).await;
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    lets_in(keyless(&sshd).identity_file(&key)).await;
}

fn copy_of_key(sshd: &Sshd, folder: &Path) -> PathBuf {
    let key = folder.join("key");
    std::fs::copy(sshd.client_key(), &key).unwrap();
    std::fs::write(key.with_extension("pub"), sshd.client_public_key()).unwrap();
    key
}

#[tokio::test]
async fn an_identity_that_is_no_file_is_passed_over() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let error = keeps_out(keyless(&sshd).identity_file(&pipe)).await;
    assert!(error.to_string().contains("no regular file"), "{error}");
    lets_in(
        keyless(&sshd)
            .identity_file(&pipe)
            .identity_file(sshd.client_key()),
    )
    .await;
}
