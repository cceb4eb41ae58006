//! `-L`, `-R`, `-D`, `-W`, the command line behind `~C` and what `~#` lists, side by side with ssh
//! where both have words for it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rmux_testkit::sshd::Sshd;
use rustix::process::{Pid, Signal};

use crate::fixture::{Running, bare, options, rmux, run, sshd, wait_until};
use crate::screen::Screen;

/// Answers with all that it was sent, in capitals, once that has ended.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut all = Vec::new();
                let _ = stream.read_to_end(&mut all);
                let _ = stream.write_all(&all.to_ascii_uppercase());
            });
        }
    });
    port
}

/// One that nobody listens on, as far as can be known.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Connects as soon as somebody listens.
fn call(port: u16) -> TcpStream {
    let mut stream = None;
    wait_until("somebody listens", || {
        stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        stream.is_some()
    });
    stream.unwrap()
}

fn answer(mut stream: TcpStream, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    heard
}

fn end(running: Running) {
    let pid = Pid::from_child(&running.child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    running.finish();
}

fn with(program: Command, first: &[&str], sshd: &Sshd, last: &[&str]) -> Command {
    let mut command = program;
    command.args(first).args(options(sshd)).args(last);
    command
}

/// Its standard error without the names of programs in front of lines.
fn said(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().map(|line| line.trim_start_matches("rmux: "));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// What ssh and rmux say and how they end, which must be the same.
#[track_caller]
fn alike(sshd: &Sshd, first: &[&str], last: &[&str]) -> (i32, Vec<String>, Vec<u8>) {
    let ssh = run(with(bare(Command::new("ssh")), first, sshd, last), b"");
    let ours = run(with(rmux(), first, sshd, last), b"");
    let (ssh, ours) = [ssh, ours]
        .map(|ran| (ran.code(), said(&ran.stderr), ran.stdout))
        .into();
    assert_eq!(ours, ssh, "{first:?} {last:?}");
    ours
}

#[test]
fn local_remote_and_dynamic_with_nothing_run() {
    let sshd = sshd();
    let (target, local, socks) = (echo(), free_port(), free_port());
    let log = sshd.folder().join("log");
    let first = [
        "-N",
        "-E",
        log.to_str().unwrap(),
        "-L",
        &format!("{local}:127.0.0.1:{target}"),
        "-D",
        &format!("127.0.0.1:{socks}"),
        "-R",
        &format!("0:127.0.0.1:{target}"),
    ];
    let running = Running::start(&mut with(rmux(), &first, &sshd, &["127.0.0.1"]));
    assert_eq!(answer(call(local), b"local"), b"LOCAL");
    let mut request = b"\x04\x01".to_vec();
    request.extend(target.to_be_bytes());
    request.extend(b"\0\0\0\x01me\0localhost\0socks");
    assert_eq!(&answer(call(socks), &request)[8..], b"SOCKS");
    let mut allocated = None;
    wait_until("the port is told", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let words = text.split_once("Allocated port ");
        allocated = words.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        allocated.is_some()
    });
    let text = std::fs::read_to_string(&log).unwrap();
    let told = format!("for remote forward to 127.0.0.1:{target}");
    assert!(text.contains(&told), "{text}");
    assert_eq!(answer(call(allocated.unwrap()), b"remote"), b"REMOTE");
    end(running);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, local)).is_err());
}

#[test]
fn unix_sockets_and_the_settings_of_their_files() {
    let sshd = sshd();
    let path = |name: &str| sshd.folder().join(name);
    let listener = UnixListener::bind(path("there")).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"from there");
        }
    });
    std::fs::write(path("here"), "in the way").unwrap();
    let forward = format!("{}:{}", path("here").display(), path("there").display());
    let first = [
        "-N",
        "-L",
        &forward,
        "-o",
        "StreamLocalBindUnlink=yes",
        "-o",
        "StreamLocalBindMask=0111",
    ];
    let running = Running::start(&mut with(rmux(), &first, &sshd, &["127.0.0.1"]));
    let mut stream = None;
    wait_until("the socket is there", || {
        stream = UnixStream::connect(path("here")).ok();
        stream.is_some()
    });
    let mut heard = String::new();
    stream.unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "from there");
    let mode = std::fs::metadata(path("here")).unwrap().permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o666
    );
    end(running);
    assert!(!Path::new(&path("here")).exists());
}

#[test]
fn standard_input_and_output_are_carried() {
    let sshd = sshd();
    let to = format!("127.0.0.1:{}", echo());
    for program in [rmux(), bare(Command::new("ssh"))] {
        let ran = run(
            with(program, &["-W", &to], &sshd, &["127.0.0.1"]),
            b"carried",
        );
        assert_eq!((ran.code(), &ran.stdout[..]), (0, &b"CARRIED"[..]));
        assert_eq!(ran.stderr, "");
    }
    let (code, said, _) = alike(&sshd, &["-W", "127.0.0.1:1"], &["127.0.0.1"]);
    assert_eq!(code, 255);
    assert!(said[0].contains("Connection refused"), "{said:?}");
    alike(&sshd, &["-q", "-W", "127.0.0.1:1"], &["127.0.0.1"]);
}

#[test]
fn what_cannot_be_listened_on_is_told_as_ssh_tells_it() {
    let sshd = sshd();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let local = format!("127.0.0.1:{port}:127.0.0.1:1");
    let run_it = ["127.0.0.1", "echo ran"];
    let strict = "-oExitOnForwardFailure=yes";
    for flag in ["-L", "-R"] {
        let (code, _, stdout) = alike(&sshd, &[flag, &local], &run_it);
        assert_eq!((code, &stdout[..]), (0, &b"ran\n"[..]), "{flag}");
        let (code, _, stdout) = alike(&sshd, &[strict, flag, &local], &run_it);
        assert_eq!((code, &stdout[..]), (255, &b""[..]), "{flag}");
    }
    // Of two, one can be had.
    let free = format!("127.0.0.1:{}:127.0.0.1:1", free_port());
    let (code, ..) = alike(&sshd, &["-L", &local, "-L", &free], &run_it);
    assert_eq!(code, 0);
    // What is cleared is not made.
    alike(&sshd, &["-L", &local, "-oClearAllForwardings=yes"], &run_it);
}

#[test]
fn it_stays_while_a_forwarded_connection_goes_on() {
    let sshd = sshd();
    let (target, local) = (echo(), free_port());
    let go = sshd.folder().join("go");
    let line = format!(
        "while [ ! -e '{}' ]; do sleep 0.05; done; echo over",
        go.display()
    );
    let first = ["-L", &format!("{local}:127.0.0.1:{target}")];
    let mut command = with(rmux(), &first, &sshd, &["127.0.0.1", &line]);
    let running = Running::start(command.stdin(Stdio::null()));
    let mut open = call(local);
    // It is carried: the far side has it once something came through.
    open.write_all(b"part").unwrap();
    assert_eq!(answer(call(local), b"other"), b"OTHER");
    std::fs::write(&go, "").unwrap();
    running.expect("over\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(answer(open, b" and rest"), b"PART AND REST");
    assert_eq!(running.finish().code(), 0);
}

#[test]
fn in_the_background_once_all_is_listened_on() {
    let sshd = sshd();
    let (target, local) = (echo(), free_port());
    let line = format!("echo $PPID; cat '{}'", sshd.folder().join("fifo").display());
    let fifo = sshd.folder().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let first = ["-f", "-L", &format!("{local}:127.0.0.1:{target}")];
    let mut command = with(rmux(), &first, &sshd, &["127.0.0.1", &line]);
    let file = |name: &str| std::fs::File::create(sshd.folder().join(name)).unwrap();
    command.stdout(file("out")).stderr(file("err"));
    assert!(command.status().unwrap().success());
    // At once: it listened before.
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, local)).unwrap();
    assert_eq!(answer(stream, b"behind"), b"BEHIND");
    // The command ends, and rmux with it.
    std::fs::write(&fifo, "").unwrap();
    wait_until("it ends", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, local)).is_err()
    });
}

#[test]
fn forwards_come_and_go_at_the_command_line_of_the_escape() {
    let sshd = sshd();
    let (target, local) = (echo(), free_port());
    let line = "stty raw -echo; echo ready; exec cat -v";
    let first = ["-tt", "-oEnableEscapeCommandline=yes"];
    let command = with(rmux(), &first, &sshd, &["127.0.0.1", line]);
    let mut screen = Screen::start(&command, 80, 24);
    screen.expect("ready");
    screen.type_in("\r~C");
    screen.expect("ssh> ");
    screen.type_in(&format!("-L{local}:127.0.0.1:{target}\r"));
    screen.expect("Forwarding port.");
    let mut open = call(local);
    open.write_all(b"x").unwrap();
    assert_eq!(answer(call(local), b"typed"), b"TYPED");
    screen.type_in("~#");
    screen.expect("#0 client-session");
    let listed = format!("#1 direct-tcpip: listening port {local} for 127.0.0.1 port {target}");
    screen.expect(&listed);
    drop(open);
    for (typed, shown) in [
        ("help", "Request local forward"),
        ("nonsense", "Invalid command."),
        ("-Lnonsense", "Bad local forwarding specification."),
        ("-KL1", "Unknown port forwarding."),
        ("-KLa:b:c", "Bad forwarding close specification."),
    ] {
        screen.type_in(&format!("~C{typed}\r"));
        screen.expect(shown);
    }
    screen.type_in(&format!("~C-KL{local}\r"));
    screen.expect("Canceled forwarding.");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, local)).is_err());
    // Nothing of it went to the command, and what follows does.
    screen.type_in("~C\x03through");
    screen.expect("through");
    assert!(!screen.text().contains("^C"), "{}", screen.text());
    screen.type_in("\r~.");
    assert_eq!(screen.finish().0, 255);
}
