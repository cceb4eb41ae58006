//! Standard output, standard error and the progress bar, which only one thread writes: so that a line
//! is whole, the bar is below them, and a question on the terminal is not written over.
//!
//! Must not know what the text says.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{mpsc, oneshot};

use crate::gate;

/// Texts between the thread and the other side.
const QUEUE: usize = 16;

/// Which of our streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    Out,
    Err,
}

/// What the thread is told.
enum Told {
    Text(Stream, Vec<u8>),
    /// So many hosts are done, and so many of them failed.
    Progress(usize, usize),
}

/// Writes, in a thread of its own.
#[derive(Debug)]
pub(super) struct Screen {
    told: mpsc::Sender<Told>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Screen {
    /// With a bar for so many hosts, where standard error is a terminal and `bar` says so.
    pub(super) fn start(hosts: usize, bar: bool) -> Self {
        let (told, received) = mpsc::channel(QUEUE);
        let (end, ended) = oneshot::channel();
        let bar = (bar && io::stderr().is_terminal()).then(|| progress_bar(hosts));
        if let Some(bar) = &bar {
            gate::show(bar.clone());
        }
        std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                let outcome = write_all(received, bar.as_ref());
                gate::clear();
                let _ = end.send(outcome);
            })
            .expect("the system has room for a thread");
        Self { told, ended }
    }

    /// Gives a text to write; waits while earlier ones are not written. False where nobody reads
    /// any more.
    pub(super) async fn write(&self, stream: Stream, text: Vec<u8>) -> bool {
        text.is_empty() || self.told.send(Told::Text(stream, text)).await.is_ok()
    }

    /// Shows how far all is.
    pub(super) async fn progress(&self, done: usize, failed: usize) {
        let _ = self.told.send(Told::Progress(done, failed)).await;
    }

    /// Waits until all is written and the bar is gone.
    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.told);
        self.ended
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the writing thread ended early")))
    }
}

fn progress_bar(hosts: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} hosts{msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(hosts as u64).with_style(style);
    bar.tick();
    bar
}

fn write_all(mut received: mpsc::Receiver<Told>, bar: Option<&ProgressBar>) -> io::Result<()> {
    while let Some(told) = received.blocking_recv() {
        gate::wait();
        match (told, bar) {
            (Told::Text(stream, text), Some(bar)) => bar.suspend(|| write(stream, &text))?,
            (Told::Text(stream, text), None) => write(stream, &text)?,
            (Told::Progress(done, failed), Some(bar)) => {
                if failed > 0 {
                    bar.set_message(format!(", {failed} failed"));
                }
                bar.set_position(done as u64);
            }
            (Told::Progress(..), None) => {}
        }
    }
    Ok(())
}

fn write(stream: Stream, text: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Out => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text)?;
            stdout.flush()
        }
        Stream::Err => io::stderr().write_all(text),
    }
}
