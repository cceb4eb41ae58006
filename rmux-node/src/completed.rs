//! How a command ended and what it wrote, on its way to JavaScript.

use std::path::PathBuf;

use napi::bindgen_prelude::{Buffer, Env};
use napi_derive::napi;
use rmux_core::{Error, ExitStatus, Output, RemoteEnd, Result};

use crate::delivery::{Failure, copied};

/// How a command ended: a status, or the signal that ended it, as `SIGTERM`.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Exit {
    pub exit_code: Option<i32>,
    pub signal: Option<String>,
}

impl From<&ExitStatus> for Exit {
    fn from(status: &ExitStatus) -> Self {
        Self {
            exit_code: status.code(),
            signal: status.signal().map(ToString::to_string),
        }
    }
}

/// How a command ended that was ended from here, and whether the remote has confirmed that nothing of its
/// process group is left.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Stopped {
    pub exit: Exit,
    pub confirmed: bool,
}

impl From<&rmux_core::Stopped> for Stopped {
    fn from(stopped: &rmux_core::Stopped) -> Self {
        Self {
            exit: Exit::from(&stopped.status),
            confirmed: stopped.remote_end == RemoteEnd::Confirmed,
        }
    }
}

/// What a command wrote and how it ended; `failure` where it was to be checked and failed, or where it
/// was ended before its time: then `exit` is empty, and what it wrote is what had come until then.
#[napi(object, object_from_js = false)]
pub struct Completed {
    pub exit: Exit,
    pub stdout: Buffer,
    pub stderr: Buffer,
    pub more: More,
    pub failure: Option<Failure>,
}

/// What of a command's output is not in memory.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone, Default)]
pub struct More {
    /// How many bytes were dropped.
    pub stdout_dropped: f64,
    pub stderr_dropped: f64,
    /// The files with everything.
    pub stdout_file: Option<String>,
    pub stderr_file: Option<String>,
}

impl From<&Output> for More {
    fn from(output: &Output) -> Self {
        let file = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| path.to_string_lossy().into_owned())
        };
        Self {
            stdout_dropped: output.stdout_dropped as f64,
            stderr_dropped: output.stderr_dropped as f64,
            stdout_file: file(&output.stdout_file),
            stderr_file: file(&output.stderr_file),
        }
    }
}

/// The same, in memory of the core's.
pub(crate) struct Ran {
    exit: Exit,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    more: More,
    failure: Option<Failure>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            exit: Exit::from(&output.status),
            more: More::from(&output),
            stdout: output.stdout,
            stderr: output.stderr,
            failure: None,
        }
    }
}

impl Ran {
    /// What a command had written that was ended for this; else there is only the error.
    pub(crate) fn ended(error: Error) -> Result<Self> {
        let written = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
        let (stdout, stderr) = (error.partial_stdout(), error.partial_stderr());
        match (written(stdout), written(stderr)) {
            (Some(stdout), Some(stderr)) => Ok(Self {
                exit: Exit {
                    exit_code: None,
                    signal: None,
                },
                stdout,
                stderr,
                more: More::default(),
                failure: Some(error.into()),
            }),
            _ => Err(error),
        }
    }

    /// That it ended so is a failure, if it is one.
    pub(crate) fn failed(mut self, failure: Option<Error>) -> Self {
        self.failure = failure.map(Into::into);
        self
    }

    /// All bytes are copied into Node's own memory.
    pub(crate) fn into_completed(self, env: &Env) -> napi::Result<Completed> {
        Ok(Completed {
            exit: self.exit,
            stdout: copied(env, &self.stdout)?,
            stderr: copied(env, &self.stderr)?,
            more: self.more,
            failure: self.failure,
        })
    }
}
