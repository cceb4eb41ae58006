//! Use, misuse and failures leave nothing behind. A program of its own: it measures the memory, the
//! descriptors and the tasks of the whole process, which other tests would change.

#[path = "../it/fixture.rs"]
#[allow(dead_code)] // Shared with the other tests, which use more of it.
mod fixture;

mod cuts;
mod failures;
mod level;
mod soak;

use tokio::sync::Mutex;

/// One test at a time: each measures the process.
static ALONE: Mutex<()> = Mutex::const_new(());
