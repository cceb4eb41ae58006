//! Servers that break the protocol, on purpose or because a shell talks in between: the call ends
//! with an error that says what was wrong, and the session goes on.

use std::os::unix::fs::PermissionsExt as _;

use rmux_core::{ErrorKind, Files, FilesBy, Session};
use rmux_testkit::sshd::Sshd;

use super::LIMIT;
use crate::fixture::{self, within};

/// A server of one file with the contents "contents of the file", and a folder of what it is told.
/// Its argument is how it misbehaves.
const SERVER: &str = r#"#!/usr/bin/env python3
import struct, sys
how = sys.argv[1]
out, inp = sys.stdout.buffer, sys.stdin.buffer
TEXT = b"contents of the file"

def string(text):
    return struct.pack(">I", len(text)) + text

def packet(kind, number, body=b""):
    return struct.pack(">IBI", len(body) + 5, kind, number) + body

def status(number, code):
    return packet(101, number, struct.pack(">I", code) + string(b"") + string(b""))

def request():
    head = inp.read(9)
    if len(head) < 9:
        sys.exit(0)
    length, kind, number = struct.unpack(">IBI", head)
    return kind, number, inp.read(length - 5)

def answer(kind, number, body):
    if kind == 3:
        return packet(102, number, string(b"\x00\xff"))
    if kind == 11:
        return packet(102, number, string(b"d"))
    if kind == 12:
        names = {"up": b"../../etc", "slash": b"/etc", "empty": b""}
        name = names.get(how, b"x")
        return packet(104, number, struct.pack(">I", 1) + string(name) + string(b"") + struct.pack(">I", 0))
    if kind in (7, 8, 17):
        return packet(105, number, struct.pack(">IQI", 5, len(TEXT), 0o100644))
    if kind == 5:
        at, most = struct.unpack(">QI", body[-12:])
        if how == "short":
            most = min(most, 3)
        data = TEXT[at:at + most]
        return packet(103, number, string(data)) if data else status(number, 1)
    return status(number, 0)

if how == "text":
    out.write(b"Welcome to the machine\r\n")
elif how == "refuses":
    sys.exit(73)
request()
out.write(packet(2, 2 if how == "old" else 3))
out.flush()
pending = []
while True:
    kind, number, body = request()
    reply = answer(kind, number, body)
    if how == "stranger":
        reply = status(number + 1000, 0)
    elif how == "twice":
        reply += reply
    elif how == "kind" and kind == 5:
        reply = packet(102, number, string(b"h"))
    elif how == "done" and kind == 3:
        reply = status(number, 0)
    elif how == "much" and kind == 5:
        reply = packet(103, number, string(b"x" * 262000))
    elif how == "huge":
        reply = struct.pack(">IBI", 0x7fffffff, 103, number)
    elif how == "cut" and kind == 5:
        out.write(reply[:-3])
        out.flush()
        sys.exit(0)
    elif how == "count":
        reply = packet(104, number, struct.pack(">I", 0xffffffff))
    elif how == "nothing" and kind == 5:
        reply = packet(103, number, string(b""))
    elif how == "reverse":
        # Held back until three wait, and answered last first.
        pending.append(reply)
        if len(pending) < 3:
            continue
        reply = b"".join(reversed(pending))
        pending = []
    elif how == "bytes":
        for byte in reply:
            out.write(bytes([byte]))
            out.flush()
        continue
    out.write(reply)
    out.flush()
"#;

struct Hostile {
    _sshd: Sshd,
    _folder: tempfile::TempDir,
}

impl Hostile {
    /// One that misbehaves like this.
    async fn start(how: &str) -> (Self, Session, Files) {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("server");
        std::fs::write(&script, SERVER).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let line = format!("sftp {} {how}", script.display());
        let sshd = Sshd::builder().option("Subsystem", &line).start();
        let session = fixture::session(&sshd).await;
        let files = session.files();
        let hostile = Self {
            _sshd: sshd,
            _folder: folder,
        };
        (hostile, session, files)
    }
}

#[tokio::test]
async fn what_breaks_the_protocol_is_named() {
    for (how, says) in [
        ("text", "start-up files"),
        ("old", "speaks version 2"),
        ("stranger", "which was never sent"),
        ("twice", "a second reply"),
        ("kind", "answered with a packet of type 102"),
        ("done", "\"done\" and nothing else"),
        ("much", "and got 262000"),
        ("huge", "more than 262144"),
        ("count", "names"),
    ] {
        let (_server, session, files) = Hostile::start(how).await;
        let error = within(LIMIT, how, files.read("file")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{how}: {error}");
        assert!(error.to_string().contains(says), "{how}: {error}");
        assert_eq!(error.host(), Some("127.0.0.1"), "{how}: {error}");
        let output = within(LIMIT, how, session.command("true").output()).await;
        assert!(output.unwrap().status.success(), "{how}");
    }
}

#[tokio::test]
async fn servers_that_are_only_odd_are_understood() {
    for how in ["good", "short", "bytes"] {
        let (_server, _session, files) = Hostile::start(how).await;
        let contents = within(LIMIT, how, files.read("file")).await.unwrap();
        assert_eq!(contents, b"contents of the file", "{how}");
    }
    // Three at once, which are answered last first.
    let (_server, _session, files) = Hostile::start("reverse").await;
    let known = futures_util::future::join3(
        files.metadata("one"),
        files.symlink_metadata("two"),
        files.create_dir("three"),
    );
    let (one, two, three) = within(LIMIT, "three answers", known).await;
    assert_eq!((one.unwrap().len(), two.unwrap().len()), (20, 20));
    three.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_in_between_ends_nothing_else() {
    let (_server, session, files) = Hostile::start("cut").await;
    let error = within(LIMIT, "the read", files.read("file")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(!session.is_closed());
    // Nothing where something must be is the end, and not asked for for ever.
    let (_server, _session, files) = Hostile::start("nothing").await;
    let contents = within(LIMIT, "the read", files.read("file")).await;
    assert_eq!(contents.unwrap(), b"");
    // One that never begins is none.
    let (_server, session, _files) = Hostile::start("refuses").await;
    let able = within(LIMIT, "the look", session.capabilities()).await;
    let able = able.unwrap();
    assert_eq!(able.files, FilesBy::Shell);
    assert!(able.files_why.unwrap().contains("status 73"));
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    for how in ["up", "slash", "empty"] {
        let (_server, _session, files) = Hostile::start(how).await;
        let mut listing = files.read_dir("folder").await.unwrap();
        let error = within(LIMIT, how, listing.next_entry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{how}: {error}");
    }
}
