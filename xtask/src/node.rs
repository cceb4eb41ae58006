//! The Node side: packages, the addon, and its tests.

use std::path::Path;
use std::process::Command;

use crate::project::{Project, TestServers};
use crate::run::{Failure, Ran, run, run_and_keep};

/// Builds the addon and runs its tests.
pub(crate) fn test(project: &Project, servers: &TestServers) -> Result<Ran, Failure> {
    let part = project.part("rmux-node", "package.json")?;
    install(&part)?;
    run(npm(project, &part).args(["run", "build:dev"]))?;
    run_and_keep(
        npm(project, &part)
            .arg("test")
            .envs(servers.iter().cloned()),
    )
}

/// Builds the addon for release.
pub(crate) fn release(project: &Project) -> Result<(), Failure> {
    let part = project.part("rmux-node", "package.json")?;
    install(&part)?;
    run(npm(project, &part).args(["run", "build"]))
}

/// Installs the packages that a folder's lock file names.
pub(crate) fn install(part: &Path) -> Result<(), Failure> {
    // `ci` takes exactly what the lock file says; without one there is nothing to take.
    let how = if part.join("package-lock.json").is_file() {
        "ci"
    } else {
        "install"
    };
    run(command(part).args([how, "--no-audit", "--no-fund"]))
        .map_err(|e| format!("{e}; the Node tests need Node 20 or newer with npm").into())
}

fn npm(project: &Project, part: &Path) -> Command {
    let mut command = command(part);
    command.env("CARGO_TARGET_DIR", &project.target);
    command
}

fn command(part: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(part);
    command
}
