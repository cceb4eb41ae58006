//! From what was asked for to everything that decides how to connect.
//!
//! `ssh_config` says what the user's files hold; this room picks what rmux acts on and names the
//! rest.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, ConfigFile};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, HostSpec, IgnoredSetting, StrictHostKeyChecking};
use crate::printable::printable;
use crate::ssh_config::{self, Algorithms, Origin, Policy, Query, Resolved, Sources};

/// The keys that decide something here, or that need no action (`Host` itself, say).
const ACTED_ON: &[&str] = &[
    "batchmode",
    "ciphers",
    "compression",
    "connecttimeout",
    "globalknownhostsfile",
    "hashknownhosts",
    "host",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "macs",
    "numberofpasswordprompts",
    "passwordauthentication",
    "port",
    "preferredauthentications",
    "proxycommand",
    "proxyjump",
    "proxyusefdpass",
    "pubkeyauthentication",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];

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
    for (key, value) in &config.options {
        one_line("an option's name", key)?;
        one_line(key, value)?;
        query = query.option(key, value);
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

fn pick(spec: &HostSpec, resolved: &Resolved) -> Result<Host> {
    let text = |key: &str| resolved.first(key).unwrap_or_default();
    let yes = |key: &str| matches!(text(key), "yes" | "true");
    let algorithms = |key: &str| {
        let names = || text(key).split(',').map(str::to_owned).collect();
        resolved.is_set(key).then(names)
    };
    let hostname = String::from_utf8(resolved.hostname().to_vec())
        .map_err(|_| invalid("HostName", "it is not UTF-8"))?;
    let identity_files = resolved
        .identity_files()
        .iter()
        .map(|file| match &file.path {
            Ok(path) => Ok(PathBuf::from(OsString::from_vec(path.clone()))),
            Err(error) => Err(Error::new(
                ErrorKind::ConfigInvalid,
                "read ssh_config",
                error.to_string(),
            )),
        })
        .collect::<Result<_>>()?;
    Ok(Host {
        name: spec.name().to_owned(),
        hostname,
        user: text("user").to_owned(),
        port: resolved.port(),
        jumps: jumps(resolved)?,
        proxy_command: proxy_command(resolved)?,
        identity_files,
        identity_files_named: resolved.is_set("identityfile"),
        identities_only: yes("identitiesonly"),
        agent_socket: agent_socket(resolved),
        user_known_hosts: paths(resolved.user_known_hosts_files()),
        global_known_hosts: paths(resolved.global_known_hosts_files()),
        strict_host_key_checking: resolved.is_set("stricthostkeychecking").then(|| {
            match text("stricthostkeychecking") {
                "true" | "yes" => StrictHostKeyChecking::Yes,
                "accept-new" => StrictHostKeyChecking::AcceptNew,
                "false" | "no" | "off" => StrictHostKeyChecking::No,
                _ => StrictHostKeyChecking::Ask,
            }
        }),
        host_key_alias: resolved.first("hostkeyalias").map(str::to_owned),
        hash_known_hosts: yes("hashknownhosts"),
        // 0 is no limit of the user's own: ssh then waits as long as the system does.
        connect_timeout: seconds(text("connecttimeout")).filter(|limit| !limit.is_zero()),
        alive_interval: seconds(text("serveraliveinterval"))
            // BatchMode sets it too, which counts as said by the user.
            .filter(|interval| resolved.is_set("serveraliveinterval") || !interval.is_zero()),
        alive_count: resolved
            .is_set("serveralivecountmax")
            .then(|| text("serveralivecountmax").parse().ok())
            .flatten(),
        batch_mode: yes("batchmode"),
        password_prompts: text("numberofpasswordprompts").parse().unwrap_or(3),
        auth_methods: auth_methods(resolved),
        ciphers: algorithms("ciphers"),
        macs: algorithms("macs"),
        kex_algorithms: algorithms("kexalgorithms"),
        host_key_algorithms: algorithms("hostkeyalgorithms"),
        compression: yes("compression"),
        notes: resolved
            .notes()
            .iter()
            .map(|note| format!("{}: {}", note.origin, note.message))
            .collect(),
        ignored: ignored(resolved),
    })
}

fn jumps(resolved: &Resolved) -> Result<Vec<HostSpec>> {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec());
        text.map_err(|_| invalid("ProxyJump", "a name in it is not UTF-8"))
    };
    resolved
        .jumps()
        .iter()
        .map(|jump| {
            let user = jump.user.as_deref().map(text).transpose()?;
            Ok(HostSpec::from_parts(text(&jump.host)?, user, jump.port))
        })
        .collect()
}

fn proxy_command(resolved: &Resolved) -> Result<Option<OsString>> {
    let Some(line) = resolved.proxy_command() else {
        return Ok(None);
    };
    if resolved.first("proxyusefdpass") == Some("yes") {
        let what = "ProxyUseFdpass is not supported: let the ProxyCommand pass the bytes on";
        return Err(Error::new(ErrorKind::Unsupported, "connect", what));
    }
    let line = line.map_err(|error| invalid("ProxyCommand", &error.to_string()))?;
    Ok((!line.eq_ignore_ascii_case(b"none")).then(|| OsString::from_vec(line)))
}

fn invalid(key: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::ConfigInvalid,
        "read ssh_config",
        format!("{key}: {why}"),
    )
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

fn paths(files: &[Vec<u8>]) -> Vec<PathBuf> {
    files
        .iter()
        .map(|file| PathBuf::from(OsString::from_vec(file.clone())))
        .collect()
}

/// `IdentityAgent`, where set, stands above the environment (ssh_config(5)).
fn agent_socket(resolved: &Resolved) -> Option<PathBuf> {
    let from_environment = || {
        let socket = std::env::var_os("SSH_AUTH_SOCK")?;
        (!socket.is_empty()).then(|| PathBuf::from(socket))
    };
    match resolved.first("identityagent") {
        Some("none") => None,
        Some("SSH_AUTH_SOCK") | None => from_environment(),
        Some(path) => match path.strip_prefix('$') {
            Some(variable) => std::env::var_os(variable).map(PathBuf::from),
            None => Some(PathBuf::from(path)),
        },
    }
}

fn auth_methods(resolved: &Resolved) -> Vec<String> {
    let allowed = |method: &str| {
        let key = match method {
            "publickey" => "pubkeyauthentication",
            "keyboard-interactive" => "kbdinteractiveauthentication",
            "password" => "passwordauthentication",
            _ => return false,
        };
        !matches!(resolved.first(key), Some("no" | "false"))
    };
    resolved
        .first("preferredauthentications")
        .unwrap_or("publickey,keyboard-interactive,password")
        .split(',')
        .filter(|method| allowed(method))
        .map(str::to_owned)
        .collect()
}

fn ignored(resolved: &Resolved) -> Vec<IgnoredSetting> {
    let mut ignored: Vec<IgnoredSetting> = Vec::new();
    for setting in resolved.settings() {
        let origin = setting.origin();
        let known = ACTED_ON.contains(&setting.key());
        if known || *origin == Origin::Default || ignored.iter().any(|i| i.key == setting.key()) {
            continue;
        }
        ignored.push(IgnoredSetting {
            key: setting.key().to_owned(),
            origin: origin.to_string(),
        });
    }
    ignored
}

#[cfg(test)]
mod tests {
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
}
