//! Writing whole files: the old one or the new one is there, whatever happens.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::Duration;

use rmux_core::{ErrorKind, WriteOptions};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt as _;

use super::{LIMIT, all, external, internal, names};
use crate::fixture::{connect, eventually, relayed, within};

#[tokio::test]
async fn what_is_written_is_read_back() {
    for served in all().await {
        let files = &served.files;
        let path = served.at("file");
        let long: Vec<u8> = (0..3_000_017_u32).map(|n| (n * 7 / 3) as u8).collect();
        for contents in [&b""[..], b"short", &long] {
            let write = match served.name {
                // It cannot replace in one step, which is a failure of its own below.
                "embedded" => WriteOptions::new().in_place(),
                _ => WriteOptions::new(),
            };
            files
                .write_with(&path, contents.to_vec(), &write)
                .await
                .unwrap();
            assert!(std::fs::read(&path).unwrap() == contents, "{}", served.name);
            assert!(files.read(&path).await.unwrap() == contents);
        }
        for (start, end) in [(0, 5), (2_999_990, 4_000_000), (1 << 20, 3 << 20), (9, 9)] {
            let read = files.read_range(&path, start..end).await.unwrap();
            let end = long.len().min(end as usize);
            assert!(read == long[start as usize..end], "{start}..{end}");
        }
        let behind = files.read_range(&path, 5_000_000..6_000_000).await;
        assert_eq!(behind.unwrap(), b"");
        files.append(&path, "end").await.unwrap();
        let read = std::fs::read(&path).unwrap();
        assert!(read.ends_with(b"end") && read.len() == long.len() + 3);
        files.append(served.at("new"), "x").await.unwrap();
        assert_eq!(served.names(), ["file", "new"]);
    }
}

#[tokio::test]
async fn mode_owner_and_links_stay() {
    let served = internal().await;
    let (path, link) = (served.at("file"), served.at("link"));
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&path, Some(1234), Some(4321)).unwrap();
    } else {
        eprintln!("NOT RUN: only root can give a file to another owner, and see it kept");
    }
    symlink("file", &link).unwrap();
    let before = std::fs::metadata(&path).unwrap();
    served.files.write(&link, "new").await.unwrap();
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(after.mode(), before.mode());
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "it is another file");
    assert_eq!(std::fs::read_link(&link).unwrap().to_str(), Some("file"));

    let options = WriteOptions::new().mode(0o4711);
    served
        .files
        .write_with(&path, "program", &options)
        .await
        .unwrap();
    let mode = std::fs::metadata(&path).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o4711);
    // Written in place, it stays the same file.
    let before = std::fs::metadata(&path).unwrap();
    let options = WriteOptions::new().in_place();
    served
        .files
        .write_with(&path, "here", &options)
        .await
        .unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), before.ino());
    // A link to nothing is made something.
    symlink("nothing", served.at("dangling")).unwrap();
    served
        .files
        .write(served.at("dangling"), "x")
        .await
        .unwrap();
    assert_eq!(served.names(), ["dangling", "file", "link", "nothing"]);
}

#[tokio::test]
async fn conditions_are_kept() {
    let served = external().await;
    let (files, path) = (&served.files, served.at("file"));
    let fails = async |options: &WriteOptions, kind: ErrorKind| {
        let error = files.write_with(&path, "x", options).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    };
    let new = WriteOptions::new().create_new();
    files.write_with(&path, "one", &new).await.unwrap();
    fails(&new, ErrorKind::AlreadyExists).await;
    fails(&new.clone().in_place(), ErrorKind::AlreadyExists).await;

    let seen = files.metadata(&path).await.unwrap();
    let unchanged = WriteOptions::new().if_unchanged(&seen);
    files.write_with(&path, "longer", &unchanged).await.unwrap();
    fails(&unchanged, ErrorKind::Changed).await;

    let same = WriteOptions::new().if_sha256(sha256(b"longer"));
    files.write_with(&path, "three", &same).await.unwrap();
    fails(&same, ErrorKind::Changed).await;
    files.remove_file(&path).await.unwrap();
    fails(&same, ErrorKind::Changed).await;
    fails(&unchanged, ErrorKind::Changed).await;
    assert_eq!(served.names(), [""; 0], "nothing is left of those refused");
}

fn sha256(contents: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(contents).into()
}

/// A write that is given up anywhere leaves the old file or the new one, and no temporary.
#[tokio::test]
async fn a_write_that_is_given_up_leaves_nothing_half_done() {
    let served = external().await;
    let path = served.at("file");
    let contents = vec![b'n'; 2_000_000];
    std::fs::write(&path, "old").unwrap();
    let (mut old, mut new) = (0, 0);
    let mut polls = 0;
    while new < 3 {
        assert!(polls < 500, "it never ends");
        {
            let mut write = std::pin::pin!(served.files.write(&path, contents.clone()));
            for _ in 0..polls {
                let done = futures_util::poll!(write.as_mut());
                if done.is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        // Requests are answered in order: behind this one, all is done that was asked before.
        served.files.metadata(served.at("")).await.unwrap();
        let there = std::fs::read(&path).unwrap();
        match there.len() {
            3 => old += 1,
            _ => {
                assert!(there == contents, "half of it is there");
                new += 1;
            }
        }
        assert_eq!(served.names(), ["file"], "after {polls} polls");
        std::fs::write(&path, "old").unwrap();
        polls += 1;
    }
    assert!(old > 3, "it was given up at several places");
}

/// The link is cut while a file is replaced, after every so many bytes: the target is whole.
#[tokio::test]
async fn a_cut_leaves_the_old_file_or_the_new_one() {
    const LENGTH: usize = 60_000;
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let name = path.display().to_string();
    let (mut old, mut new) = (0, 0);
    for cut in (200..).step_by(4096) {
        std::fs::write(&path, "old").unwrap();
        let relay = Relay::to(sshd.addr()).start().await;
        let session = connect(relayed(&sshd, &relay)).await;
        let files = session.files();
        // The channel is open, so that the cut falls into the write.
        files.metadata(&name).await.unwrap();
        relay.set_cut_after(Direction::Up, cut);
        let written = within(LIMIT, "the write", files.write(&name, vec![b'n'; LENGTH])).await;
        let there = std::fs::read(&path).unwrap();
        match there.len() {
            3 => old += 1,
            _ => assert!(there == [b'n'; LENGTH], "half of it after {cut} bytes"),
        }
        match written {
            Ok(()) => {
                assert_eq!(there.len(), LENGTH);
                new += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}"),
        }
        if new > 0 {
            break;
        }
    }
    assert!(old >= LENGTH / 4096, "only {old} cuts came before the end");
    // What a cut left behind has a name that says what it is.
    for name in names(folder.path()) {
        assert!(name == "file" || name.starts_with(".rmux-"), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_replace_says_so_and_leaves_the_old_file() {
    let served = super::embedded().await;
    let path = served.at("file");
    served.files.write(&path, "first").await.unwrap();
    let error = served.files.write(&path, "second").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(served.files.read(&path).await.unwrap(), b"first");
    // The temporary is removed behind the answer.
    served.files.metadata(&path).await.unwrap();
    assert_eq!(served.names(), ["file"]);
}

#[tokio::test]
async fn a_stream_is_written_in_one_step() {
    use tokio::io::AsyncReadExt as _;

    let served = internal().await;
    let path = served.at("file");
    let long: Vec<u8> = (0..3_000_017_u32).map(|n| (n * 5 / 3) as u8).collect();
    let options = WriteOptions::new();
    for contents in [&b""[..], b"short", &long] {
        let written = served.files.write_from(&path, contents, &options).await;
        assert_eq!(written.unwrap(), contents.len() as u64);
        assert!(std::fs::read(&path).unwrap() == contents);
    }
    // One that breaks leaves the old file.
    let broken = broken_stream();
    let stream = (&b"the beginning"[..]).chain(broken);
    let error = served.files.write_from(&path, stream, &options).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    served.files.metadata(&path).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == long);
    assert_eq!(served.names(), ["file"]);
    let in_place = WriteOptions::new().in_place();
    let error = served.files.write_from(&path, &b""[..], &in_place).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
}

/// A stream that fails at once.
fn broken_stream() -> impl tokio::io::AsyncRead {
    struct Broken;
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("broken")))
        }
    }
    Broken
}

#[tokio::test]
async fn a_created_file_has_its_name_when_it_is_closed() {
    for served in [external().await, internal().await] {
        let path = served.at("file");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let read = || std::fs::read_to_string(&path).unwrap();
        let options = WriteOptions::new();
        let mut given_up = served.files.create(&path, &options).await.unwrap();
        given_up.write_all(b"given up").await.unwrap();
        given_up.flush().await.unwrap();
        assert_eq!((read().as_str(), served.names().len()), ("old", 2));
        drop(given_up);
        eventually(LIMIT, "it is removed", || served.names().len() == 1).await;
        let mut file = served.files.create(&path, &options).await.unwrap();
        for piece in ["new ", "contents"] {
            file.write_all(piece.as_bytes()).await.unwrap();
        }
        assert_eq!(read(), "old");
        file.close().await.unwrap();
        assert_eq!(read(), "new contents", "{}", served.name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let new = served.files.create(served.at("new"), &options).await;
        new.unwrap().close().await.unwrap();
        assert_eq!(served.names(), ["file", "new"]);
        let in_place = WriteOptions::new().in_place();
        let error = served.files.create(&path, &in_place);
        assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Unsupported);
        let nowhere = served.files.create(served.at("no/file"), &options);
        assert_eq!(nowhere.await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
