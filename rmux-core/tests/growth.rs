//! Commands leave no growth. A program of its own: it measures the memory and the descriptors of the
//! whole process, which other tests would change.

#[path = "it/fixture.rs"]
#[allow(dead_code)] // Shared with the other tests, which use more of it.
mod fixture;

use std::time::Duration;

use rmux_testkit::sshd::Sshd;

use fixture::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_commands_leave_no_growth() {
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
