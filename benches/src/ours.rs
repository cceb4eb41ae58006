//! rmux as a user's program sees it: its public API, with nothing tuned for the benches.

use std::net::SocketAddr;

use bytes::Bytes;
use rmux_core::{Config, ConfigFile, Lane, Output, Session, Stdio};
use rmux_testkit::sshd::Sshd;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::PIECE;

/// What else goes on in a session while something is measured.
#[derive(Clone, Copy, Debug)]
pub enum Company {
    /// Nothing.
    None,
    /// A command that takes no input, and whose output nobody reads.
    Stalled,
    /// A command whose output is read as fast as it comes.
    Busy,
    /// The same, said to be bulk.
    Bulk,
}

/// One session.
pub struct Ours(Session);

impl Ours {
    /// Connects to the fixture, at its own address or a relay's.
    ///
    /// # Panics
    /// When the fixture does not let it in.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(sshd: &Sshd, addr: SocketAddr) -> Self {
        let config = Config::new()
            .config_file(ConfigFile::None)
            .user(sshd.user())
            .port(addr.port())
            .identity_file(sshd.client_key())
            .option("IdentityAgent", "none")
            .option("HostKeyAlias", format!("[127.0.0.1]:{}", sshd.port()))
            .option(
                "UserKnownHostsFile",
                sshd.known_hosts().display().to_string(),
            )
            .option("GlobalKnownHostsFile", "none");
        let session = Session::connect(&addr.ip().to_string(), config)
            .await
            .expect("the fixture lets rmux in");
        Self(session)
    }

    /// Runs `line` and collects what it writes.
    ///
    /// # Panics
    /// When the session is lost.
    ///
    /// # Cancel safety
    /// Cancel safe: the command is let go of.
    pub async fn exec(&self, line: &str) -> Output {
        let output = self.0.shell(line).output().await;
        output.expect("the session lasts")
    }

    /// Runs `line` and returns when the first of its output is there.
    ///
    /// # Panics
    /// When there is none.
    ///
    /// # Cancel safety
    /// Cancel safe: the command is let go of.
    pub async fn first_output(&self, line: &str) -> Bytes {
        let mut command = self.0.shell(line);
        let mut child = command
            .stdin(Stdio::Null)
            .spawn()
            .await
            .expect("the command starts");
        let stdout = child.stdout.as_mut().expect("it is piped");
        let first = stdout.chunk().await.expect("the session lasts");
        first.unwrap_or_else(|| panic!("no output of {line:?}"))
    }

    /// Runs `line` and returns how many bytes it wrote.
    ///
    /// # Panics
    /// When the session is lost or the command fails.
    ///
    /// # Cancel safety
    /// Cancel safe: the command is let go of.
    pub async fn download(&self, line: &str) -> u64 {
        let mut command = self.0.shell(line);
        let mut child = command
            .stdin(Stdio::Null)
            .spawn()
            .await
            .expect("the command starts");
        let mut stdout = child.stdout.take().expect("it is piped");
        let mut length = 0;
        while let Some(piece) = stdout.chunk().await.expect("the session lasts") {
            length += piece.len() as u64;
        }
        assert!(child.wait().await.expect("the session lasts").success());
        length
    }

    /// Runs `line` with `length` zeros as its input, and returns what it wrote when it has ended.
    ///
    /// # Panics
    /// When the session is lost or the command fails.
    ///
    /// # Cancel safety
    /// Cancel safe: the command is let go of.
    pub async fn upload(&self, line: &str, length: u64) -> Vec<u8> {
        let mut child = self
            .0
            .shell(line)
            .spawn()
            .await
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        let send = async {
            let piece = vec![0; PIECE];
            let mut rest = length;
            while rest > 0 {
                let part = &piece[..rest.min(PIECE as u64) as usize];
                rest -= part.len() as u64;
                stdin.write_all(part).await.expect("the command reads on");
            }
            stdin.shutdown().await.expect("the command reads on");
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), send);
        let output = output.expect("the session lasts");
        assert!(output.status.success());
        output.stdout
    }

    /// Starts what is to go on beside; it ends when what this returns is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    ///
    /// # Cancel safety
    /// Cancel safe: what was started is killed.
    pub async fn in_company(&self, company: Company) -> Option<JoinSet<()>> {
        let line = match company {
            Company::None => return None,
            // More than is kept in memory, and then it waits for ever.
            Company::Stalled => "head -c 33554432 /dev/zero; exec sleep 600",
            Company::Busy | Company::Bulk => "exec cat /dev/zero",
        };
        let mut command = self.0.shell(line);
        command.kill_on_drop(true);
        if matches!(company, Company::Bulk) {
            command.lane(Lane::Bulk(None));
        }
        let mut child = command.spawn().await.expect("the command starts");
        let mut tasks = JoinSet::new();
        if matches!(company, Company::Stalled) {
            let mut stdin = child.stdin.take().expect("it is piped");
            tasks.spawn(async move {
                let _child = child;
                // More than any window takes.
                let _ = stdin.write_all(&vec![0; 64 << 20]).await;
            });
        } else {
            let mut stdout = child.stdout.take().expect("it is piped");
            stdout.chunk().await.expect("the session lasts");
            tasks.spawn(async move {
                let _child = child;
                while let Ok(Some(_)) = stdout.chunk().await {}
            });
        }
        Some(tasks)
    }

    /// Ends the session.
    ///
    /// # Cancel safety
    /// Cancel safe: the session is closed all the same.
    pub async fn close(self) {
        self.0.close().await;
    }
}
