//! A terminal with a person in front of it: starts a program on it, reads what it shows, types.
//!
//! The program is started by a shell that stays: once the first process of a terminal has ended,
//! the system resets its modes, and there would be nothing to see.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::fixture::{bare, wait_until};

const LEADER: &str = r#"
trap : INT
sh -c 'echo "pid $$"; exec "$@"' sh "$@"
echo "ended $?"
read -r rest
"#;

/// The same, with a shell that has job control: the program can be stopped, and a line typed then
/// lets it go on.
const JOBS: &str = r#"
set -m
sh -c 'echo "pid $$"; exec "$@"' sh "$@"
echo "stopped $?"
read -r rest
fg
echo "ended $?"
read -r rest
"#;

pub(crate) struct Screen {
    keyboard: File,
    terminal: OwnedFd,
    leader: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    before: Termios,
}

impl Screen {
    /// Starts `command` on a terminal of this size.
    #[track_caller]
    pub(crate) fn start(command: &Command, columns: u16, rows: u16) -> Self {
        Self::start_under(LEADER, command, columns, rows)
    }

    /// The same under a shell with job control.
    #[track_caller]
    pub(crate) fn start_as_job(command: &Command, columns: u16, rows: u16) -> Self {
        Self::start_under(JOBS, command, columns, rows)
    }

    #[track_caller]
    fn start_under(leader: &str, command: &Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal");
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&master, size(columns, rows)).unwrap();
        let before = tcgetattr(&terminal).unwrap();
        assert!(before.local_modes.contains(LocalModes::ECHO));

        let stream = || Stdio::from(terminal.try_clone().unwrap());
        // `setsid --ctty` makes it the terminal of a session of its own.
        let leader = bare(Command::new("setsid"))
            .args(["--ctty", "sh", "-c", leader, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("TERM", "vt220")
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .expect("setsid, of util-linux");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let keyboard = File::from(master);
        let (mut screen, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux ends it with EIO.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                seen.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self {
            keyboard,
            terminal,
            leader,
            shown,
            before,
        }
    }

    /// All that was shown so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) {
        let started = std::time::Instant::now();
        while !self.text().contains(text) {
            assert!(
                started.elapsed() < crate::fixture::LIMIT,
                "{text:?} is not on the screen:\n{}",
                self.text()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.keyboard, size(columns, rows)).unwrap();
    }

    /// Sends the program, and nobody else, a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        let text = self.text();
        let pid = text
            .lines()
            .find_map(|line| line.strip_prefix("pid "))
            .and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?))
            .expect("the leader tells the pid first");
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until the terminal is as it was at first.
    #[track_caller]
    pub(crate) fn expect_cooked(&self) {
        let cooked = self.before.local_modes;
        wait_until("the modes of before", || self.local_modes() == cooked);
    }

    fn local_modes(&self) -> LocalModes {
        tcgetattr(&self.terminal).unwrap().local_modes
    }

    /// Waits until keys go through as they are typed.
    #[track_caller]
    pub(crate) fn expect_raw(&self) {
        let cooked = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        wait_until("raw mode", || !self.local_modes().intersects(cooked));
    }

    /// Waits until what is typed is not shown, although lines are still edited.
    #[track_caller]
    pub(crate) fn expect_no_echo(&self) {
        wait_until("echo is off", || {
            let modes = self.local_modes();
            !modes.contains(LocalModes::ECHO) && modes.contains(LocalModes::ICANON)
        });
    }

    /// Waits for the program's end; its exit status as a shell tells it. The terminal must be as it
    /// was.
    #[track_caller]
    pub(crate) fn finish(mut self) -> (i32, String) {
        self.expect("ended ");
        let mut code = None;
        wait_until("the exit status", || {
            code = self
                .text()
                .rsplit_once("ended ")
                .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
            code.is_some()
        });
        let after = tcgetattr(&self.terminal).unwrap();
        let modes = |t: &Termios| {
            let special = format!("{:?}", t.special_codes);
            (
                t.input_modes,
                t.output_modes,
                t.control_modes,
                t.local_modes,
                special,
            )
        };
        assert_eq!(modes(&after), modes(&self.before), "{}", self.text());
        self.type_in("\n");
        self.leader.wait().unwrap();
        (code.unwrap(), self.text())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a failure: closing the terminal would end them too, but later.
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
