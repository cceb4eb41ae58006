//! A context for blocking code.

use std::ffi::{OsStr, OsString};

use super::{Command, Session};
use crate::session;

/// A [`ShellContext`](crate::ShellContext) for blocking code.
#[derive(Debug, Clone)]
pub struct ShellContext(session::ShellContext);

impl ShellContext {
    pub(super) fn new(context: session::ShellContext) -> Self {
        Self(context)
    }

    /// As [`ShellContext::shell`](crate::ShellContext::shell).
    pub fn shell(&self, line: impl AsRef<OsStr>) -> Command {
        Command(self.0.shell(line))
    }

    /// As [`ShellContext::command`](crate::ShellContext::command).
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command(self.0.command(program))
    }

    /// As [`ShellContext::interpreter`](crate::ShellContext::interpreter).
    pub fn interpreter(&self, program: impl AsRef<OsStr>) -> &Self {
        self.0.interpreter(program);
        self
    }

    /// As [`ShellContext::current_dir`](crate::ShellContext::current_dir).
    pub fn current_dir(&self, directory: impl AsRef<OsStr>) -> &Self {
        self.0.current_dir(directory);
        self
    }

    /// As [`ShellContext::env`](crate::ShellContext::env).
    pub fn env(&self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &Self {
        self.0.env(name, value);
        self
    }

    /// As [`ShellContext::env_remove`](crate::ShellContext::env_remove).
    pub fn env_remove(&self, name: impl AsRef<OsStr>) -> &Self {
        self.0.env_remove(name);
        self
    }

    /// As [`ShellContext::cwd`](crate::ShellContext::cwd).
    pub fn cwd(&self) -> Option<OsString> {
        self.0.cwd()
    }

    /// As [`ShellContext::variables`](crate::ShellContext::variables).
    pub fn variables(&self) -> Vec<(OsString, Option<OsString>)> {
        self.0.variables()
    }

    /// As [`ShellContext::fork`](crate::ShellContext::fork).
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(self.0.fork())
    }

    /// As [`ShellContext::fork_on`](crate::ShellContext::fork_on).
    #[must_use]
    pub fn fork_on(&self, session: &Session) -> Self {
        Self(self.0.fork_on(&session.0))
    }
}
