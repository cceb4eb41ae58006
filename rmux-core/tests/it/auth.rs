//! Logging in: key files, passphrases, agents, passwords, questions.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rmux_core::{
    Answer, Config, ConfigFile, ErrorKind, HostKeyPolicy, KeyboardInteractivePrompt,
    PassphrasePrompt, PasswordPrompt, Prompter, Secret, Session, SessionEvent,
};
use rmux_testkit::agent::{Agent, HangingAgent};
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

fn make_key(path: &Path, arguments: &[&str], passphrase: &str) {
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-f"])
        .arg(path)
        .args(arguments)
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
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
async fn an_agent_signs() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    let with_agent =
        || without_keys(&sshd).option("IdentityAgent", agent.socket().display().to_string());
    keeps_out(with_agent()).await;
    agent.add(&sshd.client_key());
    lets_in(with_agent()).await;

    // Only what the identity files name: the public half is enough.
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("held-by-the-agent");
    std::fs::write(named.with_extension("pub"), sshd.client_public_key()).unwrap();
    let only = || with_agent().option("IdentitiesOnly", "yes");
    lets_in(only().option("IdentityFile", named.display().to_string())).await;
    lets_in(only().identity_file(named.with_extension("pub"))).await;
    keeps_out(only().identity_file(sshd.stranger_key())).await;
}

#[tokio::test]
async fn an_agent_full_of_other_keys_does_not_burn_the_tries() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    for number in 0..8 {
        let path = folder.path().join(format!("other{number}"));
        make_key(&path, &["-t", "ed25519"], "");
        agent.add(&path);
    }
    agent.add(&sshd.client_key());
    let config = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .identity_file(sshd.client_key());
    lets_in(config).await;
    // Without a name the server has had enough after six.
    let blind = without_keys(&sshd).option("IdentityAgent", agent.socket().display().to_string());
    let error = keeps_out(blind).await;
    assert!(
        error
            .to_string()
            .contains("Too many authentication failures"),
        "{error}"
    );
}

#[tokio::test]
async fn a_silent_or_missing_agent_is_passed_over() {
    let sshd = Sshd::start();
    let agent = HangingAgent::start();
    for socket in [agent.socket(), Path::new("/no/such/agent")] {
        let config = without_keys(&sshd)
            .option("IdentityAgent", socket.display().to_string())
            .identity_file(sshd.client_key());
        lets_in(config).await;
    }
}

async fn embedded(server: &EmbeddedServer) -> Config {
    Config::new()
        .config_file(ConfigFile::None)
        .port(server.addr().port())
        .user(server.user())
        .option("UserKnownHostsFile", "/no/such/folder/known_hosts")
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
            Round::new("", "second").secret("Code: ", "99"),
        ])
        .start()
        .await
        .unwrap();
    let config = embedded(&server).await;
    let script = Arc::new(Script::default());
    *script.answers.lock().unwrap() = vec![vec!["1234", "me"], vec!["99"]];
    lets_in(config.clone().prompter(script.clone())).await;
    assert_eq!(script.asked(), ["first: PIN: -,Name: +", "second: Code: -"]);

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
async fn an_agent_s_certificate_for_a_named_key_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, key) = (folder.path().join("ca"), folder.path().join("key"));
    make_key(&authority, &["-t", "ed25519"], "");
    make_key(&key, &["-t", "ed25519"], "");
    let trusted = authority.with_extension("pub").display().to_string();
    let sshd = Sshd::builder()
        .option("TrustedUserCAKeys", &trusted)
        .start();
    let certified = std::process::Command::new("ssh-keygen")
        .args(["-q", "-I", "id", "-n", sshd.user(), "-s"])
        .args([&authority, &key.with_extension("pub")])
        .status();
    assert!(certified.expect("ssh-keygen runs").success());
    // It takes the certificate beside the key too.
    let agent = Agent::start();
    agent.add(&key);
    assert_eq!(agent.public_keys().len(), 2);
    let config = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .option("IdentitiesOnly", "yes");
    lets_in(config.clone().identity_file(&key)).await;
    keeps_out(config.identity_file(sshd.stranger_key())).await;
}

/// Stands before a real agent and holds back each request to sign, as a person who is slow to
/// confirm does.
fn hesitating(agent: &Agent, folder: &Path) -> PathBuf {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const SIGN_REQUEST: u8 = 13;
    let (socket, real) = (folder.join("agent"), agent.socket().to_owned());
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let agent = tokio::net::UnixStream::connect(&real).await.unwrap();
            let (mut requests, mut to_client) = client.into_split();
            let (mut answers, mut to_agent) = agent.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut to_client).await });
            tokio::spawn(async move {
                while let Ok(length) = requests.read_u32().await {
                    let mut request = vec![0; length as usize];
                    requests.read_exact(&mut request).await.unwrap();
                    if request.first() == Some(&SIGN_REQUEST) {
                        tokio::time::sleep(Duration::from_secs(3)).await;
                    }
                    to_agent.write_u32(length).await.unwrap();
                    to_agent.write_all(&request).await.unwrap();
                }
            });
        }
    });
    socket
}

#[tokio::test]
async fn a_signature_that_a_person_confirms_does_not_run_into_the_deadline() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let folder = tempfile::tempdir().unwrap();
    let socket = hesitating(&agent, folder.path());
    let config = without_keys(&sshd)
        .option("IdentityAgent", socket.display().to_string())
        .connect_timeout(Duration::from_secs(2));
    lets_in(config).await;
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
