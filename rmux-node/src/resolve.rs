//! What decides what a destination resolves to, and what it resolved to, as JavaScript has them.

use napi_derive::napi;
use rmux_core::ssh_config::Resolved;
use rmux_core::{Config, ConfigFile, Error, ErrorKind, MatchExec, Result};

/// What a program sets beside, and above, the user's own files; what is missing is as the core has
/// it.
#[napi(object, object_to_js = false)]
pub struct ResolveOptions {
    pub user: Option<String>,
    pub port: Option<u32>,
    pub identity_files: Option<Vec<String>>,
    /// A path; with `no_config_file`, none is read.
    pub config_file: Option<String>,
    pub no_config_file: Option<bool>,
    /// Keyword and value, each as `-o Keyword=value`.
    pub options: Option<Vec<Setting>>,
    /// `own-files`, `always` or `never`.
    pub match_exec: Option<String>,
}

/// One `ssh_config` setting.
#[napi(object, object_to_js = false)]
pub struct Setting {
    pub keyword: String,
    pub value: String,
}

/// A key of `ssh -G`, in lower case, and its values.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct ResolvedSetting {
    pub key: String,
    /// Bytes that are not UTF-8 are replaced by U+FFFD.
    pub values: Vec<String>,
    /// Whether there may be several. If not, there is one.
    pub repeats: bool,
}

impl ResolveOptions {
    /// The core's settings; an error tells of `operation`.
    pub(crate) fn into_config(self, operation: &'static str) -> Result<Config> {
        let invalid = |what: String| Error::new(ErrorKind::ConfigInvalid, operation, what);
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
            config = config.port(match u16::try_from(port) {
                Ok(port) if port != 0 => port,
                _ => return Err(invalid(format!("{port} is no port (1 to 65535)"))),
            });
        }
        for path in self.identity_files.unwrap_or_default() {
            config = config.identity_file(path);
        }
        Ok(match self.match_exec.as_deref() {
            None => config,
            Some("own-files") => config.match_exec(MatchExec::OwnFiles),
            Some("always") => config.match_exec(MatchExec::Always),
            Some("never") => config.match_exec(MatchExec::Never),
            Some(other) => return Err(invalid(format!("{other:?} is no policy for Match exec"))),
        })
    }
}

/// The settings in the order of `ssh -G`.
pub(crate) fn settings(resolved: &Resolved) -> Vec<ResolvedSetting> {
    let mut settings: Vec<ResolvedSetting> = Vec::new();
    for setting in resolved.settings() {
        let key = setting.key().to_ascii_lowercase();
        let value = setting.value().to_owned();
        let repeats = setting.may_repeat();
        match settings.iter_mut().find(|before| before.key == key) {
            Some(before) if repeats => before.values.push(value),
            _ => settings.push(ResolvedSetting {
                key,
                values: vec![value],
                repeats,
            }),
        }
    }
    settings
}
