//! Files and trees between this machine and a server, and between two servers.

mod choices;
mod conditions;
mod cuts;
mod dropped;
mod endings;
mod failures;
mod hostile;
mod many;
mod random;
mod stripes;
mod trees;

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rmux_core::{Files, Transfer, TransferOptions, TransferReport};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{self, within};

const LIMIT: Duration = Duration::from_secs(120);

/// A server, a session with it, and an empty folder with room for a source and a target.
struct Served {
    files: Files,
    folder: tempfile::TempDir,
    sshd: Sshd,
}

impl Served {
    async fn start() -> Self {
        Self::by(Sshd::start()).await
    }

    /// By SFTP, and by the tools of a host without.
    async fn both() -> [Self; 2] {
        let without = fixture::without_sftp().start();
        [Self::start().await, Self::by(without).await]
    }

    async fn by(sshd: Sshd) -> Self {
        let session = fixture::session(&sshd).await;
        Self {
            files: session.files(),
            folder: tempfile::tempdir().unwrap(),
            sshd,
        }
    }

    /// A path in the folder.
    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// Waits for the end, which nothing may have kept from being whole.
async fn done(transfer: Transfer) -> TransferReport {
    let report = within(LIMIT, "the transfer", transfer.finish()).await;
    let report = report.unwrap();
    assert!(report.is_ok(), "{:?}", report.failures);
    report
}

/// Everything with its times and modes.
fn all() -> TransferOptions {
    TransferOptions::new().recursive().times().modes()
}

/// Contents that tell where they are from.
fn contents(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|n| (n * 7 / 3 + n / 251) as u8)
        .collect()
}

/// A tree with one of each kind.
fn plant(top: &Path) {
    std::fs::create_dir_all(top.join("deep/er")).unwrap();
    std::fs::create_dir(top.join("empty folder")).unwrap();
    std::fs::write(top.join("empty"), "").unwrap();
    std::fs::write(top.join("small"), "small").unwrap();
    std::fs::write(top.join("deep/large"), contents(3_000_017)).unwrap();
    std::fs::write(top.join("deep/er/$(touch x) \n'\"\\*"), "odd").unwrap();
    let name = std::ffi::OsString::from_vec(b"not UTF-8 \xff\xfe".to_vec());
    std::fs::write(top.join(&name), "bytes").unwrap();
    std::fs::write(top.join("n".repeat(255)), "as long as names get").unwrap();
    let sparse = std::fs::File::create(top.join("sparse")).unwrap();
    sparse.write_all_at(b"in the middle", 5 << 20).unwrap();
    sparse.set_len(9 << 20).unwrap();
    symlink("deep/large", top.join("link")).unwrap();
    symlink(Path::new("no").join(&name), top.join("deep/dangling")).unwrap();
    for (name, mode) in [("small", 0o751), ("deep/large", 0o440), ("deep/er", 0o555)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(top.join(name), mode).unwrap();
    }
    for (name, seconds) in [
        ("small", 1),
        ("deep", 1_000_000_000),
        ("sparse", 4_000_000_000),
    ] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = std::fs::File::open(top.join(name)).unwrap();
        let times = std::fs::FileTimes::new()
            .set_accessed(time)
            .set_modified(time);
        file.set_times(times).unwrap();
    }
}

/// What is at a place: type and mode, seconds of its time of writing, and contents or target.
type Seen = (u32, i64, Vec<u8>);

/// All that is in a tree. Links have times that are not theirs to keep.
fn seen(top: &Path) -> BTreeMap<Vec<u8>, Seen> {
    look(top).unwrap()
}

/// The same of a tree that may be missing, or change meanwhile: `None` if it did.
fn try_seen(top: &Path) -> Option<BTreeMap<Vec<u8>, Seen>> {
    match top.exists() {
        true => look(top).ok(),
        false => Some(BTreeMap::new()),
    }
}

fn look(top: &Path) -> std::io::Result<BTreeMap<Vec<u8>, Seen>> {
    let mut seen = BTreeMap::new();
    let mut left = vec![top.to_owned()];
    while let Some(path) = left.pop() {
        let known = std::fs::symlink_metadata(&path)?;
        let (time, contents) = if known.is_symlink() {
            (0, std::fs::read_link(&path)?.into_os_string().into_vec())
        } else if known.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                left.push(entry?.path());
            }
            (known.mtime(), Vec::new())
        } else {
            (known.mtime(), std::fs::read(&path)?)
        };
        let below = path.strip_prefix(top).expect("it is below");
        let below = below.as_os_str().as_bytes().to_vec();
        seen.insert(below, (known.mode(), time, contents));
    }
    Ok(seen)
}

/// Whether it is the name of what is not yet at its place.
fn is_ours(name: &[u8]) -> bool {
    String::from_utf8_lossy(name).contains(".rmux-")
}

/// Both trees hold the same.
#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (seen(one), seen(other));
    let shown = |names: &mut dyn Iterator<Item = &Vec<u8>>| -> Vec<String> {
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    };
    assert_eq!(shown(&mut one.keys()), shown(&mut other.keys()));
    for (name, seen) in &one {
        let found = &other[name];
        let name = String::from_utf8_lossy(name);
        assert_eq!(
            (format!("{:o}", seen.0), seen.1),
            (format!("{:o}", found.0), found.1),
            "{name}"
        );
        assert!(seen.2 == found.2, "the contents of {name} differ");
    }
}

/// The names of what was left behind anywhere in a tree.
fn left_behind(top: &Path) -> Vec<String> {
    let names = seen(top).into_keys();
    let names = names.map(|name| String::from_utf8_lossy(&name).into_owned());
    names.filter(|name| name.contains(".rmux-")).collect()
}
