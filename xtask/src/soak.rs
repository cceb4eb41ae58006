//! `cargo xtask soak`: the tests of long use, which the usual tests run a part of, in full.

use std::process::Command;

use crate::project::Project;
use crate::run::{self, Failure};

/// Runs so many percent of them, and shows the figures.
pub(crate) fn run(project: &Project, percent: &str) -> Result<bool, Failure> {
    if !percent.parse::<f64>().is_ok_and(|percent| percent > 0.0) {
        return Err(format!("{percent:?} is no percentage").into());
    }
    run::run(
        Command::new("cargo")
            .args(["test", "-p", "rmux-core", "--test", "growth", "--"])
            .args(["--nocapture", "--test-threads", "1"])
            .env("RMUX_SOAK", percent)
            .current_dir(&project.root),
    )?;
    Ok(true)
}
