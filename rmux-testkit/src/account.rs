//! An account of this machine that is made for a test and removed after it. Knows nothing of SSH.
//!
//! A server treats root otherwise than anybody else: OpenSSH before 9.8 sends its commands no signals,
//! and the system does not count its processes. Where the tests are run by somebody else, they need no
//! other account.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Part of the names of all of them, before the process that made them.
const PREFIX: &str = "rmux-t";

/// An account with a shell and without a password or a folder. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Account {
    name: String,
}

impl Account {
    /// Makes one.
    ///
    /// # Panics
    /// When it cannot be made: that takes root and `useradd` (Debian: passwd).
    #[track_caller]
    pub(crate) fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let me = std::process::id();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        remove_left();
        let name = format!("{PREFIX}{me}-{number}");
        // No password is like this one; one that is locked would keep everybody out.
        let words = [
            "--no-create-home",
            "--home-dir",
            "/",
            "--shell",
            "/bin/sh",
            "-p",
            "*",
        ];
        // It locks the list of accounts, which another test may hold just now.
        for _ in 0..100 {
            match run("useradd", &[&words[..], &[&name]].concat()) {
                Ok(()) => return Self { name },
                Err(why) if why.contains("lock") => {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                Err(why) => panic!("cannot make an account: {why}"),
            }
        }
        panic!("cannot make an account: the list of accounts is always locked");
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

fn remove(name: &str) {
    for _ in 0..100 {
        match run("userdel", &[name]) {
            Err(why) if why.contains("lock") => {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            _ => return,
        }
    }
}

/// Removes those of processes that are gone.
fn remove_left() {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = accounts.lines().filter_map(|line| line.split(':').next());
    for name in names {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            remove(name);
        }
    }
}

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(words)
        .env("LC_ALL", "C")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error} (Debian: passwd)"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
