//! `AddKeysToAgent`: a key that was read from a file and let the user in is kept in the agent.

use std::sync::{Arc, Mutex};

use rmux_core::{AgentKeyPrompt, Answer, Config, PassphrasePrompt, Prompter, Secret};
use rmux_testkit::agent::{Agent, HangingAgent};
use rmux_testkit::sshd::Sshd;

use super::{certify, keeps_out, lets_in, make_key, without_keys};

/// Knows the passphrase, and says this of keeping keys.
struct Keeper {
    keep: bool,
    asked: Mutex<Vec<AgentKeyPrompt>>,
}

impl Keeper {
    fn saying(keep: bool) -> Arc<Self> {
        Arc::new(Self {
            keep,
            asked: Mutex::default(),
        })
    }
}

impl Prompter for Keeper {
    fn passphrase<'a>(&'a self, _: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        Box::pin(async { Ok(Some(Secret::new("open sesame"))) })
    }

    fn agent_key<'a>(&'a self, prompt: &'a AgentKeyPrompt) -> Answer<'a, bool> {
        self.asked.lock().unwrap().push(prompt.clone());
        Box::pin(async { Ok(self.keep) })
    }
}

fn config(sshd: &Sshd, agent: &Agent, add: &str) -> Config {
    without_keys(sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .option("AddKeysToAgent", add)
}

#[tokio::test]
async fn a_key_that_let_in_is_kept_and_one_that_did_not_is_not() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    let key = sshd.client_key_encrypted("open sesame");
    let keeper = Keeper::saying(true);
    let ours = |add| config(&sshd, &agent, add).prompter(keeper.clone());
    keeps_out(ours("yes").identity_file(sshd.stranger_key())).await;
    lets_in(ours("no").identity_file(&key)).await;
    assert!(agent.public_keys().is_empty());

    lets_in(ours("yes").identity_file(&key)).await;
    assert_eq!(agent.public_keys(), [sshd.client_public_key()]);
    // Now the agent is enough.
    lets_in(config(&sshd, &agent, "no").option("IdentityFile", "none")).await;
    assert!(keeper.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_person_decides_where_the_user_wants_to_be_asked() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    for keep in [false, true] {
        let keeper = Keeper::saying(keep);
        let config = config(&sshd, &agent, "ask").identity_file(sshd.client_key());
        lets_in(config.clone().prompter(keeper.clone())).await;
        assert_eq!(agent.public_keys().is_empty(), !keep);
        let asked = keeper.asked.lock().unwrap();
        assert_eq!(asked[0].path, sshd.client_key());
        assert_eq!(asked[0].comment, "rmux-testkit");
        assert!(asked[0].fingerprint.starts_with("SHA256:"), "{asked:?}");
        assert_eq!(asked[0].host, "127.0.0.1");
    }
    // Where there is nobody to ask, the answer is no.
    agent.remove_all();
    lets_in(config(&sshd, &agent, "ask").identity_file(sshd.client_key())).await;
    assert!(agent.public_keys().is_empty());
}

#[tokio::test]
async fn kinds_of_keys_lifetimes_and_confirmation() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        let agent = Agent::start();
        let key = folder.path().join(name);
        make_key(&key, arguments, "");
        sshd.authorize(&std::fs::read_to_string(key.with_extension("pub")).unwrap());
        lets_in(config(&sshd, &agent, "yes").identity_file(&key)).await;
        assert_eq!(agent.public_keys().len(), 1, "{name}");
        lets_in(config(&sshd, &agent, "no").option("IdentityFile", "none")).await;
    }

    let agent = Agent::start();
    let ours = || config(&sshd, &agent, "2s").identity_file(sshd.client_key());
    lets_in(ours()).await;
    assert_eq!(agent.public_keys().len(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(3500)).await;
    assert!(agent.public_keys().is_empty(), "its time is over");

    // The person whom this agent asks says no.
    let agent = Agent::start_with(&[], false);
    lets_in(config(&sshd, &agent, "confirm").identity_file(sshd.client_key())).await;
    assert_eq!(agent.public_keys().len(), 1);
    let only_agent = config(&sshd, &agent, "no").option("IdentityFile", "none");
    let error = keeps_out(only_agent).await;
    assert!(error.to_string().contains("refused to sign"), "{error}");
}

#[tokio::test]
async fn a_certificate_is_kept_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca");
    make_key(&authority, &["-t", "ed25519"], "");
    let trusted = authority.with_extension("pub").display().to_string();
    let sshd = Sshd::builder()
        .option("TrustedUserCAKeys", &trusted)
        .start();
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        let agent = Agent::start();
        let key = folder.path().join(name);
        make_key(&key, arguments, "");
        certify(&authority, &key, &["-n", sshd.user()]);
        lets_in(config(&sshd, &agent, "yes").identity_file(&key)).await;
        let held = agent.public_keys();
        assert_eq!(held.len(), 2, "{name}: {held:?}");
        assert!(
            held.iter().any(|line| line.contains("-cert-v01")),
            "{held:?}"
        );
        lets_in(config(&sshd, &agent, "no").option("IdentityFile", "none")).await;
    }
}

#[tokio::test]
async fn an_agent_that_does_not_take_it_keeps_nobody_out() {
    let sshd = Sshd::start();
    let hanging = HangingAgent::start();
    for socket in ["/no/such/agent", &hanging.socket().display().to_string()] {
        let config = without_keys(&sshd)
            .option("IdentityAgent", socket)
            .option("AddKeysToAgent", "yes");
        lets_in(config.identity_file(sshd.client_key())).await;
    }
}
