//! What to run, as core takes it: made once, for one session or for many.

use std::ffi::{OsStr, OsString};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rmux_core::{Command, Error, ErrorKind, Session, ShellContext};

/// What to run: a line for the account's shell, a program and its arguments, or a subsystem.
#[derive(FromPyObject)]
pub(crate) enum Words {
    #[pyo3(transparent)]
    Line(PyBackedBytes),
    #[pyo3(transparent)]
    Program(Vec<PyBackedBytes>),
    #[pyo3(transparent)]
    Subsystem(String),
}

pub(crate) type Variables = Vec<(PyBackedBytes, PyBackedBytes)>;

/// A command without a session.
pub(crate) struct Recipe {
    what: What,
    env: Vec<(OsString, OsString)>,
    cwd: Option<OsString>,
}

enum What {
    Line(OsString),
    Program(OsString, Vec<OsString>),
    Subsystem(String),
}

impl Recipe {
    pub(crate) fn new(
        words: &Words,
        env: &Variables,
        cwd: Option<&PyBackedBytes>,
    ) -> rmux_core::Result<Self> {
        let what = match words {
            Words::Line(line) => What::Line(text(line)?),
            Words::Program(words) => {
                let Some((program, args)) = words.split_first() else {
                    let what = "there is no program to run: the list is empty";
                    return Err(Error::new(ErrorKind::InvalidInput, "run", what));
                };
                let args = args.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?;
                What::Program(text(program)?, args)
            }
            Words::Subsystem(name) => What::Subsystem(name.clone()),
        };
        let pair = |(name, value): &(PyBackedBytes, PyBackedBytes)| Ok((text(name)?, text(value)?));
        Ok(Self {
            what,
            env: env.iter().map(pair).collect::<rmux_core::Result<_>>()?,
            cwd: cwd.map(|cwd| text(cwd)).transpose()?,
        })
    }

    /// The command of one session.
    pub(crate) fn command(&self, session: &Session) -> Command {
        self.finish(match &self.what {
            What::Line(line) => session.shell(line),
            What::Program(program, args) => session.command(program).args(args).clone(),
            What::Subsystem(name) => session.subsystem(name),
        })
    }

    /// The command of one context.
    pub(crate) fn command_in(&self, context: &ShellContext) -> rmux_core::Result<Command> {
        Ok(self.finish(match &self.what {
            What::Line(line) => context.shell(line),
            What::Program(program, args) => context.command(program).args(args).clone(),
            What::Subsystem(_) => {
                let what = "a subsystem has no shell whose state could be kept";
                return Err(Error::new(ErrorKind::InvalidInput, "run", what));
            }
        }))
    }

    fn finish(&self, mut command: Command) -> Command {
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command
    }
}

/// The words of a command are bytes, as everywhere on POSIX.
#[cfg(unix)]
pub(crate) fn text(bytes: &[u8]) -> rmux_core::Result<OsString> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(OsStr::from_bytes(bytes).to_owned())
}

/// The words of a command are Unicode here.
#[cfg(not(unix))]
pub(crate) fn text(bytes: &[u8]) -> rmux_core::Result<OsString> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(OsStr::new(text).to_owned()),
        Err(error) => Err(Error::new(
            ErrorKind::InvalidInput,
            "run",
            "the command holds bytes that are not UTF-8",
        )
        .with_source(error)),
    }
}
