//! Servers that lie about names, lengths and links: nothing is written outside of the target.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rmux_core::{ErrorKind, TransferOptions, TransferReport};
use rmux_testkit::sshd::Sshd;

use super::LIMIT;
use crate::fixture::{self, within};

/// A server of one directory, `/top`, whose names and kinds are its arguments: `name=kind`, where the
/// kind is a file, directory or link to `OUTSIDE`, or a file that is not as it is said to be.
const SERVER: &str = r#"#!/usr/bin/env python3
import struct, sys, urllib.parse
out, inp = sys.stdout.buffer, sys.stdin.buffer
outside = sys.argv[1].encode()
names = [(urllib.parse.unquote_to_bytes(a.rsplit("=", 1)[0]), a.rsplit("=", 1)[1]) for a in sys.argv[2:]]
TEXT = b"contents of the file"
MODES = {"directory": 0o40755, "link": 0o120777}
listed = {}

def string(text):
    return struct.pack(">I", len(text)) + text

def send(kind, number, body):
    out.write(struct.pack(">IBI", len(body) + 5, kind, number) + body)
    out.flush()

def status(number, code):
    send(101, number, struct.pack(">I", code) + string(b"") + string(b""))

def attributes(kind):
    length = {"grows": 5, "shrinks": 100}.get(kind, len(TEXT))
    return struct.pack(">IQI", 5, length, MODES.get(kind, 0o100644))

def kind_of(path):
    if path == b"/top":
        return "directory"
    for name, kind in names:
        if path == b"/top/" + name:
            return kind
    return "file"

length, = struct.unpack(">I", inp.read(4))
inp.read(length)
out.write(struct.pack(">IBI", 5, 2, 3))
out.flush()
while True:
    head = inp.read(9)
    if len(head) < 9:
        sys.exit(0)
    length, what, number = struct.unpack(">IBI", head)
    body = inp.read(length - 5)
    size, = struct.unpack(">I", body[:4])
    path = body[4:4 + size]
    if what == 3 and kind_of(path) == "vanishes":
        status(number, 2)
    elif what in (3, 11):
        listed[path] = False
        send(102, number, string(path))
    elif what == 12 and not listed[path]:
        listed[path] = True
        inner = names if path == b"/top" else [(b"file", "file")]
        send(104, number, struct.pack(">I", len(inner)) + b"".join(
            string(name) + string(b"") + attributes(kind) for name, kind in inner))
    elif what == 12:
        status(number, 1)
    elif what in (7, 8, 17):
        send(105, number, attributes(kind_of(path)))
    elif what == 19:
        send(104, number, struct.pack(">I", 1) + string(outside) + string(b"") + struct.pack(">I", 0))
    elif what == 5:
        at, most = struct.unpack(">QI", body[-12:])
        data = TEXT[at:at + most]
        send(103, number, string(data)) if data else status(number, 1)
    else:
        status(number, 0)
"#;

struct Hostile {
    folder: tempfile::TempDir,
}

impl Hostile {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        let script = folder.path().join("server");
        std::fs::write(&script, SERVER).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Gets all that a server with these names has.
    async fn get(&self, names: &[&str]) -> TransferReport {
        let words: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let (script, outside) = (self.at("server"), self.at("outside"));
        let line = format!(
            "sftp {} {} {}",
            script.display(),
            outside.display(),
            words.join(" ")
        );
        let sshd = Sshd::builder().option("Subsystem", &line).start();
        let session = fixture::session(&sshd).await;
        let options = TransferOptions::new().recursive().times().modes();
        let transfer = session.files().get("/top", self.at("target"), &options);
        within(LIMIT, "the transfer", transfer.finish())
            .await
            .unwrap()
    }

    /// Nothing was written but below the target.
    fn assert_inside(&self) {
        assert_eq!(std::fs::read_dir(self.at("outside")).unwrap().count(), 0);
        let mut names: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["outside", "server", "target"]);
    }
}

#[tokio::test]
async fn names_that_lead_out_are_refused() {
    for name in ["../outside/x", "/tmp/rmux-x", "a/b", "sub/../../outside/x"] {
        let hostile = Hostile::new();
        let report = hostile.get(&["good=file", &format!("{name}=file")]).await;
        assert_eq!(report.failures.len(), 1, "{name}: {report:?}");
        assert_eq!(
            report.failures[0].error.kind(),
            ErrorKind::ProtocolViolation
        );
        hostile.assert_inside();
    }
    // These are no names of anything in the directory, and passed over.
    let hostile = Hostile::new();
    let report = hostile
        .get(&["..=directory", ".=directory", "good=file"])
        .await;
    assert_eq!(report.files, 1, "{report:?}");
    hostile.assert_inside();
}

#[tokio::test]
async fn links_are_never_walked_through() {
    let hostile = Hostile::new();
    // First a link, and the second time a directory of that name.
    let report = hostile.get(&["a=link", "b=file"]).await;
    assert_eq!((report.files, report.failures.len()), (2, 0), "{report:?}");
    assert!(hostile.at("target/a").is_symlink());
    let report = hostile.get(&["a=directory", "b=link"]).await;
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert_eq!(report.failures[0].error.kind(), ErrorKind::NotADirectory);
    hostile.assert_inside();
    // A link where a file is to be is replaced, and not written through.
    std::fs::write(hostile.at("outside/precious"), "precious").unwrap();
    std::fs::remove_file(hostile.at("target/a")).unwrap();
    std::os::unix::fs::symlink("../outside/precious", hostile.at("target/a")).unwrap();
    let report = hostile.get(&["a=file"]).await;
    assert!(report.is_ok(), "{report:?}");
    let precious = std::fs::read(hostile.at("outside/precious")).unwrap();
    assert_eq!(precious, b"precious");
    assert!(!hostile.at("target/a").is_symlink());
    // One name twice, as different things at once.
    let hostile = Hostile::new();
    hostile.get(&["a=link", "a=directory", "a=file"]).await;
    hostile.assert_inside();
}

#[tokio::test]
async fn odd_names_are_names_and_are_shown_escaped() {
    let hostile = Hostile::new();
    let report = hostile
        .get(&["a%0Ab%1B[2J=file", "%FF=file", "-rf=file"])
        .await;
    assert_eq!(report.files, 3, "{report:?}");
    let names = std::fs::read_dir(hostile.at("target")).unwrap();
    let names: std::collections::BTreeSet<Vec<u8>> = names
        .map(|entry| entry.unwrap().file_name().into_encoded_bytes())
        .collect();
    assert_eq!(
        names,
        [&b"a\nb\x1b[2J"[..], b"\xff", b"-rf"].map(Vec::from).into()
    );
    let report = hostile.get(&["a%0Ab%1B[2J=vanishes"]).await;
    let said = report.failures[0].to_string();
    assert!(!said.contains(char::is_control), "{said:?}");
}

#[tokio::test]
async fn files_that_change_meanwhile_are_whole_or_not_there() {
    let hostile = Hostile::new();
    let report = hostile
        .get(&["a=grows", "b=shrinks", "c=vanishes", "d=file"])
        .await;
    let mut failures: Vec<_> = report
        .failures
        .iter()
        .map(|failure| (failure.path.to_string(), failure.error.kind()))
        .collect();
    failures.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("/top/b", ErrorKind::Changed),
        ("/top/c", ErrorKind::NotFound),
    ];
    assert_eq!(
        failures,
        expected.map(|(path, kind)| (path.to_owned(), kind))
    );
    let read = |name: &str| std::fs::read(hostile.at(name)).unwrap();
    // As long as it was said to be.
    assert_eq!(read("target/a"), b"conte");
    assert_eq!(read("target/d"), b"contents of the file");
    assert_eq!(std::fs::read_dir(hostile.at("target")).unwrap().count(), 2);
    assert!(!Path::new(&hostile.at("target/b")).exists());
}
