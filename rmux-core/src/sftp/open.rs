//! How the channel to a session's SFTP server is opened.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmux_proto::sftp::{Extension, Extensions, Frame, Frames, Hello, Request};
use tokio::sync::mpsc;

use super::client::{Client, Way};
use super::facts::Facts;
use super::task::{Ask, Retire, Task, Waiter, how_it_ended, next, violated};
use super::tools::{EXTENSIONS, Tools};
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Channel, Stream};
use crate::session::Session;

/// How long the server may take for its first packet; its program may be slow to start.
const FIRST_LIMIT: Duration = Duration::from_secs(30);

impl Client {
    /// Opens a channel to the session's SFTP server or, where it has none, looks whether the host's
    /// own tools can do its work. `retire` is as with [`open`](Self::open).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where neither is to be had.
    ///
    /// # Cancel safety
    /// Cancel safe: the channel is let go of.
    pub(crate) async fn reach(session: &Session, retire: Retire) -> Result<Self> {
        let why = match Self::open(session, retire).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => error,
            opened => return opened,
        };
        let tools = match Tools::find(session).await {
            Ok(tools) => tools,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let what = format!("{}; and {}", why.message(), error.message());
                let neither = Error::new(ErrorKind::Unsupported, "open", what);
                return Err(neither.with_host(&session.host().name));
            }
            Err(error) => return Err(error),
        };
        let host = session.host().name.as_str().into();
        let facts = Facts::of_tools(host, Extensions::new(&EXTENSIONS), why);
        Ok(Self::new(Way::Tools(Arc::new(tools)), Arc::new(facts)))
    }

    /// Opens a channel to the session's SFTP server, which does not keep the session open. `retire`
    /// is asked now and then, while nothing is under way, whether the channel may be given up.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the server has none.
    ///
    /// # Cancel safety
    /// Cancel safe: the channel is let go of.
    pub(crate) async fn open(session: &Session, retire: Retire) -> Result<Self> {
        let host: Arc<str> = session.host().name.as_str().into();
        let channel = session.open_subsystem("sftp", Hello::client()).await?;
        let mut frames = Frames::new();
        let first = tokio::time::timeout(FIRST_LIMIT, first(&channel, &mut frames));
        let (frame, left) = match first.await {
            Ok(first) => first.map_err(|error| error.with_host(&host))?,
            Err(_) => {
                let what = format!("the SFTP server did not answer within {FIRST_LIMIT:?}");
                return Err(Error::new(ErrorKind::TimedOut, "open", what).with_host(&host));
            }
        };
        let hello =
            Hello::from_server(frame).map_err(|broken| violated(&broken).with_host(&host))?;
        let facts = Arc::new(Facts::new(host, hello.extensions));
        let (asks, receiver) = mpsc::unbounded_channel();
        if facts.extensions.has(Extension::Limits) {
            // Nobody waits for it: until it comes, what every server takes is used.
            let _ = asks.send(Ask::new(Request::Limits.encode(), Waiter::Limits, true));
        }
        let short = session.short_of_channels();
        let task = Task::new(channel, Arc::clone(&facts), frames, retire, short);
        tokio::spawn(task.run(receiver, left));
        Ok(Self::new(Way::Channel(asks), facts))
    }
}

/// The server's first packet, and what came behind it.
async fn first(channel: &Channel, frames: &mut Frames) -> Result<(Frame, Bytes)> {
    loop {
        let Some(mut piece) = next(channel, Stream::Stdout).await? else {
            let how = how_it_ended(channel, Vec::new()).await;
            let what = format!("the SFTP server ended before it answered{how}");
            return Err(Error::new(ErrorKind::Unsupported, "open", what));
        };
        if let Some(frame) = frames
            .next(&mut piece)
            .map_err(|broken| violated(&broken))?
        {
            return Ok((frame, piece));
        }
    }
}
