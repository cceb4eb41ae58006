//! `cargo xtask bench --compare`: sets up the peers that rmux is compared with, and compares.
//!
//! Packages come from the registries of Python and Node, so no test does this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::Project;
use crate::run::{self, Failure};
use crate::{node, python, tools};

/// The programs that are compared, beside those that the tests need, and their Debian packages.
const PROGRAMS: &[(&str, &str)] = &[
    ("sftp", "openssh-client"),
    ("scp", "openssh-client"),
    ("rsync", "rsync"),
    ("npm", "npm"),
];

/// The environment of the Python peers.
const PEERS: (&str, &str) = ("compare-venv", "benches/compare/python/requirements.txt");

/// Builds all for release, installs the peers and runs the comparison. What follows is for it.
pub(crate) fn run(project: &Project, rest: &[&str]) -> Result<bool, Failure> {
    tools::ready()?;
    tools::require(PROGRAMS)?;
    let part = project.part("benches/compare", "Cargo.toml")?;
    run::run(
        Command::new("cargo")
            .args(["build", "--release", "--manifest-path"])
            .arg(part.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", &project.target)
            .current_dir(&project.root),
    )?;
    let python = python::environment(project, PEERS)?;
    python::install(&python, &python::wheel(project, python::Build::Release)?)?;
    node::release(project)?;
    let drivers = node_peers(project, &part.join("node"))?;
    let program = project.target.join("release").join("rmux-compare");
    run::run(
        Command::new(program)
            .args(rest)
            .env("RMUX_COMPARE_PYTHON", &python)
            .env("RMUX_COMPARE_NODE_DRIVERS", &drivers)
            .current_dir(&project.root),
    )?;
    Ok(true)
}

/// A folder with the Node drivers and the packages that they use.
fn node_peers(project: &Project, sources: &Path) -> Result<PathBuf, Failure> {
    let folder = project.target.join("compare-node");
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(sources)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    let lock = fs::read(folder.join("package-lock.json"))?;
    let stamp = folder.join("installed.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(folder);
    }
    node::install(&folder)?;
    let link = folder.join("node_modules").join("rmux");
    if fs::symlink_metadata(&link).is_err() {
        #[cfg(unix)]
        std::os::unix::fs::symlink(project.root.join("rmux-node"), &link)?;
    }
    fs::write(&stamp, lock)?;
    Ok(folder)
}
