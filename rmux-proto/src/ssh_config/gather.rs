//! Gathers settings from the command line and the files, line by line.
//!
//! Holds what a line may depend on: the host as it is known by now, the pass, and the answers from
//! outside. What each keyword does is in [`super::directive`] and [`super::block`].

use std::sync::Arc;

use super::environment::{Environment, FileAnswer};
use super::error::{ConfigError, Origin, shown};
use super::glob;
use super::options::Options;
use super::query::{Local, Query, Sources};

/// How deep files may include files.
const DEEPEST_INCLUDE: usize = 16;
/// How many files may be read in all. Each level may include many, so depth alone bounds nothing.
const MOST_FILES: usize = 4096;

/// Something that is accepted but has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The line.
    pub origin: Origin,
    /// What about it.
    pub message: String,
}

/// Where a line stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) origin: Origin,
    /// Whether the line is the user's: from the command line, or from a file that is not the
    /// system's.
    pub(super) by_user: bool,
    /// Whether the file was included from a block that does not hold: it is only checked.
    pub(super) inert: bool,
    pub(super) depth: usize,
}

impl Place {
    pub(super) fn command_line() -> Self {
        Self {
            origin: Origin::CommandLine,
            by_user: true,
            inert: false,
            depth: 0,
        }
    }

    pub(super) fn is_command_line(&self) -> bool {
        self.origin == Origin::CommandLine
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(self.origin.clone(), message)
    }
}

/// The gathering of one query.
pub(super) struct Gatherer<'a> {
    pub(super) query: &'a Query,
    pub(super) local: &'a Local,
    pub(super) environment: &'a mut dyn Environment,
    pub(super) options: Options,
    /// The host as it is known by now: as typed, then as canonicalized.
    pub(super) host: Vec<u8>,
    pub(super) is_final_pass: bool,
    pub(super) wants_final_pass: bool,
    pub(super) notes: Vec<Note>,
    files_read: usize,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(
        query: &'a Query,
        local: &'a Local,
        environment: &'a mut dyn Environment,
    ) -> Self {
        Self {
            query,
            local,
            environment,
            options: Options::default(),
            host: query.host.clone(),
            is_final_pass: false,
            wants_final_pass: false,
            notes: Vec::new(),
            files_read: 0,
        }
    }

    /// Reads the files that the query names, once.
    pub(super) fn read_sources(&mut self) -> Result<(), ConfigError> {
        let top = |by_user| Place {
            origin: Origin::Default,
            by_user,
            inert: false,
            depth: 0,
        };
        match &self.query.sources {
            Sources::None => Ok(()),
            Sources::File(path) => {
                let answer = self.open(path)?;
                let reason = match answer {
                    FileAnswer::Content { bytes, .. } => {
                        return self.read_lines(path, &bytes, &top(true), &mut true);
                    }
                    FileAnswer::Unreadable(reason) => reason,
                    FileAnswer::Missing => "it does not exist".to_owned(),
                };
                let message = format!(
                    "cannot read the configuration file {}: {reason}",
                    shown(path)
                );
                Err(ConfigError::new(Origin::Default, message))
            }
            Sources::Default => {
                let path = [&self.local.home[..], b"/.ssh/config"].concat();
                if let FileAnswer::Content { bytes, safe } = self.open(&path)? {
                    require_safe(&path, safe)?;
                    self.read_lines(&path, &bytes, &top(true), &mut true)?;
                }
                let path = b"/etc/ssh/ssh_config";
                match self.open(path)? {
                    FileAnswer::Content { bytes, .. } => {
                        self.read_lines(path, &bytes, &top(false), &mut true)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Reads the files of an Include. Blocks in them end with them.
    pub(super) fn include(
        &mut self,
        pattern: &[u8],
        place: &Place,
        active: bool,
    ) -> Result<(), ConfigError> {
        if pattern.starts_with(b"~") && !place.by_user {
            return Err(place.error(format!("bad include path {}", shown(pattern))));
        }
        let anchored = match pattern.first() {
            Some(b'/' | b'~') => pattern.to_vec(),
            _ if place.by_user => [b"~/.ssh/", pattern].concat(),
            _ => [b"/etc/ssh/", pattern].concat(),
        };
        let inside = Place {
            inert: place.inert || !active,
            depth: place.depth + 1,
            ..place.clone()
        };
        for path in glob::expand(&anchored, &self.local.home, self.environment) {
            if inside.depth > DEEPEST_INCLUDE {
                return Err(place.error("too many recursive configuration includes"));
            }
            match self.open(&path).map_err(|e| place.error(e.message()))? {
                FileAnswer::Missing => {}
                FileAnswer::Unreadable(reason) => {
                    return Err(place.error(format!("cannot include {}: {reason}", shown(&path))));
                }
                FileAnswer::Content { bytes, safe } => {
                    require_safe(&path, safe).map_err(|e| place.error(e.message()))?;
                    self.read_lines(&path, &bytes, &inside, &mut { active })?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, path: &[u8]) -> Result<FileAnswer, ConfigError> {
        self.files_read += 1;
        if self.files_read > MOST_FILES {
            let message = format!("the configuration includes more than {MOST_FILES} files");
            return Err(ConfigError::new(Origin::Default, message));
        }
        Ok(self.environment.read_file(path))
    }

    fn read_lines(
        &mut self,
        path: &[u8],
        bytes: &[u8],
        place: &Place,
        active: &mut bool,
    ) -> Result<(), ConfigError> {
        let shown_path: Arc<str> = String::from_utf8_lossy(path).into();
        for (index, line) in bytes.split(|&c| c == b'\n').enumerate() {
            let origin = Origin::File {
                path: shown_path.clone(),
                line: index + 1,
                system: !place.by_user,
            };
            let place = Place {
                origin,
                ..place.clone()
            };
            self.apply(line, &place, active)?;
        }
        Ok(())
    }
}

fn require_safe(path: &[u8], safe: bool) -> Result<(), ConfigError> {
    if safe {
        return Ok(());
    }
    let message = format!(
        "bad owner or permissions on {}: it must be yours or root's, and only its owner may write to it",
        shown(path)
    );
    Err(ConfigError::new(Origin::Default, message))
}
