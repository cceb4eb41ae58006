//! The flags of `ssh` that are settings, with the meaning they have on its command line.
//!
//! Knows no files. Flags overrule each other in order, unlike lines of a file.

use super::error::{ConfigError, Origin, shown};
use super::forward;
use super::gather::{Gatherer, Place};
use super::jump;
use super::keyword::Field;
use super::number;
use super::query::Argument;
use super::special;

/// Values of choices that flags set; the words are in [`super::choice`].
const MASTER_YES: i64 = 1;
const MASTER_ASK: i64 = 3;
const TTY_NO: i64 = 1;
const TTY_YES: i64 = 2;
const TTY_FORCE: i64 = 3;
const SESSION_NONE: i64 = 0;
const SESSION_SUBSYSTEM: i64 = 1;
const LEVEL_QUIET: i64 = 0;
const LEVEL_DEBUG1: i64 = 5;
const LEVEL_DEBUG3: i64 = 7;

impl Gatherer<'_> {
    /// Applies the command line: all flags, then user and port of the destination.
    pub(super) fn apply_command_line(&mut self) -> Result<(), ConfigError> {
        let place = Place::command_line();
        let mut verbose = false;
        for argument in &self.query.arguments {
            match argument {
                Argument::Flag('v') => {
                    self.more_verbose(verbose);
                    verbose = true;
                }
                Argument::Flag(flag) => self.flag(*flag).map_err(|e| place.error(e))?,
                Argument::With('o', line) => self.apply(line, &place, &mut true)?,
                Argument::With(flag, text) => {
                    self.flag_with(*flag, text, &place)
                        .map_err(|e| place.error(e))?;
                }
            }
        }
        if let Some(user) = &self.query.user {
            self.options
                .set_text(Field::User, user, &Origin::CommandLine);
        }
        if let Some(port) = self.query.port {
            self.options
                .set_integer(Field::Port, i64::from(port), &Origin::CommandLine);
        }
        let user = self.options.text(Field::User);
        if user.is_some_and(|u| !jump::is_safe_user(u)) {
            return Err(place.error("remote username contains invalid characters"));
        }
        if !jump::is_safe_host(&self.query.host) {
            return Err(place.error("hostname contains invalid characters"));
        }
        Ok(())
    }

    fn put(&mut self, field: Field, value: i64) {
        self.options.put_integer(field, value, Origin::CommandLine);
    }

    fn more_verbose(&mut self, again: bool) {
        let level = match self.options.integer(Field::LogLevel) {
            Some(level) if again => (level + 1).min(LEVEL_DEBUG3.max(level)),
            _ => LEVEL_DEBUG1,
        };
        self.put(Field::LogLevel, level);
    }

    fn flag(&mut self, flag: char) -> Result<(), String> {
        match flag {
            '1' => return Err("SSH protocol v.1 is no longer supported".to_owned()),
            '4' => self.put(Field::AddressFamily, 4),
            '6' => self.put(Field::AddressFamily, 6),
            'A' => self.put(Field::ForwardAgent, 1),
            'a' => self.put(Field::ForwardAgent, 0),
            'C' => self.put(Field::Compression, 1),
            'f' => {
                self.put(Field::ForkAfterAuthentication, 1);
                self.put(Field::StdinNull, 1);
            }
            'g' => self.put(Field::GatewayPorts, 1),
            'K' => {
                self.put(Field::GssapiAuthentication, 1);
                self.put(Field::GssapiDelegateCredentials, 1);
            }
            'k' => self.put(Field::GssapiDelegateCredentials, 0),
            'M' => {
                let again = self.options.integer(Field::ControlMaster) == Some(MASTER_YES);
                self.put(
                    Field::ControlMaster,
                    if again { MASTER_ASK } else { MASTER_YES },
                );
            }
            'N' => {
                self.session_type(SESSION_NONE, "cannot specify -N with -s or SessionType")?;
                self.put(Field::RequestTty, TTY_NO);
            }
            'n' => self.put(Field::StdinNull, 1),
            'q' => self.put(Field::LogLevel, LEVEL_QUIET),
            's' => {
                self.session_type(
                    SESSION_SUBSYSTEM,
                    "cannot specify -s with -N or SessionType",
                )?;
            }
            'T' => self.put(Field::RequestTty, TTY_NO),
            't' => {
                let again = self.options.integer(Field::RequestTty) == Some(TTY_YES);
                self.put(Field::RequestTty, if again { TTY_FORCE } else { TTY_YES });
            }
            'X' => self.put(Field::ForwardX11, 1),
            'x' => self.put(Field::ForwardX11, 0),
            'Y' => {
                self.put(Field::ForwardX11, 1);
                self.put(Field::ForwardX11Trusted, 1);
            }
            // These say nothing about the settings.
            '2' | 'G' | 'V' | 'y' => {}
            other => return Err(format!("unknown flag -{other}")),
        }
        Ok(())
    }

    fn session_type(&mut self, wanted: i64, conflict: &str) -> Result<(), String> {
        if self
            .options
            .integer(Field::SessionType)
            .is_some_and(|set| set != wanted)
        {
            return Err(conflict.to_owned());
        }
        self.put(Field::SessionType, wanted);
        Ok(())
    }

    fn flag_with(&mut self, flag: char, text: &[u8], place: &Place) -> Result<(), String> {
        let origin = Origin::CommandLine;
        match flag {
            'B' => self
                .options
                .put_text(Field::BindInterface, text.to_vec(), origin),
            'b' => self
                .options
                .put_text(Field::BindAddress, text.to_vec(), origin),
            'c' => {
                let names = text
                    .strip_prefix(b"+")
                    .or(text.strip_prefix(b"^"))
                    .unwrap_or(text);
                self.query.algorithms.check_names(Field::Ciphers, names)?;
                self.options.put_text(Field::Ciphers, text.to_vec(), origin);
            }
            'D' => self.add_forward(text, "dynamic", &[(true, false)])?,
            'L' => self.add_forward(text, "local", &[(false, false)])?,
            'R' => self.add_forward(text, "remote", &[(false, true), (true, true)])?,
            'e' => {
                let value = number::escape_char(text);
                let value =
                    value.ok_or_else(|| format!("bad escape character '{}'", shown(text)))?;
                self.put(Field::EscapeChar, value);
            }
            'I' => self
                .options
                .put_text(Field::Pkcs11Provider, text.to_vec(), origin),
            'i' => {
                let path = super::expand::tilde(text, self.local, self.environment)?;
                if self.environment.exists(&path) {
                    self.options
                        .add_file(Field::IdentityFile, &path, true, &origin)?;
                } else {
                    let message = format!("the identity file {} is not accessible", shown(&path));
                    self.notes.push(super::gather::Note { origin, message });
                }
            }
            'J' => {
                if self.options.jump.is_some() {
                    return Err("only a single -J option is permitted".to_owned());
                }
                if self.options.text(Field::ProxyCommand).is_some() {
                    return Err("cannot specify -J with ProxyCommand".to_owned());
                }
                self.proxy_jump(text, true, place)?;
            }
            'l' => self.options.set_text(Field::User, text, &origin),
            'm' => {
                self.query.algorithms.check_names(Field::Macs, text)?;
                self.options.put_text(Field::Macs, text.to_vec(), origin);
            }
            'p' => {
                if self.options.integer(Field::Port).is_none() {
                    let port = number::port(text, self.environment).filter(|p| *p != 0);
                    let port = port.ok_or_else(|| format!("bad port '{}'", shown(text)))?;
                    self.put(Field::Port, i64::from(port));
                }
            }
            'S' => self
                .options
                .put_text(Field::ControlPath, text.to_vec(), origin),
            'W' => {
                if self.options.stdio_forward {
                    return Err("stdio forward already specified".to_owned());
                }
                let bad = || format!("bad stdio forwarding specification '{}'", shown(text));
                forward::parse(text, true, false, self.environment).ok_or_else(bad)?;
                self.options.stdio_forward = true;
                self.put(Field::RequestTty, TTY_NO);
                self.put(Field::SessionType, SESSION_NONE);
            }
            'w' => {
                let (here, there) = special::tunnel(text)
                    .ok_or_else(|| format!("bad tun device '{}'", shown(text)))?;
                self.options.set_integer(Field::Tunnel, 1, &origin);
                self.put(Field::TunnelDevice, here);
                self.put(Field::TunnelRemote, there);
            }
            // These say nothing about the settings.
            'E' | 'O' | 'P' | 'Q' => {}
            other => return Err(format!("unknown flag -{other} with an argument")),
        }
        Ok(())
    }

    fn add_forward(
        &mut self,
        text: &[u8],
        name: &str,
        forms: &[(bool, bool)],
    ) -> Result<(), String> {
        for (dynamic, remote) in forms {
            if let Some(forward) = forward::parse(text, *dynamic, *remote, self.environment) {
                self.options
                    .add_forward(*remote, forward, &Origin::CommandLine);
                return Ok(());
            }
        }
        Err(format!(
            "bad {name} forwarding specification '{}'",
            shown(text)
        ))
    }
}
