//! From what was asked for to everything that decides how to connect.

use std::path::PathBuf;

use crate::config::Config;
use crate::error::Result;
use crate::host::{Host, HostSpec};

/// Resolves a destination.
pub(crate) async fn resolve(spec: &HostSpec, config: &Config) -> Result<Host> {
    let home = std::env::home_dir().unwrap_or_default();
    let opt = |key: &str| {
        config
            .options
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(key))
            .map(|(_, v)| v.clone())
    };
    Ok(Host {
        name: spec.name().to_owned(),
        hostname: opt("hostname").unwrap_or(spec.name().to_owned()),
        user: spec
            .user()
            .map(str::to_owned)
            .or(config.user.clone())
            .or(opt("user"))
            .unwrap_or("root".into()),
        port: spec
            .port()
            .or(config.port)
            .unwrap_or_else(|| opt("port").map_or(22, |p| p.parse().unwrap())),
        identity_files: config.identity_files.clone(),
        identity_files_named: true,
        identities_only: false,
        agent_socket: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
        user_known_hosts: vec![
            opt("userknownhostsfile")
                .map(PathBuf::from)
                .unwrap_or(home.join(".ssh/known_hosts")),
        ],
        global_known_hosts: vec![],
        strict_host_key_checking: None,
        host_key_alias: None,
        hash_known_hosts: false,
        connect_timeout: None,
        alive_interval: None,
        alive_count: None,
        batch_mode: false,
        password_prompts: 3,
        auth_methods: ["publickey", "keyboard-interactive", "password"]
            .map(String::from)
            .to_vec(),
        ignored: vec![],
    })
}
