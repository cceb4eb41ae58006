//! The Python side: a private environment under target/, the wheel, and the tests on the wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::{Project, TestServers};
use crate::run::{Failure, Ran, run, run_and_keep};

/// The environment of the tests: its folder under target/, and what is installed into it.
const TESTS: (&str, &str) = ("python", "rmux-py/tests/requirements.txt");

/// How the wheel is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As the Rust tests are, so that what both need is compiled once.
    Dev,
    Release,
}

/// Builds the wheel, installs it into the private environment and runs the tests on it.
pub(crate) fn test(project: &Project, servers: &TestServers) -> Result<Ran, Failure> {
    let part = project.part("rmux-py", "pyproject.toml")?;
    let tests = part.join("tests");
    if !tests.is_dir() {
        return Err("rmux-py/tests is missing".into());
    }
    let python = environment(project, TESTS)?;
    install(&python, &wheel(project, Build::Dev)?)?;
    // From the tests' folder, so that the wheel is imported and not the sources beside it.
    let mut ran = run_and_keep(
        Command::new(&python)
            .args(["-m", "pytest", "-ra", "-p", "no:cacheprovider", "."])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(servers.iter().cloned())
            .current_dir(&tests),
    )?;
    if !stubs_agree(&python, &part, &tests)? {
        ran.success = false;
    }
    Ok(ran)
}

/// Builds the wheel and returns where it lies.
pub(crate) fn wheel(project: &Project, build: Build) -> Result<PathBuf, Failure> {
    let part = project.part("rmux-py", "pyproject.toml")?;
    let python = environment(project, TESTS)?;
    let profile = match build {
        Build::Dev => "dev",
        Build::Release => "release",
    };
    let out = project.target.join("wheels").join(profile);
    // What an earlier build left must not be taken for this one.
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    run(Command::new(&python)
        .args(["-m", "maturin", "build", "--profile", profile, "--out"])
        .arg(&out)
        .arg("--interpreter")
        .arg(&python)
        .env("CARGO_TARGET_DIR", &project.target)
        .current_dir(&part))?;
    let mut wheels = fs::read_dir(&out)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "whl"));
    wheels
        .next()
        .ok_or_else(|| format!("maturin left no wheel in {}", out.display()).into())
}

/// Installs a wheel in the place of an earlier one.
pub(crate) fn install(python: &Path, wheel: &Path) -> Result<(), Failure> {
    let how = ["--quiet", "--no-deps", "--force-reinstall"];
    run(Command::new(python)
        .args(["-m", "pip", "install"])
        .args(how)
        .arg(wheel))
}

/// The interpreter of a private environment, made and filled on first use.
pub(crate) fn environment(
    project: &Project,
    (name, requirements): (&str, &str),
) -> Result<PathBuf, Failure> {
    let folder = project.target.join(name);
    let python = if cfg!(windows) {
        folder.join("Scripts").join("python.exe")
    } else {
        folder.join("bin").join("python")
    };
    let tools = project.root.join(requirements);
    let wanted = fs::read_to_string(&tools)?;
    let stamp = folder.join("tools.txt");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    let system = std::env::var("PYTHON").unwrap_or_else(|_| {
        let name = if cfg!(windows) { "python" } else { "python3" };
        name.to_owned()
    });
    run(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&folder)).map_err(|e| {
        format!("{e}; it needs Python 3.10 or newer with venv (Debian package python3-venv), or PYTHON set to one")
    })?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(&tools))?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// Whether the type stubs say what the compiled package has.
fn stubs_agree(python: &Path, part: &Path, tests: &Path) -> Result<bool, Failure> {
    let mut command = Command::new(python);
    command
        .args(["-m", "mypy.stubtest", "rmux"])
        .current_dir(tests);
    let allowed = part.join("stubtest-allowlist.txt");
    if allowed.is_file() {
        command.arg("--allowlist").arg(allowed);
    }
    Ok(run_and_keep(&mut command)?.success)
}
