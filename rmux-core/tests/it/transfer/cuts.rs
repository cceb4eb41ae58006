//! The link is cut after every so many bytes: each target is absent or whole, and what was begun is
//! gone on with.

use std::path::Path;

use rmux_core::{ErrorKind, TransferOptions};
use rmux_testkit::relay::{Direction, Relay};
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, assert_same, contents, done, is_ours, left_behind, seen, try_seen};
use crate::fixture::{self, connect, relayed, session, within};

/// Cut at every so many bytes.
const STEP: usize = 4096;
/// What is cut there: more would take too long.
const LENGTH: usize = 60_000;
/// Some of it arrives before a cut: it is written in pieces of a quarter of a MiB.
const LONG: usize = 1_500_000;

/// What one kind of transfer moves, and which way.
struct Moved {
    direction: Direction,
    is_tree: bool,
    length: usize,
    step: usize,
    /// How many bytes at least need not be moved again.
    saves: usize,
}

impl Moved {
    fn transfer(
        &self,
        files: &rmux_core::Files,
        folder: &Path,
        options: &TransferOptions,
    ) -> rmux_core::Transfer {
        let options = match self.is_tree {
            true => options.clone().recursive(),
            false => options.clone(),
        };
        let path = |name| folder.join(name).display().to_string();
        match self.direction {
            Direction::Up => files.put(path("from"), path("to"), &options),
            _ => files.get(path("from"), path("to"), &options),
        }
    }

    fn plant(&self, folder: &Path) {
        let from = folder.join("from");
        if !self.is_tree {
            return std::fs::write(from, contents(self.length)).unwrap();
        }
        for n in 0..12 {
            let inner = from.join(format!("folder {}", n % 3));
            std::fs::create_dir_all(&inner).unwrap();
            std::fs::write(inner.join(n.to_string()), contents(self.length / 12 + n)).unwrap();
        }
    }

    /// Cuts at every step until a transfer comes to its end before the cut.
    async fn run(self, sshd: &Sshd) {
        let direct = session(sshd).await;
        let (mut cuts, mut resumed) = (0, 0);
        for cut in (200..).step_by(self.step) {
            let folder = tempfile::tempdir().unwrap();
            self.plant(folder.path());
            let relay = Relay::to(sshd.addr()).start().await;
            let session = connect(relayed(sshd, &relay)).await;
            let files = session.files();
            // The channel is open, so that the cut falls into the transfer.
            files.metadata("/").await.unwrap();
            let options = TransferOptions::new().resume().checksum();
            relay.set_cut_after(self.direction, cut);
            let transfer = self.transfer(&files, folder.path(), &options);
            let ended = within(LIMIT, "the transfer", transfer.finish()).await;
            let to = folder.path().join("to");
            let from = seen(&folder.path().join("from"));
            // The server may still do what had come before the cut.
            fixture::eventually(LIMIT, "the target stands still", || try_seen(&to).is_some()).await;
            for (name, (_, _, contents)) in try_seen(&to).unwrap_or_default() {
                assert!(
                    is_ours(&name) || from[&name].2 == contents,
                    "half of it after {cut}"
                );
            }
            match &ended {
                Ok(report) => assert!(report.is_ok(), "{report:?}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}"),
            }
            cuts += u64::from(ended.is_err());
            let again = self.transfer(&direct.files(), folder.path(), &options);
            resumed += done(again).await.resumed_bytes;
            assert_eq!(left_behind(folder.path()), [""; 0], "after {cut} bytes");
            for (name, (_, _, contents)) in seen(&to) {
                assert!(from[&name].2 == contents, "after {cut} bytes");
            }
            if ended.is_ok() {
                break;
            }
        }
        let expected = (self.length / self.step) as u64;
        assert!(cuts >= expected, "only {cuts} cuts came before the end");
        let saves = self.saves as u64;
        assert!(resumed >= saves, "only {resumed} bytes");
    }
}

#[tokio::test]
async fn a_file_is_gone_on_with_both_ways() {
    let sshd = Sshd::start();
    for direction in [Direction::Up, Direction::Down] {
        // Files below are not worth it, and of some nothing had come.
        for (length, step, saves) in [(LENGTH, STEP, 0), (LONG, 190_001, LONG)] {
            let moved = Moved {
                direction,
                is_tree: false,
                length,
                step,
                saves,
            };
            moved.run(&sshd).await;
        }
    }
}

#[tokio::test]
async fn a_file_is_gone_on_with_without_sftp() {
    let sshd = fixture::without_sftp().start();
    for direction in [Direction::Up, Direction::Down] {
        let moved = Moved {
            direction,
            is_tree: false,
            // Pieces have a MiB, and six of them are under way: which are whole is the machine's choice.
            length: 14_000_000,
            step: 3_400_001,
            saves: 0,
        };
        moved.run(&sshd).await;
    }
}

#[tokio::test]
async fn a_tree_is_gone_on_with_both_ways() {
    let sshd = Sshd::start();
    for direction in [Direction::Up, Direction::Down] {
        let moved = Moved {
            direction,
            is_tree: true,
            length: LENGTH,
            step: STEP,
            saves: 0,
        };
        moved.run(&sshd).await;
    }
}

/// What is there is used only if it is the beginning of the source.
#[tokio::test]
async fn a_part_of_something_else_is_not_trusted() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let files = session.files();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let options = TransferOptions::new().resume();
    let length = 600_000;
    std::fs::write(at("from"), contents(length)).unwrap();
    for way in ["put", "get"] {
        let part = format!(".rmux-{}.part", part_of(way));
        let mut changed = contents(length);
        changed[1000] ^= 1;
        let longer = [contents(length), vec![1]].concat();
        for (there, resumed) in [
            (contents(400_000), 400_000),
            (contents(length), length),
            (contents(1), 1),
            (changed[..400_000].to_vec(), 0),
            (longer, 0),
        ] {
            std::fs::write(at(&part), &there).unwrap();
            let transfer = match way {
                "put" => files.put(at("from"), at(way), &options),
                _ => files.get(at("from"), at(way), &options),
            };
            let report = done(transfer).await;
            assert_eq!(
                report.resumed_bytes,
                resumed as u64,
                "{way} {}",
                there.len()
            );
            assert!(std::fs::read(at(way)).unwrap() == contents(length));
            assert!(!Path::new(&at(&part)).exists());
            std::fs::remove_file(at(way)).unwrap();
        }
        // What is whole is not sent again.
        std::fs::write(at(way), contents(length)).unwrap();
        let transfer = match way {
            "put" => files.put(at("from"), at(way), &options),
            _ => files.get(at("from"), at(way), &options),
        };
        let report = done(transfer).await;
        assert_eq!((report.files, report.skipped.len()), (0, 1), "{report:?}");
        std::fs::remove_file(at(way)).unwrap();
        // A link is a trap.
        std::fs::write(at("victim"), "precious").unwrap();
        std::os::unix::fs::symlink("victim", at(&part)).unwrap();
        let transfer = match way {
            "put" => files.put(at("from"), at(way), &options),
            _ => files.get(at("from"), at(way), &options),
        };
        assert!(within(LIMIT, way, transfer.finish()).await.is_err());
        assert_eq!(std::fs::read(at("victim")).unwrap(), b"precious");
        std::fs::remove_file(at(&part)).unwrap();
    }
}

/// Which part belongs to a name: the same for ever, so that other versions go on with it.
fn part_of(name: &str) -> &'static str {
    match name {
        "put" => "373cb2c6d4fe2778",
        _ => "2998b3232d29e8dc",
    }
}

#[tokio::test]
async fn a_file_is_resumed_as_a_tree_of_one_is() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    super::plant(&from);
    let options = super::all().resume();
    let to_name = to.as_os_str().as_encoded_bytes();
    done(session.files().put(&from, to_name, &options)).await;
    assert_same(&from, &to);
}
