//! How a fan-out ends before its time.

use std::sync::Arc;

use rmux_core::{Answer, PasswordPrompt, Prompter, Secret};
use rmux_testkit::embedded::EmbeddedServer;

use super::*;
use crate::fixture::runs;

/// Runs until it is killed, and does not end by itself for a polite signal.
fn stubborn(mark: &str) -> String {
    format!("trap '' TERM INT HUP; sleep {mark} & wait; sleep {mark}")
}

#[tokio::test]
async fn the_first_failure_ends_the_rest() {
    let sshd = Sshd::start();
    let (_map, pool) = named(&sshd, &["runs", "done", "fails", "never"]);
    let (up, ready) = (sshd.folder().join("up"), sshd.folder().join("ready"));
    let never = sshd.folder().join("never");
    let command = lines(
        [
            (
                "runs",
                format!("touch '{}'; {}", up.display(), stubborn("6301")),
            ),
            ("done", format!("touch '{}'; echo done", ready.display())),
            (
                "fails",
                format!("{}; {}; exit 7", wait_for(&up), wait_for(&ready)),
            ),
        ],
        &format!("touch '{}'", never.display()),
    );
    let outputs = pool
        .fan_out(["runs", "done", "fails", "never"])
        .limit(3)
        .fail_fast(true)
        .run(command);
    let outputs = all(outputs).await;
    assert_eq!(kind(&outputs[0]), ErrorKind::Cancelled);
    let why = outputs[0].result.as_ref().unwrap_err().to_string();
    assert_eq!(
        why,
        "run: runs: given up, since fails failed; the command was ended"
    );
    let end = outputs[0].result.as_ref().unwrap_err().remote_end();
    assert_eq!(end, Some(rmux_core::RemoteEnd::Confirmed));
    assert!(!runs("6301"), "it is known to have ended");
    let failed = outputs[2].result.as_ref().unwrap();
    assert_eq!(failed.status.code(), Some(7));
    assert_eq!(kind(&outputs[3]), ErrorKind::Cancelled);
    let why = outputs[3].result.as_ref().unwrap_err().to_string();
    assert_eq!(why, "run: never: not begun, since fails failed");
    assert!(!never.exists());
}

#[tokio::test]
async fn dropping_or_cancelling_ends_all() {
    let sshd = Sshd::start();
    let (_map, pool) = named(&sshd, &["a", "b", "c"]);
    let command = || lines([("b", "echo b".to_owned())], &stubborn("6302"));
    let mut outputs = pool
        .fan_out(["a", "b", "c"])
        .as_finished(true)
        .run(command());
    let first = within(LIMIT, "the one that ends", outputs.next()).await;
    assert_eq!(stdout(&first.unwrap()), "b\n");
    eventually(LIMIT, "the others run", || runs("6302")).await;
    drop(outputs);
    eventually(LIMIT, "nothing runs any more", || !runs("6302")).await;

    let mut outputs = pool
        .fan_out(["a", "b", "c", "c"])
        .limit(3)
        .as_finished(true)
        .run(command());
    within(LIMIT, "the one that ends", outputs.next()).await;
    eventually(LIMIT, "the others run", || runs("6302")).await;
    outputs.cancel();
    let rest = all(outputs).await;
    assert_eq!(rest.len(), 3);
    assert!(rest.iter().all(|one| kind(one) == ErrorKind::Cancelled));
    eventually(LIMIT, "nothing runs any more", || !runs("6302")).await;

    // Outside of a runtime, and before it has begun.
    let outputs = pool.fan_out(["a"]).run(command());
    std::thread::spawn(move || drop(outputs)).join().unwrap();
    eventually(LIMIT, "all sessions end", || sshd.connections() == 0).await;
}

#[tokio::test]
async fn each_host_has_its_time_and_all_have_theirs() {
    let sshd = Sshd::start();
    let (_map, pool) = named(&sshd, &["slow", "b"]);
    let outputs = pool
        .fan_out(["slow", "b"])
        .timeout(Duration::from_secs(4))
        .run(lines([("slow", stubborn("6303"))], "echo quick"));
    let outputs = all(outputs).await;
    assert_eq!(kind(&outputs[0]), ErrorKind::TimedOut);
    assert_eq!(stdout(&outputs[1]), "quick\n");
    eventually(LIMIT, "nothing runs any more", || !runs("6303")).await;

    let outputs = pool
        .fan_out(["slow", "b"])
        .limit(1)
        .deadline(Duration::from_secs(2))
        .run(lines([("slow", stubborn("6303"))], "echo quick"));
    let outputs = all(outputs).await;
    assert_eq!(kind(&outputs[0]), ErrorKind::TimedOut);
    assert_eq!(kind(&outputs[1]), ErrorKind::TimedOut);
    let why = outputs[1].result.as_ref().unwrap_err().to_string();
    assert!(why.contains("not begun"), "{why}");
    eventually(LIMIT, "nothing runs any more", || !runs("6303")).await;
}

/// Takes its time to give a password.
struct Slow(Duration);

impl Prompter for Slow {
    fn password<'a>(&'a self, _: &'a PasswordPrompt) -> Answer<'a, Option<Secret>> {
        Box::pin(async {
            tokio::time::sleep(self.0).await;
            Ok(Some("secret".into()))
        })
    }
}

#[tokio::test]
async fn time_at_a_question_does_not_count() {
    let server = EmbeddedServer::builder().password("secret").start().await;
    let server = server.unwrap();
    let known = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(known.path(), server.host_public_key_line() + "\n").unwrap();
    let config = rmux_core::Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .port(server.addr().port())
        .user(server.user())
        .option("IdentityAgent", "none")
        .option("IdentityFile", "none")
        .option("UserKnownHostsFile", known.path().display().to_string())
        .option("GlobalKnownHostsFile", "none")
        .prompter(Arc::new(Slow(Duration::from_secs(5))));
    let outputs = Pool::new(config)
        .fan_out(["127.0.0.1"])
        .timeout(Duration::from_secs(4))
        .deadline(Duration::from_secs(4))
        .run(|session| session.command("echo"));
    let outputs = all(outputs).await;
    assert_eq!(stdout(&outputs[0]), "\n");
    server.stop().await;
}
