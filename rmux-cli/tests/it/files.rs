//! `rmux cp`, `rmux ls` and `rmux cat`.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use rmux_testkit::sshd::Sshd;

use crate::fixture::{Ran, Running, bare, run, sshd, wait_until};
use crate::screen::Screen;

const HOST: &str = "127.0.0.1";

/// `rmux cp` and the like to the fixture, to which the rest is to be added.
fn rmux(sshd: &Sshd, which: &str) -> Command {
    let mut command = bare(Command::new(env!("CARGO_BIN_EXE_rmux")));
    let known_hosts = format!("UserKnownHostsFile={}", sshd.known_hosts().display());
    let user = format!("User={}", sshd.user());
    command.args([which, "-F", "none", "-P", &sshd.port().to_string()]);
    for option in [
        &known_hosts,
        &user,
        "GlobalKnownHostsFile=none",
        "IdentityAgent=none",
    ] {
        command.args(["-o", option]);
    }
    command.arg("-i").arg(sshd.client_key());
    command
}

/// Runs it with these words.
fn ran(sshd: &Sshd, which: &str, words: &[&str]) -> Ran {
    let mut command = rmux(sshd, which);
    command.args(words);
    run(command, b"")
}

/// It went well and said nothing.
#[track_caller]
fn silent(ran: &Ran) {
    assert_eq!(
        (ran.code(), &*ran.stderr, &ran.stdout[..]),
        (0, "", &b""[..])
    );
}

fn remote(path: &Path) -> String {
    format!("{HOST}:{}", path.display())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn files_and_trees_are_copied_each_way() {
    let (sshd, folder) = (sshd(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("from/sub")).unwrap();
    std::fs::write(at("from/sub/a b"), "one").unwrap();
    std::fs::write(at("from/x.o"), "two").unwrap();
    std::fs::write(at("single"), "three").unwrap();
    symlink("sub", at("from/link")).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let single = std::fs::File::open(at("single")).unwrap();
    single
        .set_times(std::fs::FileTimes::new().set_modified(time))
        .unwrap();
    std::fs::set_permissions(at("single"), PermissionsExt::from_mode(0o711)).unwrap();
    std::fs::create_dir(at("into")).unwrap();

    let (from, single, into) = (text(&at("from")), text(&at("single")), remote(&at("into")));
    silent(&ran(
        &sshd,
        "cp",
        &["-rp", "--exclude", "*.o", &from, &single, &into],
    ));
    assert_eq!(std::fs::read(at("into/from/sub/a b")).unwrap(), b"one");
    assert!(!at("into/from/x.o").exists() && at("into/from/link").is_symlink());
    let known = std::fs::metadata(at("into/single")).unwrap();
    assert_eq!(
        (known.mode() & 0o777, known.mtime()),
        (0o711, 1_000_000_000)
    );

    let back = text(&at("back"));
    let words = [
        "-r",
        "-L",
        "--resume",
        "--checksum",
        &remote(&at("from")),
        &back,
    ];
    silent(&ran(&sshd, "cp", &words));
    assert_eq!(std::fs::read(at("back/link/a b")).unwrap(), b"one");
    assert!(at("back/x.o").exists() && !at("back/link").is_symlink());

    // From host to host, to a new name.
    silent(&ran(
        &sshd,
        "cp",
        &[&remote(&at("single")), &remote(&at("other"))],
    ));
    assert_eq!(std::fs::read(at("other")).unwrap(), b"three");
    // Relative paths begin at the account's home on the remote, and here where we are.
    let mut command = rmux(&sshd, "cp");
    command
        .args([&*remote(&at("other")), "here"])
        .current_dir(folder.path());
    silent(&run(command, b""));
    assert_eq!(std::fs::read(at("here")).unwrap(), b"three");
}

#[test]
fn standard_streams_are_ends_too() {
    let (sshd, folder) = (sshd(), tempfile::tempdir().unwrap());
    let path = folder.path().join("file");
    let input: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 31) as u8).collect();
    let mut command = rmux(&sshd, "cp");
    command.args(["-", &remote(&path)]);
    silent(&run(command, &input));
    assert!(std::fs::read(&path).unwrap() == input);
    for (which, words) in [
        ("cp", vec![remote(&path), "-".into()]),
        ("cat", vec![remote(&path)]),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = ran(&sshd, which, &words);
        assert_eq!((ran.code(), &*ran.stderr), (0, ""), "{which}");
        assert!(ran.stdout == input, "{which}");
    }
    let ran = ran(&sshd, "cat", &["127.0.0.1:/no/such", &remote(&path)]);
    assert_eq!(ran.code(), 1);
    assert!(ran.stdout == input, "the rest goes on");
    assert!(ran.stderr.contains("/no/such"), "{}", ran.stderr);
}

#[test]
fn what_fails_is_told_and_the_rest_goes_on() {
    let (sshd, folder) = (sshd(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("from")).unwrap();
    std::fs::create_dir_all(at("to")).unwrap();
    std::fs::write(at("from/a"), "a").unwrap();
    symlink("nothing", at("from/b")).unwrap();
    std::fs::write(at("c"), "c").unwrap();
    let to = remote(&at("to"));
    let no_such = text(&at("no such"));
    let words = ["-rL", &text(&at("from")), &no_such, &text(&at("c")), &to];
    let several = ran(&sshd, "cp", &words);
    assert_eq!(several.code(), 1, "{}", several.stderr);
    assert_eq!(several.stderr.lines().count(), 2, "{}", several.stderr);
    assert!(several.stderr.contains("no such"), "{}", several.stderr);
    assert!(at("to/from/a").exists() && at("to/c").exists());

    for (words, says) in [
        (vec!["a", "b"], "one side has to be a host"),
        (vec!["-", "127.0.0.1:/tmp"], "standard input has no name"),
        (vec!["/etc", &to], "only files were asked for"),
        (
            vec!["/etc/passwd", "/etc/group", "127.0.0.1:/no/such"],
            "a directory",
        ),
        (
            vec!["--exclude", "a//b", "/etc/passwd", "127.0.0.1:/tmp/x"],
            "a//b",
        ),
    ] {
        let refused = ran(&sshd, "cp", &words);
        assert_eq!(refused.code(), 1, "{words:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(says),
            "{words:?}: {}",
            refused.stderr
        );
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    }
    // No connection is what 255 is for.
    let mut command = rmux(&sshd, "cp");
    command.args(["-P", "1", "-o", "ConnectTimeout=5", "x", "127.0.0.1:x"]);
    let mut words: Vec<OsString> = command.get_args().map(Into::into).collect();
    let port = words.iter().position(|word| word == "-P").unwrap();
    words.drain(port..port + 2);
    let mut command = bare(Command::new(env!("CARGO_BIN_EXE_rmux")));
    command.args(words);
    let lost = run(command, b"");
    assert_eq!(lost.code(), 255, "{}", lost.stderr);
    // A pipe is left out with a word, which is no failure.
    let made = Command::new("mkfifo")
        .arg(at("from/pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::remove_file(at("from/b")).unwrap();
    let warned = ran(&sshd, "cp", &["-r", &text(&at("from")), &to]);
    assert_eq!(warned.code(), 0);
    assert!(
        warned.stderr.contains("it is a named pipe"),
        "{}",
        warned.stderr
    );
    assert_eq!(
        ran(&sshd, "cp", &["-qr", &text(&at("from")), &to]).stderr,
        ""
    );
}

#[test]
fn directories_are_listed() {
    let (sshd, folder) = (sshd(), tempfile::tempdir().unwrap());
    let odd = std::ffi::OsStr::from_bytes(b"odd\x1b[31m\xff");
    std::fs::write(folder.path().join(odd), "12345").unwrap();
    std::fs::write(folder.path().join(".hidden"), "").unwrap();
    symlink("nothing", folder.path().join("a link")).unwrap();
    std::fs::set_permissions(folder.path().join(odd), PermissionsExt::from_mode(0o4750)).unwrap();
    let place = remote(folder.path());
    let plain = ran(&sshd, "ls", &[&place]);
    assert_eq!(
        plain.stdout, b"a link\nodd\x1b[31m\xff\n",
        "as they are, for programs"
    );
    assert_eq!((plain.code(), &*plain.stderr), (0, ""));
    let all = ran(&sshd, "ls", &["-a", &place]);
    assert!(all.stdout.starts_with(b".hidden\n"));
    let long = ran(&sshd, "ls", &["-l", &place]);
    let long = String::from_utf8_lossy(&long.stdout).into_owned();
    let lines: Vec<&str> = long.lines().collect();
    assert!(
        lines[0].starts_with('l') && lines[0].ends_with("Z a link -> nothing"),
        "{long}"
    );
    assert!(
        lines[1].starts_with("-rwsr-x--- ") && lines[1].contains(" 5 20"),
        "{long}"
    );
    let one = ran(&sshd, "ls", &[&remote(&folder.path().join(".hidden"))]);
    assert!(one.stdout.ends_with(b"/.hidden\n"));
    let missing = ran(&sshd, "ls", &["127.0.0.1:/no/such", &place]);
    assert_eq!(missing.code(), 1);
    assert!(missing.stderr.contains("/no/such"), "{}", missing.stderr);

    // A person's terminal gets no control character of theirs.
    let mut command = rmux(&sshd, "ls");
    command.args(["-l", &place]);
    let screen = Screen::start(&command, 200, 24);
    screen.expect("\\u{1b}[31m\\xff");
    assert!(!screen.text().contains("\x1b[31m"));
    assert_eq!(screen.finish().0, 0);
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let (sshd, folder) = (sshd(), tempfile::tempdir().unwrap());
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, vec![b'x'; 3 << 20]).unwrap();
    let mut command = rmux(&sshd, "cp");
    command.args([&text(&from), &remote(&to)]);
    let screen = Screen::start(&command, 80, 24);
    screen.expect("100%  3.0 MiB of 3.0 MiB");
    let (code, shown) = screen.finish();
    assert_eq!(code, 0);
    assert!(shown.contains('█'), "it is a bar: {shown:?}");
    // What is written then stands where the bar was.
    let last = shown.rfind("ended 0").expect("the shell tells the end");
    let before = &shown[..last];
    let is_gone = before.ends_with("\r\x1b[2K") || before.ends_with("\x1b[K");
    assert!(is_gone, "the line is taken away: {shown:?}");
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let (sshd, folder) = (sshd(), tempfile::tempdir().unwrap());
    let names = || std::fs::read_dir(folder.path()).unwrap().count();
    let mut command = rmux(&sshd, "cp");
    command.args(["-", &remote(&folder.path().join("file"))]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(b"the beginning").unwrap();
    wait_until("it has begun", || names() == 1);
    let pid = i32::try_from(running.child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ran = running.finish();
    assert_eq!(ran.status.signal(), Some(15), "{}", ran.stderr);
    wait_until("nothing is left", || names() == 0);
}
