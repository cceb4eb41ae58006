//! Hosts with other tools than those of this machine: folders for their `PATH`.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toolbox {
    /// Busybox, and nothing else.
    Busybox,
    /// The options of the BSDs for `stat`, and no `mv -T`.
    LikeBsd,
    /// What POSIX has, and no more: no `stat`, no `mv -T`, no `dd conv=fsync`, no `find … +`.
    Few,
}

/// What POSIX has, and `head -c` and `readlink`, which all have.
const TOOLS: [&str; 24] = [
    "cat", "chmod", "chown", "cp", "cut", "dd", "df", "echo", "env", "find", "grep", "head", "ls",
    "ln", "mkdir", "mv", "printf", "readlink", "rm", "rmdir", "sh", "sleep", "sync", "touch",
];

const MOVE: &str = r#"#!/bin/sh
case $1 in -*T*) echo "mv: invalid option -- 'T'" >&2; exit 1;; esac
exec REAL "$@"
"#;
const STAT_OF_BSD: &str = r#"#!/bin/sh
follow=
[ "$1" = -L ] && { follow=-L; shift; }
[ "$1" = -f ] || { echo "stat: illegal option -- $1" >&2; exit 1; }
format=$(printf '%s' "$2" | sed 's/%Xp/%f/; s/%z/%s/; s/%a/%X/; s/%m/%Y/; s/%N/%n/')
shift 2
exec REAL $follow -c "$format" "$@"
"#;
const DD: &str = r#"#!/bin/sh
for word do case $word in *fsync*) echo "dd: unknown conversion fsync" >&2; exit 1;; esac; done
exec REAL "$@"
"#;
const FIND: &str = r#"#!/bin/sh
for word do case $word in +) echo "find: missing argument to -exec" >&2; exit 1;; esac; done
exec REAL "$@"
"#;

impl Toolbox {
    /// The folder.
    pub(crate) fn make(self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        match self {
            Self::Busybox => {
                let busybox = found("busybox");
                let applets = Command::new(&busybox).arg("--list").output().unwrap();
                for applet in String::from_utf8(applets.stdout).unwrap().lines() {
                    symlink(&busybox, at.join(applet)).unwrap();
                }
            }
            Self::LikeBsd | Self::Few => {
                for tool in TOOLS {
                    symlink(found(tool), at.join(tool)).unwrap();
                }
                instead(at, "mv", MOVE);
                if self == Self::LikeBsd {
                    instead(at, "stat", STAT_OF_BSD);
                    symlink(found("sed"), at.join("sed")).unwrap();
                } else {
                    instead(at, "dd", DD);
                    instead(at, "find", FIND);
                }
            }
        }
        folder
    }
}

/// A program of this machine.
fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("no {name} in PATH (Debian: busybox, coreutils, findutils)"))
}

/// A script in the place of a tool.
pub(crate) fn instead(folder: &Path, name: &str, script: &str) {
    let real = found(name).display().to_string();
    let file = folder.join(name);
    let _ = std::fs::remove_file(&file);
    std::fs::write(&file, script.replace("REAL", &real)).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&file, mode).unwrap();
}
