//! From what was asked for to everything that decides how to connect.
//!
//! `ssh_config` says what the user's files hold; this room picks what rmux acts on and names the
//! rest.

mod pick;

use std::os::unix::ffi::OsStringExt;

use crate::config::{Argument, Config, ConfigFile};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, HostSpec};
use crate::printable::printable;
use crate::ssh_config::{self, Algorithms, Policy, Query, Resolved, Sources};
use pick::pick;

/// All settings for a destination, by the files on this machine, for an engine with these
/// algorithms.
pub(crate) async fn settings(
    spec: &HostSpec,
    config: &Config,
    engine: Algorithms,
) -> Result<Resolved> {
    let query = query(spec, config)
        .map_err(|error| error.with_host(spec.name()))?
        .algorithms(engine);
    let policy = Policy::new().match_exec(config.match_exec);
    // It reads files, and may run programs and ask name servers.
    tokio::task::spawn_blocking(move || ssh_config::resolve(&query, policy))
        .await
        .expect("resolving does not panic")
        .map_err(|error| error.with_host(spec.name()))
}

/// What of them decides how to connect.
pub(crate) async fn host(spec: &HostSpec, config: &Config, engine: Algorithms) -> Result<Host> {
    let resolved = settings(spec, config, engine).await?;
    pick(spec, &resolved).map_err(|error| error.with_host(spec.name()))
}

fn query(spec: &HostSpec, config: &Config) -> Result<Query> {
    let mut query = Query::new(spec.name()).sources(match &config.config_file {
        ConfigFile::Default => Sources::Default,
        ConfigFile::None => Sources::None,
        ConfigFile::Path(path) => Sources::File(path.as_os_str().to_owned().into_vec()),
    });
    if let Some(user) = spec.user().or(config.user.as_deref()) {
        one_line("User", user)?;
        query = query.user(user);
    }
    if let Some(port) = spec.port().or(config.port) {
        query = query.port(port);
    }
    for path in &config.identity_files {
        query = query.flag_with('i', path.as_os_str().to_owned().into_vec());
    }
    for argument in &config.arguments {
        query = match argument {
            Argument::Option(key, value) => {
                one_line("an option's name", key)?;
                one_line(key, value)?;
                query.option(key, value)
            }
            Argument::Flag(flag, None) => query.flag(*flag),
            Argument::Flag(flag, Some(value)) => {
                one_line(&format!("-{flag}"), &value.to_string_lossy())?;
                query.flag_with(*flag, value.clone().into_vec())
            }
        };
    }
    if let Some(command) = &config.command {
        query = query.command(command.clone().into_vec());
    }
    Ok(query)
}

/// A file cannot hold such a value, so nothing that reads settings expects one: what is written to
/// `known_hosts` or a terminal later must not gain a line by it.
fn one_line(key: &str, value: &str) -> Result<()> {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(invalid(&printable(key), "it holds a control character"));
    }
    Ok(())
}

fn invalid(key: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::ConfigInvalid,
        "read ssh_config",
        format!("{key}: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn resolved(config: Config) -> Result<Host> {
        let spec = HostSpec::parse("example")?;
        let config = config.config_file(ConfigFile::None);
        host(&spec, &config, Algorithms::default()).await
    }

    #[tokio::test]
    async fn a_value_of_several_lines_is_refused() {
        for config in [
            Config::new().option("HostKeyAlias", "a\n* ssh-ed25519 AAAA"),
            Config::new().option("HostName", "a\u{1b}[2J"),
            Config::new().option("Host\nName", "a"),
            Config::new().user("me\nyou"),
        ] {
            let error = resolved(config).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{error}");
            assert_eq!(error.host(), Some("example"));
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
        let tabs = Config::new().option("ProxyCommand", "nc\t%h\t%p");
        assert!(resolved(tabs).await.is_ok());
    }

    #[tokio::test]
    async fn a_connect_timeout_of_zero_sets_no_limit() {
        let limit = async |text: &str| {
            let config = Config::new().option("ConnectTimeout", text);
            resolved(config).await.unwrap().connect_timeout
        };
        assert_eq!(limit("0").await, None);
        assert_eq!(limit("none").await, None);
        assert_eq!(limit("7").await, Some(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn what_is_not_acted_on_is_named_where_it_asks_for_something() {
        let config = Config::new()
            .option("Tunnel", "no")
            .option("ControlPath", "none")
            .option("ForwardX11", "yes");
        let host = resolved(config).await.unwrap();
        let keys: Vec<&str> = host.ignored.iter().map(|i| &i.key[..]).collect();
        assert_eq!(keys, ["forwardx11"]);
    }
}
