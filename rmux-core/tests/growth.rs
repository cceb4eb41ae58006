//! Commands and failures leave nothing behind. A program of its own: it measures the memory and the
//! descriptors of the whole process, which other tests would change.

#[path = "it/fixture.rs"]
#[allow(dead_code)] // Shared with the other tests, which use more of it.
mod fixture;

use std::time::Duration;

use rmux_core::{Config, ConfigFile, ErrorKind, Pool, Session};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;
use tokio::sync::Mutex;

use fixture::eventually;

/// One test at a time: each measures the process.
static ALONE: Mutex<()> = Mutex::const_new(());

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_commands_leave_no_growth() {
    let _alone = ALONE.lock().await;
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    let batch = |count: usize| {
        let session = session.clone();
        async move {
            let work = (0..8).map(|lane| {
                let session = session.clone();
                tokio::spawn(async move {
                    for number in 0..count / 8 {
                        let code = ((lane + number) % 256) as i32;
                        let line = format!("exit {code}");
                        let output = session.shell(&line).output().await.unwrap();
                        assert_eq!(output.status.code(), Some(code), "a status was lost");
                    }
                })
            });
            for lane in work.collect::<Vec<_>>() {
                lane.await.unwrap();
            }
        }
    };
    batch(800).await;
    let (memory, descriptors) = (resident_kib(), open_descriptors());
    batch(5_000).await;
    let growth = resident_kib().saturating_sub(memory);
    // 5,000 leaked channels would hold some 17 MiB.
    assert!(growth < 6 * 1024, "{growth} KiB more after 5,000 commands");
    assert!(
        open_descriptors() <= descriptors,
        "descriptors are left open"
    );
    eventually(
        Duration::from_secs(5),
        "only the spare session is left",
        || sshd.open_sessions() <= 1,
    )
    .await;
}

#[tokio::test]
async fn failures_leave_no_task_and_no_descriptor() {
    let _alone = ALONE.lock().await;
    let sshd = Sshd::start();
    let silent = Relay::to(sshd.addr()).drop_all().start().await;
    let refusing = Relay::to(sshd.addr()).refuse().start().await;
    let bare = |port: u16| {
        Config::new()
            .config_file(ConfigFile::None)
            .port(port)
            .user(sshd.user())
            .option("IdentityAgent", "none")
    };
    let known = |port: u16| {
        let files = sshd.known_hosts().display().to_string();
        bare(port).option("UserKnownHostsFile", files)
    };
    let unknown = bare(sshd.port()).option("UserKnownHostsFile", "none");
    let hasty = bare(silent.port()).connect_timeout(Duration::from_millis(150));
    let failures = [
        (hasty, ErrorKind::TimedOut),
        (bare(refusing.port()), ErrorKind::ConnectFailed),
        (unknown, ErrorKind::HostKeyUnknown),
        (
            known(sshd.port()).identity_file(sshd.stranger_key()),
            ErrorKind::AuthFailed,
        ),
        (bare(22).option("Port", "none"), ErrorKind::ConfigInvalid),
    ];
    let round = || async {
        for (config, kind) in failures.clone() {
            let connecting = Session::connect("127.0.0.1", config);
            assert_eq!(connecting.await.unwrap_err().kind(), kind);
        }
        let pool = Pool::new(fixture::config(&sshd));
        let asking = pool.session("127.0.0.1");
        drop(tokio::time::timeout(Duration::from_millis(5), asking).await);
        let session = fixture::session(&sshd).await;
        session.close().await;
        session.command("true").output().await.unwrap_err();
    };
    let tasks = || {
        let runtime = tokio::runtime::Handle::current();
        runtime.metrics().num_alive_tasks()
    };
    round().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (tasks_before, descriptors) = (tasks(), open_descriptors());
    for _ in 0..8 {
        round().await;
    }
    eventually(SOON, "the tasks are gone", || tasks() <= tasks_before).await;
    let closed = || open_descriptors() <= descriptors;
    eventually(SOON, "the descriptors are closed", closed).await;
    assert!(sshd.wait_until(SOON, |sshd| sshd.connections() == 0));
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
