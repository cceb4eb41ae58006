//! A command as JavaScript describes it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use rmux_core::{
    Command, Error, ErrorKind, Lane, OutputLimit, Pty, Result, Session, ShellContext, Stdio,
};

use crate::connect::milliseconds;

/// What to run, and how. One of `line`, `words` and `subsystem`.
#[napi(object, object_to_js = false)]
pub struct CommandSpec {
    /// A line for the account's shell.
    pub line: Option<String>,
    /// A program and its arguments.
    pub words: Option<Vec<String>>,
    /// A subsystem of the server.
    pub subsystem: Option<String>,
    pub env: Option<HashMap<String, String>>,
    pub cwd: Option<String>,
    /// Standard input of `run`.
    pub input: Option<Uint8Array>,
    /// Milliseconds; for `run`.
    pub timeout: Option<f64>,
    /// Milliseconds from `TERM` to `KILL`.
    pub kill_grace: Option<f64>,
    /// How many bytes of each stream to keep; for `run`.
    pub max_output: Option<f64>,
    /// What becomes of the rest: `error`, `truncate` or `spill`.
    pub on_excess: Option<String>,
    /// Whether a status other than 0 is a failure; for `run`.
    pub check: Option<bool>,
    /// Whether giving the command up kills its process group.
    pub kill_on_drop: bool,
    /// Whether nothing but the command is sent, and all that comes is output.
    pub verbatim: Option<bool>,
    /// `pipe`, `ignore` or `inherit`; for `spawn`.
    pub stdin: Option<String>,
    pub stdout: Option<String>,
    pub stderr: Option<String>,
    pub pty: Option<PtySpec>,
    /// Whether it moves much data, and about how many bytes where that is known.
    pub bulk: Option<bool>,
    pub expected_size: Option<f64>,
}

/// A terminal to run a command in.
#[napi(object, object_to_js = false)]
pub struct PtySpec {
    pub term: Option<String>,
    pub columns: Option<u32>,
    pub rows: Option<u32>,
    pub modes: Option<Vec<PtyMode>>,
    /// Whether to do without if the server refuses it.
    pub optional: Option<bool>,
}

/// One terminal mode (RFC 4254, section 8).
#[napi(object, object_to_js = false)]
pub struct PtyMode {
    pub opcode: u32,
    pub value: u32,
}

/// A command without a session, for one or for many.
pub(crate) struct Recipe {
    what: What,
    env: HashMap<String, String>,
    cwd: Option<String>,
    input: Option<Bytes>,
    timeout: Option<Duration>,
    kill_grace: Option<Duration>,
    output_limit: Option<OutputLimit>,
    kill_on_drop: bool,
    verbatim: bool,
    lane: Lane,
    stdio: [Option<Stdio>; 3],
    pty: Option<Pty>,
}

enum What {
    Line(String),
    Program(String, Vec<String>),
    Subsystem(String),
}

impl CommandSpec {
    /// As the core takes it.
    pub(crate) fn into_recipe(self) -> Result<Recipe> {
        let what = match (self.line, self.words, self.subsystem) {
            (Some(line), None, None) => What::Line(line),
            (None, Some(words), None) => {
                let mut words = words.into_iter();
                let program = words
                    .next()
                    .ok_or_else(|| invalid("a command needs at least its program".into()))?;
                What::Program(program, words.collect())
            }
            (None, None, Some(name)) => What::Subsystem(name),
            _ => {
                let what = "a command is a shell line, an array or a subsystem";
                return Err(invalid(what.into()));
            }
        };
        let stream = |name: Option<String>| name.as_deref().map(stdio).transpose();
        Ok(Recipe {
            what,
            env: self.env.unwrap_or_default(),
            cwd: self.cwd,
            input: self.input.map(|input| Bytes::copy_from_slice(&input)),
            timeout: self.timeout.map(milliseconds).transpose()?,
            kill_grace: self.kill_grace.map(milliseconds).transpose()?,
            output_limit: match self.max_output {
                Some(most) => Some(output_limit(most, self.on_excess.as_deref())?),
                None => None,
            },
            kill_on_drop: self.kill_on_drop,
            verbatim: self.verbatim == Some(true),
            lane: match self.bulk {
                Some(true) => Lane::Bulk(self.expected_size.map(|size| size as u64)),
                _ => Lane::Interactive,
            },
            stdio: [
                stream(self.stdin)?,
                stream(self.stdout)?,
                stream(self.stderr)?,
            ],
            pty: self.pty.map(PtySpec::into_pty).transpose()?,
        })
    }

    /// The core's command, in a context where there is one.
    pub(crate) fn into_command(
        self,
        session: &Session,
        context: Option<&ShellContext>,
    ) -> Result<Command> {
        let recipe = self.into_recipe()?;
        match context {
            Some(context) => recipe.command_in(context),
            None => Ok(recipe.command(session)),
        }
    }
}

impl Recipe {
    /// The command of one session.
    pub(crate) fn command(&self, session: &Session) -> Command {
        self.finish(match &self.what {
            What::Line(line) => session.shell(line),
            What::Program(program, args) => session.command(program).args(args).clone(),
            What::Subsystem(name) => session.subsystem(name),
        })
    }

    /// The command of one context.
    fn command_in(&self, context: &ShellContext) -> Result<Command> {
        Ok(self.finish(match &self.what {
            What::Line(line) => context.shell(line),
            What::Program(program, args) => context.command(program).args(args).clone(),
            What::Subsystem(_) => {
                let what = "a subsystem has no shell whose state could be kept";
                return Err(invalid(what.into()));
            }
        }))
    }

    fn finish(&self, mut command: Command) -> Command {
        command
            .envs(&self.env)
            .kill_on_drop(self.kill_on_drop)
            .verbatim(self.verbatim);
        if let Some(directory) = &self.cwd {
            command.current_dir(directory);
        }
        if let Some(input) = &self.input {
            command.input(input.clone());
        }
        if let Some(timeout) = self.timeout {
            command.timeout(timeout);
        }
        if let Some(grace) = self.kill_grace {
            command.kill_grace(grace);
        }
        if let Some(limit) = self.output_limit {
            command.output_limit(limit);
        }
        let [stdin, stdout, stderr] = self.stdio;
        if let Some(stdin) = stdin {
            command.stdin(stdin);
        }
        if let Some(stdout) = stdout {
            command.stdout(stdout);
        }
        if let Some(stderr) = stderr {
            command.stderr(stderr);
        }
        command.lane(self.lane);
        if let Some(pty) = &self.pty {
            command.pty(pty.clone());
        }
        command
    }
}

impl PtySpec {
    fn into_pty(self) -> Result<Pty> {
        let mut pty = self.term.map_or_else(Pty::default, Pty::new);
        pty = pty.size(self.columns.unwrap_or(80), self.rows.unwrap_or(24));
        for mode in self.modes.unwrap_or_default() {
            let opcode = u8::try_from(mode.opcode)
                .map_err(|_| invalid(format!("{} is no terminal mode", mode.opcode)))?;
            pty = pty.mode(opcode, mode.value);
        }
        if self.optional == Some(true) {
            pty = pty.optional();
        }
        Ok(pty)
    }
}

/// `most` is a safe integer of JavaScript.
fn output_limit(most: f64, on_excess: Option<&str>) -> Result<OutputLimit> {
    let most = most as u64;
    match on_excess {
        None | Some("error") => Ok(OutputLimit::Error(most)),
        Some("truncate") => Ok(OutputLimit::Truncate(most)),
        Some("spill") => Ok(OutputLimit::Spill(most)),
        Some(other) => Err(invalid(format!(
            "{other:?} is not error, truncate or spill"
        ))),
    }
}

fn stdio(name: &str) -> Result<Stdio> {
    match name {
        "pipe" => Ok(Stdio::piped()),
        "ignore" => Ok(Stdio::null()),
        "inherit" => Ok(Stdio::inherit()),
        other => Err(invalid(format!("{other:?} is not pipe, ignore or inherit"))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "run", message)
}
