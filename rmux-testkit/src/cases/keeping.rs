//! The shared cases of a context: lines that run one after the other, and what each of them keeps for
//! the next. The schema is in `cases/README.md`. Must not know how it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{Command, End, Kind, Output, RawOutput, of_kind, optional_bytes, output};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `context/directory`.
    pub name: String,
    /// Which program runs lines; none means the default.
    pub interpreter: Option<String>,
    /// The directory to begin in.
    pub cwd: Option<String>,
    /// Variables to begin with; none for one that is unset.
    pub env: BTreeMap<String, Option<String>>,
    /// What is run, in this order.
    pub steps: Vec<Step>,
    /// The directory behind the last step, where that matters.
    pub left_cwd: Option<String>,
    /// The changes of variables behind the last step, where they matter.
    pub left_env: Option<BTreeMap<String, Option<String>>>,
}

/// One command of a case, and what must come of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// A program or a line.
    pub command: Command,
    /// What it reads; none means the null device.
    pub stdin: Option<Vec<u8>>,
    /// Its own variables.
    pub env: BTreeMap<String, String>,
    /// Its own directory.
    pub cwd: Option<String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How it ends.
    pub end: End,
    /// What it writes to standard output.
    pub stdout: Output,
    /// What it writes to standard error.
    pub stderr: Output,
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::Context, |_: &[String], raw: RawCase, name| {
        raw.finish(name)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    request: RawRequest,
    steps: Vec<RawStep>,
    #[serde(default)]
    expect: RawExpect,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    interpreter: Option<String>,
    cwd: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, Option<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    cwd: Option<String>,
    env: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    argv: Option<Vec<String>>,
    shell: Option<String>,
    #[serde(default, deserialize_with = "optional_bytes")]
    stdin: Option<Vec<u8>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    /// In seconds.
    timeout: Option<f64>,
    code: Option<i32>,
    error: Option<String>,
    stdout: Option<RawOutput>,
    stderr: Option<RawOutput>,
}

impl RawStep {
    fn finish(self) -> Result<Step, String> {
        Ok(Step {
            command: match (self.argv, self.shell) {
                (Some(argv), None) if !argv.is_empty() => Command::Argv(argv),
                (None, Some(line)) => Command::Shell(line),
                _ => return Err("exactly one of argv and shell".to_owned()),
            },
            stdin: self.stdin,
            env: self.env,
            cwd: self.cwd,
            timeout: self.timeout.map(Duration::from_secs_f64),
            end: match (self.code, self.error) {
                (code, None) => End::Code(code.unwrap_or(0)),
                (None, Some(kind)) => End::Error(kind),
                _ => return Err("at most one of code and error".to_owned()),
            },
            stdout: output(self.stdout)?,
            stderr: output(self.stderr)?,
        })
    }
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let steps = self.steps.into_iter().map(RawStep::finish);
        Ok(Case {
            name,
            interpreter: self.request.interpreter,
            cwd: self.request.cwd,
            env: self.request.env,
            steps: steps.collect::<Result<_, _>>()?,
            left_cwd: self.expect.cwd,
            left_env: self.expect.env,
        })
    }
}
