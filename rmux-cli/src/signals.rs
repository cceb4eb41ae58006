//! The signals that end rmux, and the one that tells of a new window size.
//!
//! A signal that was ignored when rmux was started (`nohup`, a background job of a script) stays
//! ignored, where the system tells (Linux). Must not know what is done about them.

use std::io;
use std::task::Poll;
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// One signal, as often as it comes.
pub(crate) use tokio::signal::unix::Signal as Received;

const ENDING: [SignalKind; 4] = [
    SignalKind::hangup(),
    SignalKind::interrupt(),
    SignalKind::quit(),
    SignalKind::terminate(),
];

/// Listens to the signals that end rmux. They have no effect of their own any more.
#[derive(Debug)]
pub(crate) struct Endings(Vec<(SignalKind, Signals)>);

impl Endings {
    /// Begins to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        ENDING
            .into_iter()
            .filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0)
            .map(|kind| Ok((kind, signal(kind)?)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The next of them. Cancel safe.
    pub(crate) async fn next(&mut self) -> SignalKind {
        std::future::poll_fn(|context| {
            for (kind, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*kind);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Tells of new window sizes.
pub(crate) fn window_changes() -> io::Result<Signals> {
    signal(SignalKind::window_change())
}

/// Stops this process, as the key for it does at a shell, and returns when it is continued. Where
/// nobody could continue it, the system does not stop it.
///
/// Cancel safe in that nothing is left behind.
pub(crate) async fn stop_self() {
    let continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()));
    if rustix::process::kill_process(rustix::process::getpid(), Signal::TSTP).is_err() {
        return;
    }
    // The stop may come a moment after the call; once it came, this task goes on when it is over.
    let moment = tokio::time::sleep(Duration::from_millis(200));
    match continued {
        Ok(mut continued) => {
            tokio::select! {
                _ = continued.recv() => {}
                () = moment => {}
            }
        }
        Err(_) => moment.await,
    }
}

/// Ends this process as the signal would have.
pub(crate) fn die_by(kind: SignalKind) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(kind.as_raw_value());
    // Not reached: all of the signals above end a process.
    std::process::exit(128 + kind.as_raw_value());
}

/// A bit for each ignored signal, signal 1 lowest.
fn ignored() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let mask = status
                .lines()
                .find_map(|line| line.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        })
        .unwrap_or(0)
}
