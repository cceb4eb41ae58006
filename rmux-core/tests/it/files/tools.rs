//! Hosts without SFTP: tools that lie, the order of what is asked, and what it costs.

use rmux_core::{ErrorKind, FilesBy, OpenOptions, Session};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt as _;

use super::{LIMIT, shell};
use crate::fixture::{self, within};
use crate::toolbox::{Toolbox, instead};

/// A host on which a script stands in the place of a tool, once it is known that the tools are there.
async fn lying(tool: &str, script: &str) -> (Sshd, Session, tempfile::TempDir) {
    let toolbox = Toolbox::Busybox.make();
    let path = format!("PATH={}", toolbox.path().display());
    let sshd = fixture::without_sftp().option("SetEnv", &path).start();
    let session = fixture::session(&sshd).await;
    let able = session.capabilities().await.unwrap();
    assert_eq!(able.files, FilesBy::Shell);
    instead(toolbox.path(), tool, script);
    (sshd, session, toolbox)
}

#[tokio::test]
async fn what_a_tool_cannot_have_printed_is_refused() {
    for script in [
        "#!/bin/sh\necho 81a4 1 0 0 1\n",
        "#!/bin/sh\necho 81a4 1 0 0 1 -\n",
        "#!/bin/sh\necho\n",
        "#!/bin/sh\nexec yes\n",
    ] {
        let (_sshd, session, _toolbox) = lying("stat", script).await;
        let found = within(LIMIT, "stat", session.files().metadata("/")).await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{script}");
    }
    // Its arguments tell the token.
    let listing = |name: &str| {
        format!(
            "#!/bin/sh\nfor word do case $word in *%f*) token=${{word%% *}};; esac; done\n\
             printf '%s 81a4 1 0 0 1 2 {name}\\n' \"$token\"\n"
        )
    };
    for name in ["./a/b", "./../a", "/etc", "./", ""] {
        let (_sshd, session, _toolbox) = lying("find", &listing(name)).await;
        let mut names = session.files().read_dir("/").await.unwrap();
        let error = within(LIMIT, name, names.next_entry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{name}");
    }
    let (_sshd, session, _toolbox) = lying("find", &listing("./fine")).await;
    let names = session.files().read_dir("/").await.unwrap();
    let names = names.entries().await.unwrap();
    assert_eq!(names[0].file_name(), b"fine");
    // More than was asked for.
    let (_sshd, session, _toolbox) = lying("head", "#!/bin/sh\nexec yes\n").await;
    let read = within(LIMIT, "a read", session.files().read("/etc/passwd")).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ProtocolViolation);
    // Without a word, and with words that mean nothing.
    for script in [
        "#!/bin/sh\nexit 9\n",
        "#!/bin/sh\nyes >&2 & sleep 1; kill $!; exit 9\n",
    ] {
        let (_sshd, session, _toolbox) = lying("rm", script).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = session.files();
        let removed = files.remove_file(file.path().to_str().unwrap());
        let error = within(LIMIT, "rm", removed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
}

#[tokio::test]
async fn what_concerns_one_path_is_done_in_order() {
    let served = shell().await;
    let files = &served.files;
    for n in 0..5 {
        let path = served.at("file");
        let options = OpenOptions::new().write().create().truncate();
        let mut file = files.open(&path, &options).await.unwrap();
        // Many pieces, of which none has been waited for when all is dropped.
        let contents = vec![b'a' + n; 3 << 20];
        file.write_all(&contents).await.unwrap();
        drop(file);
        assert_eq!(files.read(&path).await.unwrap(), contents);
        let known = files.metadata(&path).await.unwrap();
        assert_eq!(known.len(), 3 << 20);
        files.remove_file(&path).await.unwrap();
    }
    // In the order in which they were begun, whoever waits for them.
    let path = served.at("log");
    let options = OpenOptions::new().append().create();
    let mut file = files.open(&path, &options).await.unwrap();
    for n in 0..20 {
        let line = format!("{n}\n");
        file.write_all(line.as_bytes()).await.unwrap();
        // Sent, and not waited for.
        let _ = futures_util::poll!(std::pin::pin!(file.flush()));
    }
    file.close().await.unwrap();
    let expected: String = (0..20).map(|n| format!("{n}\n")).collect();
    assert_eq!(files.read(&path).await.unwrap(), expected.as_bytes());
}

#[tokio::test]
async fn what_is_given_up_before_it_was_made_is_not_left_behind() {
    let served = shell().await;
    served.files.exists("/").await.unwrap();
    for wait in 0..8 {
        let path = served.at("target");
        let write = served.files.write(&path, "contents");
        let wait = std::time::Duration::from_millis(4 * wait);
        let _ = tokio::time::timeout(wait, write).await;
    }
    let is_clean = || served.names().iter().all(|name| name == "target");
    fixture::eventually(LIMIT, "the temporary files are gone", is_clean).await;
}
