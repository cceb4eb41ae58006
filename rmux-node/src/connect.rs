//! The settings of a connection, as JavaScript gives them.

use std::sync::Arc;
use std::time::Duration;

use napi_derive::napi;
use rmux_core::{Config, ConfigFile, Error, ErrorKind, HostKeyPolicy, Result};

use crate::mailbox::Mailbox;
use crate::prompts::{Asked, Prompts};

/// Settings of a connection; what is missing is as the core has it. Times are in milliseconds.
#[napi(object, object_to_js = false)]
pub struct ConnectOptions {
    pub user: Option<String>,
    pub port: Option<u32>,
    pub identity_files: Option<Vec<String>>,
    /// A path; with `no_config_file`, none is read.
    pub config_file: Option<String>,
    pub no_config_file: Option<bool>,
    /// Keyword and value, each as `-o Keyword=value`.
    pub options: Option<Vec<Setting>>,
    pub password: Option<String>,
    /// `strict`, `accept-new`, `ask`, or `danger-accept-any`.
    pub host_key_policy: Option<String>,
    pub connect_timeout: Option<f64>,
    pub keepalive_interval: Option<f64>,
    pub keepalive_count: Option<u32>,
    /// Which questions the program answers.
    pub asked: Option<Asked>,
}

/// One `ssh_config` setting.
#[napi(object, object_to_js = false)]
pub struct Setting {
    pub keyword: String,
    pub value: String,
}

impl ConnectOptions {
    /// The core's settings. Events and questions go through `mailbox` as those of `operation`.
    pub(crate) fn into_config(self, mailbox: &Mailbox, operation: u32) -> Result<Config> {
        let mut config = Config::new();
        if self.no_config_file == Some(true) {
            config = config.config_file(ConfigFile::None);
        } else if let Some(path) = self.config_file {
            config = config.config_file(ConfigFile::Path(path.into()));
        }
        for setting in self.options.unwrap_or_default() {
            config = config.option(setting.keyword, setting.value);
        }
        if let Some(user) = self.user {
            config = config.user(user);
        }
        if let Some(port) = self.port {
            config = config.port(checked_port(port)?);
        }
        for path in self.identity_files.unwrap_or_default() {
            config = config.identity_file(path);
        }
        if let Some(password) = self.password {
            config = config.password(password);
        }
        config = match self.host_key_policy.as_deref() {
            None => config,
            Some("strict") => config.host_key_policy(HostKeyPolicy::Strict),
            Some("accept-new") => config.host_key_policy(HostKeyPolicy::AcceptNew),
            Some("ask") => config.host_key_policy(HostKeyPolicy::Ask),
            Some("danger-accept-any") => config.danger_accept_any_host_key(),
            Some(other) => return Err(invalid(format!("{other:?} is no host key policy"))),
        };
        if let Some(timeout) = self.connect_timeout {
            config = config.connect_timeout(milliseconds(timeout)?);
        }
        if let Some(interval) = self.keepalive_interval {
            config = config.keepalive(milliseconds(interval)?, self.keepalive_count.unwrap_or(2));
        }
        if let Some(asked) = self.asked {
            config = config.prompter(Arc::new(Prompts::new(mailbox.clone(), operation, asked)));
        }
        let mailbox = mailbox.clone();
        Ok(config.on_event(move |event| mailbox.event(operation, event.into())))
    }
}

fn checked_port(port: u32) -> Result<u16> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| invalid(format!("{port} is no port (1 to 65535)")))
}

/// A time as JavaScript counts it.
pub(crate) fn milliseconds(time: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(time / 1000.0)
        .map_err(|_| invalid(format!("{time} ms is no length of time")))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::ConfigInvalid, "connect", message)
}
