//! The SSH engine without rmux. It has commands only: files over it are another crate's.

use rmux_benches::bare::Bare;
use rmux_benches::{NOTHING, SINK, source};

use super::{ENDLESS, IDLE, STALLED};
use crate::protocol::{Answer, Done, Driver, Request, Target, cannot, said, timed, timed_each};

pub(super) struct Russh {
    target: Target,
    session: Option<Bare>,
    more: Vec<Bare>,
    company: Vec<rmux_benches::bare::Unread>,
    busy: tokio::task::JoinSet<()>,
}

impl Russh {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            session: None,
            more: Vec::new(),
            company: Vec::new(),
            busy: tokio::task::JoinSet::new(),
        }
    }

    async fn connect(&self, port: u16) -> Done<Bare> {
        let addr = ([127, 0, 0, 1], port).into();
        let Target {
            user, client_key, ..
        } = &self.target;
        Bare::try_connect(addr, user, client_key)
            .await
            .map_err(said)
    }

    fn session(&self) -> Done<&Bare> {
        self.session.as_ref().ok_or_else(|| "no session".to_owned())
    }
}

impl Driver for Russh {
    async fn answer(&mut self, request: Request) -> Done {
        match request {
            Request::Open { port } => {
                let start = std::time::Instant::now();
                self.session = Some(self.connect(port).await?);
                Ok(Answer::Seconds(vec![start.elapsed().as_secs_f64()]))
            }
            Request::Close => {
                timed(async {
                    self.busy.shutdown().await;
                    self.company.clear();
                    for session in self.session.take().into_iter().chain(self.more.drain(..)) {
                        session.close().await;
                    }
                    Ok(())
                })
                .await
            }
            Request::Cold { port } => {
                timed(async {
                    let session = self.connect(port).await?;
                    session.first_output("echo up").await;
                    Ok(())
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
                timed_each(count, async || match session.exec(NOTHING).await.status {
                    Some(0) => Ok(()),
                    other => Err(format!("{other:?}")),
                })
                .await
            }
            Request::Many { count } => {
                let session = self.session()?;
                timed(async {
                    let running = (0..count).map(|_| session.exec(NOTHING));
                    for ended in futures_util::future::join_all(running).await {
                        if ended.status != Some(0) {
                            return Err(format!("{:?}", ended.status));
                        }
                    }
                    Ok(())
                })
                .await
            }
            Request::Down { bytes } => {
                let session = self.session()?;
                timed(async {
                    match session.download(&source(bytes)).await {
                        length if length == bytes => Ok(()),
                        length => Err(format!("{length} bytes of {bytes}")),
                    }
                })
                .await
            }
            Request::Up { bytes } => {
                let session = self.session()?;
                timed(async {
                    session.upload(SINK, bytes).await;
                    Ok(())
                })
                .await
            }
            Request::Channels { count } => {
                for _ in 0..count {
                    let unread = self.session()?.unread(IDLE).await;
                    self.company.push(unread);
                }
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Stall => {
                let unread = self.session()?.unread(STALLED).await;
                self.company.push(unread);
                Ok(Answer::Seconds(Vec::new()))
            }
            Request::Busy => {
                let unread = self.session()?.unread(ENDLESS).await;
                self.busy.spawn(unread.drain());
                Ok(Answer::Seconds(Vec::new()))
            }
            _ => cannot("the engine has no files"),
        }
    }
}
