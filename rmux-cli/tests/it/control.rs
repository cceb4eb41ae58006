//! Connections that are shared at a control path, in both directions: the stock `ssh` at rmux's, rmux
//! at the stock `ssh`'s, and rmux at its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rmux_testkit::sshd::Sshd;
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Ran, Running, bare, options, rmux, run, sshd, wait_until};
use crate::screen::Screen;

/// A folder for a socket, with a name that is short enough.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn control_path(path: &Path) -> OsString {
    format!("ControlPath={}", path.display()).into()
}

/// `ssh` or `rmux ssh` that can only use what is shared at `path`.
fn through(mut command: Command, path: &Path) -> Command {
    command
        .args(["-F", "none", "-o", "ProxyCommand=false", "-o"])
        .arg(control_path(path));
    command
}

fn ssh() -> Command {
    bare(Command::new("ssh"))
}

fn ran(command: &mut Command, words: &[&str]) -> Ran {
    command.args(words);
    let program = std::mem::replace(command, Command::new("true"));
    run(program, b"")
}

/// What a run of rmux and one of ssh are to have in common.
fn seen(ran: &Ran) -> (i32, String, String) {
    let stdout = String::from_utf8_lossy(&ran.stdout).into_owned();
    (ran.code(), stdout, ran.stderr.clone())
}

/// A master in the foreground that runs nothing.
struct Master {
    running: Running,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Master {
    fn start(mut program: Command, sshd: &Sshd) -> Self {
        let folder = folder();
        let path = folder.path().join("s");
        program
            .args(options(sshd))
            .args(["-M", "-N", "-o", "LogLevel=ERROR", "-o"])
            .arg(control_path(&path))
            .arg("127.0.0.1")
            .stdin(Stdio::null());
        let running = Running::start(&mut program);
        wait_until("the socket", || path.exists());
        Self {
            running,
            path,
            _folder: folder,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.running.child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }
}

/// What both clients do at any master.
fn commands_work(master: &Master) {
    for client in [ssh, rmux] {
        let path = &master.path;
        let mut command = through(client(), path);
        let ran_one = ran(&mut command, &["h", "cat; echo err >&2; exit 7"]);
        assert_eq!(seen(&ran_one), (7, String::new(), "err\n".to_owned()));
        let big: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        let mut command = through(client(), path);
        command.args(["h", "cat"]);
        let echoed = run(command, &big);
        assert_eq!((echoed.code(), &echoed.stderr[..]), (0, ""));
        assert!(echoed.stdout == big);
        let killed = ran(&mut through(client(), path), &["h", "kill -9 $$"]);
        assert_eq!(seen(&killed), (255, String::new(), String::new()));
        let unknown = ran(&mut through(client(), path), &["-s", "h", "nosuch"]);
        assert_eq!(seen(&unknown), (255, String::new(), String::new()));
        let nothing = ran(&mut through(client(), path), &["-n", "h", "wc -c"]);
        assert_eq!(nothing.stdout, b"0\n");
        let check = ran(&mut through(client(), path), &["-O", "check", "h"]);
        let pid = master.pid().as_raw_nonzero();
        let running = format!("Master running (pid={pid})\r\n");
        assert_eq!(seen(&check), (0, String::new(), running));
    }
}

#[test]
fn rmux_is_a_master_for_both() {
    let sshd = sshd();
    let master = Master::start(rmux(), &sshd);
    commands_work(&master);
    assert_eq!(sshd.connections(), 1);
    master.signal(Signal::TERM);
    let path = master.path.clone();
    let ended = master.running.finish();
    assert_eq!(seen(&ended), (0, String::new(), String::new()));
    assert!(!path.exists());
}

#[test]
fn rmux_is_a_client_of_ssh() {
    let sshd = sshd();
    let master = Master::start(ssh(), &sshd);
    commands_work(&master);
    assert_eq!(sshd.connections(), 1);
    let screen = Screen::start(through(rmux(), &master.path).args(["h"]), 91, 23);
    let mut screen = screen;
    screen.type_in("stty size; echo $TERM; exit 4\r");
    screen.expect("23 91");
    screen.expect("vt220");
    screen.expect("Shared connection to h closed.");
    screen.expect("ended 4");
    screen.expect_cooked();
    let exit = ran(&mut through(rmux(), &master.path), &["-O", "exit", "h"]);
    let asked = "Exit request sent.\r\n".to_owned();
    assert_eq!(seen(&exit), (0, String::new(), asked));
    master.running.finish();
}

#[test]
fn orders_without_a_master_fail_in_ssh_s_words() {
    let folder = folder();
    let path = folder.path().join("s");
    for order in ["check", "exit", "stop"] {
        let theirs = ran(&mut through(ssh(), &path), &["-O", order, "h"]);
        let ours = ran(&mut through(rmux(), &path), &["-O", order, "h"]);
        assert_eq!(seen(&ours), seen(&theirs));
        assert_eq!(ours.code(), 255);
    }
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let theirs = ran(&mut through(ssh(), &path), &["-O", "check", "h"]);
    let ours = ran(&mut through(rmux(), &path), &["-O", "check", "h"]);
    assert_eq!(seen(&ours), seen(&theirs));
}

#[test]
fn exit_ends_what_runs_and_stop_does_not() {
    let sshd = sshd();
    let master = Master::start(rmux(), &sshd);
    let mut client = through(ssh(), &master.path);
    client.args(["h", "echo begun; sleep 600"]);
    let client = Running::start(client.stdin(Stdio::null()));
    client.expect("begun");
    let stop = ran(&mut through(rmux(), &master.path), &["-O", "stop", "h"]);
    let asked = "Stop listening request sent.\r\n".to_owned();
    assert_eq!(seen(&stop), (0, String::new(), asked));
    assert!(!master.path.exists());
    master.signal(Signal::TERM);
    assert_eq!(client.finish().code(), 255);
    master.running.finish();

    let master = Master::start(rmux(), &sshd);
    let mut client = through(rmux(), &master.path);
    client.args(["h", "echo begun; sleep 600"]);
    let client = Running::start(client.stdin(Stdio::null()));
    client.expect("begun");
    let exit = ran(&mut through(ssh(), &master.path), &["-O", "exit", "h"]);
    assert_eq!(exit.code(), 0, "{exit:?}");
    assert_eq!(client.finish().code(), 255);
    let path = master.path.clone();
    assert_eq!(master.running.finish().code(), 0);
    assert!(!path.exists());
}

#[test]
fn a_master_with_a_command_serves_others_to_their_ends() {
    let sshd = sshd();
    let folder = folder();
    let path = folder.path().join("s");
    let mut own = rmux();
    own.args(options(&sshd))
        .args(["-M", "-S"])
        .arg(&path)
        .args(["127.0.0.1", "echo own; read line; exit 3"]);
    let mut own = Running::start(own.stdin(Stdio::piped()));
    own.expect("own");
    let mut client = through(ssh(), &path);
    client.args(["h", "echo begun; read line; echo $line"]);
    let mut client = Running::start(client.stdin(Stdio::piped()));
    client.expect("begun");
    drop(own.child.stdin.take());
    std::thread::sleep(Duration::from_millis(300));
    assert!(own.child.try_wait().unwrap().is_none(), "it waits");
    let mut stdin = client.child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"on\n").unwrap();
    let client = client.finish();
    assert_eq!(
        (client.code(), &client.stdout[..]),
        (0, &b"begun\non\n"[..])
    );
    assert_eq!(own.finish().code(), 3);
    assert!(!path.exists());
}

/// Options of a connection that outlives its first command.
fn persistent(sshd: &Sshd, path: &Path, persist: &str) -> Vec<OsString> {
    let mut all = options(sshd);
    all.extend(["-o".into(), "ControlMaster=auto".into()]);
    all.extend(["-o".into(), control_path(path)]);
    all.extend(["-o".into(), format!("ControlPersist={persist}").into()]);
    all.push("127.0.0.1".into());
    all
}

#[test]
fn a_master_outlives_its_first_command_and_ends_when_nobody_comes() {
    let sshd = sshd();
    let folder = folder();
    let path = folder.path().join("s");
    let first = ran(
        rmux().args(persistent(&sshd, &path, "2")),
        &["echo one; exit 5"],
    );
    assert_eq!(seen(&first), (5, "one\n".to_owned(), String::new()));
    assert!(path.exists(), "it is there, and nobody waits for it");
    let check = ran(&mut through(ssh(), &path), &["-O", "check", "h"]);
    assert_eq!(check.code(), 0);
    let pid: i32 = check.stderr.trim_end().trim_end_matches(')')["Master running (pid=".len()..]
        .parse()
        .unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    assert_eq!(
        (fields[3], fields[4]),
        (&pid.to_string()[..], "0"),
        "detached"
    );
    for stream in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
        assert_eq!(target, Path::new("/dev/null"), "{stream}");
    }
    let second = ran(rmux().args(persistent(&sshd, &path, "2")), &["echo two"]);
    assert_eq!(seen(&second), (0, "two\n".to_owned(), String::new()));
    let third = ran(&mut through(ssh(), &path), &["h", "echo three"]);
    assert_eq!(third.stdout, b"three\n");
    assert_eq!(sshd.connections(), 1);
    wait_until("its end", || !path.exists());
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0));
}

#[test]
fn of_many_who_would_be_master_all_run_their_commands() {
    let sshd = sshd();
    let folder = folder();
    let path = folder.path().join("s");
    let all: Vec<Running> = (0..6)
        .map(|n| {
            let mut command = rmux();
            command
                .args(persistent(&sshd, &path, "yes"))
                .arg(format!("echo {n}; exit {n}"));
            Running::start(command.stdin(Stdio::null()))
        })
        .collect();
    for (n, running) in all.into_iter().enumerate() {
        let ran = running.finish();
        assert_eq!(ran.stdout, format!("{n}\n").into_bytes(), "{ran:?}");
        assert_eq!(ran.code(), n as i32);
    }
    let stop = ran(&mut through(ssh(), &path), &["-O", "stop", "h"]);
    assert_eq!(stop.code(), 0, "{stop:?}");
    assert!(!path.exists());
    // Nobody can come any more, so it does not stay.
    assert!(sshd.wait_until(Duration::from_secs(10), |sshd| sshd.connections() == 0));
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 0, "nothing is left");
}

#[test]
fn what_a_killed_master_left_is_removed_by_the_next() {
    let sshd = sshd();
    let master = Master::start(rmux(), &sshd);
    master.signal(Signal::KILL);
    let Master {
        running,
        path,
        _folder,
    } = master;
    let _ = running.finish();
    assert!(path.exists());
    // One that may make none leaves it alone, says so, and connects.
    let mut plain = rmux();
    plain.args(options(&sshd)).arg("-S").arg(&path);
    let plain = ran(&mut plain, &["127.0.0.1", "echo on"]);
    assert_eq!((plain.code(), &plain.stdout[..]), (0, &b"on\n"[..]));
    assert!(plain.stderr.contains("Connection refused"), "{plain:?}");
    // One that must make a new one cannot.
    let mut second = rmux();
    second.args(options(&sshd)).arg("-MS").arg(&path);
    let second = ran(&mut second, &["127.0.0.1", "echo on"]);
    assert_eq!((second.code(), &second.stdout[..]), (0, &b"on\n"[..]));
    let said = "already exists, disabling multiplexing";
    assert!(second.stderr.contains(said), "{second:?}");
    assert!(path.exists());
    let auto = ran(rmux().args(persistent(&sshd, &path, "yes")), &["echo auto"]);
    assert_eq!(seen(&auto), (0, "auto\n".to_owned(), String::new()));
    let exit = ran(&mut through(rmux(), &path), &["-O", "exit", "h"]);
    assert_eq!(exit.code(), 0);
    wait_until("its end", || !path.exists());
}

#[test]
fn a_master_that_hangs_delays_nobody_for_long() {
    let sshd = sshd();
    let master = Master::start(ssh(), &sshd);
    master.signal(Signal::STOP);
    let mut command = rmux();
    command.args(options(&sshd)).arg("-S").arg(&master.path);
    let done = ran(&mut command, &["127.0.0.1", "echo on"]);
    assert_eq!((done.code(), &done.stdout[..]), (0, &b"on\n"[..]));
    assert!(done.stderr.contains("does not answer"), "{done:?}");
    master.signal(Signal::CONT);
    master.signal(Signal::TERM);
    master.running.finish();
}

#[test]
fn a_path_that_is_too_long_is_told_before_anybody_logs_in() {
    let long = "x".repeat(91);
    let mut command = rmux();
    // Nobody is there to log in to.
    command.args(["-F", "none", "-p", "1", "-M", "-S", &long]);
    let refused = ran(&mut command, &["127.0.0.1", "true"]);
    assert_eq!(refused.code(), 255);
    assert!(refused.stderr.contains("91 bytes"), "{refused:?}");
    let sshd = sshd();
    let mut command = rmux();
    command.args(options(&sshd));
    command.args(["-M", "-S", "/nonexistent/s"]);
    let unshared = ran(&mut command, &["127.0.0.1", "echo on"]);
    assert_eq!((unshared.code(), &unshared.stdout[..]), (0, &b"on\n"[..]));
    assert!(unshared.stderr.contains("not shared"), "{unshared:?}");
}
