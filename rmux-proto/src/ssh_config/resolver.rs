//! The way from a query to resolved settings, in the order in which `ssh` goes it.
//!
//! Knows the passes and the checks between settings; the steps are in their own files.

use super::dump;
use super::environment::Environment;
use super::error::{ConfigError, Origin, shown};
use super::expand::{self, TokenValues, Tokens};
use super::forward::ForwardEnd;
use super::gather::Gatherer;
use super::jump;
use super::keyword::Field;
use super::options::JumpSetting;
use super::query::{Local, Query};
use super::settings::{ExpandedFile, Resolved};

const DEFAULT_PORT: u16 = 22;
const TTY_NO: i64 = 1;
const UPDATE_ASK: i64 = 2;
const SESSION_NONE: i64 = 0;
const LEVEL_INFO: i64 = 3;

/// Resolves a host as the installed `ssh` would: command line first, then the user's file, then
/// the system's, twice if the configuration asks for it.
///
/// # Errors
/// A configuration that `ssh` refuses, with file and line.
pub fn resolve(
    query: &Query,
    local: &Local,
    environment: &mut dyn Environment,
) -> Result<Resolved, ConfigError> {
    let mut gatherer = Gatherer::new(query, local, environment);
    gatherer.apply_command_line()?;
    gatherer.read_sources()?;
    gatherer.take_hostname()?;
    gatherer.canonicalize()?;
    if gatherer.wants_final_pass {
        let host = gatherer.host.clone();
        gatherer.options.replace_text(Field::Hostname, host);
        gatherer.is_final_pass = true;
        gatherer.read_sources()?;
    }
    gatherer.fill_defaults()?;
    gatherer.check_together()?;
    let port = gatherer.port();
    let tokens = gatherer.tokens(port);
    gatherer.expand_values(&tokens)?;
    Ok(gatherer.finish(port, tokens))
}

impl Gatherer<'_> {
    /// Takes HostName into use.
    fn take_hostname(&mut self) -> Result<(), ConfigError> {
        let Some(name) = self.options.text(Field::Hostname) else {
            return Ok(());
        };
        let expanded = expand::tokens(name, &[(b'h', self.host.clone())]);
        let origin = self.options.origin(Field::Hostname);
        self.host = expanded.map_err(|e| ConfigError::new(origin, e))?;
        self.options
            .replace_text(Field::Hostname, self.host.clone());
        Ok(())
    }

    fn port(&self) -> u16 {
        let port = self
            .options
            .integer(Field::Port)
            .and_then(|p| u16::try_from(p).ok());
        port.unwrap_or(DEFAULT_PORT)
    }

    /// Checks settings against each other, and changes those that others rule out.
    fn check_together(&mut self) -> Result<(), ConfigError> {
        let user = self.options.text(Field::User).unwrap_or_default();
        if let Some(slot) = &self.options.jump {
            if let JumpSetting::Through(head) = &slot.value {
                let hop = &head.last;
                let same_user = hop.user.as_deref().is_none_or(|u| u == user);
                let same_port = hop.port.unwrap_or(DEFAULT_PORT) == self.port();
                if hop.host == self.host && same_user && same_port {
                    let message = format!("jumphost loop via {}", shown(&hop.host));
                    return Err(ConfigError::new(slot.origin.clone(), message));
                }
            }
            let origin = slot.origin.clone();
            self.options.put_integer(Field::ProxyUseFdpass, 0, origin);
        }
        if let Some(alias) = self.options.text(Field::HostKeyAlias) {
            let alias = alias.to_ascii_lowercase();
            self.options.replace_text(Field::HostKeyAlias, alias);
        }
        let is_set = |field| self.options.integer(field).is_some_and(|v| v != 0);
        let has = |field| self.options.text(field).is_some();
        let has_command = !self.query.command.is_empty();
        let refuse = |field, message: &str| {
            Err(ConfigError::new(
                self.options.origin(field),
                message.to_owned(),
            ))
        };
        if self.options.text(Field::ProxyCommand) == Some(b"-") && is_set(Field::ProxyUseFdpass) {
            return refuse(
                Field::ProxyUseFdpass,
                "ProxyCommand=- and ProxyUseFdpass are incompatible",
            );
        }
        if !is_set(Field::ConnectionAttempts) {
            return refuse(
                Field::ConnectionAttempts,
                "invalid number of ConnectionAttempts",
            );
        }
        if has_command && has(Field::RemoteCommand) {
            return refuse(
                Field::RemoteCommand,
                "cannot execute both a command from the command line and RemoteCommand",
            );
        }
        let session_type = self.options.integer(Field::SessionType);
        let runs_something = has_command || has(Field::RemoteCommand);
        if is_set(Field::ForkAfterAuthentication)
            && !runs_something
            && session_type != Some(SESSION_NONE)
        {
            return refuse(
                Field::ForkAfterAuthentication,
                "cannot fork into background without a command to execute",
            );
        }
        if session_type == Some(1) && !has_command && self.is_subsystem_by_flag() {
            return refuse(Field::SessionType, "a subsystem to invoke must be named");
        }
        let quiet = self.options.integer(Field::LogLevel) < Some(LEVEL_INFO);
        let cannot_ask = is_set(Field::ControlPersist) && has(Field::ControlPath)
            || runs_something
            || self.options.integer(Field::RequestTty) == Some(TTY_NO)
            || quiet;
        if self.options.integer(Field::UpdateHostKeys) == Some(UPDATE_ASK) && cannot_ask {
            self.options
                .put_integer(Field::UpdateHostKeys, 0, Origin::Default);
        }
        Ok(())
    }

    /// Without a command `ssh` refuses -s and `-o SessionType=subsystem`, but not a file's.
    fn is_subsystem_by_flag(&self) -> bool {
        self.options.origin(Field::SessionType) == Origin::CommandLine
    }

    fn tokens(&self, port: u16) -> Tokens {
        TokenValues {
            local: self.local,
            host: &self.host,
            original_host: &self.query.host,
            key_alias: self
                .options
                .text(Field::HostKeyAlias)
                .unwrap_or(&self.query.host),
            port,
            user: self.options.text(Field::User).unwrap_or(&self.local.user),
        }
        .tokens()
    }

    /// Expands the values that `-G` prints expanded.
    fn expand_values(&mut self, tokens: &Tokens) -> Result<(), ConfigError> {
        let at = |origin: Origin| move |e: String| ConfigError::new(origin, e);
        if let Some(command) = self.options.text(Field::RemoteCommand) {
            let origin = self.options.origin(Field::RemoteCommand);
            let expanded = expand::tokens(command, tokens).map_err(at(origin))?;
            self.options.replace_text(Field::RemoteCommand, expanded);
        }
        for field in [
            Field::ControlPath,
            Field::IdentityAgent,
            Field::ForwardAgentPath,
        ] {
            let origin = self.options.origin(field);
            let Some(path) = self.options.text(field).map(<[u8]>::to_vec) else {
                continue;
            };
            let expanded = self
                .expand_path(&path, tokens)
                .map_err(at(origin.clone()))?;
            let must_exist = field == Field::ForwardAgentPath
                && self.options.integer(Field::ExitOnForwardFailure) == Some(1);
            if must_exist && !self.environment.exists(&expanded) {
                let message = format!("there is no agent socket \"{}\"", shown(&expanded));
                return Err(ConfigError::new(origin, message));
            }
            self.options.replace_text(field, expanded);
        }
        for field in [Field::GlobalKnownHostsFile, Field::UserKnownHostsFile] {
            let list = self.options.list_mut(field);
            if list
                .first()
                .is_some_and(|f| f.value.eq_ignore_ascii_case(b"none"))
            {
                list.clear();
            }
        }
        for index in 0..self.options.list(Field::UserKnownHostsFile).len() {
            let slot = self.options.list(Field::UserKnownHostsFile)[index].clone();
            let expanded = self
                .expand_path(&slot.value, tokens)
                .map_err(at(slot.origin))?;
            self.options.list_mut(Field::UserKnownHostsFile)[index].value = expanded;
        }
        let options = &mut self.options;
        for slot in options
            .local_forwards
            .iter_mut()
            .chain(&mut options.remote_forwards)
        {
            for end in [&mut slot.value.listen, &mut slot.value.connect] {
                if let ForwardEnd::Socket(path) = end {
                    *path = expand::tokens(path, tokens).map_err(at(slot.origin.clone()))?;
                }
            }
        }
        Ok(())
    }

    fn expand_path(&mut self, path: &[u8], tokens: &Tokens) -> Result<Vec<u8>, String> {
        let path = expand::tilde(path, self.local, self.environment)?;
        expand::tokens_and_variables(&path, tokens, self.environment)
    }

    /// The identity or certificate files as they are opened. An expansion that fails matters only
    /// to who opens the file.
    fn expand_files(&mut self, field: Field, tokens: &Tokens) -> Vec<ExpandedFile> {
        let files = self.options.files(field).to_vec();
        let named = files
            .into_iter()
            .filter(|f| !f.value.path.eq_ignore_ascii_case(b"none"));
        named
            .map(|file| ExpandedFile {
                path: self
                    .expand_path(&file.value.path, tokens)
                    .map_err(|e| ConfigError::new(file.origin.clone(), e)),
                origin: file.origin,
            })
            .collect()
    }

    fn finish(mut self, port: u16, tokens: Tokens) -> Resolved {
        let identity_files = self.expand_files(Field::IdentityFile, &tokens);
        let certificate_files = self.expand_files(Field::CertificateFile, &tokens);
        let files = |field| {
            self.options
                .list(field)
                .iter()
                .map(|slot| slot.value.clone())
        };
        let user_known_hosts = files(Field::UserKnownHostsFile).collect();
        let global_known_hosts = files(Field::GlobalKnownHostsFile).collect();
        let jumps = match self.options.jump.as_ref().map(|j| &j.value) {
            Some(JumpSetting::Through(head)) => jump::hops(head, self.environment),
            _ => Vec::new(),
        };
        let escape_char = self.options.integer(Field::EscapeChar);
        let settings = dump::settings(&self, port);
        let forwards = |list: &[super::options::Slot<super::forward::Forward>]| {
            list.iter().map(|slot| slot.value.clone()).collect()
        };
        Resolved {
            settings,
            host: self.host.clone(),
            port,
            tokens,
            jumps,
            local_forwards: forwards(&self.options.local_forwards),
            remote_forwards: forwards(&self.options.remote_forwards),
            identity_files,
            certificate_files,
            user_known_hosts,
            global_known_hosts,
            escape_char: escape_char.and_then(|value| u8::try_from(value).ok()),
            host_key_order_fixed: self.options.host_key_order_fixed,
            notes: self.notes,
        }
    }
}
