//! A channel on its way from the driver to a command, and while the command runs.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::driver::Message;
use super::exit::Signal;
use crate::link::{Channel, Request};

/// A channel nothing runs on yet. Dropping it gives it back to the driver, unless anything was sent
/// on it: what one command set must not reach the next.
pub(super) struct Ready {
    channel: Option<Channel>,
    used: bool,
    promise: Option<Arc<()>>,
    home: mpsc::WeakUnboundedSender<Message>,
}

impl Ready {
    /// `promise` tells the driver, as long as it is held, that a command to guard may run on it.
    pub(super) fn new(
        channel: Channel,
        promise: Option<Arc<()>>,
        home: mpsc::WeakUnboundedSender<Message>,
    ) -> Self {
        Self {
            channel: Some(channel),
            used: false,
            promise,
            home,
        }
    }

    /// The channel, to prepare it for one command.
    pub(super) fn prepare(&mut self) -> &Channel {
        self.used = true;
        self.channel
            .as_ref()
            .expect("taken only by those who consume self")
    }

    /// Takes the channel to run something on it.
    pub(super) fn run(mut self, guard: Guard) -> Running {
        let home = self.home.clone();
        let promise = self.promise.take();
        let channel = Arc::new(self.take());
        channel.set_kill_on_drop(guard != Guard::None);
        if guard != Guard::None
            && let Some(home) = home.upgrade()
        {
            // The promise ends where the driver knows the command itself.
            let _ = home.send(Message::Guard(Arc::downgrade(&channel), promise));
        }
        Running {
            channel,
            guard,
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
            && !self.used
            && let Some(home) = self.home.upgrade()
        {
            let _ = home.send(Message::Return(channel));
        }
    }
}

/// Whether a command must end with its child, and how it can be reached for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// It may go on.
    None,
    /// By the channel: by the `signal` request, or by hanging its terminal up.
    Channel,
    /// By its process group too, whose id a wrapper tells.
    Group,
}

/// A channel that a command runs on, or is about to.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) channel: Arc<Channel>,
    guard: Guard,
    home: mpsc::WeakUnboundedSender<Message>,
}

impl Running {
    /// Whether a wrapper tells its process group.
    pub(super) fn is_guarded_by_group(&self) -> bool {
        self.guard == Guard::Group
    }

    /// Signals the command's group where its id is told, else asks the server to.
    pub(super) fn signal(&self, signal: &Signal) {
        match self.home.upgrade() {
            Some(home) if self.guard == Guard::Group => {
                let channel = Arc::clone(&self.channel);
                let _ = home.send(Message::Signal(channel, signal.clone()));
            }
            _ => self.channel.tell(Request::Signal(signal.name().to_owned())),
        }
    }

    /// Kills the command: both ways, since the second `KILL` does no harm.
    pub(super) fn kill(&self) {
        self.channel.tell(Request::Signal(Signal::KILL.to_owned()));
        if self.guard == Guard::Group {
            self.signal(&Signal::kill());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.guard != Guard::None && !self.channel.inbox().is_over() {
            self.kill();
        }
    }
}
