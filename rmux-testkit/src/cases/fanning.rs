//! The shared cases of a fan-out: one command on many hosts, and what comes of each. The schema is in
//! `cases/README.md`. Must not know how it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::pooling::SERVERS;
use super::{End, Excess, Kind, of_kind};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `fan-out/in-order`.
    pub name: String,
    /// The hosts of the `ssh_config`, and the server that each of them is.
    pub hosts: BTreeMap<String, String>,
    /// What stands above them in the `ssh_config`.
    pub config: String,
    /// On which hosts to run the command, in this order.
    pub run: Vec<String>,
    /// The command, a line for the remote shell.
    pub shell: String,
    /// What it reads.
    pub stdin: String,
    /// How much to keep of each output, and what becomes of the rest.
    pub output_limit: Option<(u64, Excess)>,
    /// How many hosts are at work at a time; none means the default.
    pub limit: Option<usize>,
    /// Whether results come in the order of the hosts.
    pub ordered: bool,
    /// Whether the first failure ends all.
    pub fail_fast: bool,
    /// How long a host may take.
    pub timeout: Option<Duration>,
    /// How long all may take.
    pub deadline: Option<Duration>,
    /// What comes of each host, in the order of `run`.
    pub expect: Vec<Expect>,
    /// How many connections each server has accepted, where that matters.
    pub accepted: Option<BTreeMap<String, usize>>,
}

/// What comes of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expect {
    /// How it ends.
    pub end: End,
    /// What it writes to standard output, as far as that is kept.
    pub stdout: String,
    /// How many bytes of it are dropped.
    pub stdout_dropped: u64,
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::FanOut, |_: &[String], raw: RawCase, name| {
        raw.finish(name)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    request: RawRequest,
    expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    hosts: BTreeMap<String, String>,
    #[serde(default)]
    config: String,
    run: Vec<String>,
    shell: String,
    #[serde(default)]
    stdin: String,
    max_output: Option<u64>,
    #[serde(default)]
    on_excess: Excess,
    limit: Option<usize>,
    #[serde(default = "yes")]
    ordered: bool,
    #[serde(default)]
    fail_fast: bool,
    /// In milliseconds, as the next one.
    timeout: Option<u64>,
    deadline: Option<u64>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    results: Vec<RawResult>,
    accepted: Option<BTreeMap<String, usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResult {
    code: Option<i32>,
    error: Option<String>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stdout_dropped: u64,
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let request = self.request;
        let mut servers = request.hosts.values();
        if let Some(other) = servers.find(|server| !SERVERS.contains(&server.as_str())) {
            return Err(format!("{other} is none of the servers {SERVERS:?}"));
        }
        if request.run.len() != self.expect.results.len() {
            return Err("there must be a result for each host".to_owned());
        }
        let results = self.expect.results.into_iter().map(|raw| {
            let end = match (raw.code, raw.error) {
                (code, None) => End::Code(code.unwrap_or(0)),
                (None, Some(kind)) => End::Error(kind),
                _ => return Err("at most one of code and error".to_owned()),
            };
            Ok(Expect {
                end,
                stdout: raw.stdout,
                stdout_dropped: raw.stdout_dropped,
            })
        });
        Ok(Case {
            name,
            hosts: request.hosts,
            config: request.config,
            run: request.run,
            shell: request.shell,
            stdin: request.stdin,
            output_limit: request.max_output.map(|most| (most, request.on_excess)),
            limit: request.limit,
            ordered: request.ordered,
            fail_fast: request.fail_fast,
            timeout: request.timeout.map(Duration::from_millis),
            deadline: request.deadline.map(Duration::from_millis),
            expect: results.collect::<Result<_, String>>()?,
            accepted: self.expect.accepted,
        })
    }
}
