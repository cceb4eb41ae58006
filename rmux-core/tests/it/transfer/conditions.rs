//! What happens where something is there already.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rmux_core::{Conflict, ErrorKind, SkipReason, Transfer, TransferOptions, Update};

use super::{LIMIT, Served, done};
use crate::fixture::within;

fn set_time(path: &str, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = std::fs::File::open(path).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(time))
        .unwrap();
}

/// Puts or gets a tree of one file over one with another.
struct Over(Served, &'static str);

impl Over {
    fn transfer(&self, options: &TransferOptions) -> Transfer {
        let options = options.clone().recursive();
        let (from, to) = (self.0.at("from"), self.0.at("to"));
        match self.1 {
            "put" => self.0.files.put(from, to, &options),
            _ => self.0.files.get(from, to, &options),
        }
    }

    /// Whether the file is replaced.
    async fn replaces(&self, options: &TransferOptions, reason: SkipReason) -> bool {
        let report = done(self.transfer(options)).await;
        match (report.files, &report.skipped[..]) {
            (1, []) => true,
            (0, [skipped]) => {
                assert_eq!(skipped.reason, reason);
                false
            }
            other => panic!("{other:?}"),
        }
    }

    fn set(&self, from: (&str, u64), to: (&str, u64)) {
        for (folder, (contents, time)) in [("from", from), ("to", to)] {
            let path = self.0.at(&format!("{folder}/file"));
            std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            std::fs::write(&path, contents).unwrap();
            set_time(&path, time);
        }
    }
}

#[tokio::test]
async fn what_is_there_is_replaced_as_was_said() {
    let up_to_date = SkipReason::UpToDate;
    for way in ["put", "get"] {
        let over = Over(Served::start().await, way);
        let update = |update| TransferOptions::new().update(update);
        over.set(("new", 1000), ("old", 1000));
        assert!(!over.replaces(&update(Update::Newer), up_to_date).await);
        assert!(!over.replaces(&update(Update::Different), up_to_date).await);
        assert!(
            over.replaces(&update(Update::DifferentContents), up_to_date)
                .await
        );
        over.set(("same", 1001), ("same", 1000));
        assert!(
            !over
                .replaces(&update(Update::DifferentContents), up_to_date)
                .await
        );
        assert!(over.replaces(&update(Update::Different), up_to_date).await);
        over.set(("same", 1001), ("same", 1000));
        assert!(over.replaces(&update(Update::Newer), up_to_date).await);
        over.set(("longer", 1000), ("short", 1000));
        assert!(
            over.replaces(&update(Update::DifferentContents), up_to_date)
                .await
        );
        // With the times kept, what was done once is known to be done.
        over.set(("one", 1234), ("two", 4321));
        let options = update(Update::Different).times();
        assert!(over.replaces(&options, up_to_date).await);
        assert!(!over.replaces(&options, up_to_date).await);

        over.set(("new", 2), ("old", 1));
        let skip = TransferOptions::new().conflict(Conflict::Skip);
        assert!(!over.replaces(&skip, SkipReason::Exists).await);
        let refuse = TransferOptions::new().conflict(Conflict::Error);
        let report = within(LIMIT, way, over.transfer(&refuse).finish())
            .await
            .unwrap();
        assert_eq!(report.failures.len(), 1, "{report:?}");
        assert_eq!(report.failures[0].error.kind(), ErrorKind::AlreadyExists);
        let there = over.0.at("to/file");
        assert_eq!(std::fs::read(&there).unwrap(), b"old");
        for options in [&skip, &refuse] {
            std::fs::remove_file(&there).unwrap();
            assert!(over.replaces(options, SkipReason::Exists).await);
        }
        // Different types are in each other's way.
        std::fs::remove_file(&there).unwrap();
        std::fs::create_dir(&there).unwrap();
        let report = within(LIMIT, way, over.transfer(&TransferOptions::new()).finish()).await;
        let report = report.unwrap();
        assert_eq!(
            report.failures[0].error.kind(),
            ErrorKind::IsADirectory,
            "{report:?}"
        );
        std::fs::remove_dir(&there).unwrap();
        std::fs::remove_file(over.0.at("from/file")).unwrap();
        std::fs::create_dir(over.0.at("from/file")).unwrap();
        std::fs::write(&there, "file").unwrap();
        let report = within(LIMIT, way, over.transfer(&TransferOptions::new()).finish()).await;
        let report = report.unwrap();
        assert_eq!(
            report.failures[0].error.kind(),
            ErrorKind::NotADirectory,
            "{report:?}"
        );
    }
}

#[tokio::test]
async fn a_checksum_is_compared_whatever_the_remote_has_for_it() {
    let served = Served::start().await;
    let contents = super::contents(1_000_003);
    std::fs::write(served.at("from"), &contents).unwrap();
    let options = TransferOptions::new().checksum();
    done(
        served
            .files
            .put(served.at("from"), served.at("a"), &options),
    )
    .await;
    done(served.files.get(served.at("a"), served.at("b"), &options)).await;
    assert!(std::fs::read(served.at("b")).unwrap() == contents);
    // Without any program it is read back, and a program that lies about it is not believed.
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("sha256sum", "echo lies"),
        ("head", "exec /usr/bin/head -c 3"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let path = format!("PATH={}:/usr/bin:/bin", folder.path().display());
        let sshd = rmux_testkit::sshd::Sshd::builder()
            .option("SetEnv", &path)
            .start();
        let session = crate::fixture::session(&sshd).await;
        let files = session.files();
        done(files.put(served.at("from"), served.at("a"), &options)).await;
        done(files.get(served.at("a"), served.at("b"), &options)).await;
        assert!(std::fs::read(served.at("b")).unwrap() == contents);
    }
}
