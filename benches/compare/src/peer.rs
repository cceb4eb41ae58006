//! The peers that are compared, and the processes of their drivers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::protocol::{Answer, Request, TARGET, Target};

/// One piece of software that is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// As it is shown.
    pub(crate) name: &'static str,
    language: Language,
    /// What its driver is called.
    driver: &'static str,
    /// Whether it runs commands, and moves files: `ssh` does the one and `sftp` the other.
    pub(crate) commands: bool,
    pub(crate) files: bool,
    /// Whether it works in the process of its driver, so that its memory is that of the process.
    pub(crate) is_library: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Python,
    Node,
}

/// All, in the order in which they are shown. The first is what the others are set against.
pub(crate) const PEERS: &[Peer] = &[
    peer("rmux", Language::Rust, "rmux", true, true),
    peer(
        "rmux (Python)",
        Language::Python,
        "rmux_peer.py",
        true,
        true,
    ),
    peer("rmux (Node)", Language::Node, "rmux-peer.mjs", true, true),
    program("ssh", true, false),
    program("sftp", false, true),
    program("scp", false, true),
    program("rsync", false, true),
    Peer {
        is_library: false,
        ..peer("openssh crate", Language::Rust, "openssh", true, true)
    },
    peer("russh", Language::Rust, "russh", true, false),
    peer("asyncssh", Language::Python, "asyncssh_peer.py", true, true),
    peer("paramiko", Language::Python, "paramiko_peer.py", true, true),
    peer("ssh2 (Node)", Language::Node, "ssh2-peer.mjs", true, true),
];

const fn peer(
    name: &'static str,
    language: Language,
    driver: &'static str,
    commands: bool,
    files: bool,
) -> Peer {
    Peer {
        name,
        language,
        driver,
        commands,
        files,
        is_library: true,
    }
}

const fn program(name: &'static str, commands: bool, files: bool) -> Peer {
    Peer {
        is_library: false,
        ..peer(name, Language::Rust, name, commands, files)
    }
}

/// Where the interpreters of the other languages are.
#[derive(Debug, Clone)]
pub(crate) struct Interpreters {
    pub(crate) python: String,
    /// With the packages of the peers beside the drivers.
    pub(crate) node: String,
    pub(crate) node_drivers: String,
}

impl Peer {
    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with("rmux")
    }

    /// The Python module or Node package, if it is one.
    pub(crate) fn module(&self) -> Option<(Language, &'static str)> {
        let module = self.name.split(' ').next().unwrap_or(self.name);
        (self.language != Language::Rust).then_some((self.language, module))
    }

    fn command(&self, interpreters: &Interpreters) -> Command {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        match self.language {
            Language::Rust => {
                let program = std::env::current_exe().expect("this program has a path");
                let mut command = Command::new(program);
                command.args(["drive", self.driver]);
                command
            }
            Language::Python => {
                let mut command = Command::new(&interpreters.python);
                command.arg(here.join("python").join(self.driver));
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Language::Node => {
                let mut command = Command::new(&interpreters.node);
                command.arg(Path::new(&interpreters.node_drivers).join(self.driver));
                command
            }
        }
    }
}

/// A peer with its running driver.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    interpreters: Interpreters,
    target: Target,
    process: Option<Process>,
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Running {
    pub(crate) fn new(peer: Peer, interpreters: &Interpreters, target: &Target) -> Self {
        Self {
            peer,
            interpreters: interpreters.clone(),
            target: target.clone(),
            process: None,
        }
    }

    /// Asks the driver, which is started where it does not run. One that takes longer than the limit is
    /// ended: what it had open is gone then.
    pub(crate) fn ask(&mut self, request: &Request, limit: Duration) -> Answer {
        let line = serde_json::to_string(request).expect("a request is JSON");
        let process = self.process.get_or_insert_with(|| {
            start(self.peer.command(&self.interpreters), &self.target)
                .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.peer.name))
        });
        // A driver that has ended is noticed by its answers.
        let _ = writeln!(process.stdin, "{line}").and_then(|()| process.stdin.flush());
        let failed = match process.answers.recv_timeout(limit) {
            Ok(answer) => match serde_json::from_str(&answer) {
                Ok(answer) => return answer,
                Err(_) => format!("it answered {answer:?}"),
            },
            Err(RecvTimeoutError::Timeout) => format!("not done after {} s", limit.as_secs()),
            Err(RecvTimeoutError::Disconnected) => "its driver ended".to_owned(),
        };
        self.end();
        Answer::Failed(failed)
    }

    /// The process of the driver, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// Ends the driver with all that it has open.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin);
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_secs(2) {
                if matches!(process.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(mut command: Command, target: &Target) -> std::io::Result<Process> {
    let target = serde_json::to_string(target).expect("a target is JSON");
    let mut child = command
        .env(TARGET, target)
        // Nobody's own keys: the files that are given are the only ones.
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("it has no pipes"));
    };
    let (sender, answers) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(Process {
        child,
        stdin,
        answers,
    })
}
