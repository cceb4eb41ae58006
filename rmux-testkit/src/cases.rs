//! The shared cases: requests and what must come of them, the same for every language. The
//! schema is in `cases/README.md`. Must not know how a request is carried out.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `exit/code-3`.
    pub name: String,
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
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Input; none means the null device.
    pub stdin: Option<Vec<u8>>,
    /// Terminal.
    pub pty: Option<Pty>,
}

/// A command in one of its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Program and arguments.
    Argv(Vec<String>),
    /// A string for the remote shell.
    Shell(String),
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
}

/// What must come of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Expect {
    /// How it ends.
    pub end: End,
    /// What it writes to stdout.
    pub stdout: Output,
    /// What it writes to stderr.
    pub stderr: Output,
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

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
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
    files.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", path.display()) };
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| fail(&error));
    let file: File = serde_json::from_str(&text).unwrap_or_else(|error| fail(&error));
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy())
        .unwrap_or_default();
    let convert = |raw: RawCase| {
        let name = format!("{stem}/{}", raw.name);
        raw.finish(name.clone())
            .unwrap_or_else(|error| fail(&format!("{name}: {error}")))
    };
    file.cases.into_iter().map(convert).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    #[serde(default)]
    target: Target,
    request: RawRequest,
    expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    argv: Option<Vec<String>>,
    shell: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    #[serde(default, deserialize_with = "optional_bytes")]
    stdin: Option<Vec<u8>>,
    pty: Option<Pty>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    code: Option<i32>,
    signal: Option<String>,
    error: Option<String>,
    stdout: Option<RawOutput>,
    stderr: Option<RawOutput>,
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

fn optional_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    let raw = RawBytes::deserialize(from)?;
    raw.bytes().map(Some).map_err(serde::de::Error::custom)
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let Self {
            target,
            request,
            expect,
            ..
        } = self;
        let command = match (request.argv, request.shell) {
            (Some(argv), None) if !argv.is_empty() => Command::Argv(argv),
            (None, Some(shell)) => Command::Shell(shell),
            _ => return Err("exactly one of argv and shell".to_owned()),
        };
        let end = match (expect.code, expect.signal, expect.error) {
            (None, None, None) => End::Code(0),
            (Some(code), None, None) => End::Code(code),
            (None, Some(signal), None) => End::Signal(signal),
            (None, None, Some(error)) => End::Error(error),
            _ => return Err("at most one of code, signal and error".to_owned()),
        };
        let output = |raw: Option<RawOutput>| match raw {
            None => Ok(Output::Exactly(Vec::new())),
            Some(RawOutput::Contains(Contains { contains })) => Ok(Output::Contains(contains)),
            Some(RawOutput::Exactly(bytes)) => bytes.bytes().map(Output::Exactly),
        };
        Ok(Case {
            name,
            target,
            request: Request {
                command,
                env: request.env,
                cwd: request.cwd,
                stdin: request.stdin,
                pty: request.pty,
            },
            expect: Expect {
                end,
                stdout: output(expect.stdout)?,
                stderr: output(expect.stderr)?,
            },
        })
    }
}
