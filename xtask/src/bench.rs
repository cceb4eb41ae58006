//! `cargo xtask bench`: the benches, release builds on the link simulator.

use std::process::Command;

use crate::project::Project;
use crate::run::{self, Failure};

/// Runs the benches; what follows goes to the bench program.
pub(crate) fn run(project: &Project, rest: &[&str]) -> Result<bool, Failure> {
    project.part("benches", "Cargo.toml")?;
    run::run(
        Command::new("cargo")
            .args(["bench", "-p", "rmux-benches", "--"])
            .args(rest)
            .current_dir(&project.root),
    )?;
    Ok(true)
}
