//! The programs that the tests run against: checked, and installed where that is possible.
//!
//! Only Debian-like systems are installed on, only as root, and without starting any service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{Failure, run};

/// Program, and the Debian package it comes in.
const TOOLS: &[(&str, &str)] = &[
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("ssh-agent", "openssh-client"),
    ("ssh-add", "openssh-client"),
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("csh", "csh"),
    ("tcsh", "tcsh"),
    ("dash", "dash"),
    ("busybox", "busybox"),
    ("ps", "procps"),
    ("ss", "iproute2"),
    ("script", "bsdutils"),
    ("prlimit", "util-linux"),
    ("useradd", "passwd"),
    ("userdel", "passwd"),
    ("openssl", "openssl"),
];

/// Makes sure that every tool is there.
pub(crate) fn ready() -> Result<(), Failure> {
    let missing = missing(TOOLS);
    if !missing.is_empty() {
        if !can_install() {
            return Err(explain(&missing).into());
        }
        install(&missing)?;
        let still = self::missing(TOOLS);
        if !still.is_empty() {
            return Err(explain(&still).into());
        }
    }
    make_privilege_separation_folder()
}

type Tool = (&'static str, &'static str);

/// Makes sure that further programs are there, which are never installed.
pub(crate) fn require(programs: &'static [Tool]) -> Result<(), Failure> {
    match missing(programs).as_slice() {
        [] => Ok(()),
        missing => Err(explain(missing).into()),
    }
}

fn missing(tools: &'static [Tool]) -> Vec<Tool> {
    tools
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .copied()
        .collect()
}

/// The program in PATH, or in the folders for administrators that PATH often lacks.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

fn explain(missing: &[Tool]) -> String {
    let mut lines = vec!["programs are needed that are not installed:".to_owned()];
    for (program, package) in missing {
        lines.push(format!("  {program} (Debian package {package})"));
    }
    lines.push(
        "install them and run this again; as root on Debian it installs them itself".to_owned(),
    );
    lines.join("\n")
}

fn can_install() -> bool {
    is_root() && Path::new("/etc/debian_version").exists() && find("apt-get").is_some()
}

fn is_root() -> bool {
    let asked = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    asked.is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

fn install(missing: &[Tool]) -> Result<(), Failure> {
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let _quiet = NoServices::start()?;
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        command
    };
    let wanted = [
        &["install", "-y", "--no-install-recommends"],
        packages.as_slice(),
    ]
    .concat();
    // The package lists are often there already; fetching them takes longer than the packages.
    if run(&mut apt(&wanted)).is_err() {
        run(&mut apt(&["update"]))?;
        run(&mut apt(&wanted))?;
    }
    Ok(())
}

/// While it lives, installing a package starts no service: Debian would start sshd on port 22.
struct NoServices {
    ours: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn start() -> Result<Self, Failure> {
        let ours = !Path::new(Self::POLICY).exists();
        let guard = Self { ours };
        if ours {
            fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n")?;
            run(Command::new("chmod").args(["755", Self::POLICY]))?;
        }
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(e) = fs::remove_file(Self::POLICY)
        {
            eprintln!("xtask: cannot remove {}: {e}", Self::POLICY);
        }
    }
}

/// As root, sshd refuses to start without this folder, and only its service script makes it.
fn make_privilege_separation_folder() -> Result<(), Failure> {
    let folder = Path::new("/run/sshd");
    if cfg!(target_os = "linux") && is_root() && !folder.exists() {
        fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let said = explain(&[("sshd", "openssh-server"), ("fish", "fish")]);
        assert!(said.contains("  sshd (Debian package openssh-server)\n"));
        assert!(said.contains("  fish (Debian package fish)\n"));
    }

    #[test]
    fn a_program_that_does_not_exist_is_not_found() {
        assert_eq!(find("no-such-program-anywhere"), None);
        assert!(find(if cfg!(windows) { "cmd.exe" } else { "sh" }).is_some());
    }
}
