//! The shared cases: requests and what must come of them, the same for every language. The
//! schema is in `cases/README.md`. Must not know how a request is carried out.

pub mod dropping;
pub mod fanning;
pub mod filing;
pub mod forwarding;
pub mod keeping;
pub mod pooling;
pub mod resolving;
pub mod transferring;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `exit/code-3`.
    pub name: String,
    /// Lines of sshd_config that the server must have.
    pub sshd: Vec<String>,
    /// What to connect to.
    pub target: Target,
    /// What to run.
    pub request: Request,
    /// What must come of it.
    pub expect: Expect,
}

/// What a case connects to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Target {
    /// A server that lets the client in.
    #[default]
    Server,
    /// A port that refuses.
    Refused,
    /// A port that accepts and says nothing; the connect deadline is one second.
    Silent,
    /// The server, with an empty known_hosts file.
    UnknownHostKey,
    /// The server, with another key for it in known_hosts.
    ChangedHostKey,
    /// The server, with a key that may not log in.
    Stranger,
}

/// What to run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The command.
    pub command: Command,
    /// `ssh_config` settings to connect with.
    pub options: Vec<(String, String)>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Input; none means the null device.
    pub stdin: Option<Vec<u8>>,
    /// Terminal.
    pub pty: Option<Pty>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How many bytes of each stream to keep, and what becomes of the rest.
    pub limit: Option<(u64, Excess)>,
}

/// What becomes of output that is too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Excess {
    /// An error.
    #[default]
    Error,
    /// It is dropped.
    Truncate,
    /// All is in a file.
    Spill,
}

/// A command in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Program and arguments.
    Argv(Vec<String>),
    /// A string for the remote shell.
    Shell(String),
    /// A subsystem of the server.
    Subsystem(String),
}

/// A terminal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Pty {
    /// Its type, for `TERM`.
    pub term: String,
    /// Its width in characters.
    pub columns: u16,
    /// Its height in characters.
    pub rows: u16,
    /// Whether to run without one where the server refuses it.
    #[serde(default)]
    pub optional: bool,
}

/// What must come of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Expect {
    /// How it ends.
    pub end: End,
    /// Whether it has a terminal, where that matters.
    pub pty: Option<bool>,
    /// What it writes to stdout.
    pub stdout: Output,
    /// What it writes to stderr.
    pub stderr: Output,
    /// Whether the end of a command that was ended must be confirmed.
    pub confirmed: Option<bool>,
    /// How many bytes of stdout and stderr are dropped.
    pub dropped: (u64, u64),
    /// What the file with all of stdout holds.
    pub stdout_file: Option<Output>,
}

/// How a request ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal, without `SIG`.
    Signal(String),
    /// With an error of this kind.
    Error(String),
}

/// What a stream must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Exactly these bytes.
    Exactly(Vec<u8>),
    /// This text somewhere.
    Contains(String),
}

impl Output {
    /// Whether `actual` is right; if not, what is wrong, in a line.
    ///
    /// # Errors
    /// The difference.
    pub fn check(&self, actual: &[u8]) -> Result<(), String> {
        match self {
            Self::Exactly(expected) if expected == actual => Ok(()),
            Self::Exactly(expected) => {
                let same = expected
                    .iter()
                    .zip(actual)
                    .take_while(|(a, b)| a == b)
                    .count();
                let from = |bytes: &[u8]| {
                    let end = bytes.len().min(same + 40);
                    String::from_utf8_lossy(&bytes[same..end])
                        .escape_debug()
                        .to_string()
                };
                Err(format!(
                    "{} bytes where {} were expected; from byte {same}: \"{}\" instead of \"{}\"",
                    actual.len(),
                    expected.len(),
                    from(actual),
                    from(expected),
                ))
            }
            Self::Contains(text) => {
                let actual = String::from_utf8_lossy(actual);
                match actual.contains(text.as_str()) {
                    true => Ok(()),
                    false => Err(format!("{actual:?} does not contain {text:?}")),
                }
            }
        }
    }
}

/// All cases of commands, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    let of_file = |sshd: &[String], raw: RawCase, name| raw.finish(sshd.to_vec(), name);
    of_kind(Kind::Run, of_file)
}

/// What the cases of a file are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Run,
    Resolve,
    Pool,
    FanOut,
    Files,
    Transfers,
    Forward,
    Drops,
    Context,
}

/// The cases of all files of one kind. `finish` is given the file's lines for sshd_config, the case
/// and its name.
#[track_caller]
fn of_kind<Raw, T>(
    kind: Kind,
    finish: impl Fn(&[String], Raw, String) -> Result<T, String>,
) -> Vec<T>
where
    Raw: DeserializeOwned,
{
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let entries = folder
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder of cases").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let fail = |error: String| -> ! { panic!("{}: {error}", path.display()) };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| fail(error.to_string()));
        let file: File =
            serde_json::from_str(&text).unwrap_or_else(|error| fail(error.to_string()));
        if file.kind != kind {
            continue;
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        for case in file.cases {
            let name = format!("{stem}/{}", case["name"].as_str().unwrap_or_default());
            let read = serde_json::from_value(case).map_err(|error| error.to_string());
            let finished = read.and_then(|raw| finish(&file.sshd, raw, name.clone()));
            cases.push(finished.unwrap_or_else(|error| fail(format!("{name}: {error}"))));
        }
    }
    cases
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    sshd: Vec<String>,
    cases: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    target: Target,
    request: RawRequest,
    expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    argv: Option<Vec<RawBytes>>,
    shell: Option<RawBytes>,
    subsystem: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, RawOption>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    #[serde(default, deserialize_with = "optional_bytes")]
    stdin: Option<Vec<u8>>,
    pty: Option<Pty>,
    timeout: Option<f64>,
    max_output: Option<u64>,
    on_excess: Option<Excess>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    code: Option<i32>,
    signal: Option<String>,
    error: Option<String>,
    pty: Option<bool>,
    stdout: Option<RawOutput>,
    stderr: Option<RawOutput>,
    confirmed: Option<bool>,
    #[serde(default)]
    stdout_dropped: u64,
    #[serde(default)]
    stderr_dropped: u64,
    stdout_file: Option<RawOutput>,
}

/// The value of a setting, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawOption {
    One(String),
    Many(Vec<String>),
}

/// Settings, each with one value.
fn settings(raw: BTreeMap<String, RawOption>) -> Vec<(String, String)> {
    let settings = raw.into_iter().flat_map(|(key, values)| {
        let values = match values {
            RawOption::One(value) => vec![value],
            RawOption::Many(values) => values,
        };
        values.into_iter().map(move |value| (key.clone(), value))
    });
    settings.collect()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawOutput {
    Contains(Contains),
    Exactly(RawBytes),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contains {
    contains: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawBytes {
    Text(String),
    Base64(Base64),
    Repeat(Repeat),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64 {
    base64: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    repeat: String,
    times: usize,
}

impl RawBytes {
    fn text(self) -> Result<String, String> {
        String::from_utf8(self.bytes()?).map_err(|error| format!("no text: {error}"))
    }

    fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64(Base64 { base64 }) => STANDARD
                .decode(base64)
                .map_err(|error| format!("base64: {error}")),
            Self::Repeat(Repeat { repeat, times }) => Ok(repeat.repeat(times).into_bytes()),
        }
    }
}

/// What a stream must hold; nothing, where nothing is said.
fn output(raw: Option<RawOutput>) -> Result<Output, String> {
    match raw {
        None => Ok(Output::Exactly(Vec::new())),
        Some(RawOutput::Contains(Contains { contains })) => Ok(Output::Contains(contains)),
        Some(RawOutput::Exactly(bytes)) => bytes.bytes().map(Output::Exactly),
    }
}

fn optional_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    let raw = RawBytes::deserialize(from)?;
    raw.bytes().map(Some).map_err(serde::de::Error::custom)
}

impl RawCase {
    fn finish(self, sshd: Vec<String>, name: String) -> Result<Case, String> {
        let Self {
            target,
            request,
            expect,
            ..
        } = self;
        let command = match (request.argv, request.shell, request.subsystem) {
            (Some(argv), None, None) if !argv.is_empty() => {
                let words = argv.into_iter().map(RawBytes::text);
                Command::Argv(words.collect::<Result<_, _>>()?)
            }
            (None, Some(shell), None) => Command::Shell(shell.text()?),
            (None, None, Some(name)) => Command::Subsystem(name),
            _ => return Err("exactly one of argv, shell and subsystem".to_owned()),
        };
        let end = match (expect.code, expect.signal, expect.error) {
            (None, None, None) => End::Code(0),
            (Some(code), None, None) => End::Code(code),
            (None, Some(signal), None) => End::Signal(signal),
            (None, None, Some(error)) => End::Error(error),
            _ => return Err("at most one of code, signal and error".to_owned()),
        };
        Ok(Case {
            name,
            sshd,
            target,
            request: Request {
                command,
                options: settings(request.options),
                env: request.env,
                cwd: request.cwd,
                stdin: request.stdin,
                pty: request.pty,
                timeout: request.timeout.map(Duration::from_secs_f64),
                limit: match (request.max_output, request.on_excess) {
                    (Some(most), on_excess) => Some((most, on_excess.unwrap_or_default())),
                    (None, None) => None,
                    (None, Some(_)) => return Err("on_excess needs max_output".to_owned()),
                },
            },
            expect: Expect {
                end,
                pty: expect.pty,
                stdout: output(expect.stdout)?,
                stderr: output(expect.stderr)?,
                confirmed: expect.confirmed,
                dropped: (expect.stdout_dropped, expect.stderr_dropped),
                stdout_file: expect
                    .stdout_file
                    .map(|file| output(Some(file)))
                    .transpose()?,
            },
        })
    }
}
