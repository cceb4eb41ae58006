//! What goes there and back is what it was.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;

use rmux_core::{ErrorKind, TransferEvent, TransferOptions};

use super::{
    LIMIT, Served, all, assert_same, contents, done, is_ours, left_behind, plant, seen, try_seen,
};
use crate::fixture::{self, within};

#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    for served in Served::both().await {
        let (from, there, back) = (served.at("from"), served.at("there"), served.at("back"));
        plant(Path::new(&from));
        let report = done(served.files.put(&from, &there, &all())).await;
        assert_eq!((report.files, report.directories), (9, 4), "{report:?}");
        assert!(report.skipped.is_empty());
        assert_same(Path::new(&from), Path::new(&there));
        let report = done(served.files.get(&there, &back, &all())).await;
        assert_eq!((report.files, report.directories), (9, 4));
        assert_eq!(report.bytes, TOTAL);
        assert_same(Path::new(&from), Path::new(&back));
        for copy in [&there, &back] {
            let sparse = std::fs::metadata(Path::new(copy).join("sparse")).unwrap();
            assert!(
                sparse.blocks() * 512 < 1 << 20,
                "{copy}: {} blocks",
                sparse.blocks()
            );
        }
        // Once more, over what is there.
        let report = done(served.files.put(&from, &there, &all())).await;
        assert_eq!((report.files, report.directories), (9, 0));
        done(served.files.get(&there, &back, &all())).await;
        assert_same(Path::new(&from), Path::new(&there));
        assert_same(Path::new(&from), Path::new(&back));
    }
}

#[tokio::test]
async fn one_host_sends_to_another() {
    let [one, other] = Served::both().await;
    plant(&one.folder.path().join("from"));
    let options = all().checksum();
    let report = done(
        one.files
            .send(one.at("from"), &other.files, other.at("to"), &options),
    )
    .await;
    assert_eq!(report.files, 9);
    assert_same(
        &one.folder.path().join("from"),
        &other.folder.path().join("to"),
    );
    // Within one host too, but not into itself.
    done(
        one.files
            .send(one.at("from"), &one.files, one.at("to"), &options),
    )
    .await;
    assert_same(
        &one.folder.path().join("from"),
        &one.folder.path().join("to"),
    );
    for into in ["from", "from/empty folder", "from/deep/new"] {
        let sent = one
            .files
            .send(one.at("from"), &one.files, one.at(into), &options);
        let error = within(LIMIT, into, sent.finish()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let options = TransferOptions::new();
    let report = done(
        one.files
            .send(one.at("from/small"), &other.files, other.at("x"), &options),
    )
    .await;
    assert_eq!(report.bytes, 5);
    assert_eq!(std::fs::read(other.at("x")).unwrap(), b"small");
}

#[tokio::test]
async fn single_files_keep_what_is_theirs() {
    for served in Served::both().await {
        let options = TransferOptions::new();
        let mode = |path: &str| std::fs::metadata(path).unwrap().mode() & 0o7777;
        for length in [0, 1, 70_000, 5_000_000] {
            let (from, there, back) = (served.at("a"), served.at("b"), served.at("c"));
            std::fs::write(&from, contents(length)).unwrap();
            std::fs::set_permissions(&from, PermissionsExt::from_mode(0o4755)).unwrap();
            let report = done(served.files.put(&from, &there, &options)).await;
            assert_eq!((report.files, report.bytes), (1, length as u64));
            done(served.files.get(&there, &back, &options)).await;
            assert!(std::fs::read(&back).unwrap() == contents(length));
            // As the source's, and without what would lend rights.
            assert_eq!((mode(&there), mode(&back)), (0o755, 0o755));
            std::fs::remove_file(&there).unwrap();
            std::fs::remove_file(&back).unwrap();
        }
        // What is replaced keeps its mode and owner, and a link stays one.
        let is_root = rustix::process::geteuid().is_root();
        for name in ["b", "c"] {
            std::fs::write(served.at(name), "old").unwrap();
            std::fs::set_permissions(served.at(name), PermissionsExt::from_mode(0o604)).unwrap();
            if is_root {
                std::os::unix::fs::chown(served.at(name), Some(1234), Some(4321)).unwrap();
            }
            symlink(name, served.at(&format!("link to {name}"))).unwrap();
        }
        std::fs::write(served.at("a"), "new").unwrap();
        done(
            served
                .files
                .put(served.at("a"), served.at("link to b"), &options),
        )
        .await;
        done(
            served
                .files
                .get(served.at("a"), served.at("link to c"), &options),
        )
        .await;
        for name in ["b", "c"] {
            let known = std::fs::symlink_metadata(served.at(name)).unwrap();
            assert_eq!(std::fs::read(served.at(name)).unwrap(), b"new");
            assert_eq!(known.mode() & 0o7777, 0o604);
            if is_root {
                assert_eq!((known.uid(), known.gid()), (1234, 4321));
            }
            let link = served.at(&format!("link to {name}"));
            assert!(std::fs::symlink_metadata(link).unwrap().is_symlink());
        }
        assert!(left_behind(served.folder.path()).is_empty());
    }
}

#[tokio::test]
async fn files_without_a_length_are_read_to_their_end() {
    for served in Served::both().await {
        let options = TransferOptions::new();
        for (name, path) in [("got", "/proc/cpuinfo"), ("put", "/proc/filesystems")] {
            let transfer = match name {
                "got" => served.files.get(path, served.at(name), &options),
                _ => served.files.put(path, served.at(name), &options),
            };
            done(transfer).await;
            assert!(
                !std::fs::read(served.at(name)).unwrap().is_empty(),
                "{name}"
            );
        }
        let put = std::fs::read(served.at("put")).unwrap();
        assert_eq!(put, std::fs::read("/proc/filesystems").unwrap());
    }
}

#[tokio::test]
async fn progress_is_told_and_comes_to_its_end() {
    let served = Served::start().await;
    plant(&served.folder.path().join("from"));
    let pipe = served.folder.path().join("from/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let mut transfer = served.files.put(served.at("from"), served.at("to"), &all());
    let (mut last, mut skipped) = (None, 0);
    while let Some(event) = within(LIMIT, "an event", transfer.next_event()).await {
        match event {
            TransferEvent::Progress(progress) => {
                assert!(progress.bytes <= progress.total_bytes, "{progress:?}");
                last = Some(progress);
            }
            TransferEvent::Skipped(one) => {
                assert!(one.path.to_string().ends_with("pipe"), "{one:?}");
                assert_eq!(one.reason.to_string(), "it is a named pipe");
                skipped += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let (last, report) = (last.unwrap(), done(transfer).await);
    assert!(last.is_complete, "{last:?}");
    assert_eq!((last.files, last.total_files), (9, 9));
    assert_eq!((last.bytes, last.total_bytes), (report.bytes, report.bytes));
    assert_eq!((skipped, report.skipped.len()), (1, 1));
    std::fs::remove_file(&pipe).unwrap();
    // A pipe as the source itself.
    let report = done(
        served
            .files
            .put("/dev/null", served.at("null"), &TransferOptions::new()),
    )
    .await;
    assert_eq!((report.files, report.skipped.len()), (0, 1));
}

/// The lengths of all files of the tree.
const TOTAL: u64 = 3_000_017 + (9 << 20) + 5 + 3 + 5 + 20;

/// Dropped anywhere, it leaves files that are whole, and nothing beside them.
#[tokio::test]
async fn a_transfer_that_is_given_up_leaves_nothing_half_done() {
    let served = Served::start().await;
    let from = served.folder.path().join("from");
    plant(&from);
    std::fs::write(served.at("marker"), "").unwrap();
    let whole = seen(&from);
    for direction in ["put", "get"] {
        let steps = 24;
        for step in 0..=steps {
            let to = served.folder.path().join(format!("{direction} {step}"));
            let transfer = match direction {
                "put" => served
                    .files
                    .put(&from, to.as_os_str().as_encoded_bytes(), &all()),
                _ => served
                    .files
                    .get(from.as_os_str().as_encoded_bytes(), &to, &all()),
            };
            let enough = TOTAL * step / steps;
            within(LIMIT, "so much of it", async {
                while transfer.progress().bytes < enough {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            })
            .await;
            drop(transfer);
            let at = to.display().to_string();
            // Requests are answered in order: behind this one, all is done that was asked before.
            served.files.metadata(served.at("marker")).await.unwrap();
            fixture::eventually(LIMIT, "temporary files are gone", || {
                try_seen(&to).is_some_and(|it| !it.into_keys().any(|name| is_ours(&name)))
            })
            .await;
            for (name, (_, _, contents)) in try_seen(&to).unwrap_or_default() {
                assert!(whole[&name].2 == contents, "half of it in {at}");
            }
        }
    }
}
