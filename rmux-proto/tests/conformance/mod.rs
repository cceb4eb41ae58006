//! Runs the generators that ask the installed OpenSSH, and reads their answers.
//!
//! The environment variable `RMUX_CONFORMANCE` points to the folder of the generators. Without it
//! nothing can be compared, and the tests say so loudly. `RMUX_CONFORMANCE_CASES` and
//! `RMUX_CONFORMANCE_SEED` set how many cases are drawn and from which seed (a fresh one each run
//! unless set).

#![allow(unreachable_pub)]
#![allow(dead_code)]

pub mod json;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use json::Json;

/// The folder of the generators, or `None` after a loud note.
pub fn folder(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("RMUX_CONFORMANCE").map(PathBuf::from);
    if folder.is_none() {
        say(&format!(
            "*** SKIPPED {test}: RMUX_CONFORMANCE does not point to the generators ***"
        ));
    }
    folder
}

/// Says something to whoever runs the tests, past the capture of what tests print.
pub fn say(line: &str) {
    // Nobody to say it to is no reason to fail.
    let _ = writeln!(std::io::stderr(), "\n{line}");
}

/// How many cases to draw.
pub fn cases(default: usize) -> usize {
    std::env::var("RMUX_CONFORMANCE_CASES")
        .map_or(default, |n| n.parse().expect("a number of cases"))
}

/// The seed of this run.
pub fn seed() -> String {
    std::env::var("RMUX_CONFORMANCE_SEED").unwrap_or_else(|_| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970");
        format!(
            "{:x}",
            now.as_nanos() as u64 ^ u64::from(std::process::id())
        )
    })
}

/// A folder of this process alone, removed when dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rmux-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch folder");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a generator and reads what it printed: the description of the run, and the cases.
pub fn generate(script: &Path, arguments: &[String]) -> (Json, Vec<Json>) {
    let output = Command::new("python3")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("python3 runs the generator");
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the generator failed:\n{notes}");
    let mut lines = output
        .stdout
        .split(|&c| c == b'\n')
        .filter(|l| !l.is_empty())
        .map(json::parse);
    let meta = lines.next().expect("a description of the run");
    (meta["meta"].clone(), lines.collect())
}
