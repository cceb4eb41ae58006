//! Where a setting comes from, and what is wrong with a configuration and where.
//!
//! Knows no keywords.

use std::fmt;
use std::sync::Arc;

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it: it is the built-in default, or follows from another setting.
    Default,
    /// The command line, or the program that asks.
    CommandLine,
    /// A line of a file.
    File {
        /// The path, with bytes that are not UTF-8 replaced.
        path: Arc<str>,
        /// The line, counted from 1.
        line: usize,
        /// Whether the file is the system's or included from there, not the user's.
        system: bool,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::CommandLine => f.write_str("command line"),
            Self::File { path, line, .. } => write!(f, "{path} line {line}"),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    origin: Origin,
    message: String,
}

impl ConfigError {
    pub(super) fn new(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            origin,
            message: message.into(),
        }
    }

    /// The place to look at; [`Origin::Default`] if the error is not of one place.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is wrong there.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => f.write_str(&self.message),
            origin => write!(f, "{origin}: {}", self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Bytes of a configuration as they are shown in a message: short, and on one line.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out: String = text
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(200).is_some() {
        out.push('…');
    }
    out
}
