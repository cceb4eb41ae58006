//! Logging in with key files: their passphrases and modes, and what is no key.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;

use super::{Script, keeps_out, keyless, lets_in, make_key, without_keys};

const PASSPHRASE: &str = "open sesame";

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

#[tokio::test]
async fn files_that_are_no_keys_are_named_and_passed_over() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("binary"), [0xff, 0xfe, 0, 1]).unwrap();
    std::fs::write(at("large"), vec![b'A'; 10 << 20]).unwrap();
    std::fs::write(at("putty"), "PuTTY-User-Key-File-3: ssh-ed25519\n").unwrap();
    let text = std::fs::read_to_string(sshd.client_key()).unwrap();
    std::fs::write(at("cut"), &text[..text.len() / 2]).unwrap();
    std::fs::write(at("flipped"), text.replacen("b3Bl", "b3Bm", 1)).unwrap();
    std::fs::write(
        at("certificate"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for (name, said) in [
        ("folder", "no regular file"),
        ("empty", "no private key"),
        ("binary", "no text"),
        ("large", "10485760 bytes"),
        ("putty", "puttygen"),
        ("cut", "no private key"),
        ("flipped", ""),
        ("certificate", "CERTIFICATE"),
    ] {
        if at(name).is_file() {
            std::fs::set_permissions(at(name), PermissionsExt::from_mode(0o600)).unwrap();
        }
        let error = keeps_out(keyless(&sshd).identity_file(at(name)))
            .await
            .to_string();
        assert!(
            error.contains(said) && error.contains(name),
            "{name}: {error}"
        );
        let next = keyless(&sshd).identity_file(at(name));
        lets_in(next.identity_file(sshd.client_key())).await;
    }
}

#[tokio::test]
async fn a_public_file_that_belongs_to_another_key() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    // The private half counts where it shows its public half itself.
    let key = copy_of_key(&sshd, folder.path());
    let stranger = std::fs::read(sshd.stranger_key().with_extension("pub")).unwrap();
    std::fs::write(key.with_extension("pub"), &stranger).unwrap();
    lets_in(keyless(&sshd).identity_file(&key)).await;

    // Where it does not, the server is asked about the public file's key, and the truth comes out
    // with the passphrase.
    let old = folder.path().join("old");
    make_key(&old, &["-t", "rsa", "-b", "2048", "-m", "PEM"], PASSPHRASE);
    std::fs::write(old.with_extension("pub"), sshd.client_public_key()).unwrap();
    let script = Arc::new(Script::default());
    *script.passphrases.lock().unwrap() = vec![PASSPHRASE];
    let error = keeps_out(keyless(&sshd).identity_file(&old).prompter(script)).await;
    assert!(error.to_string().contains("is another one"), "{error}");

    // An agent that holds the public file's key has the last word.
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let fake = folder.path().join("fake");
    make_key(&fake, &["-t", "ed25519"], "");
    std::fs::write(fake.with_extension("pub"), sshd.client_public_key()).unwrap();
    let held = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .option("IdentitiesOnly", "yes");
    lets_in(held.identity_file(&fake)).await;
}

#[tokio::test]
async fn the_number_of_prompts_and_an_empty_answer() {
    let sshd = Sshd::start();
    let key = sshd.client_key_encrypted(PASSPHRASE);
    for (answers, prompts, asked) in [
        (vec!["a", "b", "c", "d", "e", PASSPHRASE], "5", 5),
        (vec!["a", "b"], "1", 1),
        (vec!["", PASSPHRASE], "3", 1),
    ] {
        let script = Arc::new(Script::default());
        *script.passphrases.lock().unwrap() = answers;
        let config = keyless(&sshd).option("NumberOfPasswordPrompts", prompts);
        keeps_out(config.identity_file(&key).prompter(script.clone())).await;
        let questions = script.asked();
        let count = questions
            .iter()
            .filter(|q| q.starts_with("passphrase"))
            .count();
        assert_eq!(count, asked, "{questions:?}");
    }
}

#[tokio::test]
async fn what_the_user_does_not_accept_is_not_used() {
    let sshd = Sshd::start();
    let ours = || keyless(&sshd).identity_file(sshd.client_key());
    lets_in(ours().option("PubkeyAcceptedAlgorithms", "ssh-ed25519")).await;
    keeps_out(ours().option("PubkeyAcceptedAlgorithms", "-ssh-ed25519")).await;
    let folder = tempfile::tempdir().unwrap();
    let rsa = folder.path().join("rsa");
    make_key(&rsa, &["-t", "rsa", "-b", "2048"], "");
    sshd.authorize(&std::fs::read_to_string(rsa.with_extension("pub")).unwrap());
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let config = keyless(&sshd).identity_file(&rsa);
        lets_in(config.option("PubkeyAcceptedAlgorithms", algorithm)).await;
        assert!(sshd.log().contains("RSA SHA256:"));
    }
    let error = keeps_out(
        keyless(&sshd)
            .identity_file(&rsa)
            .option("RequiredRSASize", "3072"),
    )
    .await;
    assert!(error.to_string().contains("2048 bits"), "{error}");
    // Old servers take nothing else, and only who asks for it gives it.
    let old = Sshd::builder()
        .option("PubkeyAcceptedAlgorithms", "ssh-rsa")
        .start();
    old.authorize(&std::fs::read_to_string(rsa.with_extension("pub")).unwrap());
    keeps_out(keyless(&old).identity_file(&rsa)).await;
    let asked_for = keyless(&old).option("PubkeyAcceptedAlgorithms", "ssh-rsa");
    lets_in(asked_for.identity_file(&rsa)).await;
}
