//! The shared cases of a pool: who asks for which hosts, and how many connections that makes. The
//! schema is in `cases/README.md`. Must not know how a pool does it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{Kind, of_kind};

/// The names by which the cases know the servers.
pub const SERVERS: [&str; 3] = ["a", "b", "c"];

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `pool/two-names`.
    pub name: String,
    /// The hosts of the `ssh_config`, and the server that each of them is.
    pub hosts: BTreeMap<String, String>,
    /// What stands above them in the `ssh_config`.
    pub config: String,
    /// How long a session stays that nobody uses.
    pub linger: Duration,
    /// How many connections the pool may have.
    pub max_connections: Option<usize>,
    /// How many of them to one server.
    pub max_connections_per_host: Option<usize>,
    /// Who is asked for at once; the next round comes when all of one were given back.
    pub rounds: Vec<Vec<String>>,
    /// What must come of it.
    pub expect: Expect,
}

/// What must come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Every session works, and each server has accepted so many connections. The pool's figures tell
    /// of a command for each that was asked for.
    Accepted(BTreeMap<String, usize>),
    /// All who ask get an error of this kind.
    Error(String),
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::Pool, |_: &[String], raw: RawCase, name| {
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
    /// In milliseconds.
    #[serde(default)]
    linger: u64,
    max_connections: Option<usize>,
    max_connections_per_host: Option<usize>,
    rounds: Vec<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    accepted: Option<BTreeMap<String, usize>>,
    error: Option<String>,
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let request = self.request;
        let expect = match (self.expect.accepted, self.expect.error) {
            (Some(accepted), None) => Expect::Accepted(accepted),
            (None, Some(kind)) => Expect::Error(kind),
            _ => return Err("exactly one of accepted and error".to_owned()),
        };
        let mut servers = request.hosts.values();
        if let Some(other) = servers.find(|server| !SERVERS.contains(&server.as_str())) {
            return Err(format!("{other} is none of the servers {SERVERS:?}"));
        }
        let mut asked = request.rounds.iter().flatten();
        if let Some(other) = asked.find(|host| !request.hosts.contains_key(*host)) {
            return Err(format!("{other} is asked for and none of the hosts"));
        }
        Ok(Case {
            name,
            hosts: request.hosts,
            config: request.config,
            linger: Duration::from_millis(request.linger),
            max_connections: request.max_connections,
            max_connections_per_host: request.max_connections_per_host,
            rounds: request.rounds,
            expect,
        })
    }
}
