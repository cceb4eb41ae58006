//! The `openssh` crate, which speaks to an OpenSSH master, and `openssh-sftp-client` over it.

use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use openssh::{Child, KnownHosts, Session, SessionBuilder, Stdio};
use openssh_sftp_client::{Sftp, SftpOptions, file::TokioCompatFile};
use rmux_benches::{NOTHING, PIECE, SINK, source};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::{ENDLESS, IDLE, STALLED, beside, files_of};
use crate::protocol::{Answer, Done, Driver, Request, Target, said, timed, timed_each};

/// How many files of a tree are under way at once: the crate has nothing for trees of its own.
const AT_ONCE: usize = 64;

pub(super) struct Through {
    target: Target,
    session: Option<Arc<Session>>,
    sftp: Option<Arc<Sftp>>,
    more: Vec<Session>,
    children: Vec<Child<Arc<Session>>>,
    company: JoinSet<()>,
}

impl Through {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            session: None,
            sftp: None,
            more: Vec::new(),
            children: Vec::new(),
            company: JoinSet::new(),
        }
    }

    async fn connect(&self, port: u16) -> Done<Session> {
        let mut builder = SessionBuilder::default();
        builder
            .user(self.target.user.clone())
            .port(port)
            .keyfile(&self.target.client_key)
            .known_hosts_check(KnownHosts::Strict)
            .user_known_hosts_file(&self.target.known_hosts)
            .control_directory(&self.target.folder)
            .config_file("/dev/null");
        builder.connect_mux("127.0.0.1").await.map_err(whole)
    }

    fn session(&self) -> Done<Arc<Session>> {
        self.session.clone().ok_or_else(|| "no session".to_owned())
    }

    /// The SFTP client, opened at the first use and kept, as rmux keeps its own.
    async fn sftp(&mut self) -> Done<Arc<Sftp>> {
        if self.sftp.is_none() {
            let session = self.session()?;
            let options = SftpOptions::default();
            let opened = Sftp::from_clonable_session(session, options).await;
            self.sftp = Some(Arc::new(opened.map_err(said)?));
        }
        self.sftp.clone().ok_or_else(|| "no session".to_owned())
    }

    async fn start(&self, line: &str) -> Done<Child<Arc<Session>>> {
        let mut command = self.session()?.arc_raw_command(line);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().await.map_err(whole)
    }

    async fn close(&mut self) -> Done<()> {
        self.company.shutdown().await;
        for child in self.children.drain(..) {
            let _ = child.disconnect().await;
        }
        if let Some(sftp) = self.sftp.take().and_then(Arc::into_inner) {
            sftp.close().await.map_err(said)?;
        }
        if let Some(session) = self.session.take().and_then(Arc::into_inner) {
            session.close().await.map_err(whole)?;
        }
        for session in self.more.drain(..) {
            session.close().await.map_err(whole)?;
        }
        Ok(())
    }
}

/// The error with what is behind it.
fn whole(error: openssh::Error) -> String {
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

async fn exec(session: &Arc<Session>) -> Done<()> {
    let mut command = Arc::clone(session).arc_raw_command(NOTHING);
    command.stdin(Stdio::null());
    match command.output().await.map_err(whole)?.status.success() {
        true => Ok(()),
        false => Err("it failed".to_owned()),
    }
}

async fn put(sftp: &Sftp, local: &Path, remote: &Path) -> Done<()> {
    let file = sftp.create(remote).await.map_err(said)?;
    let mut writer = Box::pin(TokioCompatFile::new(file));
    let mut reader = tokio::fs::File::open(local).await.map_err(said)?;
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece).await.map_err(said)? {
            0 => break,
            length => writer.write_all(&piece[..length]).await.map_err(said)?,
        }
    }
    writer.flush().await.map_err(said)?;
    writer.shutdown().await.map_err(said)
}

async fn get(sftp: &Sftp, remote: &Path, local: &Path) -> Done<()> {
    let file = sftp.open(remote).await.map_err(said)?;
    let mut reader = Box::pin(TokioCompatFile::new(file));
    let mut writer = tokio::fs::File::create(local).await.map_err(said)?;
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece).await.map_err(said)? {
            0 => break,
            length => writer.write_all(&piece[..length]).await.map_err(said)?,
        }
    }
    writer.flush().await.map_err(said)
}

/// Runs `work` on each name, so many at once.
async fn each<T, F>(items: Vec<T>, work: impl Fn(T) -> F) -> Done<()>
where
    F: Future<Output = Done<()>>,
{
    use futures_util::{StreamExt as _, TryStreamExt as _};
    let running = futures_util::stream::iter(items).map(work);
    running.buffer_unordered(AT_ONCE).try_collect().await
}

impl Driver for Through {
    async fn answer(&mut self, request: Request) -> Done {
        match request {
            Request::Open { port } => {
                let start = std::time::Instant::now();
                self.session = Some(Arc::new(self.connect(port).await?));
                Ok(Answer::Seconds(vec![start.elapsed().as_secs_f64()]))
            }
            Request::Close => timed(self.close()).await,
            Request::Cold { port } => {
                let start = std::time::Instant::now();
                self.session = Some(Arc::new(self.connect(port).await?));
                let mut child = self.start("echo up").await?;
                let stdout = child.stdout().as_mut().ok_or("no output")?;
                stdout.read_u8().await.map_err(said)?;
                let took = start.elapsed().as_secs_f64();
                child.wait().await.map_err(whole)?;
                self.close().await?;
                Ok(Answer::Seconds(vec![took]))
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
            Request::Many { count } => {
                let session = self.session()?;
                timed(async {
                    let running = (0..count).map(|_| exec(&session));
                    let ended = futures_util::future::try_join_all(running).await;
                    ended.map(drop)
                })
                .await
            }
            Request::Down { bytes } => {
                timed(async {
                    let mut child = self.start(&source(bytes)).await?;
                    let mut stdout = child.stdout().take().ok_or("no output")?;
                    let (mut piece, mut length) = (BytesMut::with_capacity(PIECE), 0);
                    loop {
                        piece.clear();
                        match stdout.read_buf(&mut piece).await.map_err(said)? {
                            0 => break,
                            more => length += more as u64,
                        }
                    }
                    child.wait().await.map_err(whole)?;
                    match length == bytes {
                        true => Ok(()),
                        false => Err(format!("{length} bytes of {bytes}")),
                    }
                })
                .await
            }
            Request::Up { bytes } => {
                let mut command = self.session()?.arc_raw_command(SINK);
                command.stdin(Stdio::piped());
                timed(async {
                    let mut child = command.spawn().await.map_err(whole)?;
                    let mut stdin = child.stdin().take().ok_or("no input")?;
                    let piece = vec![0; PIECE];
                    let mut rest = bytes;
                    while rest > 0 {
                        let part = &piece[..rest.min(PIECE as u64) as usize];
                        stdin.write_all(part).await.map_err(said)?;
                        rest -= part.len() as u64;
                    }
                    drop(stdin);
                    child.wait().await.map(drop).map_err(whole)
                })
                .await
            }
            Request::Channels { count } => {
                for _ in 0..count {
                    let child = self.start(IDLE).await?;
                    self.children.push(child);
                }
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Stall => {
                let child = self.start(STALLED).await?;
                self.children.push(child);
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Busy => {
                let mut child = self.start(ENDLESS).await?;
                let mut stdout = child.stdout().take().ok_or("no output")?;
                self.children.push(child);
                self.company.spawn(async move {
                    let mut piece = vec![0; PIECE];
                    while stdout.read(&mut piece).await.is_ok_and(|length| length > 0) {}
                });
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Put { local, remote } => {
                let sftp = self.sftp().await?;
                timed(put(&sftp, &local, &remote)).await
            }
            Request::Get { remote, local } => {
                let sftp = self.sftp().await?;
                timed(get(&sftp, &remote, &local)).await
            }
            Request::PutTree { local, remote } => {
                let sftp = self.sftp().await?;
                timed(async {
                    sftp.fs().create_dir(&remote).await.map_err(said)?;
                    each(files_of(&local)?, |file| {
                        let (sftp, to) = (&sftp, beside(&file, &remote));
                        async move { put(sftp, &file, &to).await }
                    })
                    .await
                })
                .await
            }
            Request::GetTree { remote, local } => {
                let sftp = self.sftp().await?;
                timed(async {
                    use futures_util::StreamExt as _;
                    std::fs::create_dir(&local).map_err(said)?;
                    let directory = sftp.fs().open_dir(&remote).await.map_err(said)?;
                    let mut entries = Box::pin(directory.read_dir());
                    let mut names = Vec::new();
                    while let Some(entry) = entries.next().await {
                        let name = entry.map_err(said)?.filename().to_owned();
                        if name.as_os_str() != "." && name.as_os_str() != ".." {
                            names.push(name);
                        }
                    }
                    each(names, |name| {
                        let (sftp, from, to) = (&sftp, remote.join(&name), local.join(&name));
                        async move { get(sftp, &from, &to).await }
                    })
                    .await
                })
                .await
            }
            Request::PutEach { local, remote } => {
                let sftp = self.sftp().await?;
                timed(async {
                    for file in files_of(&local)? {
                        put(&sftp, &file, &beside(&file, &remote)).await?;
                    }
                    Ok(())
                })
                .await
            }
            Request::GetEach { remote, local } => {
                let sftp = self.sftp().await?;
                timed(async {
                    for file in files_of(&local)? {
                        get(&sftp, &beside(&file, &remote), &file).await?;
                    }
                    Ok(())
                })
                .await
            }
            Request::Read { remote, count } => {
                let sftp = self.sftp().await?;
                timed_each(count, async || {
                    sftp.fs().read(&remote).await.map(drop).map_err(said)
                })
                .await
            }
        }
    }
}
