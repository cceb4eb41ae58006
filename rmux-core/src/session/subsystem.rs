//! A subsystem of the server for the rooms above: the bare channel, whose protocol is theirs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Session;
use super::lane::Lane;
use super::running::{Guard, Ready};
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Channel, Request};

impl Session {
    /// Asks the server for a subsystem. `first` is sent behind the request without waiting for its
    /// answer. The channel does not keep the session open.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the server has no such subsystem, or refuses it.
    ///
    /// # Cancel safety
    /// Cancel safe: the channel is let go of.
    pub(crate) async fn open_subsystem(&self, name: &str, first: Vec<u8>) -> Result<Arc<Channel>> {
        let mut ready: Ready = self.ready(false, Lane::Interactive).await?;
        for (name, value) in self.settings_env() {
            ready.prepare().tell(Request::Env {
                name: name.clone(),
                value: value.clone(),
            });
        }
        let channel = Arc::clone(&ready.run(Guard::None, Duration::ZERO).channel);
        channel.outbox().push(first.into());
        let granted = channel.ask(Request::Subsystem(name.to_owned())).await;
        let host = &self.host().name;
        match granted {
            Ok(true) => Ok(channel),
            Ok(false) => Err(Error::new(
                ErrorKind::Unsupported,
                "open",
                format!("the server has no subsystem {name:?}, or refuses it"),
            )
            .with_host(host)),
            Err(error) => Err(error.with_host(host)),
        }
    }
    /// Told when somebody waits for a channel and the server grants none: one that is only kept
    /// warm should be given up.
    pub(crate) fn short_of_channels(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.short)
    }
}
