//! Logging in: passwords, questions and what is common; keys, agents, certificates and steps have
//! their own.

mod agents;
mod certificates;
mod formats;
mod forwarding;
mod kept;
mod keys;
mod order;
mod steps;

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rmux_core::{
    Answer, Config, ConfigFile, ErrorKind, HostKeyPolicy, KeyboardInteractivePrompt,
    PassphrasePrompt, PasswordPrompt, Prompter, Secret, Session, SessionEvent,
};
use rmux_testkit::embedded::{EmbeddedServer, Round};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, within};

const LIMIT: Duration = Duration::from_secs(20);

/// Answers from lists, and remembers what it was asked.
#[derive(Default)]
struct Script {
    passphrases: Mutex<Vec<&'static str>>,
    passwords: Mutex<Vec<&'static str>>,
    answers: Mutex<Vec<Vec<&'static str>>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn note(&self, question: String) {
        self.asked.lock().unwrap().push(question);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn next<T>(list: &Mutex<Vec<T>>) -> Option<T> {
    let mut list = list.lock().unwrap();
    (!list.is_empty()).then(|| list.remove(0))
}

impl Prompter for Script {
    fn passphrase<'a>(&'a self, prompt: &'a PassphrasePrompt) -> Answer<'a, Option<Secret>> {
        self.note(format!("passphrase {}", prompt.attempt));
        Box::pin(async { Ok(next(&self.passphrases).map(Secret::new)) })
    }

    fn password<'a>(&'a self, prompt: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        self.note(format!("password {} of {}", prompt.attempt, prompt.user));
        Box::pin(async { Ok(next(&self.passwords).map(Secret::new)) })
    }

    fn keyboard_interactive<'a>(
        &'a self,
        prompt: &'a KeyboardInteractivePrompt,
    ) -> Answer<'a, Option<Vec<Secret>>> {
        let questions: Vec<String> = prompt
            .questions
            .iter()
            .map(|question| format!("{}{}", question.text, if question.echo { "+" } else { "-" }))
            .collect();
        self.note(format!("{}: {}", prompt.instructions, questions.join(",")));
        Box::pin(async {
            Ok(next(&self.answers).map(|all| all.into_iter().map(Secret::new).collect()))
        })
    }
}

fn without_keys(sshd: &Sshd) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .port(sshd.port())
        .user(sshd.user())
        .option(
            "UserKnownHostsFile",
            sshd.known_hosts().display().to_string(),
        )
        .option("GlobalKnownHostsFile", "none")
}

fn keyless(sshd: &Sshd) -> Config {
    without_keys(sshd).option("IdentityAgent", "none")
}

async fn lets_in(config: Config) {
    let session = within(LIMIT, "the login", Session::connect("127.0.0.1", config))
        .await
        .unwrap();
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

async fn keeps_out(config: Config) -> rmux_core::Error {
    let login = Session::connect("127.0.0.1", config);
    let error = within(LIMIT, "the refusal", login)
        .await
        .expect_err("this must not be let in");
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
    assert_eq!(error.host(), Some("127.0.0.1"));
    error
}

fn make_key(path: &Path, arguments: &[&str], passphrase: &str) {
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-f"])
        .arg(path)
        .args(arguments)
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
}

/// Makes `<key>-cert.pub`, signed by `authority`.
fn certify(authority: &Path, key: &Path, arguments: &[&str]) {
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-I", "id", "-s"])
        .arg(authority)
        .args(arguments)
        .arg(key.with_extension("pub"))
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
}

async fn embedded(server: &EmbeddedServer) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .port(server.addr().port())
        .user(server.user())
        .option("UserKnownHostsFile", "none")
        .option("GlobalKnownHostsFile", "none")
        .option("IdentityAgent", "none")
        .option("IdentityFile", "none")
        .host_key_policy(HostKeyPolicy::AcceptNew)
}

#[tokio::test]
async fn passwords_set_and_asked_for() {
    let server = EmbeddedServer::builder()
        .password("pa ss")
        .start()
        .await
        .unwrap();
    let config = embedded(&server).await;
    lets_in(config.clone().password("pa ss")).await;

    let script = Arc::new(Script::default());
    *script.passwords.lock().unwrap() = vec!["wrong", "pa ss"];
    lets_in(config.clone().prompter(script.clone())).await;
    let user = server.user();
    assert_eq!(
        script.asked(),
        [
            format!("password 1 of {user}"),
            format!("password 2 of {user}")
        ]
    );

    let error = keeps_out(config.clone().password("very wrong")).await;
    assert!(error.to_string().contains("password"), "{error}");
    assert!(
        !format!("{error:?}").contains("very wrong"),
        "a secret is in the error"
    );
    assert!(!format!("{:?}", config.password("hidden")).contains("hidden"));
    server.stop().await;
}

#[tokio::test]
async fn questions_round_by_round() {
    let server = EmbeddedServer::builder()
        .keyboard_interactive([
            Round::new("", "first")
                .secret("PIN: ", "1234")
                .echoed("Name: ", "me"),
            Round::new("", "a push was sent"),
            Round::new("", "second").secret("Code: ", "99"),
        ])
        .start()
        .await
        .unwrap();
    let config = embedded(&server).await;
    let script = Arc::new(Script::default());
    *script.answers.lock().unwrap() = vec![vec!["1234", "me"], vec![], vec!["99"]];
    lets_in(config.clone().prompter(script.clone())).await;
    let asked = script.asked();
    assert_eq!(asked[..2], ["first: PIN: -,Name: +", "a push was sent: "]);
    assert_eq!(asked[2..], ["second: Code: -"]);

    // Giving up at the second round ends the attempt.
    let script = Arc::new(Script::default());
    *script.answers.lock().unwrap() = vec![vec!["1234", "me"]];
    keeps_out(config.prompter(script)).await;
    server.stop().await;
}

/// Knows the account's password and nothing else.
struct PasswordOnly(&'static str);

impl Prompter for PasswordOnly {
    fn password<'a>(&'a self, _: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        Box::pin(async { Ok(Some(Secret::new(self.0))) })
    }
}

#[tokio::test]
async fn questions_that_nobody_answers_leave_the_password_a_chance() {
    let server = EmbeddedServer::builder()
        .password("pa ss")
        .keyboard_interactive([Round::new("", "")
            .secret("PIN: ", "1234")
            .echoed("Name: ", "me")])
        .start()
        .await
        .unwrap();
    let config = embedded(&server).await;
    lets_in(config.clone().prompter(Arc::new(PasswordOnly("pa ss")))).await;
    lets_in(config.clone().password("pa ss")).await;
    keeps_out(config.clone().prompter(Arc::new(PasswordOnly("no")))).await;
    server.stop().await;

    // Further rounds are declined likewise, and the same with one question.
    let server = EmbeddedServer::builder()
        .password("pa ss")
        .keyboard_interactive([
            Round::new("", "").secret("Code by mail: ", ""),
            Round::new("", "only read this"),
            Round::new("", "").secret("Code by phone: ", "99"),
        ])
        .start()
        .await
        .unwrap();
    let config = embedded(&server).await;
    lets_in(config.clone().prompter(Arc::new(PasswordOnly("pa ss")))).await;
    lets_in(config.password("pa ss")).await;
    server.stop().await;
}

#[tokio::test]
async fn the_set_password_answers_a_question_for_a_password_and_no_other() {
    let rounds = |prompt| [Round::new("", "").secret(prompt, "pa ss")];
    let server = EmbeddedServer::builder()
        .keyboard_interactive(rounds("Password for you: "))
        .start()
        .await
        .unwrap();
    let config = embedded(&server).await;
    lets_in(config.clone().password("pa ss")).await;
    let error = keeps_out(config.password("wrong")).await;
    let said = "the password was not accepted";
    assert_eq!(error.to_string().matches(said).count(), 1, "{error}");
    server.stop().await;

    let server = EmbeddedServer::builder()
        .keyboard_interactive(rounds("Code by mail: "))
        .start()
        .await
        .unwrap();
    keeps_out(embedded(&server).await.password("pa ss")).await;
    let script = Arc::new(Script::default());
    *script.answers.lock().unwrap() = vec![vec!["pa ss"]];
    let asking = embedded(&server).await.prompter(script.clone());
    lets_in(asking.password("never sent")).await;
    assert_eq!(script.asked(), [": Code by mail: -"]);
    server.stop().await;
}

#[tokio::test]
async fn a_set_password_is_tried_once() {
    // The server would take it by the method that comes second.
    let server = EmbeddedServer::builder()
        .password("pa ss")
        .keyboard_interactive([Round::new("", "").secret("Password: ", "another")])
        .start()
        .await
        .unwrap();
    let error = keeps_out(embedded(&server).await.password("pa ss")).await;
    assert!(
        error.to_string().contains("the password was not accepted"),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_server_without_any_method_is_no_broken_protocol() {
    let server = EmbeddedServer::builder().start().await.unwrap();
    let config = embedded(&server).await.identity_file("/no/such/key");
    let error = keeps_out(config).await;
    assert!(error.to_string().contains("no other method"), "{error}");
    assert!(error.to_string().contains("/no/such/key"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_slow_person_does_not_run_into_the_deadline() {
    struct Slow;
    impl Prompter for Slow {
        fn password<'a>(&'a self, _: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Ok(Some(Secret::new("slow")))
            })
        }
    }
    let server = EmbeddedServer::builder()
        .password("slow")
        .start()
        .await
        .unwrap();
    let config = embedded(&server)
        .await
        .connect_timeout(Duration::from_secs(2));
    lets_in(config.prompter(Arc::new(Slow))).await;
    server.stop().await;
}

#[tokio::test]
async fn batch_mode_asks_nobody() {
    let server = EmbeddedServer::builder()
        .password("x")
        .start()
        .await
        .unwrap();
    let script = Arc::new(Script::default());
    *script.passwords.lock().unwrap() = vec!["x"];
    let config = embedded(&server)
        .await
        .option("BatchMode", "yes")
        .prompter(script.clone());
    keeps_out(config).await;
    assert!(script.asked().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn events_tell_the_way_in_and_out() {
    let sshd = Sshd::start();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let config = config(&sshd).on_event(move |event: SessionEvent| {
        log.lock().unwrap().push(event.name());
    });
    let session = Session::connect("127.0.0.1", config).await.unwrap();
    session.close().await;
    crate::fixture::eventually(LIMIT, "the last event", || {
        *seen.lock().unwrap()
            == [
                "connecting",
                "connected",
                "authenticated",
                "ready",
                "closed",
            ]
    })
    .await;
}
