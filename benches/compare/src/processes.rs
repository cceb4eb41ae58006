//! What the processes of a driver hold in memory, as Linux tells it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// The memory of a process and all below it, in KiB: each page that several share counted in shares. Also
/// of those that name `folder` in their arguments: masters of `ssh` that went into the background.
pub(crate) fn held(pid: u32, folder: &Path) -> Option<f64> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let mut below: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut left = vec![pid];
    for entry in fs::read_dir("/proc").ok()? {
        let Some(pid) = entry
            .ok()
            .and_then(|entry| entry.file_name().to_str()?.parse().ok())
        else {
            continue;
        };
        if let Some(parent) = parent(pid) {
            below.entry(parent).or_default().push(pid);
        }
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if arguments.windows(folder.len()).any(|part| part == folder) {
            left.push(pid);
        }
    }
    let mut counted = HashSet::new();
    let mut sum = 0.0;
    while let Some(pid) = left.pop() {
        if !counted.insert(pid) {
            continue;
        }
        // What has ended meanwhile holds nothing.
        sum += field(&format!("/proc/{pid}/smaps_rollup"), "Pss:").unwrap_or(0.0);
        left.extend(below.remove(&pid).unwrap_or_default());
    }
    Some(sum)
}

/// From now on [`peak`] is that of what follows.
pub(crate) fn forget_peak(pid: u32) {
    // Where that cannot be, the peak is too high, which is noticed.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The most that the process itself has held, in KiB.
pub(crate) fn peak(pid: u32) -> Option<f64> {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// What it holds now, in KiB.
pub(crate) fn resident(pid: u32) -> Option<f64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may hold anything, and ends at the last bracket.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn field(path: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
