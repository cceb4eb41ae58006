//! `rmux demo` anywhere: no home, no configuration, nothing left behind.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};

use crate::fixture::{Running, run, wait_until};

/// In an environment with nothing but a folder for temporary files.
fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmux"));
    command
        .arg("demo")
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("PATH", "/usr/bin:/bin")
        .env("TMPDIR", temporary)
        .current_dir("/");
    command
}

/// Ids of the processes that inherited the demo's environment.
fn processes(temporary: &Path) -> Vec<String> {
    let entry = format!("TMPDIR={}", temporary.display());
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|folder| {
            let folder = folder.ok()?;
            let pid = folder.file_name().into_string().ok()?;
            let environment = std::fs::read(folder.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == entry.as_bytes())
                .then_some(pid)
        })
        .collect()
}

#[test]
fn the_demo_shows_its_work_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    // A name that a configuration would read as two words and a token.
    let temporary = parent.path().join("a folder with %h");
    std::fs::create_dir(&temporary).unwrap();
    let ran = run(demo(&temporary), b"");
    let shown = String::from_utf8(ran.stdout.clone()).unwrap();
    assert_eq!((ran.code(), ran.stderr.as_str()), (0, ""), "{shown}");
    for part in ["connected and logged in", "199 more", "one handshake"] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    let digests: Vec<_> = shown
        .lines()
        .filter_map(|line| line.split_once("SHA-256 "))
        .map(|(_, digest)| digest)
        .collect();
    assert_eq!(digests.len(), 2);
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0].len(), 64);
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    wait_until("every process to end", || processes(&temporary).is_empty());
}

#[test]
fn an_interrupted_demo_leaves_nothing_either() {
    let temporary = tempfile::tempdir().unwrap();
    let running = Running::start(demo(temporary.path()).stdin(Stdio::null()));
    wait_until("its folder", || {
        std::fs::read_dir(temporary.path()).unwrap().count() == 1
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    let pid = Pid::from_child(&running.child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let ran = running.finish();
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(ran.status.signal(), Some(2), "{ran:?}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    wait_until("every process to end", || {
        processes(temporary.path()).is_empty()
    });
}

#[test]
fn a_demo_without_room_for_its_files_says_so() {
    let ran = run(demo(Path::new("/nonexistent/folder")), b"");
    assert_eq!(ran.code(), 1);
    assert!(ran.stderr.starts_with("rmux: demo: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("/nonexistent/folder"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1);
}
