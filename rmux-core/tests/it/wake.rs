//! A program that was stopped for a while, as a machine that slept, asks at once whether its links
//! are still there. It is another process: this test program, run once more for one test.

use std::io::BufRead as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rmux_core::{CloseReason, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::fixture::{connect, within};

/// Holds the relay's port, the server's and its folder where this is the other process.
const SLEEPER: &str = "RMUX_TEST_SLEEPER";
/// What it says begins with this, since the test harness says something too.
const SAYS: &str = "sleeper: ";
/// Longer than a late look at the clock is taken for a busy machine.
const SLEEP: Duration = Duration::from_secs(7);
/// Signs of life are asked for so seldom that they alone would take ten minutes.
const KEEPALIVE: (Duration, u32) = (Duration::from_secs(200), 2);
/// Far less than that, with much room for slow machines: 5 s are documented.
const LIMIT: Duration = Duration::from_secs(45);
const START: Duration = Duration::from_secs(60);

struct Sleeper {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
}

impl Sleeper {
    /// Runs the test of this name once more, with a session through the relay.
    async fn start(test: &str, sshd: &Sshd, relay: &Relay) -> Self {
        let settings = [
            relay.port().to_string(),
            sshd.port().to_string(),
            sshd.client_key().display().to_string(),
            sshd.known_hosts().display().to_string(),
        ];
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(SLEEPER, settings.join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (told, said) = (process.stdin.take().unwrap(), process.stdout.take());
        let mut sleeper = Self {
            process,
            said: BufReader::new(said.unwrap()).lines(),
            told,
        };
        assert_eq!(sleeper.says(START).await, "ready");
        sleeper
    }

    async fn says(&mut self, limit: Duration) -> String {
        let line = async {
            loop {
                let line = self.said.next_line().await.unwrap();
                let line = line.expect("it says something before its end");
                if let Some(said) = line.strip_prefix(SAYS) {
                    return said.to_owned();
                }
            }
        };
        within(limit, "the other process", line).await
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.id().expect("it was not waited for");
        kill_process(Pid::from_raw(id as i32).unwrap(), signal).unwrap();
    }
}

/// What the other process does; false where this is not it.
async fn sleeps() -> bool {
    let Ok(settings) = std::env::var(SLEEPER) else {
        return false;
    };
    let settings: Vec<&str> = settings.lines().collect();
    let [relay, sshd, key, known] = settings[..] else {
        panic!("{settings:?}")
    };
    let config = rmux_core::Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .port(relay.parse().unwrap())
        .identity_file(key)
        .option("IdentityAgent", "none")
        .option("UserKnownHostsFile", known)
        .option("GlobalKnownHostsFile", "none")
        .option("HostKeyAlias", format!("[127.0.0.1]:{sshd}"))
        .keepalive(KEEPALIVE.0, KEEPALIVE.1);
    let session = connect(config).await;
    let mut cat = session.command("cat").spawn().await.unwrap();
    let waiting = session.shell("sleep 600");
    let waiting = tokio::spawn(async move { waiting.output().await });
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    println!("\n{SAYS}ready");
    tokio::select! {
        lost = session.closed() => {
            let CloseReason::Lost(reason) = lost else { panic!("{lost:?}") };
            let ends = [waiting.await.unwrap().err(), cat.wait().await.err()];
            let ends = ends.map(|end| end.expect("it ended with the link").kind());
            println!("{SAYS}{ends:?} {reason}");
        }
        _ = told.recv() => {
            works(&session, &mut cat).await;
            println!("{SAYS}works");
            let _ = told.recv().await;
        }
    }
    true
}

/// What ran before and what begins now.
async fn works(session: &Session, cat: &mut rmux_core::Child) {
    let mut echo = [0; 5];
    let (stdin, stdout) = (cat.stdin.as_mut().unwrap(), cat.stdout.as_mut().unwrap());
    stdin.write_all(b"hello").await.unwrap();
    stdout.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    assert!(session.command("true").status().await.unwrap().success());
}

#[tokio::test]
async fn a_link_that_died_meanwhile_is_given_up_soon() {
    if sleeps().await {
        return;
    }
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let test = "wake::a_link_that_died_meanwhile_is_given_up_soon";
    let mut sleeper = Sleeper::start(test, &sshd, &relay).await;
    sleeper.signal(Signal::STOP);
    relay.drop_all();
    tokio::time::sleep(SLEEP).await;
    let woken = Instant::now();
    sleeper.signal(Signal::CONT);
    let said = sleeper.says(LIMIT).await;
    assert!(said.starts_with("[Disconnected, Disconnected]"), "{said}");
    assert!(said.contains("after this side slept for"), "{said}");
    // Not the stop itself, but the silence after it.
    assert!(woken.elapsed() >= Duration::from_secs(4), "{said}");
}

#[tokio::test]
async fn a_link_that_lives_loses_nothing() {
    if sleeps().await {
        return;
    }
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let test = "wake::a_link_that_lives_loses_nothing";
    let mut sleeper = Sleeper::start(test, &sshd, &relay).await;
    for _ in 0..2 {
        sleeper.signal(Signal::STOP);
        tokio::time::sleep(SLEEP).await;
        sleeper.signal(Signal::CONT);
    }
    // Past the time in which it would be given up.
    tokio::time::sleep(SLEEP).await;
    sleeper.told.write_all(b"go on\n").await.unwrap();
    assert_eq!(sleeper.says(LIMIT).await, "works");
}
