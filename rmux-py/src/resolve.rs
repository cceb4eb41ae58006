//! The keywords that decide what a destination resolves to, and `resolve` itself.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rmux_core::ssh_config::{Resolved, Setting};
use rmux_core::{Config, ConfigFile, Error, ErrorKind, HostSpec, MatchExec};

use crate::error::exception;
use crate::operation::Operation;
use crate::settings::about;

/// Prepares to resolve a destination: a dict of its settings.
#[pyfunction]
pub(crate) fn resolve(py: Python<'_>, host: String, wanted: Wanted) -> PyResult<Operation> {
    let config = wanted.config(py, "resolve", Some(&host))?;
    let named = host.clone();
    let operation = Operation::new(
        async move { rmux_core::resolve(&HostSpec::parse(&host)?, &config).await },
        |py, resolved| Ok(dict(py, &resolved)?.into_any().unbind()),
    );
    Ok(operation.on(&named).named("resolve"))
}

/// What a program sets beside, and above, the user's own files.
#[derive(FromPyObject)]
pub(crate) struct Wanted {
    user: Option<String>,
    port: Option<i64>,
    identity_files: Vec<PathBuf>,
    config_file: Option<PathBuf>,
    options: Vec<(String, String)>,
    match_exec: Option<String>,
}

impl Wanted {
    /// As core has it; an error tells of `operation`, for `host` where it is for one.
    pub(crate) fn config(
        self,
        py: Python<'_>,
        operation: &'static str,
        host: Option<&str>,
    ) -> PyResult<Config> {
        let invalid = |what: String| {
            let error = Error::new(ErrorKind::ConfigInvalid, operation, what);
            exception(py, &about(error, host))
        };
        let mut config = Config::new();
        if let Some(user) = self.user {
            config = config.user(user);
        }
        if let Some(port) = self.port {
            config = config.port(match u16::try_from(port) {
                Ok(port) if port != 0 => port,
                _ => return Err(invalid(format!("{port} is no port (1 to 65535)"))),
            });
        }
        for file in self.identity_files {
            config = config.identity_file(file);
        }
        if let Some(file) = self.config_file {
            config = config.config_file(match file.as_os_str() == "none" {
                true => ConfigFile::None,
                false => ConfigFile::Path(file),
            });
        }
        for (key, value) in self.options {
            config = config.option(key, value);
        }
        if let Some(policy) = self.match_exec {
            config = config.match_exec(match policy.as_str() {
                "own-files" => MatchExec::OwnFiles,
                "always" => MatchExec::Always,
                "never" => MatchExec::Never,
                other => {
                    return Err(invalid(format!(
                        "{other:?} is no policy for Match exec (\"own-files\", \"always\", \
                         \"never\")"
                    )));
                }
            });
        }
        Ok(config)
    }
}

/// The settings in the order of `ssh -G`.
fn dict<'py>(py: Python<'py>, resolved: &Resolved) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for setting in resolved.settings() {
        let key = setting.key().to_ascii_lowercase();
        if !setting.may_repeat() {
            dict.set_item(key, text(setting))?;
            continue;
        }
        match dict.get_item(&key)? {
            Some(values) => values.cast::<PyList>()?.append(text(setting))?,
            None => dict.set_item(key, PyList::new(py, [text(setting)])?)?,
        }
    }
    Ok(dict)
}

/// The value, which becomes a str as `os.fsdecode` makes it.
#[cfg(unix)]
fn text(setting: &Setting) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(setting.bytes().to_vec())
}

/// The value, which is Unicode here.
#[cfg(not(unix))]
fn text(setting: &Setting) -> OsString {
    OsString::from(setting.value())
}
