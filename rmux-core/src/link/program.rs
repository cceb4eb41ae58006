//! The program that a connection runs over (`ProxyCommand`): how it is started, and how it ends with
//! all that it has started.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::io::Join;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};

use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::processes::{Processes, end_each, in_own_group};
use crate::shell::user_shell;

/// How long a program that was hung up may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait for the exit status of a program that has closed its output.
const STATUS: Duration = Duration::from_millis(500);

/// A running program. Dropping it hangs it up: its input and output are closed already then, it
/// gets SIGHUP, as from `ssh`, and SIGKILL where that is not enough.
#[derive(Debug)]
pub(super) struct Program {
    processes: Processes,
    /// Taken when the program is hung up.
    hang_up: Mutex<Option<oneshot::Sender<Vec<OwnedFd>>>>,
    /// Closed when it has ended.
    ended: watch::Receiver<()>,
}

impl Program {
    /// Runs `line` by the user's shell, as `ssh` does (ssh_config(5)). What it writes to standard
    /// error is seen.
    pub(super) fn start(
        host: &Host,
        line: &OsStr,
    ) -> Result<(Join<ChildStdout, ChildStdin>, Self)> {
        if line == "-" {
            let what = "ProxyCommand \"-\" is not supported: the program's own standard input and \
                        output are not taken for the connection";
            return Err(Error::new(ErrorKind::Unsupported, "connect", what).with_host(&host.name));
        }
        let shell = user_shell();
        let own_group = in_own_group();
        let mut command = Command::new(&shell);
        command
            .arg("-c")
            .arg(OsStr::from_bytes(&[b"exec ", line.as_bytes()].concat()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if own_group {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(|error| {
            Error::new(
                ErrorKind::ConnectFailed,
                "connect",
                format!(
                    "cannot run {} for the ProxyCommand: {error}",
                    shell.display()
                ),
            )
            .with_host(&host.name)
            .with_source(error)
        })?;
        let (Some(input), Some(output), Some(leader)) = (
            child.stdin.take(),
            child.stdout.take(),
            child.id().and_then(|id| Pid::from_raw(id as i32)),
        ) else {
            unreachable!("both are piped, and it was not waited for");
        };
        let processes = Processes { leader, own_group };
        let (hang_up, hung_up) = oneshot::channel();
        let (end, ended) = watch::channel(());
        let kept = Kept { processes, child };
        tokio::spawn(async move {
            kept.see_off(hung_up).await;
            drop(end);
        });
        let program = Self {
            processes,
            hang_up: Mutex::new(Some(hang_up)),
            ended,
        };
        Ok((tokio::io::join(output, input), program))
    }

    /// Ends it.
    pub(super) fn hang_up(&self) {
        let hang_up = self
            .hang_up
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .take();
        if let Some(hang_up) = hang_up {
            // Before it is waited for: until then its number is nobody else's.
            let started = self.processes.started();
            self.processes.signal(&started, Signal::HUP);
            let _ = hang_up.send(started);
        }
    }

    /// Waits for the end of a program that was hung up.
    pub(super) async fn ended(&self) {
        let _ = self.ended.clone().changed().await;
    }

    /// How it ended by itself; `None` where it runs on, or was hung up.
    pub(super) async fn status(&self) -> Option<ExitStatus> {
        let polling = async {
            loop {
                if let Some(status) = self.status_now() {
                    return status;
                }
                tokio::time::sleep(STATUS / 50).await;
            }
        };
        tokio::time::timeout(STATUS, polling).await.ok()
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.status_now().is_some()
    }

    fn status_now(&self) -> Option<ExitStatus> {
        use std::os::unix::process::ExitStatusExt;
        let running = self.hang_up.lock().unwrap_or_else(|p| p.into_inner());
        running.as_ref()?;
        // It stays to be waited for, and so keeps its number.
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = rustix::process::waitid(WaitId::Pid(self.processes.leader), how).ok()??;
        let signal = status.terminating_signal();
        let raw = signal.or_else(|| status.exit_status().map(|code| code << 8));
        raw.map(ExitStatus::from_raw)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// The program as its task has it. Dropping it, as the runtime's end does, kills.
struct Kept {
    processes: Processes,
    child: Child,
}

impl Kept {
    async fn see_off(mut self, hung_up: oneshot::Receiver<Vec<OwnedFd>>) {
        let started = hung_up.await.unwrap_or_default();
        if tokio::time::timeout(GRACE, self.child.wait())
            .await
            .is_err()
        {
            self.processes.kill();
            let _ = self.child.wait().await;
        }
        end_each(&started, Signal::KILL);
        // Others of its group are killed with the value.
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The group's number is not given out again while one of it lives, and one that was just
        // left is the last to be.
        if self.processes.own_group {
            self.processes.signal(&[], Signal::KILL);
        }
    }
}
