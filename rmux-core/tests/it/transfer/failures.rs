//! What fails in the middle: the rest goes on, and the report says what did not.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rmux_core::{ErrorKind, Links, TransferOptions};

use super::{LIMIT, Served, contents, left_behind};
use crate::fixture::within;

/// Even root may not read it.
const UNREADABLE: &str = "/proc/sys/vm/compact_memory";

#[tokio::test]
async fn a_tree_goes_on_behind_what_cannot_be_read() {
    let served = Served::start().await;
    let from = served.folder.path().join("from");
    std::fs::create_dir_all(from.join("sub")).unwrap();
    assert!(std::fs::File::open(UNREADABLE).is_err());
    symlink(UNREADABLE, from.join("secret")).unwrap();
    for n in 0..300 {
        std::fs::write(from.join(format!("sub/{n}")), "x").unwrap();
    }
    let options = TransferOptions::new().recursive().links(Links::Follow);
    for way in ["put", "get"] {
        let to = served.at(way);
        let transfer = match way {
            "put" => served.files.put(&from, &to, &options),
            _ => served.files.get(served.at("from"), &to, &options),
        };
        let report = within(LIMIT, way, transfer.finish()).await.unwrap();
        assert_eq!(
            (report.files, report.failures.len()),
            (300, 1),
            "{report:?}"
        );
        let failure = &report.failures[0];
        assert_eq!(
            failure.error.kind(),
            ErrorKind::PermissionDenied,
            "{failure}"
        );
        assert!(
            failure.path.to_string().ends_with("from/secret"),
            "{failure}"
        );
        assert_eq!(
            std::fs::read_dir(Path::new(&to).join("sub"))
                .unwrap()
                .count(),
            300
        );
        assert!(left_behind(Path::new(&to)).is_empty());
        assert!(!Path::new(&to).join("secret").exists());
    }
    // As the source itself it is the end of the whole.
    let options = TransferOptions::new();
    for (transfer, kind) in [
        (
            served.files.put(UNREADABLE, served.at("x"), &options),
            ErrorKind::PermissionDenied,
        ),
        (
            served.files.get(UNREADABLE, served.at("x"), &options),
            ErrorKind::PermissionDenied,
        ),
        (
            served.files.put("/no/such", served.at("x"), &options),
            ErrorKind::NotFound,
        ),
        (
            served.files.get("/no/such", served.at("x"), &options),
            ErrorKind::NotFound,
        ),
        (
            served.files.put("/etc/passwd", "/no/such/x", &options),
            ErrorKind::NotFound,
        ),
        (
            served.files.get("/etc/passwd", "/no/such/x", &options),
            ErrorKind::NotFound,
        ),
        (
            served.files.put("/etc/passwd", served.at(""), &options),
            ErrorKind::IsADirectory,
        ),
        (
            served.files.get("/etc/passwd", served.at(""), &options),
            ErrorKind::IsADirectory,
        ),
    ] {
        let error = within(LIMIT, "the failure", transfer.finish())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(!Path::new(&served.at("x")).exists());
}

/// A small file system, unmounted when it is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(at);
        mount.output().ok()?.status.success().then_some(Self(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_takes_what_fits() {
    let served = Served::start().await;
    let from = served.folder.path().join("from");
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("large"), contents(4 << 20)).unwrap();
    std::fs::write(from.join("small"), "small").unwrap();
    let to = served.folder.path().join("to");
    std::fs::create_dir(&to).unwrap();
    for way in ["put", "get"] {
        let Some(_mounted) = Small::mount(&to) else {
            eprintln!("NOT RUN: a small file system cannot be mounted here, which needs root");
            return;
        };
        let options = TransferOptions::new().recursive();
        let transfer = match way {
            "put" => served.files.put(&from, served.at("to"), &options),
            _ => served.files.get(served.at("from"), &to, &options),
        };
        let report = within(LIMIT, way, transfer.finish()).await.unwrap();
        assert_eq!((report.files, report.failures.len()), (1, 1), "{report:?}");
        let failure = &report.failures[0];
        assert_eq!(failure.error.kind(), ErrorKind::LimitExceeded, "{failure}");
        // What was removed is gone behind this answer.
        served.files.metadata(served.at("to")).await.unwrap();
        assert_eq!(left_behind(&to), [""; 0]);
        assert!(!to.join("large").exists());
    }
}
