//! Directories, names of every form, links and copies.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::{Duration, SystemTime};

use rmux_core::{ErrorKind, FileType, RemotePath};

use super::{LIMIT, all, external, internal};
use crate::fixture::within;

#[tokio::test]
async fn a_folder_of_twenty_thousand_is_listed() {
    const COUNT: usize = 20_000;
    let served = external().await;
    let folder = served.folder.join("many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..COUNT {
        std::fs::File::create(folder.join(format!("entry {number}"))).unwrap();
    }
    let listing = async {
        let mut listing = served.files.read_dir(served.at("many")).await?;
        let mut names = BTreeSet::new();
        while let Some(entry) = listing.next_entry().await? {
            assert!(entry.metadata().is_file());
            names.insert(entry.file_name().to_vec());
        }
        Ok::<_, rmux_core::Error>(names)
    };
    let names = within(LIMIT, "the listing", listing).await.unwrap();
    assert_eq!(names.len(), COUNT);
    // A listing that is dropped early costs nobody anything.
    let mut listing = served.files.read_dir(served.at("many")).await.unwrap();
    listing.next_entry().await.unwrap().unwrap();
    drop(listing);
    let removal = served.files.remove_dir_all(served.at("many"));
    within(LIMIT, "the removal", removal).await.unwrap();
    assert_eq!(served.names(), [""; 0]);
}

#[tokio::test]
async fn names_need_not_be_text_and_may_be_long() {
    let served = external().await;
    let files = &served.files;
    let folder = RemotePath::new(served.folder.as_os_str().as_bytes().to_vec());
    let long = vec![b'n'; 255];
    for name in [
        &b"\xff\xfe\x80"[..],
        b"new\nline",
        b" ",
        b"-rf",
        b"~",
        "zażółć".as_bytes(),
        &long,
    ] {
        let path = folder.join(name);
        files.write(&path, "contents").await.unwrap();
        let here = served.folder.join(OsStr::from_bytes(name));
        assert_eq!(std::fs::read(&here).unwrap(), b"contents", "{path}");
        assert_eq!(files.read(&path).await.unwrap(), b"contents");
        let entries = files.read_dir(&folder).await.unwrap();
        let entries = entries.entries().await.unwrap();
        assert_eq!(entries[0].file_name(), name);
        assert_eq!(entries[0].path(), &path);
        files.remove_file(&path).await.unwrap();
    }
    let too_long = folder.join(vec![b'n'; 256]);
    let error = files.write(&too_long, "x").await.unwrap_err();
    assert_ne!(error.kind(), ErrorKind::ProtocolViolation, "{error}");
    assert_eq!(served.names(), [""; 0]);
}

#[tokio::test]
async fn directories_are_made_and_removed_with_all_in_them() {
    for served in all().await {
        let files = &served.files;
        let deep = served.at("a/b/c/d");
        files.create_dir_all(&deep).await.unwrap();
        files.create_dir_all(&deep).await.unwrap();
        assert!(files.metadata(&deep).await.unwrap().is_dir());
        let error = files.create_dir(&deep).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        let error = files.create_dir(served.at("x/y")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

        // What a link points to is not removed with the link.
        std::fs::create_dir(served.at("kept")).unwrap();
        std::fs::write(served.at("kept/file"), "x").unwrap();
        symlink("../../kept", served.at("a/b/link")).unwrap();
        symlink(".", served.at("a/cycle")).unwrap();
        symlink("nowhere", served.at("a/dangling")).unwrap();
        for number in 0..300 {
            std::fs::write(served.at(&format!("a/b/c/{number}")), "x").unwrap();
        }
        let error = files.remove_dir(served.at("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("not empty"), "{error}");
        files.remove_dir_all(served.at("a")).await.unwrap();
        files.remove_dir_all(served.at("kept/file")).await.unwrap();
        assert_eq!(served.names(), ["kept"], "{}", served.name);
        files.remove_dir(served.at("kept")).await.unwrap();
        let error = files.remove_dir_all(served.at("kept")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn links_names_and_attributes() {
    for served in all().await {
        let files = &served.files;
        let (file, link) = (served.at("file"), served.at("link"));
        files.write(&file, "contents").await.unwrap();
        files.symlink("file", &link).await.unwrap();
        let target = files.read_link(&link).await.unwrap();
        assert_eq!(target.to_str(), Some("file"), "{}", served.name);
        let known = files.symlink_metadata(&link).await.unwrap();
        assert!(known.is_symlink());
        let known = files.metadata(&link).await.unwrap();
        assert_eq!((known.file_type(), known.len()), (Some(FileType::File), 8));
        assert_eq!(known.uid(), Some(rustix::process::getuid().as_raw()));
        let error = files.symlink("x", &link).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        let real = files.canonicalize(served.at("./link")).await.unwrap();
        assert_eq!(real.to_str(), Some(file.as_str()));
        assert!(files.exists(&link).await.unwrap());
        assert!(!files.exists(served.at("nothing")).await.unwrap());

        files.set_mode(&file, 0o604).await.unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        files.set_times(&file, at, at).await.unwrap();
        let known = files.metadata(&file).await.unwrap();
        assert_eq!(known.mode(), Some(0o604));
        assert_eq!(known.modified(), Some(at));
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        let error = files.set_times(&file, early, at).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        files.rename(&file, served.at("renamed")).await.unwrap();
        std::fs::write(&file, "other").unwrap();
        let renamed = files.rename(served.at("renamed"), &file).await;
        if served.name == "embedded" {
            assert_eq!(renamed.unwrap_err().kind(), ErrorKind::AlreadyExists);
            continue;
        }
        renamed.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"contents");
        files.hard_link(&file, served.at("second")).await.unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().nlink(), 2);
        let error = files.hard_link(&file, &link).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        let space = files.disk_space(&file).await.unwrap();
        assert!(space.total >= space.available && space.longest_name >= 255);
        if rustix::process::geteuid().is_root() {
            files.set_owner(&file, 12, 34).await.unwrap();
            files.set_link_owner(&link, 56, 78).await.unwrap();
            let known = std::fs::symlink_metadata(&link).unwrap();
            assert_eq!((known.uid(), known.gid()), (56, 78));
            assert_eq!(std::fs::metadata(&file).unwrap().uid(), 12);
        } else {
            eprintln!("NOT RUN: only root can give a file to another owner");
        }
    }
}

#[tokio::test]
async fn files_are_copied_on_the_server_or_through_us() {
    for served in all().await {
        let files = &served.files;
        let (from, to) = (served.at("from"), served.at("to"));
        // More than the server copies at a time, with a hole.
        let mut contents = vec![0; 33 << 20];
        contents[..5].copy_from_slice(b"start");
        contents.extend_from_slice(b"end");
        std::fs::write(&from, &contents).unwrap();
        files.set_mode(&from, 0o640).await.unwrap();
        within(LIMIT, "the copy", files.copy(&from, &to))
            .await
            .unwrap();
        assert!(std::fs::read(&to).unwrap() == contents, "{}", served.name);
        assert_eq!(files.metadata(&to).await.unwrap().mode(), Some(0o640));
        let error = files.copy(served.at(""), &to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory, "{error}");
        assert_eq!(served.names(), ["from", "to"]);
    }
}

#[tokio::test]
async fn home_and_temporary_files() {
    let served = internal().await;
    let files = &served.files;
    let home = files.canonicalize("~").await.unwrap();
    assert!(home.as_bytes().starts_with(b"/"));
    assert_eq!(files.canonicalize("~/").await.unwrap(), home);
    let expected = home.join("no such file of rmux's tests");
    let found = files.canonicalize("~/no such file of rmux's tests").await;
    assert_eq!(found.unwrap(), expected);
    let user = served.session.host().user.clone();
    assert_eq!(files.canonicalize(format!("~{user}")).await.unwrap(), home);
    let error = files.read("~/no such file of rmux's tests").await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);

    let (path, file) = files.temp_file(served.at("")).await.unwrap();
    file.close().await.unwrap();
    let known = files.metadata(&path).await.unwrap();
    assert_eq!((known.mode(), known.len()), (Some(0o600), 0));
    files.remove_file(&path).await.unwrap();

    let (one, two) = tokio::join!(
        files.temp_dir(served.at("work-")),
        files.temp_dir(served.at("work-"))
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one != two && one.as_bytes().starts_with(served.at("work-").as_bytes()));
    let known = files.metadata(&one).await.unwrap();
    assert!(known.is_dir() && known.mode() == Some(0o700), "{known:?}");
    let error = files.temp_dir(served.at("none/x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    // Files whose length says nothing.
    for path in ["/proc/self/status", "/proc/self/mounts"] {
        let contents = files.read(path).await.unwrap();
        assert_eq!(files.metadata(path).await.unwrap().len(), 0);
        assert!(contents.len() > 100 && contents.ends_with(b"\n"), "{path}");
    }
    let embedded = super::embedded().await;
    let error = embedded.files.read("~somebody/file").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(embedded.files.canonicalize("~").await.is_ok());
}
