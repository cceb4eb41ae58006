//! Editing in place: exactly one piece is replaced, or nothing is.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use rmux_core::{ErrorKind, WriteOptions};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, external, internal};
use crate::fixture::{connect, eventually, relayed};

#[tokio::test]
async fn one_piece_is_replaced() {
    let served = internal().await;
    let (files, path) = (&served.files, served.at("file"));
    std::fs::write(&path, b"one \xff two\nthree two-and-a-half\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    files
        .replace_text(&path, b" \xff two\n", "\n")
        .await
        .unwrap();
    let read = || std::fs::read(&path).unwrap();
    assert_eq!(read(), b"one\nthree two-and-a-half\n");
    files.replace_text(&path, "-and-a-half", "").await.unwrap();
    assert_eq!(read(), b"one\nthree two\n");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);

    for (old, kind) in [
        ("four", ErrorKind::Changed),
        ("e", ErrorKind::Changed),
        ("", ErrorKind::InvalidInput),
    ] {
        let error = files.replace_text(&path, old, "x").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.operation()),
            (kind, "replace text"),
            "{error}"
        );
        assert!(error.to_string().contains(&path), "{error}");
    }
    let missing = files
        .replace_text(served.at("none"), "a", "b")
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(read(), b"one\nthree two\n");
    assert_eq!(served.names(), ["file"]);
}

#[tokio::test]
async fn who_edit_at_once_leave_a_whole_file() {
    let served = external().await;
    let (files, path) = (&served.files, served.at("file"));
    for round in 0..5 {
        std::fs::write(&path, "a b c d").unwrap();
        let edits =
            ["a", "b", "c", "d"].map(|old| files.replace_text(&path, old, old.to_uppercase()));
        let mut done = 0;
        for edited in futures_util::future::join_all(edits).await {
            match edited {
                Ok(()) => done += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Changed, "{error}"),
            }
        }
        let left = std::fs::read_to_string(&path).unwrap();
        assert_eq!(left.to_lowercase(), "a b c d", "round {round}");
        assert!(done >= 1 && left != "a b c d", "round {round}");
        // What was refused has let go of its temporary file before this is asked.
        files.metadata(&path).await.unwrap();
        assert_eq!(served.names(), ["file"]);
    }
}

#[tokio::test]
async fn what_was_kept_of_a_file_is_enough_for_a_condition() {
    let served = internal().await;
    let (files, path) = (&served.files, served.at("file"));
    std::fs::write(&path, "one").unwrap();
    let seen = files.metadata(&path).await.unwrap();
    let same = WriteOptions::new().if_unmodified(seen.len(), seen.modified().unwrap());
    files.write_with(&path, "longer", &same).await.unwrap();
    let error = files.write_with(&path, "x", &same).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    let never = WriteOptions::new().if_unmodified(6, std::time::SystemTime::UNIX_EPOCH);
    let error = files.write_with(&path, "x", &never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"longer");
}

#[tokio::test]
async fn what_was_left_alone_is_read_once() {
    const LENGTH: u64 = 4 << 20;
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let files = connect(relayed(&sshd, &relay)).await.files();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "x".repeat(LENGTH as usize) + "one").unwrap();
    let name = path.display().to_string();
    let mut downs = Vec::new();
    for (seconds, old, new) in [(60, "one", "two"), (0, "two", "three")] {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
        let before = relay.bytes(Direction::Down);
        files.replace_text(&name, old, new).await.unwrap();
        downs.push(relay.bytes(Direction::Down) - before);
    }
    assert!(std::fs::read(&path).unwrap().ends_with(b"xthree"));
    assert!(downs[0] < LENGTH * 3 / 2, "{downs:?}");
    // Its time cannot tell whether somebody else wrote to it just now.
    assert!(downs[1] > LENGTH * 3 / 2, "{downs:?}");
}

#[tokio::test]
async fn what_somebody_else_writes_meanwhile_is_not_lost() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let files = connect(relayed(&sshd, &relay)).await.files();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let name = path.display().to_string();
    files.exists(&name).await.unwrap();
    relay.set_delay(Duration::from_millis(100));
    for age in [60, 0] {
        std::fs::write(&path, "one").unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
        let replacing = files.replace_text(&name, "one", "two");
        // Behind the read, and of the same length.
        let writing = async {
            eventually(LIMIT, "the new file is there", || {
                std::fs::read_dir(folder.path()).unwrap().count() == 2
            })
            .await;
            std::fs::write(&path, "six").unwrap();
        };
        let (replaced, ()) = tokio::join!(replacing, writing);
        assert_eq!(replaced.unwrap_err().kind(), ErrorKind::Changed, "{age}");
        assert_eq!(std::fs::read(&path).unwrap(), b"six");
    }
}
