//! Editing in place: exactly one piece is replaced, or nothing is.

use std::os::unix::fs::PermissionsExt as _;

use rmux_core::{ErrorKind, WriteOptions};

use super::{external, internal};

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
