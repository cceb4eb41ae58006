//! The thread that brings results and events to Python.
//!
//! The runtime's threads never wait for the interpreter's lock, which would stall every session:
//! they put what Python shall see into a queue, and a thread of ours delivers it. What it runs only
//! passes something on and returns at once; the program's own code never runs here.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use pyo3::prelude::*;

/// One thing to do in Python.
type Job = Box<dyn FnOnce(Python<'_>) + Send>;

enum State {
    Unused,
    Running(Sender<Job>, JoinHandle<()>),
    Stopped,
}

static STATE: Mutex<State> = Mutex::new(State::Unused);

/// The process that the thread is in, or 0. A fork has a copy of the state, which may be locked for
/// ever, and no thread.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Runs `job` in Python, after those before it. Never waits. When the interpreter ends, nothing is
/// run any more.
pub(crate) fn deliver(job: impl FnOnce(Python<'_>) + Send + 'static) {
    let mut state = state();
    if matches!(*state, State::Unused) {
        *state = start();
    }
    if let State::Running(queue, _) = &*state {
        // An error means that the thread has seen the interpreter end.
        let _ = queue.send(Box::new(job));
    }
}

/// Whether nothing is delivered any more.
pub(crate) fn is_stopped() -> bool {
    matches!(*state(), State::Stopped)
}

/// Delivers what is in the queue, and then nothing any more. To be called while the interpreter is
/// whole: Python ends the threads that still run in it in a way that Rust cannot survive.
#[pyfunction]
pub(crate) fn stop_delivery(py: Python<'_>) {
    if ![0, std::process::id()].contains(&PROCESS.load(Ordering::Relaxed)) {
        return;
    }
    py.detach(|| {
        let before = std::mem::replace(&mut *state(), State::Stopped);
        if let State::Running(queue, thread) = before {
            drop(queue);
            let _ = thread.join();
        }
    });
}

fn start() -> State {
    let (queue, jobs) = channel::<Job>();
    let thread = std::thread::Builder::new().name("rmux-python".into());
    let started = thread.spawn(move || {
        while let Ok(job) = jobs.recv() {
            let delivered = Python::try_attach(|py| {
                job(py);
                // What has come meanwhile goes with it, as getting the lock is what costs.
                for job in jobs.try_iter() {
                    job(py);
                }
            });
            if delivered.is_none() {
                return;
            }
        }
    });
    match started {
        Ok(thread) => {
            PROCESS.store(std::process::id(), Ordering::Relaxed);
            State::Running(queue, thread)
        }
        // The process may have no more threads; the next job tries again.
        Err(_) => State::Unused,
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|e| e.into_inner())
}
