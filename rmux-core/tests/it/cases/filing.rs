//! The shared cases of files, in Rust.

use std::path::Path;

use rmux_core::{Error, FileType, Files, Metadata, WriteOptions};
use rmux_testkit::cases::filing::{self, Case, Expect, Known};
use rmux_testkit::sshd::Sshd;

use crate::fixture;
use crate::toolbox::Toolbox;

#[tokio::test]
async fn shared_cases_of_files_hold() {
    all_hold(&Sshd::start(), |_| true).await;
}

/// The same answers from the tools of a host without SFTP.
#[tokio::test]
async fn shared_cases_of_files_hold_without_sftp() {
    all_hold(&fixture::without_sftp().start(), |_| true).await;
}

/// The same from other tools than those of GNU.
#[tokio::test]
async fn shared_cases_of_files_hold_with_tools_of_other_kinds() {
    for kind in [Toolbox::Busybox, Toolbox::LikeBsd, Toolbox::Few] {
        let toolbox = kind.make();
        let path = format!("PATH={}", toolbox.path().display());
        let sshd = fixture::without_sftp().option("SetEnv", &path).start();
        let session = fixture::session(&sshd).await;
        let which = session.shell("command -v find").output().await.unwrap();
        let which = String::from_utf8(which.stdout).unwrap();
        assert_eq!(Path::new(which.trim()), toolbox.path().join("find"));
        // Without `stat`, nothing tells times.
        let knows_times = |case: &Case| case.request.if_unmodified_as.is_none();
        match kind {
            Toolbox::Few => all_hold(&sshd, knows_times).await,
            _ => all_hold(&sshd, |_| true).await,
        }
    }
}

async fn all_hold(sshd: &Sshd, holds: impl Fn(&Case) -> bool) {
    let session = fixture::session(sshd).await;
    let files = session.files();
    let mut failures = Vec::new();
    let cases = filing::all();
    for case in cases.iter().filter(|case| holds(case)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        filing::plant(&path, &case.tree);
        let verdict = match (run(&files, &path, case).await, &case.expect) {
            (Ok(found), expected) if found == *expected => filing::compare(&path, &case.after),
            (Err(error), Expect::Error(code)) if error.kind().code() == code => {
                filing::compare(&path, &case.after)
            }
            (outcome, expected) => Err(format!("{outcome:?} instead of {expected:?}")),
        };
        if let Err(why) = verdict {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(cases.len() > 50, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What comes of a case.
async fn run(files: &Files, folder: &Path, case: &Case) -> Result<Expect, Error> {
    let asked = &case.request;
    let top = [folder.to_str().unwrap().as_bytes(), b"/"].concat();
    let at = |path: &[u8]| [&top, path].concat();
    let below = |path: &[u8]| path[top.len()..].to_vec();
    let (path, target) = (at(&asked.path), at(&asked.target));
    match asked.verb.as_str() {
        "read" => {
            let range = asked.start..asked.end.unwrap_or(u64::MAX);
            return files.read_range(&path, range).await.map(Expect::Bytes);
        }
        "write" => {
            let mut options = WriteOptions::new();
            if let Some(mode) = asked.mode {
                options = options.mode(mode);
            }
            if asked.exclusive {
                options = options.create_new();
            }
            if asked.in_place {
                options = options.in_place();
            }
            if let Some(sum) = &asked.if_sha256 {
                options = options.if_sha256(unhex(sum));
            }
            if let Some(seen) = &asked.if_unmodified_as {
                let seen = files.metadata(at(seen)).await?;
                options = options.if_unmodified(seen.len(), seen.modified().unwrap());
            }
            files
                .write_with(&path, asked.data.clone(), &options)
                .await?;
        }
        "append" => files.append(&path, asked.data.clone()).await?,
        "replace_text" => files.replace_text(&path, &asked.old, &asked.new).await?,
        "stat" => {
            let found = files.metadata(&path).await?;
            return Ok(Expect::Known(known(&found, &case.expect)));
        }
        "lstat" => {
            let found = files.symlink_metadata(&path).await?;
            return Ok(Expect::Known(known(&found, &case.expect)));
        }
        "exists" => return files.exists(&path).await.map(Expect::Is),
        "list" => {
            let entries = files.read_dir(&path).await?.entries().await?;
            let names = entries.iter().map(|entry| entry.file_name().to_vec());
            return Ok(sorted(names));
        }
        "glob" => {
            let entries = files.glob(&path, &asked.pattern)?.entries().await?;
            return Ok(sorted(entries.iter().map(|it| below(it.path().as_bytes()))));
        }
        "mkdir" if asked.parents => files.create_dir_all(&path).await?,
        "mkdir" => files.create_dir(&path).await?,
        "remove" => files.remove_file(&path).await?,
        "rmdir" => files.remove_dir(&path).await?,
        "remove_tree" => files.remove_dir_all(&path).await?,
        "rename" => files.rename(&path, &target).await?,
        "copy" => files.copy(&path, &target).await?,
        "hardlink" => files.hard_link(&path, &target).await?,
        "symlink" => files.symlink(&asked.target, &path).await?,
        "readlink" => {
            let target = files.read_link(&path).await?;
            return Ok(Expect::Bytes(target.into_bytes()));
        }
        "resolve" => {
            let real = files.canonicalize(&path).await?;
            return Ok(Expect::Names(vec![below(real.as_bytes())]));
        }
        "chmod" => files.set_mode(&path, asked.mode.unwrap()).await?,
        other => panic!("{}: {other} is no verb", case.name),
    }
    Ok(Expect::Done)
}

fn sorted(names: impl Iterator<Item = Vec<u8>>) -> Expect {
    let mut names: Vec<Vec<u8>> = names.collect();
    names.sort();
    Expect::Names(names)
}

/// What is known of a file, as far as the case asks for it.
fn known(found: &Metadata, expect: &Expect) -> Known {
    let mut known = match expect {
        Expect::Known(wanted) => wanted.clone(),
        other => panic!("{other:?} of a stat"),
    };
    known.kind = match found.file_type() {
        Some(FileType::File) => "file".into(),
        Some(FileType::Directory) => "directory".into(),
        Some(FileType::Symlink) => "link".into(),
        other => format!("{other:?}"),
    };
    known.length = known.length.map(|_| found.len());
    known.mode = known.mode.and(found.mode());
    known
}

fn unhex(text: &str) -> [u8; 32] {
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}
