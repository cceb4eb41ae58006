//! The shared cases of connections through the host and of forwards. The schema is in
//! `cases/README.md`. Must not know how they are made.

use serde::Deserialize;

use super::{Kind, of_kind};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `forward/dynamic`.
    pub name: String,
    /// What is made.
    pub way: Way,
    /// Where it listens.
    pub at: Option<At>,
    /// Where it leads.
    pub to: Option<To>,
    /// What is sent, and ended.
    pub say: String,
    /// What must come of it.
    pub expect: Expect,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A connection from the host.
    Connect,
    /// The host listens for this program, which answers in capitals.
    Listen,
    /// A forward that listens here.
    Local,
    /// A forward that listens on the host.
    Remote,
    /// A SOCKS proxy here.
    Dynamic,
    /// A SOCKS proxy on the host.
    RemoteDynamic,
}

/// Where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// A port that is chosen.
    Port,
    /// A unix socket.
    Socket,
    /// A port that somebody else has.
    Taken,
}

/// Where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum To {
    /// A port whose server answers with all that it was sent, in capitals, once that has ended.
    Port,
    /// A unix socket with the same behind it.
    Socket,
    /// A port that nobody has.
    Closed,
}

/// What must come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// What comes back.
    Heard(String),
    /// So many connections come to nothing, and nothing comes back.
    Failed(u64),
    /// It is not made: an error of this kind.
    Error(String),
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::Forward, |_: &[String], raw: RawCase, name| {
        raw.finish(name)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    way: Way,
    at: Option<At>,
    to: Option<To>,
    #[serde(default)]
    say: String,
    expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    heard: Option<String>,
    failed: Option<u64>,
    error: Option<String>,
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let expect = match (self.expect.heard, self.expect.failed, self.expect.error) {
            (Some(heard), None, None) => Expect::Heard(heard),
            (None, Some(failed), None) => Expect::Failed(failed),
            (None, None, Some(error)) => Expect::Error(error),
            _ => return Err("exactly one of heard, failed and error".to_owned()),
        };
        let (at, to) = match self.way {
            Way::Connect => (false, true),
            Way::Listen | Way::Dynamic | Way::RemoteDynamic => (true, false),
            Way::Local | Way::Remote => (true, true),
        };
        if (self.at.is_some(), self.to.is_some()) != (at, to) {
            return Err(format!("{:?} needs at: {at}, to: {to}", self.way));
        }
        Ok(Case {
            name,
            way: self.way,
            at: self.at,
            to: self.to,
            say: self.say,
            expect,
        })
    }
}
