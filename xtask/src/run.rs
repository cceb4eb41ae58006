//! Runs a program of another tool: shows what is run, and keeps what it printed where asked.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub(crate) type Failure = Box<dyn Error>;

/// Runs the command to its end with its output on ours; an error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = show(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|e| format!("cannot start `{shown}`: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{shown}` failed ({status})").into())
    }
}

/// What a test runner did.
pub(crate) struct Ran {
    pub(crate) success: bool,
    /// All of its standard output.
    pub(crate) stdout: String,
}

/// How long after a runner's end its output may stay open. Nothing but a process that it left
/// behind holds it then.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the command to its end and keeps its standard output while showing it.
pub(crate) fn run_and_keep(command: &mut Command) -> Result<Ran, Failure> {
    keep(command, GRACE)
}

fn keep(command: &mut Command, grace: Duration) -> Result<Ran, Failure> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start `{shown}`: {e}"))?;
    let lines = read_lines(child.stdout.take().ok_or("no output to read")?);
    let mut kept = Vec::new();
    let mut ours = io::stdout().lock();
    let mut ended = None;
    loop {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => {
                ours.write_all(&line)?;
                ours.flush()?;
                kept.extend(line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if ended.is_none() => {
                ended = child.try_wait()?.map(|_| Instant::now());
            }
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_some_and(|at| at.elapsed() > grace) {
                    return Err(
                        format!("`{shown}` left a process behind that holds its output").into(),
                    );
                }
            }
        }
    }
    Ok(Ran {
        success: child.wait()?.success(),
        stdout: String::from_utf8_lossy(&kept).into_owned(),
    })
}

/// The lines of a stream, from a thread that ends with it.
fn read_lines(stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    receiver
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    let shown = words.join(" ");
    eprintln!("+ {shown}");
    shown
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_kept_and_failure_is_seen() {
        let ran = run_and_keep(&mut sh("echo one; echo two; exit 3")).unwrap();
        assert_eq!(ran.stdout, "one\ntwo\n");
        assert!(!ran.success);
        assert!(run(&mut sh("exit 0")).is_ok());
        assert!(run(&mut sh("exit 1")).is_err());
    }

    #[test]
    fn a_process_left_behind_is_a_failure() {
        let left = keep(&mut sh("sleep 3 & echo one"), Duration::from_millis(300));
        assert!(left.is_err_and(|e| e.to_string().contains("left a process behind")));
    }
}
