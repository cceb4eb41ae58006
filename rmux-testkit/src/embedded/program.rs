//! Starting a program for a channel, in a process group of its own, and ending it. Must not
//! know SSH's messages.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};

use super::builder::Settings;
use super::terminal::{Opened, Terminal, TerminalRequest};
use crate::sshd::current_user;

/// Between SIGHUP and SIGKILL.
const GRACE: Duration = Duration::from_millis(200);

/// What to run.
pub(super) enum Work {
    /// A login shell.
    Shell,
    /// A command for the shell.
    Command(Vec<u8>),
    /// The SFTP subsystem.
    Sftp,
}

/// A running program, and our ends of its streams.
pub(super) struct Program {
    pub(super) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// None when a terminal takes both.
    pub(super) stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pub(super) terminal: Option<Terminal>,
    /// None for what runs inside this process and ends with its output.
    pub(super) process: Option<Process>,
}

/// How a program ended.
pub(super) enum End {
    /// By itself, with this status.
    Code(u32),
    /// By a signal, with this name (without `SIG`).
    Signal { name: String, core_dumped: bool },
}

/// The environment of a channel.
pub(super) struct Surroundings<'a> {
    pub(super) settings: &'a Settings,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) env: &'a [(String, String)],
    pub(super) terminal: Option<&'a TerminalRequest>,
}

impl Surroundings<'_> {
    /// Starts a shell or a command.
    pub(super) fn start(&self, work: &Work) -> io::Result<Program> {
        let shell = &self.settings.shell;
        let mut arguments: Vec<std::ffi::OsString> = Vec::new();
        match work {
            Work::Command(text) => {
                use std::os::unix::ffi::OsStrExt as _;
                arguments.push("-c".into());
                arguments.push(std::ffi::OsStr::from_bytes(text).to_owned());
            }
            Work::Shell | Work::Sftp => arguments.push("-l".into()),
        }
        match self.terminal {
            None => {
                let mut command = Command::new(shell);
                command.args(arguments).process_group(0);
                self.surround(&mut command);
                command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped());
                let mut child = command.spawn()?;
                let (stdin, stdout, stderr) =
                    (child.stdin.take(), child.stdout.take(), child.stderr.take());
                let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
                    return Err(io::Error::other("no pipes"));
                };
                Ok(Program {
                    stdin: Box::new(stdin),
                    stdout: Box::new(stdout),
                    stderr: stderr.map(|stderr| Box::new(stderr) as _),
                    terminal: None,
                    process: Some(Process::new(child)),
                })
            }
            Some(request) => {
                let Opened {
                    terminal,
                    input,
                    output,
                    slave,
                    name,
                } = Terminal::open(request)?;
                let mut command = on_terminal(shell);
                command.args(arguments);
                self.surround(&mut command);
                command.env("TERM", &request.term).env("SSH_TTY", name);
                command
                    .stdin(Stdio::from(slave.try_clone()?))
                    .stdout(Stdio::from(slave.try_clone()?))
                    .stderr(Stdio::from(slave));
                let child = command.spawn()?;
                Ok(Program {
                    stdin: Box::new(input),
                    stdout: Box::new(output),
                    stderr: None,
                    terminal: Some(terminal),
                    process: Some(Process::new(child)),
                })
            }
        }
    }

    fn surround(&self, command: &mut Command) {
        let Self {
            settings,
            local,
            peer,
            ..
        } = self;
        command.env_clear();
        // As sshd: a fresh environment, not that of the server.
        for name in ["PATH", "TMPDIR", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("HOME", &settings.home)
            .env("USER", current_user())
            .env("LOGNAME", current_user())
            .env("SHELL", &settings.shell)
            .env(
                "SSH_CLIENT",
                format!("{} {} {}", peer.ip(), peer.port(), local.port()),
            )
            .env(
                "SSH_CONNECTION",
                format!(
                    "{} {} {} {}",
                    peer.ip(),
                    peer.port(),
                    local.ip(),
                    local.port()
                ),
            )
            .current_dir(&settings.home)
            .kill_on_drop(true);
    }
}

/// A command that makes the terminal on its stdin its controlling terminal, in a session of its
/// own, and becomes `shell`. That takes a system call between fork and exec, which safe code
/// has no way to make: small programs that every system has do it. Without them the shell runs
/// without job control.
fn on_terminal(shell: &Path) -> Command {
    let exists = |path: &&str| Path::new(path).exists();
    if let Some(setsid) = ["/usr/bin/setsid", "/bin/setsid"]
        .into_iter()
        .find(|path| exists(path))
    {
        let mut command = Command::new(setsid);
        command.arg("--ctty").arg(shell);
        return command;
    }
    let perl = "/usr/bin/perl";
    if exists(&perl) {
        // TIOCSCTTY, where perl has no name for it.
        let request = if cfg!(target_os = "linux") {
            "0x540E"
        } else {
            "0x20007461"
        };
        let script = format!(
            "POSIX::setsid(); ioctl(STDIN, {request}, my $zero = 0); exec {{$ARGV[0]}} @ARGV"
        );
        let mut command = Command::new(perl);
        command.args(["-MPOSIX", "-e", &script]).arg(shell);
        return command;
    }
    let mut command = Command::new(shell);
    command.process_group(0);
    command
}

/// A child process that leads a process group, which is ended when this is dropped.
pub(super) struct Process {
    child: Child,
    group: Group,
}

/// A process group, to send signals to, as long as its leader has not been reaped.
#[derive(Clone)]
pub(super) struct Group(Arc<AtomicI32>);

impl Group {
    /// Sends a signal to all of the group; nothing once the leader is reaped, because from then
    /// on the id may belong to somebody else.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.0.load(Ordering::Relaxed)) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Process {
    fn new(child: Child) -> Self {
        let id = child.id().map_or(0, |id| id as i32);
        Self {
            child,
            group: Group(Arc::new(AtomicI32::new(id))),
        }
    }

    pub(super) fn group(&self) -> Group {
        self.group.clone()
    }

    /// Waits for the leader to end. Cancel safe.
    pub(super) async fn wait(&mut self) -> io::Result<End> {
        let status = self.child.wait().await?;
        self.group.0.store(0, Ordering::Relaxed);
        Ok(End::from(status))
    }

    /// Ends the group: hangs up, and kills what is left after a moment. Does nothing if the
    /// leader has been reaped.
    pub(super) async fn end(mut self) {
        if self.group.0.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.group.signal(Signal::HUP);
        self.group.signal(Signal::CONT);
        tokio::time::sleep(GRACE).await;
        self.group.signal(Signal::KILL);
        let _ = self.wait().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
    }
}

/// The signals that RFC 4254, section 6.10, names.
const SIGNALS: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// The signal with this name, without `SIG`.
pub(super) fn signal_named(name: &str) -> Option<Signal> {
    SIGNALS
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, signal)| *signal)
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        if let Some(code) = status.code() {
            return Self::Code(code as u32);
        }
        let number = status.signal().unwrap_or_default();
        let name = SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number);
        Self::Signal {
            // As OpenSSH names those the RFC has no name for.
            name: name.map_or_else(
                || "SIG@openssh.com".to_owned(),
                |(name, _)| (*name).to_owned(),
            ),
            core_dumped: status.core_dumped(),
        }
    }
}
