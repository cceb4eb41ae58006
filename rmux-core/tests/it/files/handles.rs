//! Open files: thousands at once, reading ahead, writing behind, and none that nobody holds.

use std::io::SeekFrom;

use rmux_core::{ErrorKind, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{LIMIT, all, external, internal};
use crate::fixture::{eventually, within};

#[tokio::test]
async fn two_thousand_files_are_open_at_once() {
    let served = external().await;
    let mut open = Vec::new();
    for number in 0..2000_u32 {
        let path = served.at(&format!("f{number}"));
        std::fs::write(&path, number.to_be_bytes()).unwrap();
        let file = served.files.open(&path, &OpenOptions::new().read()).await;
        open.push(file.unwrap_or_else(|error| panic!("file {number}: {error}")));
    }
    for (number, file) in open.iter_mut().enumerate().rev() {
        assert_eq!(file.read_u32().await.unwrap(), number as u32);
    }
    for file in open.drain(..100) {
        file.close().await.unwrap();
    }
    drop(open);
    let again = served.files.read(served.at("f7")).await.unwrap();
    assert_eq!(again, 7_u32.to_be_bytes());
}

#[tokio::test]
async fn reading_writing_and_seeking_are_those_of_a_file() {
    for served in all().await {
        let path = served.at("file");
        let options = OpenOptions::new().read().write().create_new().mode(0o600);
        let mut file = served.files.open(&path, &options).await.unwrap();
        // Many small writes, of which none is waited for.
        let mut expected = Vec::new();
        for number in 0..20_000_u32 {
            let line = format!("line {number}\n");
            file.write_all(line.as_bytes()).await.unwrap();
            expected.extend_from_slice(line.as_bytes());
        }
        // What was written is there when it is read.
        file.seek(SeekFrom::Start(0)).await.unwrap();
        let mut contents = Vec::new();
        file.read_to_end(&mut contents).await.unwrap();
        assert!(contents == expected, "{}", served.name);

        file.seek(SeekFrom::Start(5)).await.unwrap();
        file.write_all(b"X").await.unwrap();
        assert_eq!(file.seek(SeekFrom::Current(-1)).await.unwrap(), 5);
        assert_eq!(file.read_u8().await.unwrap(), b'X');
        let end = file.seek(SeekFrom::End(-2)).await.unwrap();
        assert_eq!(end, expected.len() as u64 - 2);
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "9\n");
        assert!(file.seek(SeekFrom::Current(-1 << 40)).await.is_err());
        // A file that grows is read on.
        served.files.append(&path, "more").await.unwrap();
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "more");

        file.set_len(7).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 7);
        if served.name == "embedded" {
            let error = file.sync_all().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        } else {
            file.sync_all().await.unwrap();
        }
        file.close().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"line X\n");
    }
}

#[tokio::test]
async fn what_a_write_accepted_is_sent_though_the_file_is_dropped() {
    let served = internal().await;
    let path = served.at("file");
    let options = OpenOptions::new().append().create();
    for _ in 0..3 {
        let mut file = served.files.open(&path, &options).await.unwrap();
        file.write_all(b"some, ").await.unwrap();
        file.write_all(b"and more; ").await.unwrap();
        drop(file);
    }
    // Behind all that was asked before.
    let contents = served.files.read(&path).await.unwrap();
    assert_eq!(contents, "some, and more; ".repeat(3).as_bytes());
}

/// An error of a write that went ahead is reported by what follows, and not lost.
#[tokio::test]
async fn a_failed_write_is_reported_by_the_next_step() {
    let served = external().await;
    let path = served.at("file");
    std::fs::write(&path, "old").unwrap();
    // A handle that may not write.
    let mut file = served
        .files
        .open(&path, &OpenOptions::new().read())
        .await
        .unwrap();
    file.write_all(b"x").await.unwrap();
    assert!(file.flush().await.is_err());
    assert!(file.write_all(b"x").await.is_err());
    let mut file = served
        .files
        .open(&path, &OpenOptions::new().read())
        .await
        .unwrap();
    file.write_all(b"x").await.unwrap();
    assert!(file.close().await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

/// An open that nobody waits for any more leaves no file open on the server.
#[tokio::test]
async fn files_that_nobody_took_are_closed() {
    let served = external().await;
    let path = served.at("a file with a name of its own");
    std::fs::write(&path, "x").unwrap();
    served.files.metadata(&path).await.unwrap();
    for round in 0..500 {
        let options = OpenOptions::new().read();
        let mut open = std::pin::pin!(served.files.open(&path, &options));
        // Once to send it; sometimes it is answered before it is dropped.
        let _ = futures_util::poll!(open.as_mut());
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    within(LIMIT, "another request", served.files.metadata(&path))
        .await
        .unwrap();
    let wanted = std::path::PathBuf::from(&path);
    let open = move || {
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok())
            .flatten()
            .flatten()
            .filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|file| file == wanted))
            .count()
    };
    eventually(LIMIT, "none is open", || open() == 0).await;
}

/// What is done with an open file can be done in a task of its own.
#[tokio::test]
async fn an_open_file_goes_to_any_thread() {
    let served = internal().await;
    let path = served.at("file");
    std::fs::write(&path, "abc").unwrap();
    let options = OpenOptions::new().read().write();
    let mut file = served.files.open(&path, &options).await.unwrap();
    let work = async move {
        let mut all = String::new();
        file.read_to_string(&mut all).await.unwrap();
        file.set_len(2).await.unwrap();
        assert_eq!(
            (all.as_str(), file.metadata().await.unwrap().len()),
            ("abc", 2)
        );
        file.close().await.unwrap();
    };
    within(LIMIT, "all of it", tokio::spawn(work))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_file_was_not_opened_for_is_told() {
    for served in [internal().await, external().await] {
        let path = served.at("file");
        std::fs::write(&path, "abc").unwrap();
        let open = async |options| served.files.open(&path, &options).await.unwrap();
        let mut reader = open(OpenOptions::new().read()).await;
        reader.write_all(b"x").await.unwrap();
        let told = reader.close().await.unwrap_err();
        let mut writer = open(OpenOptions::new().write()).await;
        let read = writer.read_u8().await.unwrap_err();
        for (kind, message) in [
            (told.kind(), told.to_string()),
            (ErrorKind::Io, read.to_string()),
        ] {
            assert_eq!(kind, ErrorKind::Io, "{message}");
            assert!(message.contains("not opened for that"), "{message}");
        }
    }
}
