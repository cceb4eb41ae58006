//! What the comparison asks of a peer's driver, and what the driver answers: one line of JSON each.
//!
//! A driver is a process, one for each peer, so that peers of all languages take turns in one run. It
//! takes the time itself: what the lines cost is in no sample. Must not know any peer.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Where a driver connects to, and as whom. It is told by a variable: it never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) user: String,
    pub(crate) client_key: PathBuf,
    /// Has a line for each of the ports.
    pub(crate) known_hosts: PathBuf,
    /// A folder for what a driver has to keep, with a short path.
    pub(crate) folder: PathBuf,
}

/// The variable with a [`Target`] as JSON.
pub(crate) const TARGET: &str = "RMUX_COMPARE_TARGET";

/// What a driver does. All but the first four use the session that is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Opens the session. Its time counts.
    Open { port: u16 },
    /// Closes it, and what goes on in it.
    Close,
    /// From nothing to the first output of a command; what is left is put away behind the sample.
    Cold { port: u16 },
    /// Opens so many more sessions, which stay until [`Close`](Self::Close).
    Sessions { port: u16, count: usize },
    /// One command after the other, a sample each.
    Exec { count: usize },
    /// So many at once: one sample, to the end of the last.
    Many { count: usize },
    /// Reads so many bytes of a command's output.
    Down { bytes: u64 },
    /// Writes so many bytes to a command's input.
    Up { bytes: u64 },
    /// Starts so many commands that do nothing, which stay until [`Close`](Self::Close).
    Channels { count: usize },
    /// Starts a command whose output nobody reads, until [`Close`](Self::Close).
    Stall,
    /// Starts a command whose output is read as fast as it comes, until [`Close`](Self::Close).
    Busy,
    /// Puts a local file.
    Put { local: PathBuf, remote: PathBuf },
    /// Gets a file.
    Get { remote: PathBuf, local: PathBuf },
    /// Puts a directory of files as the peer's users do, to a new name.
    PutTree { local: PathBuf, remote: PathBuf },
    /// Gets a directory of files as the peer's users do, to a new name.
    GetTree { remote: PathBuf, local: PathBuf },
    /// Puts the files of a directory one after the other, into one that is there.
    PutEach { local: PathBuf, remote: PathBuf },
    /// Gets the files that a local directory names, one after the other.
    GetEach { remote: PathBuf, local: PathBuf },
    /// Reads a small file into memory, so many times, a sample each.
    Read { remote: PathBuf, count: usize },
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// What it took, in seconds.
    Seconds(Vec<f64>),
    /// The peer has nothing for it, and why.
    Cannot(String),
    Failed(String),
}

/// What a driver's methods give. The error is the message.
pub(crate) type Done<T = Answer> = Result<T, String>;

/// The message of an error.
pub(crate) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Takes the time of `work`, once.
pub(crate) async fn timed(work: impl Future<Output = Done<()>>) -> Done {
    let start = Instant::now();
    work.await?;
    Ok(Answer::Seconds(vec![start.elapsed().as_secs_f64()]))
}

/// Takes the time of `work`, so many times.
pub(crate) async fn timed_each(count: usize, mut work: impl AsyncFnMut() -> Done<()>) -> Done {
    let mut seconds = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        work().await?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(Answer::Seconds(seconds))
}

/// The answer to what the peer has nothing for.
pub(crate) fn cannot(why: &str) -> Done {
    Ok(Answer::Cannot(why.to_owned()))
}

/// One peer.
pub(crate) trait Driver {
    async fn answer(&mut self, request: Request) -> Done;
}

/// Answers until standard input ends.
pub(crate) async fn serve(mut driver: impl Driver) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = match serde_json::from_str(&line) {
            // Between the lines the runtime goes on with its other threads.
            Ok(request) => driver.answer(request).await.unwrap_or_else(Answer::Failed),
            Err(error) => Answer::Failed(said(error)),
        };
        let line = serde_json::to_string(&answer).expect("an answer is JSON");
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{line}")
            .and_then(|()| stdout.flush())
            .is_err()
        {
            break;
        }
    }
    // Some leave processes behind that nobody is the parent of.
    let _ = driver.answer(Request::Close).await;
}

/// The target that this driver was told.
pub(crate) fn target() -> Target {
    let told = std::env::var(TARGET).unwrap_or_default();
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{TARGET} is no target: {error}"))
}
