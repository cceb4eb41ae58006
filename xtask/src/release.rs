//! `cargo xtask build`: release builds of everything a user runs.

use std::process::Command;

use crate::project::Project;
use crate::run::{self, Failure};
use crate::{node, python};

/// Builds the command line, the Python wheel and the Node addon, and says where they lie.
pub(crate) fn run(project: &Project) -> Result<bool, Failure> {
    run::run(
        Command::new("cargo")
            .args(["build", "--release", "-p", "rmux-cli"])
            .current_dir(&project.root),
    )?;
    let wheel = python::wheel(project, python::Build::Release)?;
    node::release(project)?;
    let command = project
        .target
        .join("release")
        .join(format!("rmux{}", std::env::consts::EXE_SUFFIX));
    println!("command line: {}", command.display());
    println!("Python wheel: {}", wheel.display());
    println!("Node addon:   {}", project.root.join("rmux-node").display());
    Ok(true)
}
