//! The sync twin, from threads without a runtime.

use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use rmux_core::blocking::{Pool, Session, resolve};
use rmux_core::{ErrorKind, HostSpec, OpenOptions, TransferOptions};
use rmux_testkit::sshd::Sshd;

use crate::fixture::config;

#[test]
fn commands_run_and_stream() {
    let sshd = Sshd::start();
    let session = Session::connect("127.0.0.1", config(&sshd)).unwrap();
    let output = session.command("echo").arg("a  b").output().unwrap();
    assert_eq!(output.stdout, b"a  b\n");
    let mut child = session.command("cat").spawn().unwrap();
    let (mut input, mut output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    input.write_all(b"word").unwrap();
    let mut word = [0; 4];
    output.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"word");
    drop(input);
    assert!(child.wait().unwrap().success());
    session.close().unwrap();
    let error = session.command("true").status().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn files_are_read_written_and_listed() {
    let sshd = Sshd::start();
    let session = Session::connect("127.0.0.1", config(&sshd)).unwrap();
    let files = session.files();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file").display().to_string();
    files.write(&path, "contents").unwrap();
    assert_eq!(files.read(&path).unwrap(), b"contents");
    let options = OpenOptions::new().read().write();
    let mut file = files.open(&path, &options).unwrap();
    file.seek(SeekFrom::Start(3)).unwrap();
    file.write_all(b"T").unwrap();
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "ents");
    file.close().unwrap();
    let listing = files.read_dir(folder.path().display().to_string()).unwrap();
    let names: Vec<_> = listing.map(|entry| entry.unwrap().path().clone()).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(files.read(&names[0]).unwrap(), b"conTents");
}

#[test]
fn threads_share_one_connect() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let session = pool.session("127.0.0.1").unwrap();
                let mut echo = session.command("echo");
                let output = echo.arg(number.to_string()).output().unwrap();
                assert_eq!(output.stdout, format!("{number}\n").into_bytes());
                session
            })
        })
        .collect();
    let sessions: Vec<Session> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(sshd.connections_accepted(), 1);
    assert_eq!(pool.sessions().len(), 1);
    drop(sessions);
    // Nobody holds it: it ends by itself.
    let start = Instant::now();
    while sshd.connections() > 0 {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(pool.sessions().is_empty());
    pool.close().unwrap();
}

#[test]
fn figures_are_read_and_work_may_finish() {
    let sshd = Sshd::start();
    let pool = Pool::new(config(&sshd).max_connections(1));
    let session = pool.session("127.0.0.1").unwrap();
    let mut child = session.command("cat").spawn().unwrap();
    assert_eq!(session.stats().commands_started, 1);
    assert_eq!(pool.stats().sessions.len(), 1);
    let closing = std::thread::spawn({
        let pool = pool.clone();
        move || pool.shutdown(Duration::from_secs(30)).unwrap()
    });
    let start = Instant::now();
    while pool.session("127.0.0.1").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    drop(child.take_stdin());
    assert!(child.wait().unwrap().success());
    assert_eq!(closing.join().unwrap(), []);
    let other = Session::connect("127.0.0.1", config(&sshd)).unwrap();
    assert_eq!(other.shutdown(Duration::ZERO).unwrap(), []);
}

#[test]
fn settings_are_resolved() {
    let sshd = Sshd::start();
    let spec = HostSpec::parse("dev").unwrap();
    let resolved = resolve(&spec, &config(&sshd).option("HostName", "127.0.0.1")).unwrap();
    assert_eq!(resolved.hostname(), b"127.0.0.1");
    let error = resolve(&spec, &config(&sshd).option("NoSuchKey", "x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
}

#[test]
fn trees_are_put_and_got() {
    let sshd = Sshd::start();
    let session = Session::connect("127.0.0.1", config(&sshd)).unwrap();
    let files = session.files();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("from/sub")).unwrap();
    std::fs::write(at("from/sub/file"), "contents").unwrap();
    let options = TransferOptions::new().recursive();
    let path = |name: &str| at(name).display().to_string();
    let mut put = files.put(at("from"), path("put"), &options).unwrap();
    let events = put.by_ref().count();
    assert!(events > 0, "the last progress at least");
    assert_eq!(put.progress().files, 1);
    assert_eq!(put.finish().unwrap().bytes, 8);
    let sent = files.send(path("put"), &files, path("sent"), &options);
    assert_eq!(sent.unwrap().finish().unwrap().directories, 2);
    let got = files.get(path("sent"), at("got"), &options).unwrap();
    assert!(got.finish().unwrap().is_ok());
    assert_eq!(std::fs::read(at("got/sub/file")).unwrap(), b"contents");
    // One that is dropped is given up.
    drop(files.get(path("sent"), at("dropped"), &options));
}
