//! ssh_config: the user's own settings, resolved as the installed OpenSSH resolves them.

pub mod pattern;
