//! A channel on its way from the driver to a command, and while the command runs.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::driver::Message;
use super::exit::Signal;
use crate::link::{Channel, Request};

/// A channel nothing runs on yet. Dropping it gives it back to the driver.
pub(super) struct Ready {
    channel: Option<Channel>,
    home: mpsc::WeakUnboundedSender<Message>,
}

impl Ready {
    pub(super) fn new(channel: Channel, home: mpsc::WeakUnboundedSender<Message>) -> Self {
        Self {
            channel: Some(channel),
            home,
        }
    }

    pub(super) fn channel(&self) -> &Channel {
        self.channel
            .as_ref()
            .expect("taken only by those who consume self")
    }

    /// Takes the channel to run something on it. With `kill`, what runs ends with the guard.
    pub(super) fn run(mut self, kill: bool) -> Running {
        let home = self.home.clone();
        let mut channel = self.take();
        channel.set_kill_on_drop(kill);
        if kill && let Some(home) = home.upgrade() {
            let _ = home.send(Message::Guard(channel.inbox().clone()));
        }
        Running {
            channel: Arc::new(channel),
            kill,
            home,
        }
    }

    /// The channel itself, for the driver.
    pub(super) fn take_back(mut self) -> Channel {
        self.take()
    }

    fn take(&mut self) -> Channel {
        self.channel
            .take()
            .expect("taken only by those who consume self")
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take()
            && let Some(home) = self.home.upgrade()
        {
            let _ = home.send(Message::Return(channel));
        }
    }
}

/// A channel that a command runs on, or is about to.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) channel: Arc<Channel>,
    kill: bool,
    home: mpsc::WeakUnboundedSender<Message>,
}

impl Running {
    /// Signals the command's group where it tells its process id, else asks the server to.
    pub(super) fn signal(&self, signal: &Signal) {
        match self.home.upgrade() {
            Some(home) if self.kill => {
                let inbox = self.channel.inbox().clone();
                let _ = home.send(Message::Signal(inbox, signal.clone()));
            }
            _ => self.channel.tell(Request::Signal(signal.name().to_owned())),
        }
    }

    /// Kills the command: both ways, since the second `KILL` does no harm.
    pub(super) fn kill(&self) {
        self.channel.tell(Request::Signal(Signal::KILL.to_owned()));
        self.signal(&Signal::kill());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.kill && !self.channel.inbox().has_exited() {
            self.kill();
        }
    }
}
