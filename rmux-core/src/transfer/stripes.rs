//! Further channels for long files on their way to a server that is far away.
//!
//! A server takes only a window of each channel ahead, OpenSSH two mebibytes: over a long link a channel
//! moves that much in a round trip, however wide the link is. So a long file is written over several.
//! They take no part in what the file is called and when: that is the first channel's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use rmux_proto::sftp::{Attributes, FileType, OpenFlags};

use crate::session::Session;
use crate::sftp::{Client, Failed, Handle};

/// Up to this round trip the server is what binds, or this machine.
const NEAR: Duration = Duration::from_millis(5);
/// From this length on they are worth their opening, which takes some three round trips: eight windows.
const WORTH: u64 = 16 << 20;
/// How many there are beside the first. Servers grant ten channels unless somebody chose otherwise, and
/// others want some too.
const MOST: usize = 5;

type Opening = Shared<BoxFuture<'static, Option<Client>>>;

/// The further channels of a transfer, for all its files. They are let go of when it is dropped.
#[derive(Clone, Default)]
pub(super) struct Further(Arc<Mutex<Vec<Opening>>>);

impl fmt::Debug for Further {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Further").finish_non_exhaustive()
    }
}

impl Further {
    /// Opens `path` over each of the channels, if a file of that length is worth it. What cannot be
    /// opened, or not yet, is done without.
    pub(super) fn stripes(
        &self,
        session: &Session,
        first: &Client,
        path: &[u8],
        length: u64,
    ) -> Stripes {
        let opening = FuturesUnordered::new();
        if length >= WORTH && first.round_trip().is_some_and(|it| it > NEAR) {
            let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if channels.is_empty() {
                channels.extend((0..MOST).map(|_| channel(session.clone())));
            }
            for channel in channels.iter() {
                opening.push(stripe(channel.clone(), path.to_vec()).boxed());
            }
        }
        Stripes {
            open: Vec::new(),
            opening,
        }
    }
}

fn channel(session: Session) -> Opening {
    let opening = async move {
        // Nobody keeps it beyond the transfer.
        Client::open(&session, Box::new(|| false)).await.ok()
    };
    opening.boxed().shared()
}

async fn stripe(channel: Opening, path: Vec<u8>) -> Option<Stripe> {
    let client = channel.await?;
    let known = client.lstat(&path);
    let opening = client.open_file(&path, OpenFlags::WRITE, Attributes::default());
    let (known, handle) = (known.await.ok()?, opening.await.ok()?);
    // Nothing else has taken its name.
    (known.file_type() == Some(FileType::File)).then_some(Stripe {
        client,
        handle,
        bytes: 0,
    })
}

/// A file that is open over one further channel.
pub(super) struct Stripe {
    pub(super) client: Client,
    pub(super) handle: Handle,
    /// How much is under way.
    pub(super) bytes: usize,
}

/// A file that is open over further channels.
pub(super) struct Stripes {
    pub(super) open: Vec<Stripe>,
    opening: FuturesUnordered<BoxFuture<'static, Option<Stripe>>>,
}

impl Stripes {
    /// Waits until there is one more; for ever where none comes.
    pub(super) async fn more(&mut self) {
        while let Some(opened) = self.opening.next().await {
            if let Some(stripe) = opened {
                self.open.push(stripe);
                return;
            }
        }
        std::future::pending().await
    }

    /// Closes all, and learns whether that went well. Nothing may be under way.
    pub(super) async fn close(&mut self) -> Result<(), Failed> {
        self.opening.clear();
        let closing: Vec<_> = self.open.drain(..).map(|it| it.handle.close()).collect();
        for closed in closing {
            closed.await?;
        }
        Ok(())
    }
}
