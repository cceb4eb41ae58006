//! The shared cases of files that are dropped on a session, in Rust.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rmux_core::{Dropped, Session};
use rmux_testkit::cases::dropping;
use rmux_testkit::cases::filing;
use rmux_testkit::sshd::Sshd;

use crate::fixture;

#[tokio::test]
async fn shared_cases_of_dropped_files_hold() {
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    let mut failures = Vec::new();
    let cases = dropping::all();
    for case in &cases {
        let folder = tempfile::tempdir().unwrap();
        filing::plant(folder.path(), &case.tree);
        let sources = case.files.iter().map(|path| folder.path().join(os(path)));
        let sources: Vec<PathBuf> = sources.collect();
        let verdict = match (session.drop_files(&sources).await, &case.expect) {
            (Ok(dropped), Ok(names)) => check(&session, dropped, &sources, names).await,
            (Err(error), Err(code)) if error.kind().code() == code => Ok(()),
            (outcome, expected) => Err(format!("{outcome:?} instead of {expected:?}")),
        };
        if let Err(why) = verdict.and_then(|()| filing::compare(folder.path(), &case.tree)) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(cases.len() > 10, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

async fn check(
    session: &Session,
    dropped: Dropped,
    sources: &[PathBuf],
    names: &[Vec<u8>],
) -> Result<(), String> {
    let folder = Path::new(os(dropped.folder().as_bytes())).to_owned();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    let paths: Vec<_> = names.iter().map(|name| folder.join(os(name))).collect();
    let found = dropped.paths().iter().map(|path| os(path.as_bytes()));
    if !found.eq(paths.iter().map(|path| path.as_os_str())) {
        return Err(format!("{dropped:?} instead of {paths:?}"));
    }
    if mode(&folder) != 0o700 || paths.iter().any(|path| mode(path) != 0o600) {
        return Err("others may look at them".into());
    }
    if std::fs::read_dir(&folder).unwrap().count() != names.len() {
        return Err("there are others".into());
    }
    let mut all = Vec::new();
    for (source, path) in sources.iter().zip(&paths) {
        let contents = std::fs::read(source).unwrap();
        if std::fs::read(path).unwrap() != contents {
            return Err(format!("{} has other contents", path.display()));
        }
        all.extend(contents);
    }
    let line = [b"cat ", &dropped.quoted()[..]].concat();
    let output = session.shell(os(&line)).output().await.unwrap();
    if output.stdout != all {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    dropped.remove().await.map_err(|error| error.to_string())?;
    match folder.exists() {
        true => Err("the folder is there still".into()),
        false => Ok(()),
    }
}
