//! The programs that people have: `ssh`, `sftp`, `scp` and `rsync` over a master connection of `ssh`
//! (`ControlMaster`), as they come. The start of the program is in each sample: there is no other way
//! to use them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rmux_benches::{NOTHING, PIECE, SINK, source};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{ENDLESS, IDLE, STALLED, beside, files_of};
use crate::protocol::{Answer, Done, Driver, Request, Target, cannot, said, timed, timed_each};

pub(super) struct Programs {
    target: Target,
    /// Which of them moves the files.
    mover: String,
    masters: Vec<(Child, PathBuf)>,
    children: Vec<Child>,
}

impl Programs {
    pub(super) fn new(target: Target, mover: &str) -> Self {
        Self {
            target,
            mover: mover.to_owned(),
            masters: Vec::new(),
            children: Vec::new(),
        }
    }

    fn options(&self) -> Vec<String> {
        let known_hosts = format!("UserKnownHostsFile={}", self.target.known_hosts.display());
        let identity = format!("IdentityFile={}", self.target.client_key.display());
        let mut options = vec!["-F".to_owned(), "none".to_owned()];
        for option in [
            &known_hosts,
            &identity,
            "GlobalKnownHostsFile=none",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
        ] {
            options.extend(["-o".to_owned(), option.to_owned()]);
        }
        options
    }

    fn destination(&self) -> String {
        format!("{}@127.0.0.1", self.target.user)
    }

    /// A program with its options, over the master.
    fn program(&self, name: &str) -> Done<Command> {
        let (_, socket) = self.masters.first().ok_or("no session")?;
        let mut command = Command::new(name);
        command
            .args(self.options())
            .arg("-o")
            .arg(format!("ControlPath={}", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    fn ssh(&self, line: &str) -> Done<Command> {
        let mut command = self.program("ssh")?;
        command.arg(self.destination()).arg(line);
        Ok(command)
    }

    /// Starts a master and waits until it takes commands.
    async fn connect(&mut self, port: u16) -> Done<()> {
        let socket = self.target.folder.join(format!(
            "{}{}-{}",
            &self.mover,
            std::process::id(),
            self.masters.len()
        ));
        let mut command = Command::new("ssh");
        let master = command
            .args(self.options())
            .args(["-p", &port.to_string(), "-M", "-N", "-S"])
            .arg(&socket)
            .arg(self.destination())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(said)?;
        let start = Instant::now();
        // It is there once the master has logged in.
        while !socket.exists() {
            if start.elapsed() > Duration::from_secs(20) {
                return Err("no master".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.masters.push((master, socket));
        Ok(())
    }

    async fn close(&mut self) -> Done<()> {
        for mut child in self.children.drain(..) {
            child.kill().await.map_err(said)?;
        }
        for (mut master, socket) in self.masters.drain(..) {
            master.kill().await.map_err(said)?;
            // A master that is killed leaves it.
            let _ = std::fs::remove_file(socket);
        }
        Ok(())
    }

    /// One transfer by the mover.
    async fn transfer(&self, way: Way, from: &Path, to: &Path, recursive: bool) -> Done<()> {
        let (from, to) = (from.display().to_string(), to.display().to_string());
        let there = |path: &str| format!("{}:{path}", self.destination());
        match self.mover.as_str() {
            "sftp" => {
                let verb = way.verb();
                let flag = if recursive { "-r " } else { "" };
                let batch = format!("{verb} {flag}\"{from}\" \"{to}\"\n");
                self.batch(&batch).await
            }
            "scp" => {
                let mut command = self.program("scp")?;
                command.arg("-q");
                if recursive {
                    command.arg("-r");
                }
                match way {
                    Way::Put => command.arg(from).arg(there(&to)),
                    Way::Get => command.arg(there(&from)).arg(to),
                };
                succeeded(command).await
            }
            "rsync" => {
                let (_, socket) = self.masters.first().ok_or("no session")?;
                let shell = format!("ssh {} -S {}", self.options().join(" "), socket.display());
                let mut command = Command::new("rsync");
                // Without its comparison, which is no use for a file that is not there.
                command.args(["--whole-file", "-e", &shell]);
                command.stdin(Stdio::null()).stdout(Stdio::null());
                command.stderr(Stdio::piped()).kill_on_drop(true);
                let inside = match recursive {
                    true => {
                        command.arg("-r");
                        "/"
                    }
                    false => "",
                };
                match way {
                    Way::Put => command.arg(from + inside).arg(there(&to)),
                    Way::Get => command.arg(there(&(from + inside))).arg(to),
                };
                succeeded(command).await
            }
            _ => Err("ssh moves no files".to_owned()),
        }
    }

    async fn batch(&self, batch: &str) -> Done<()> {
        let mut command = self.program("sftp")?;
        command.args(["-q", "-b", "-"]).arg(self.destination());
        command.stdin(Stdio::piped());
        let mut child = command.spawn().map_err(said)?;
        let mut stdin = child.stdin.take().ok_or("no input")?;
        stdin.write_all(batch.as_bytes()).await.map_err(said)?;
        drop(stdin);
        ended(child).await
    }

    /// Files one after the other, in one program where that can be.
    async fn one_by_one(&self, way: Way, local: &Path, remote: &Path) -> Done<()> {
        let files = files_of(local)?;
        let pairs = files.iter().map(|file| match way {
            Way::Put => (file.clone(), beside(file, remote)),
            Way::Get => (beside(file, remote), file.clone()),
        });
        if self.mover == "sftp" {
            let lines = pairs.map(|(from, to)| {
                format!(
                    "{} \"{}\" \"{}\"\n",
                    way.verb(),
                    from.display(),
                    to.display()
                )
            });
            return self.batch(&lines.collect::<String>()).await;
        }
        for (from, to) in pairs {
            self.transfer(way, &from, &to, false).await?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Way {
    Put,
    Get,
}

impl Way {
    fn verb(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
        }
    }
}

async fn succeeded(mut command: Command) -> Done<()> {
    ended(command.spawn().map_err(said)?).await
}

async fn ended(child: Child) -> Done<()> {
    let output = child.wait_with_output().await.map_err(said)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

impl Driver for Programs {
    async fn answer(&mut self, request: Request) -> Done {
        match request {
            Request::Open { port } => timed(self.connect(port)).await,
            Request::Close => timed(self.close()).await,
            Request::Cold { port } => {
                let mut command = Command::new("ssh");
                command
                    .args(self.options())
                    .args(["-p", &port.to_string()])
                    .args([self.destination().as_str(), "echo up"])
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .kill_on_drop(true);
                let start = Instant::now();
                let mut child = command.spawn().map_err(said)?;
                let mut stdout = child.stdout.take().ok_or("no output")?;
                stdout.read_u8().await.map_err(said)?;
                let took = start.elapsed().as_secs_f64();
                child.wait().await.map_err(said)?;
                Ok(Answer::Seconds(vec![took]))
            }
            Request::Sessions { port, count } => {
                for _ in 0..count {
                    self.connect(port).await?;
                }
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Exec { count } => {
                timed_each(count, async || succeeded(self.ssh(NOTHING)?).await).await
            }
            Request::Many { count } => {
                timed(async {
                    let mut running = Vec::new();
                    for _ in 0..count {
                        running.push(self.ssh(NOTHING)?.spawn().map_err(said)?);
                    }
                    for child in running {
                        ended(child).await?;
                    }
                    Ok(())
                })
                .await
            }
            Request::Down { bytes } => {
                timed(async {
                    let mut command = self.ssh(&source(bytes))?;
                    let mut child = command.stdout(Stdio::piped()).spawn().map_err(said)?;
                    let mut stdout = child.stdout.take().ok_or("no output")?;
                    let (mut piece, mut length) = (vec![0; PIECE], 0);
                    loop {
                        match stdout.read(&mut piece).await.map_err(said)? {
                            0 => break,
                            more => length += more as u64,
                        }
                    }
                    ended(child).await?;
                    match length == bytes {
                        true => Ok(()),
                        false => Err(format!("{length} bytes of {bytes}")),
                    }
                })
                .await
            }
            Request::Up { bytes } => {
                timed(async {
                    let mut command = self.ssh(SINK)?;
                    let mut child = command.stdin(Stdio::piped()).spawn().map_err(said)?;
                    let mut stdin = child.stdin.take().ok_or("no input")?;
                    let piece = vec![0; PIECE];
                    let mut rest = bytes;
                    while rest > 0 {
                        let part = &piece[..rest.min(PIECE as u64) as usize];
                        stdin.write_all(part).await.map_err(said)?;
                        rest -= part.len() as u64;
                    }
                    drop(stdin);
                    ended(child).await
                })
                .await
            }
            Request::Channels { count } => {
                for _ in 0..count {
                    let child = self.ssh(IDLE)?.spawn().map_err(said)?;
                    self.children.push(child);
                }
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Stall => {
                let mut command = self.ssh(STALLED)?;
                let child = command.stdout(Stdio::piped()).spawn().map_err(said)?;
                self.children.push(child);
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Busy => {
                let child = self.ssh(ENDLESS)?.spawn().map_err(said)?;
                self.children.push(child);
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Put { local, remote } => {
                timed(self.transfer(Way::Put, &local, &remote, false)).await
            }
            Request::Get { remote, local } => {
                timed(self.transfer(Way::Get, &remote, &local, false)).await
            }
            Request::PutTree { local, remote } => {
                timed(self.transfer(Way::Put, &local, &remote, true)).await
            }
            Request::GetTree { remote, local } => {
                timed(self.transfer(Way::Get, &remote, &local, true)).await
            }
            Request::PutEach { local, remote } => {
                timed(self.one_by_one(Way::Put, &local, &remote)).await
            }
            Request::GetEach { remote, local } => {
                timed(self.one_by_one(Way::Get, &local, &remote)).await
            }
            Request::Read { remote, count } => match self.mover.as_str() {
                "ssh" => {
                    let line = format!("cat {}", remote.display());
                    timed_each(count, async || succeeded(self.ssh(&line)?).await).await
                }
                _ => cannot("it reads into files only"),
            },
        }
    }
}
