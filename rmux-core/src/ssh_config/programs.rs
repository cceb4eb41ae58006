//! Runs the programs that a configuration asks for, each within a limit of time.
//!
//! Knows processes and no configuration.

use std::io::{self, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a running program is looked at. Most end at once, so the first looks come sooner.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Runs a program without input and output and waits for its end.
pub(super) fn status(command: &mut Command, limit: Duration) -> io::Result<ExitStatus> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    wait(&mut child, limit)
}

/// Runs a program without input and gives what it prints, which must be short: a program that
/// fills its pipe is ended at the limit.
pub(super) fn output(command: &mut Command, limit: Duration) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let status = wait(&mut child, limit)?;
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(1 << 16).read_to_end(&mut printed)?;
    }
    Ok((status, printed))
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            let message = format!("it did not end within {limit:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
