//! Logging in by several steps, and what a login that ends early leaves behind.

use std::sync::Arc;
use std::time::Duration;

use rmux_core::{
    Answer, Config, ConfigFile, Error, ErrorKind, HostKeyPrompt, KeyboardInteractivePrompt,
    PassphrasePrompt, PasswordPrompt, Prompter, Secret, Session,
};
use rmux_testkit::agent::Agent;
use rmux_testkit::embedded::{EmbeddedServer, Round};
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, Script, embedded, keeps_out, keyless, lets_in, make_key, without_keys};
use crate::fixture::{eventually, within};

#[tokio::test]
async fn a_key_and_then_another() {
    let sshd = Sshd::builder()
        .option("AuthenticationMethods", "publickey,publickey")
        .option("MaxAuthTries", "4")
        .start();
    let folder = tempfile::tempdir().unwrap();
    let second = folder.path().join("second");
    make_key(&second, &["-t", "ecdsa"], "");
    let one = || keyless(&sshd).identity_file(sshd.client_key());
    keeps_out(one().identity_file(&second)).await;
    sshd.authorize(&std::fs::read_to_string(second.with_extension("pub")).unwrap());
    // One key does not do for both steps, and a stranger's between does not end it.
    keeps_out(one()).await;
    lets_in(one().identity_file(&second)).await;
    lets_in(
        one()
            .identity_file(sshd.stranger_key())
            .identity_file(&second),
    )
    .await;
    let agent = Agent::start();
    agent.add(&second);
    let mixed = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .identity_file(sshd.client_key());
    lets_in(mixed).await;
}

async fn in_steps(sshd: &Sshd) -> EmbeddedServer {
    EmbeddedServer::builder()
        .authorized_key(sshd.client_public_key())
        .keyboard_interactive([
            Round::new("Second step", "look at your phone").secret("Code: ", "1234")
        ])
        .password("pa ss")
        .in_steps()
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_key_then_answers_then_the_password() {
    let sshd = Sshd::start();
    let server = in_steps(&sshd).await;
    let config = || async { embedded(&server).await.identity_file(sshd.client_key()) };
    let script = Arc::new(Script::default());
    *script.answers.lock().unwrap() = vec![vec!["wrong"], vec!["1234"]];
    *script.passwords.lock().unwrap() = vec!["pa ss"];
    lets_in(config().await.prompter(script.clone())).await;
    let user = server.user();
    assert_eq!(
        script.asked(),
        [
            "look at your phone: Code: -".to_owned(),
            "look at your phone: Code: -".to_owned(),
            format!("password 1 of {user}"),
        ]
    );
    // The first step alone is not enough, nor the others without it.
    keeps_out(config().await).await;
    keeps_out(embedded(&server).await.password("pa ss")).await;
    server.stop().await;
}

/// Gives up at one kind of question, as a person who closes the window.
struct Quits(&'static str);

impl Quits {
    fn at<T: Send + 'static>(&self, kind: &str, otherwise: T) -> Answer<'static, T> {
        let quits = self.0 == kind;
        Box::pin(async move {
            match quits {
                true => Err(Error::new(
                    ErrorKind::Cancelled,
                    "ask",
                    "the window was closed",
                )),
                false => Ok(otherwise),
            }
        })
    }
}

impl Prompter for Quits {
    fn passphrase<'a>(&'a self, _: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        self.at("passphrase", None)
    }

    fn password<'a>(&'a self, _: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        self.at("password", None)
    }

    fn keyboard_interactive<'a>(
        &'a self,
        _: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        self.at("answers", Some(vec![Secret::new("1234")]))
    }
}

fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

async fn nothing_is_left(before: usize, server: &EmbeddedServer) {
    eventually(LIMIT, "the connection is gone", || {
        server.connections() == 0
    })
    .await;
    eventually(LIMIT, "no task is left", || tasks() <= before).await;
}

#[tokio::test]
async fn a_question_that_is_cancelled_ends_the_login_and_leaves_nothing() {
    let sshd = Sshd::start();
    let server = in_steps(&sshd).await;
    let encrypted = sshd.client_key_encrypted("open sesame");
    let before = tasks();
    for (kind, key) in [
        ("passphrase", &encrypted),
        ("answers", &sshd.client_key()),
        ("password", &sshd.client_key()),
    ] {
        let config: Config = embedded(&server).await.identity_file(key);
        let login = Session::connect("127.0.0.1", config.prompter(Arc::new(Quits(kind))));
        let error = within(LIMIT, "the end", login).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{kind}: {error}");
        assert_eq!(error.host(), Some("127.0.0.1"));
        nothing_is_left(before, &server).await;
    }
    server.stop().await;
}

/// Never answers.
struct Asleep;

impl Prompter for Asleep {
    fn host_key<'a>(&'a self, _: &'a HostKeyPrompt) -> Answer<'a, bool> {
        Box::pin(std::future::pending())
    }

    fn passphrase<'a>(&'a self, _: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        Box::pin(std::future::pending())
    }

    fn password<'a>(&'a self, _: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        Box::pin(std::future::pending())
    }

    fn keyboard_interactive<'a>(
        &'a self,
        _: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_login_that_is_given_up_at_a_question_leaves_nothing() {
    let sshd = Sshd::start();
    let server = in_steps(&sshd).await;
    let before = tasks();
    let encrypted = sshd.client_key_encrypted("open sesame");
    for key in [encrypted, sshd.client_key()] {
        let config = embedded(&server).await.identity_file(key);
        let config = config.prompter(Arc::new(Asleep));
        let login = Session::connect("127.0.0.1", config);
        let patience = Duration::from_millis(1500);
        assert!(tokio::time::timeout(patience, login).await.is_err());
        nothing_is_left(before, &server).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_dies_while_a_question_is_open_ends_the_question() {
    let sshd = Sshd::builder().option("LoginGraceTime", "1").start();
    let encrypted = sshd.client_key_encrypted("open sesame");
    let known = keyless(&sshd).identity_file(&encrypted);
    let unknown = Config::new()
        .config_file(ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .option("UserKnownHostsFile", "/no/such/file")
        .option("GlobalKnownHostsFile", "none")
        .option("StrictHostKeyChecking", "ask");
    for config in [known, unknown] {
        let before = tasks();
        let login = Session::connect("127.0.0.1", config.prompter(Arc::new(Asleep)));
        let error = within(Duration::from_secs(8), "the end", login).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        eventually(LIMIT, "no task is left", || tasks() <= before).await;
    }
}
