//! The shell of the user on this machine, which runs what the user's own settings say to run here.

use std::ffi::OsString;

/// What `SHELL` names, or `/bin/sh` where it names nothing, as `ssh` has it.
pub(crate) fn user_shell() -> OsString {
    let named = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    named.unwrap_or_else(|| "/bin/sh".into())
}
