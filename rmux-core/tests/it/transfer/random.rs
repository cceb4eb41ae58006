//! Random sequences of what is done with files, on the remote by rmux and on the local disk by the
//! system: both trees stay the same.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rmux_core::{ErrorKind, Files, Transfer};
use rmux_testkit::relay::{Direction, Relay};

use super::{LIMIT, Served, all, assert_same};
use crate::fixture::{connect, relayed, within};

/// Few names, so that they meet.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("a/x"),
        Just("b/y"),
        Just("a/x/z")
    ]
    .prop_map(String::from)
}

#[derive(Debug, Clone)]
enum Step {
    Write(String, Vec<u8>),
    Append(String, Vec<u8>),
    MakeDirectory(String),
    Remove(String),
    RemoveAll(String),
    Rename(String, String),
    Link(String, String),
    Mode(String, u32),
    Copy(String, String),
    /// The whole is put elsewhere, and the tree goes on there.
    Put {
        resume: bool,
        cut: Option<u64>,
    },
    Get {
        cut: Option<u64>,
    },
}

/// After how many bytes the link of a transfer is cut, which is gone on with over another one then.
fn cut() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0..12_000_u64).prop_map(Some)]
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..2000);
    prop_oneof![
        4 => (name(), bytes()).prop_map(|(name, bytes)| Step::Write(name, bytes)),
        1 => (name(), bytes()).prop_map(|(name, bytes)| Step::Append(name, bytes)),
        3 => name().prop_map(Step::MakeDirectory),
        1 => name().prop_map(Step::Remove),
        1 => name().prop_map(Step::RemoveAll),
        2 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (name(), name()).prop_map(|(target, name)| Step::Link(target, name)),
        1 => (name(), prop_oneof![Just(0o600), Just(0o755), Just(0o640)])
            .prop_map(|(name, mode)| Step::Mode(name, mode)),
        1 => (name(), name()).prop_map(|(from, to)| Step::Copy(from, to)),
        1 => (any::<bool>(), cut()).prop_map(|(resume, cut)| Step::Put { resume, cut }),
        1 => cut().prop_map(|cut| Step::Get { cut }),
    ]
}

/// Only what both sides do alike, whatever is there: links are not written through, and a file is
/// not made a directory.
fn local(top: &Path, step: &Step) -> bool {
    let at = |name: &String| top.join(name);
    let is_link = |path: &PathBuf| path.is_symlink();
    // Somewhere below a link: elsewhere.
    let through = |name: &String| {
        Path::new(name)
            .ancestors()
            .skip(1)
            .any(|path| top.join(path).is_symlink() && path != Path::new(""))
    };
    match step {
        Step::Write(name, bytes) => {
            let path = at(name);
            if through(name) || is_link(&path) {
                return false;
            }
            std::fs::write(path, bytes).is_ok()
        }
        Step::Append(name, bytes) => {
            use std::io::Write as _;
            let path = at(name);
            if through(name) || is_link(&path) {
                return false;
            }
            let opened = std::fs::File::options()
                .append(true)
                .create(true)
                .open(path);
            opened.and_then(|mut file| file.write_all(bytes)).is_ok()
        }
        Step::MakeDirectory(name) => !through(name) && std::fs::create_dir(at(name)).is_ok(),
        Step::Remove(name) => !through(name) && std::fs::remove_file(at(name)).is_ok(),
        Step::RemoveAll(name) => {
            let path = at(name);
            if through(name) || is_link(&path) || !path.is_dir() {
                return false;
            }
            std::fs::remove_dir_all(path).is_ok()
        }
        Step::Rename(from, to) => {
            !through(from) && !through(to) && std::fs::rename(at(from), at(to)).is_ok()
        }
        Step::Link(target, name) => !through(name) && symlink(target, at(name)).is_ok(),
        Step::Mode(name, mode) => {
            let path = at(name);
            if through(name) || is_link(&path) {
                return false;
            }
            // A directory stays one that can be entered.
            let mode = if path.is_dir() { 0o755 } else { *mode };
            std::fs::set_permissions(path, Permissions::from_mode(mode)).is_ok()
        }
        Step::Copy(from, to) => {
            let (from_path, to_path) = (at(from), at(to));
            let is_odd = [&from_path, &to_path].into_iter().any(is_link);
            if through(from) || through(to) || is_odd || to_path.exists() || !from_path.is_file() {
                return false;
            }
            std::fs::copy(from_path, to_path).is_ok()
        }
        Step::Put { .. } | Step::Get { .. } => false,
    }
}

async fn remote(files: &Files, top: &Path, step: &Step) -> rmux_core::Result<()> {
    let at = |name: &String| top.join(name).display().to_string();
    match step {
        Step::Write(name, bytes) => files.write(at(name), bytes.clone()).await,
        Step::Append(name, bytes) => files.append(at(name), bytes.clone()).await,
        Step::MakeDirectory(name) => files.create_dir(at(name)).await,
        Step::Remove(name) => files.remove_file(at(name)).await,
        Step::RemoveAll(name) => files.remove_dir_all(at(name)).await,
        Step::Rename(from, to) => files.rename(at(from), at(to)).await,
        Step::Link(target, name) => files.symlink(target, at(name)).await,
        Step::Mode(name, mode) => {
            let path = at(name);
            let mode = match files.metadata(&path).await?.is_dir() {
                true => 0o755,
                false => *mode,
            };
            files.set_mode(path, mode).await
        }
        Step::Copy(from, to) => files.copy(at(from), at(to)).await,
        Step::Put { .. } | Step::Get { .. } => Ok(()),
    }
}

/// Makes all times the same: the two sides work one after the other.
fn still(top: &Path) {
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let mut left = vec![top.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            left.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        let times = std::fs::FileTimes::new()
            .set_modified(time)
            .set_accessed(time);
        std::fs::File::open(path).unwrap().set_times(times).unwrap();
    }
}

async fn play(served: &Served, steps: &[Step]) {
    let folder = tempfile::tempdir_in(served.folder.path()).unwrap();
    let mut mine = folder.path().join("mine");
    let mut theirs = folder.path().join("theirs");
    std::fs::create_dir(&mine).unwrap();
    std::fs::create_dir(&theirs).unwrap();
    for (number, step) in steps.iter().enumerate() {
        let (options, cut) = match step {
            Step::Put { cut: Some(cut), .. } | Step::Get { cut: Some(cut) } => {
                (all().resume(), Some(*cut))
            }
            Step::Put { resume: true, .. } => (all().resume(), None),
            _ => (all(), None),
        };
        match step {
            Step::Put { .. } => {
                // The local tree is put in the place of theirs.
                let next = folder.path().join(format!("theirs {number}"));
                let to = next.display().to_string();
                let put = |files: &Files| files.put(&mine, &to, &options);
                run(served, Direction::Up, cut, put).await;
                theirs = next;
            }
            Step::Get { .. } => {
                let next = folder.path().join(format!("mine {number}"));
                let from = theirs.display().to_string();
                let get = |files: &Files| files.get(&from, &next, &options);
                run(served, Direction::Down, cut, get).await;
                mine = next;
            }
            step => {
                if local(&mine, step) {
                    let done = remote(&served.files, &theirs, step).await;
                    done.unwrap_or_else(|error| panic!("{step:?}: {error}"));
                }
            }
        }
        still(&mine);
        still(&theirs);
        assert_same(&mine, &theirs);
    }
}

/// Transfers, and where it is cut meanwhile transfers again.
async fn run(
    served: &Served,
    direction: Direction,
    cut: Option<u64>,
    begin: impl Fn(&Files) -> Transfer,
) {
    if let Some(cut) = cut {
        let relay = Relay::to(served.sshd.addr()).start().await;
        let session = connect(relayed(&served.sshd, &relay)).await;
        let files = session.files();
        // The channel is open, so that the cut falls into the transfer.
        files.exists("/").await.unwrap();
        relay.set_cut_after(direction, cut);
        match within(LIMIT, "the cut", begin(&files).finish()).await {
            Ok(report) => assert!(report.is_ok(), "{:?}", report.failures),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}"),
        }
        relay.cut();
    }
    super::done(begin(&served.files)).await;
}

#[test]
fn both_sides_stay_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = runtime.block_on(Served::start());
    let config = Config {
        cases: 48,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let steps = proptest::collection::vec(step(), 1..30);
    let played = TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(play(&served, &steps));
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    let _runtime = runtime.enter();
    drop(served);
}
