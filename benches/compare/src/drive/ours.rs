//! rmux from Rust, by its public API, with nothing tuned.

use std::path::Path;

use rmux_benches::{NOTHING, PIECE, SINK, source};
use rmux_core::{Child, Config, ConfigFile, Session, Stdio, TransferOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use super::{ENDLESS, IDLE, STALLED, beside, files_of};
use crate::protocol::{Answer, Done, Driver, Request, Target, said, timed, timed_each};

pub(super) struct Ours {
    target: Target,
    session: Option<Session>,
    more: Vec<Session>,
    children: Vec<Child>,
    company: JoinSet<()>,
}

impl Ours {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            session: None,
            more: Vec::new(),
            children: Vec::new(),
            company: JoinSet::new(),
        }
    }

    async fn connect(&self, port: u16) -> Done<Session> {
        let config = Config::new()
            .config_file(ConfigFile::None)
            .user(&self.target.user)
            .port(port)
            .identity_file(&self.target.client_key)
            .option("IdentityAgent", "none")
            .option(
                "UserKnownHostsFile",
                self.target.known_hosts.display().to_string(),
            )
            .option("GlobalKnownHostsFile", "none");
        Session::connect("127.0.0.1", config).await.map_err(said)
    }

    fn session(&self) -> Done<Session> {
        self.session.clone().ok_or_else(|| "no session".to_owned())
    }

    async fn close(&mut self) {
        self.company.shutdown().await;
        self.children.clear();
        for session in self.session.take().into_iter().chain(self.more.drain(..)) {
            session.close().await;
        }
    }
}

async fn exec(session: &Session) -> Done<()> {
    let output = session.shell(NOTHING).output().await.map_err(said)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{:?}", output.status)),
    }
}

async fn start(session: &Session, line: &str) -> Done<Child> {
    let mut command = session.shell(line);
    command.kill_on_drop(true).stdin(Stdio::Null);
    command.spawn().await.map_err(said)
}

async fn many(session: Session, count: usize) -> Done<()> {
    let mut running = JoinSet::new();
    for _ in 0..count {
        let session = session.clone();
        running.spawn(async move { exec(&session).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(said)??;
    }
    Ok(())
}

async fn down(session: Session, bytes: u64) -> Done<()> {
    let mut child = start(&session, &source(bytes)).await?;
    let mut stdout = child.stdout.take().ok_or("no output")?;
    let mut length = 0;
    while let Some(piece) = stdout.chunk().await.map_err(said)? {
        length += piece.len() as u64;
    }
    child.wait().await.map_err(said)?;
    match length == bytes {
        true => Ok(()),
        false => Err(format!("{length} bytes of {bytes}")),
    }
}

async fn up(session: Session, bytes: u64) -> Done<()> {
    let mut child = session.shell(SINK).spawn().await.map_err(said)?;
    let mut stdin = child.stdin.take().ok_or("no input")?;
    let piece = vec![0; PIECE];
    let mut rest = bytes;
    while rest > 0 {
        let part = &piece[..rest.min(PIECE as u64) as usize];
        stdin.write_all(part).await.map_err(said)?;
        rest -= part.len() as u64;
    }
    stdin.shutdown().await.map_err(said)?;
    child.wait().await.map_err(said)?;
    Ok(())
}

async fn put(session: &Session, local: &Path, remote: &Path, recursive: bool) -> Done<()> {
    let remote = remote.as_os_str().as_encoded_bytes();
    let transfer = session.files().put(local, remote, &options(recursive));
    whole(transfer.finish().await.map_err(said)?)
}

async fn get(session: &Session, remote: &Path, local: &Path, recursive: bool) -> Done<()> {
    let remote = remote.as_os_str().as_encoded_bytes();
    let transfer = session.files().get(remote, local, &options(recursive));
    whole(transfer.finish().await.map_err(said)?)
}

fn options(recursive: bool) -> TransferOptions {
    match recursive {
        true => TransferOptions::new().recursive(),
        false => TransferOptions::new(),
    }
}

fn whole(report: rmux_core::TransferReport) -> Done<()> {
    match report.failures.first() {
        Some(failure) => Err(failure.to_string()),
        None => Ok(()),
    }
}

impl Driver for Ours {
    async fn answer(&mut self, request: Request) -> Done {
        match request {
            Request::Open { port } => {
                let start = std::time::Instant::now();
                self.session = Some(self.connect(port).await?);
                Ok(Answer::Seconds(vec![start.elapsed().as_secs_f64()]))
            }
            Request::Close => {
                timed(async {
                    self.close().await;
                    Ok(())
                })
                .await
            }
            Request::Cold { port } => {
                timed(async {
                    let session = self.connect(port).await?;
                    let mut child = start(&session, "echo up").await?;
                    let stdout = child.stdout.as_mut().ok_or("no output")?;
                    match stdout.chunk().await.map_err(said)? {
                        Some(_) => Ok(()),
                        None => Err("no output".to_owned()),
                    }
                })
                .await
            }
            Request::Sessions { port, count } => {
                for _ in 0..count {
                    let session = self.connect(port).await?;
                    self.more.push(session);
                }
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Exec { count } => {
                let session = self.session()?;
                timed_each(count, async || exec(&session).await).await
            }
            Request::Many { count } => timed(many(self.session()?, count)).await,
            Request::Down { bytes } => timed(down(self.session()?, bytes)).await,
            Request::Up { bytes } => timed(up(self.session()?, bytes)).await,
            Request::Channels { count } => {
                let session = self.session()?;
                for _ in 0..count {
                    self.children.push(start(&session, IDLE).await?);
                }
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Stall => {
                let child = start(&self.session()?, STALLED).await?;
                self.children.push(child);
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Busy => {
                let mut child = start(&self.session()?, ENDLESS).await?;
                let mut stdout = child.stdout.take().ok_or("no output")?;
                self.company.spawn(async move {
                    let _child = child;
                    while let Ok(Some(_)) = stdout.chunk().await {}
                });
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Put { local, remote } => {
                timed(put(&self.session()?, &local, &remote, false)).await
            }
            Request::Get { remote, local } => {
                timed(get(&self.session()?, &remote, &local, false)).await
            }
            Request::PutTree { local, remote } => {
                timed(put(&self.session()?, &local, &remote, true)).await
            }
            Request::GetTree { remote, local } => {
                timed(get(&self.session()?, &remote, &local, true)).await
            }
            Request::PutEach { local, remote } => {
                let session = self.session()?;
                timed(async {
                    for file in files_of(&local)? {
                        put(&session, &file, &beside(&file, &remote), false).await?;
                    }
                    Ok(())
                })
                .await
            }
            Request::GetEach { remote, local } => {
                let session = self.session()?;
                timed(async {
                    for file in files_of(&local)? {
                        get(&session, &beside(&file, &remote), &file, false).await?;
                    }
                    Ok(())
                })
                .await
            }
            Request::Read { remote, count } => {
                let files = self.session()?.files();
                let path = remote.as_os_str().as_encoded_bytes();
                timed_each(count, async || {
                    files.read(path).await.map(drop).map_err(said)
                })
                .await
            }
        }
    }
}
