//! What the server refuses: the kind tells what to do, the message what it was about.

use std::path::Path;
use std::process::Command;

use rmux_core::{ErrorKind, FilesBy, OpenOptions};
use rmux_testkit::sshd::Sshd;

use super::{all, external, internal, openssh, shell};
use crate::fixture;

#[tokio::test]
async fn errors_have_a_kind_and_name_path_and_host() {
    for served in all().await {
        let files = &served.files;
        let (missing, folder) = (served.at("missing\n"), served.at("folder"));
        std::fs::create_dir(&folder).unwrap();
        let error = files.read(&missing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(
            (error.host(), error.operation()),
            (Some("127.0.0.1"), "read")
        );
        assert!(error.message().contains("missing\\n\""), "{error}");
        let io = std::io::Error::from(error);
        assert_eq!(io.kind(), std::io::ErrorKind::NotFound);

        for error in [
            files.read(&folder).await.unwrap_err(),
            files.write(&folder, "x").await.unwrap_err(),
            files.append(&folder, "x").await.unwrap_err(),
            files.remove_file(&folder).await.unwrap_err(),
        ] {
            let name = served.name;
            assert_eq!(error.kind(), ErrorKind::IsADirectory, "{name}: {error}");
        }
        std::fs::write(served.at("file"), "x").unwrap();
        for error in [
            files.read_dir(served.at("file")).await.unwrap_err(),
            files.create_dir_all(served.at("file")).await.unwrap_err(),
            files.remove_dir(served.at("file")).await.unwrap_err(),
        ] {
            let name = served.name;
            assert_eq!(error.kind(), ErrorKind::NotADirectory, "{name}: {error}");
        }
        let error = files.read_dir(&missing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let create_new = OpenOptions::new().write().create_new();
        let error = files
            .open(served.at("file"), &create_new)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        for path in [&b""[..], b"a\0b"] {
            let error = files.read(path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        assert_eq!(served.names(), ["file", "folder"]);
    }
}

#[tokio::test]
async fn a_server_that_is_read_only_denies_permission() {
    let served = openssh("read only", "sftp internal-sftp -R").await;
    let path = served.at("file");
    std::fs::write(&path, "old").unwrap();
    let files = &served.files;
    for error in [
        files.write(&path, "new").await.unwrap_err(),
        files.append(&path, "new").await.unwrap_err(),
        files.remove_file(&path).await.unwrap_err(),
        files.create_dir(served.at("x")).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
    assert_eq!(files.read(&path).await.unwrap(), b"old");
}

#[tokio::test]
async fn a_host_without_sftp_and_without_a_shell_says_so() {
    let sshd = fixture::without_sftp()
        .option("ForceCommand", "echo no shell here; exit 3")
        .start();
    let session = fixture::session(&sshd).await;
    let error = session.files().read("/etc/hostname").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("sftp"), "{error}");
    // The session goes on, and the next try is one.
    assert!(session.files().exists("/").await.is_err());
    let able = session.capabilities().await.unwrap();
    assert_eq!(able.files, FilesBy::Nothing);
    assert_eq!(able.files_why.as_deref(), Some(error.message()));
}

#[tokio::test]
async fn what_files_are_reached_by_is_told_with_why() {
    let able = internal().await.session.capabilities().await.unwrap();
    assert_eq!((able.files, able.files_why), (FilesBy::Sftp, None));
    let names = able.sftp_extensions;
    assert!(names.iter().any(|name| name == "posix-rename@openssh.com"));
    assert_eq!(able.channels, None, "nothing was refused");

    for (served, why) in [
        (shell().await, "no subsystem \"sftp\""),
        (openssh("gone", "sftp /no/such/program").await, "status 127"),
    ] {
        let able = served.session.capabilities().await.unwrap();
        assert_eq!(able.files, FilesBy::Shell);
        let told = able.files_why.unwrap();
        assert!(told.contains(why), "{told}");
        assert!(able.sftp_extensions.is_empty());
    }
}

#[tokio::test]
async fn how_many_channels_a_server_grants_is_known_once_it_has_refused_one() {
    let sshd = Sshd::builder().option("MaxSessions", "2").start();
    let session = fixture::session(&sshd).await;
    let sleep = async || session.command("sleep").arg("0.3").output().await;
    for output in futures_util::future::join_all([sleep(), sleep(), sleep(), sleep()]).await {
        assert!(output.unwrap().status.success());
    }
    let able = session.capabilities().await.unwrap();
    assert_eq!(able.channels, Some(2));
}

/// A small file system, unmounted when it is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
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
async fn a_full_disk_is_called_that_and_leaves_the_old_file() {
    let served = external().await;
    let mount = served.folder.clone();
    let Some(_mounted) = Small::mount(&mount) else {
        eprintln!("NOT RUN: a small file system cannot be mounted here, which needs root");
        return;
    };
    let path = served.at("file");
    let files = &served.files;
    files.write(&path, "old").await.unwrap();
    let large = vec![b'x'; 6 << 20];
    let error = files.write(&path, large.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(error.to_string().contains("space"), "{error}");
    files.metadata(&path).await.unwrap();
    assert_eq!(files.read(&path).await.unwrap(), b"old");
    assert_eq!(served.names(), ["file"]);
    let error = files.append(&path, large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
}
