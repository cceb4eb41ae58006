//! Many small files over a long link.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rmux_core::TransferOptions;
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use super::{Served, assert_same, done};
use crate::fixture::{connect, relayed};

const ROUND_TRIP: Duration = Duration::from_millis(100);
const FILES: usize = 1000;

/// Nor do they need more open files than the server allows.
#[tokio::test]
async fn a_server_with_few_handles_takes_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("server");
    let text = format!(
        "#!/bin/sh\nulimit -n 24\nexec {}\n",
        crate::files::sftp_server()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let line = format!("sftp {}", script.display());
    let sshd = Sshd::builder().option("Subsystem", &line).start();
    let session = crate::fixture::session(&sshd).await;
    let at = |name: &str| folder.path().join(name);
    for n in 0..300 {
        let inner = at(&format!("from/{}", n % 20));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join(n.to_string()), "x").unwrap();
    }
    let options = TransferOptions::new().recursive();
    let path = |name: &str| at(name).display().to_string();
    let files = session.files();
    for transfer in [
        files.put(at("from"), path("put"), &options),
        files.send(path("from"), &files, path("sent"), &options),
        files.get(path("from"), at("got"), &options),
    ] {
        assert_eq!(done(transfer).await.files, 300);
    }
}

#[tokio::test]
async fn a_thousand_small_files_take_few_round_trips() {
    let served = Served::start().await;
    let relay = Relay::to(served.sshd.addr()).start().await;
    let session = connect(relayed(&served.sshd, &relay)).await;
    let files = session.files();
    let from = served.folder.path().join("from");
    std::fs::create_dir(&from).unwrap();
    for n in 0..FILES {
        std::fs::write(from.join(n.to_string()), vec![n as u8; 4096]).unwrap();
    }
    files.metadata("/").await.unwrap();
    relay.set_delay(ROUND_TRIP / 2);
    let options = TransferOptions::new().recursive();
    for way in ["put", "get"] {
        let to = served.at(way);
        let start = Instant::now();
        let transfer = match way {
            "put" => files.put(&from, &to, &options),
            _ => files.get(served.at("from"), &to, &options),
        };
        let report = done(transfer).await;
        let trips = start.elapsed().as_secs_f64() / ROUND_TRIP.as_secs_f64();
        eprintln!("{FILES} files, {way}: {trips:.1} round trips");
        assert_eq!(report.files, FILES as u64);
        // One by one it would be three for each.
        assert!(
            trips < FILES as f64 * 3.0 / 5.0,
            "{way}: {trips} round trips"
        );
        assert_eq!(
            std::fs::read_dir(&to).unwrap().count(),
            std::fs::read_dir(&from).unwrap().count()
        );
        let times = std::fs::File::open(&from)
            .unwrap()
            .metadata()
            .unwrap()
            .modified()
            .unwrap();
        let set = std::fs::FileTimes::new().set_modified(times);
        for path in std::iter::once(to.clone()).chain((0..FILES).map(|n| format!("{to}/{n}"))) {
            std::fs::File::open(path).unwrap().set_times(set).unwrap();
        }
        for n in 0..FILES {
            std::fs::File::open(from.join(n.to_string()))
                .unwrap()
                .set_times(set)
                .unwrap();
        }
        assert_same(&from, Path::new(&to));
    }
}
