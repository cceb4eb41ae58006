//! The shared cases of transfers, in Rust.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rmux_core::{Error, Files, TransferOptions, TransferPath};
use rmux_testkit::cases::filing;
use rmux_testkit::cases::transferring::{self, Case, Report, Request};
use rmux_testkit::sshd::Sshd;

use crate::fixture;

#[tokio::test]
async fn shared_cases_of_transfers_hold() {
    let sshd = Sshd::start();
    let session = fixture::session(&sshd).await;
    let files = session.files();
    let mut failures = Vec::new();
    let cases = transferring::all();
    for case in &cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        filing::plant(&path, &case.tree);
        let outcome = run(&files, &path, case).await;
        let outcome = outcome.map_err(|error| (error.kind().code().to_owned(), error));
        let verdict = match (&outcome, &case.expect) {
            (Ok(report), Ok(expected)) if report == expected => Ok(()),
            (Err((code, _)), Err(expected)) if code == expected => Ok(()),
            (outcome, expected) => Err(format!("{outcome:?} instead of {expected:?}")),
        };
        if let Err(why) = verdict.and_then(|()| filing::compare(&path, &case.after)) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(cases.len() > 50, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn run(files: &Files, folder: &Path, case: &Case) -> Result<Report, Error> {
    let asked = &case.request;
    let options = options(asked)?;
    let at = |path: &[u8]| folder.join(OsStr::from_bytes(path)).into_os_string();
    let (source, target) = (at(&asked.source), at(&asked.target));
    let transfer = match asked.verb.as_str() {
        "put" => files.put(&source, target.as_bytes(), &options),
        "get" => files.get(source.as_bytes(), &target, &options),
        "send" => files.send(source.as_bytes(), files, target.as_bytes(), &options),
        other => panic!("{}: {other} is no verb", case.name),
    };
    let mut report = transfer.finish().await?;
    if asked.check {
        report = report.check()?;
    }
    let below = |path: &TransferPath| {
        let path = Path::new(OsStr::from_bytes(path.as_bytes()));
        let path = path.strip_prefix(folder).unwrap_or(path);
        path.to_str().unwrap().to_owned()
    };
    let skipped = report.skipped.iter();
    let failures = report.failures.iter();
    let mut found = Report {
        files: report.files,
        directories: report.directories,
        bytes: report.bytes,
        resumed_bytes: report.resumed_bytes,
        skipped: skipped
            .map(|one| (below(&one.path), one.reason.code().to_owned()))
            .collect(),
        failures: failures
            .map(|one| (below(&one.path), one.error.kind().code().to_owned()))
            .collect(),
    };
    found.skipped.sort();
    found.failures.sort();
    Ok(found)
}

fn options(asked: &Request) -> Result<TransferOptions, Error> {
    let mut options = TransferOptions::new();
    type Set = fn(TransferOptions) -> TransferOptions;
    let flags: [(bool, Set); 6] = [
        (asked.recursive, TransferOptions::recursive),
        (asked.times, TransferOptions::times),
        (asked.modes, TransferOptions::modes),
        (asked.resume, TransferOptions::resume),
        (asked.checksum, TransferOptions::checksum),
        (asked.sync, TransferOptions::sync),
    ];
    for (wanted, set) in flags {
        if wanted {
            options = set(options);
        }
    }
    if let Some(links) = &asked.links {
        options = options.links(links.parse()?);
    }
    if let Some(conflict) = &asked.conflict {
        options = options.conflict(conflict.parse()?);
    }
    if let Some(update) = &asked.update {
        options = options.update(update.parse()?);
    }
    for pattern in &asked.include {
        options = options.include(pattern);
    }
    for pattern in &asked.exclude {
        options = options.exclude(pattern);
    }
    Ok(options)
}
