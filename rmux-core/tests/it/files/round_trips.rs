//! What things cost over a long link, in round trips. A busy machine only adds to that, so that the
//! fastest of several tries counts.

use std::time::{Duration, Instant};

use rmux_core::Files;
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use crate::fixture::{connect, relayed};

const ROUND_TRIP: Duration = Duration::from_millis(200);

/// The fewest round trips that `work` took.
async fn fewest(work: impl AsyncFn()) -> f64 {
    let mut fewest = f64::MAX;
    for _ in 0..4 {
        let start = Instant::now();
        work().await;
        fewest = fewest.min(start.elapsed().as_secs_f64() / ROUND_TRIP.as_secs_f64());
    }
    fewest
}

#[tokio::test]
async fn files_cost_few_round_trips() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let session = connect(relayed(&sshd, &relay)).await;
    let files: Files = session.files();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (small, large) = (at("small"), at("large"));
    std::fs::write(&small, [b's'; 4096]).unwrap();
    std::fs::write(&large, vec![b'l'; 8 << 20]).unwrap();
    files.metadata(&small).await.unwrap();
    relay.set_delay(ROUND_TRIP / 2);

    let read = fewest(async || {
        assert_eq!(files.read(&small).await.unwrap().len(), 4096);
    });
    let read = read.await;
    assert!((1.9..2.8).contains(&read), "a small read: {read}");
    let written = fewest(async || files.write(&small, vec![b'n'; 4096]).await.unwrap()).await;
    assert!((4.9..5.9).contains(&written), "a small write: {written}");
    let names = std::cell::Cell::new(0);
    let new = fewest(async || {
        let path = at(&format!("new-{}", names.replace(names.get() + 1)));
        files.write(&path, vec![b'n'; 4096]).await.unwrap();
    });
    let new = new.await;
    assert!((3.9..4.9).contains(&new), "a new small file: {new}");
    // Piece by piece it would be 33.
    let read = fewest(async || {
        assert_eq!(files.read(&large).await.unwrap().len(), 8 << 20);
    });
    let read = read.await;
    assert!(read < 16.0, "a large read: {read}");
    eprintln!("4 KiB: written in {written:.2} round trips; 8 MiB: read in {read:.2}");
}
