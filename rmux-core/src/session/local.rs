//! What a session takes from this machine because the user's settings say so: environment variables
//! to send, and a line to run once connected.

use std::ffi::OsStr;
use std::process::Stdio;

use rmux_proto::ssh_config::pattern::matches;

use crate::host::Host;
use crate::shell::user_shell;

/// This process' environment. Variables that are not UTF-8 cannot be sent by the engine and are left
/// out.
fn own_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// What `SendEnv` picks of an environment, then what `SetEnv` sets, which overrules it with the
/// server.
pub(super) fn environment(
    host: &Host,
    variables: impl Iterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let sent = variables.filter(|(name, _)| {
        let mut patterns = host.send_env.iter();
        patterns.any(|pattern| matches(name.as_bytes(), pattern.as_bytes()))
    });
    sent.chain(host.set_env.iter().cloned()).collect()
}

/// What both say of this process' environment.
pub(crate) fn sent_environment(host: &Host) -> Vec<(String, String)> {
    environment(host, own_environment())
}

/// Runs `LocalCommand` by the user's shell and waits for its end; its status counts for nothing
/// (ssh_config(5)). Dropping the future kills the shell.
pub(super) async fn run(line: &OsStr) {
    let shell = user_shell();
    let mut command = tokio::process::Command::new(&shell);
    command.arg("-c").arg(line).stdin(Stdio::null());
    match command.kill_on_drop(true).status().await {
        Ok(status) => tracing::debug!(%status, "LocalCommand ended"),
        Err(error) => tracing::warn!(%error, shell = %shell.display(), "LocalCommand did not run"),
    }
}
