//! A channel on its way from the driver to a command, and while the command runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::context::Turn;
use super::driver::Message;
use super::exit::Signal;
use super::member::{Home, LinkId};
use super::stop::Stop;
use crate::error::RemoteEnd;
use crate::link::{Channel, Ending, Request};

/// A channel nothing runs on yet. Dropping it gives it back to the driver, unless anything was sent
/// on it: what one command set must not reach the next.
pub(super) struct Ready {
    channel: Option<Channel>,
    link: LinkId,
    used: bool,
    promise: Option<Arc<()>>,
    told: Option<oneshot::Sender<RemoteEnd>>,
    /// For a command in a context.
    pub(super) turn: Option<Turn>,
    home: Home,
}

impl Ready {
    /// `promise` tells the driver, as long as it is held, that a command to guard may run on it.
    pub(super) fn new(
        channel: Channel,
        link: LinkId,
        promise: Option<Arc<()>>,
        home: Home,
    ) -> Self {
        Self {
            channel: Some(channel),
            link,
            used: false,
            promise,
            told: None,
            turn: None,
            home,
        }
    }

    /// What becomes of the command when it must be ended because its starter gave up: nothing
    /// comes where it was not begun.
    pub(super) fn hear_of_end(&mut self) -> oneshot::Receiver<RemoteEnd> {
        let (told, hears) = oneshot::channel();
        self.told = Some(told);
        hears
    }

    /// The channel, to prepare it for one command.
    pub(super) fn prepare(&mut self) -> &Channel {
        self.used = true;
        self.channel
            .as_ref()
            .expect("taken only by those who consume self")
    }

    /// Takes the channel to run something on it, which has this long to end where it is guarded.
    pub(super) fn run(mut self, guard: Guard, grace: Duration) -> Running {
        let (link, home) = (self.link, self.home.clone());
        let (promise, told) = (self.promise.take(), self.told.take());
        let channel = Arc::new(self.take());
        if guard != Guard::None {
            channel.end_on_drop(guard.ending(grace));
        }
        if guard != Guard::None
            && let Some(home) = home.upgrade()
        {
            // The promise ends where the driver knows the command itself.
            let _ = home.send(Message::Guard(link, Arc::downgrade(&channel), promise));
        }
        Running {
            channel,
            link,
            guard,
            grace,
            told,
            stopping: AtomicBool::new(false),
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
            let _ = home.send(Message::Return(self.link, channel));
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

impl Guard {
    /// How the channel ends the command: it asks where the group cannot be asked.
    fn ending(self, grace: Duration) -> Ending {
        Ending {
            grace,
            ask: self != Self::Group,
        }
    }
}

/// A channel that a command runs on, or is about to.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) channel: Arc<Channel>,
    link: LinkId,
    guard: Guard,
    /// How long it may take to end when it is dropped.
    grace: Duration,
    /// Who wants to hear what comes of ending it by dropping this.
    told: Option<oneshot::Sender<RemoteEnd>>,
    stopping: AtomicBool,
    home: Home,
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
                let _ = home.send(Message::Signal(self.link, channel, signal.clone()));
            }
            _ => self.channel.tell(Request::Signal(signal.name().to_owned())),
        }
    }

    /// How long it may take to end when it is dropped.
    pub(super) fn grace(&self) -> Duration {
        self.grace
    }

    /// Ends the command: asks it to, and kills it when the grace has passed. What is returned hears
    /// whether its group is gone.
    pub(super) fn stop(&self, grace: Duration) -> oneshot::Receiver<RemoteEnd> {
        let (told, hears) = oneshot::channel();
        self.stop_and_tell(grace, told);
        hears
    }

    fn stop_and_tell(&self, grace: Duration, told: oneshot::Sender<RemoteEnd>) {
        self.stopping.store(true, Ordering::Relaxed);
        let over = self.channel.inbox().is_over();
        if !over {
            self.channel.stop(self.guard.ending(grace));
        }
        if self.guard == Guard::Group
            && let Some(home) = self.home.upgrade()
        {
            let channel = Arc::clone(&self.channel);
            // One that has ended is not signalled: its id may be another one's by now.
            let grace = (!over).then_some(grace);
            let _ = home.send(Message::Stop(self.link, channel, Stop { grace, told }));
        } else {
            let _ = told.send(RemoteEnd::Unconfirmed);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let left = self.guard != Guard::None && !self.channel.inbox().is_over();
        if left && !self.stopping.load(Ordering::Relaxed) {
            let told = self.told.take().unwrap_or_else(|| oneshot::channel().0);
            self.stop_and_tell(self.grace, told);
        }
    }
}
