//! Local files in a private folder of the remote, and how that goes away.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rmux_core::{Dropped, ErrorKind};
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, contents};
use crate::fixture::{self, connect, eventually, relayed, within};

/// Where the folder is on this machine, which is the server's.
fn folder(dropped: &Dropped) -> PathBuf {
    PathBuf::from(dropped.folder().to_string())
}

fn mode(path: &Path) -> u32 {
    let known = std::fs::symlink_metadata(path).unwrap();
    known.permissions().mode() & 0o7777
}

fn plant(folder: &Path) -> Vec<PathBuf> {
    std::fs::create_dir(folder.join("other")).unwrap();
    let names = ["a b's $(x).txt", "-rf", "line\nbreak", "other/-rf"];
    let paths = names.map(|name| folder.join(name));
    for (n, path) in paths.iter().enumerate() {
        std::fs::write(path, contents(n * 100_000)).unwrap();
        let mode = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(path, mode).unwrap();
    }
    paths.to_vec()
}

#[tokio::test]
async fn files_are_put_privately_and_removed() {
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    let local = tempfile::tempdir().unwrap();
    let sources = plant(local.path());
    let dropped = session.drop_files(&sources).await.unwrap();
    let there = folder(&dropped);
    assert_eq!(mode(&there), 0o700);
    let names = ["a b's $(x).txt", "_rf", "line_break", "_rf-2"];
    for ((source, path), name) in sources.iter().zip(dropped.paths()).zip(names) {
        let path = Path::new(path.to_str().unwrap());
        assert_eq!(path, there.join(name));
        assert_eq!(mode(path), 0o600, "{name}");
        assert!(std::fs::read(path).unwrap() == std::fs::read(source).unwrap());
    }
    // As words for the login shell.
    let line = [b"wc -c ", &dropped.quoted()[..]].concat();
    let line = std::ffi::OsStr::from_bytes(&line);
    let output = session.shell(line).output().await.unwrap();
    let counted = String::from_utf8(output.stdout).unwrap();
    assert!(counted.contains("600000 total"), "{counted}");
    // Also what somebody else has put there.
    std::fs::create_dir(there.join("made")).unwrap();
    std::fs::write(there.join("made/x"), "x").unwrap();
    dropped.remove().await.unwrap();
    assert!(!there.exists());
}

#[tokio::test]
async fn letting_go_closing_and_a_cut_remove_them() {
    let sshd = Sshd::start();
    let relay = Relay::to(sshd.addr()).start().await;
    let local = tempfile::tempdir().unwrap();
    let sources = plant(local.path());
    for way in ["let go", "close", "cut"] {
        let session = connect(relayed(&sshd, &relay)).await;
        let dropped = session.drop_files(&sources).await.unwrap();
        let there = folder(&dropped);
        std::fs::create_dir(there.join("made")).unwrap();
        match way {
            "let go" => drop(dropped),
            "close" => session.close().await,
            _ => relay.cut(),
        }
        eventually(LIMIT, way, || !there.exists()).await;
    }
}

#[tokio::test]
async fn an_account_without_commands_has_them_removed_too() {
    let sshd = Sshd::builder()
        .option("ForceCommand", "internal-sftp")
        .start();
    let session = fixture::session(&sshd).await;
    let local = tempfile::tempdir().unwrap();
    let sources = plant(local.path());
    let drop_files = session.drop_files(&sources);
    let dropped = within(LIMIT, "the files", drop_files).await.unwrap();
    let there = folder(&dropped);
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 4);
    drop(dropped);
    eventually(LIMIT, "they are gone", || !there.exists()).await;
}

#[tokio::test]
async fn all_are_put_or_none() {
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    let local = tempfile::tempdir().unwrap();
    let mut sources = plant(local.path());
    let token = format!("token-{}", local.path().file_name().unwrap().display());
    sources.insert(0, local.path().join(&token));
    std::fs::write(&sources[0], "x").unwrap();
    for (path, kind) in [
        (local.path().join("missing"), ErrorKind::NotFound),
        (local.path().join("other"), ErrorKind::IsADirectory),
        ("/dev/null".into(), ErrorKind::InvalidInput),
        ("/".into(), ErrorKind::InvalidInput),
    ] {
        sources.push(path);
        let error = session.drop_files(&sources).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        sources.pop();
    }
    let none: [&Path; 0] = [];
    assert!(session.drop_files(none).await.is_err());
    assert_eq!(left(&token), 0);
    // A call that is given up leaves nothing, whenever that is.
    let before = empty();
    for moment in 0..30 {
        let limit = Duration::from_millis(moment);
        if let Ok(dropped) = tokio::time::timeout(limit, session.drop_files(&sources)).await {
            dropped.unwrap().remove().await.unwrap();
        }
    }
    eventually(LIMIT, "nothing is left", || left(&token) == 0).await;
    let none = || empty().is_subset(&before);
    eventually(LIMIT, "no folder is left either", none).await;
    session.close().await;
}

/// The folders that may be of dropped files.
fn folders() -> impl Iterator<Item = PathBuf> {
    let all = std::fs::read_dir("/tmp").unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().starts_with("/tmp/rmux-"))
}

/// How many folders hold a file of this name.
fn left(name: &str) -> usize {
    folders().filter(|path| path.join(name).exists()).count()
}

/// Those with nothing in them.
fn empty() -> HashSet<PathBuf> {
    let is_empty = |path: &PathBuf| std::fs::read_dir(path).is_ok_and(|mut it| it.next().is_none());
    folders().filter(is_empty).collect()
}
