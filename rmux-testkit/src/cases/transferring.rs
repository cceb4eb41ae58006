//! The shared cases of transfers: from one place of a small tree to another, what is reported of it, and
//! what the tree is after that. The schema is in `cases/README.md`. Must not know how it is done.

use serde::Deserialize;

use super::filing::{RawNode, Tree, bytes, nodes};
use super::{Kind, of_kind};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `transfers/put-a-file`.
    pub name: String,
    /// What is in the folder before.
    pub tree: Tree,
    /// What is done.
    pub request: Request,
    /// The report, or the code of the error's kind.
    pub expect: Result<Report, String>,
    /// What is in the folder after that.
    pub after: Tree,
}

/// What is transferred. Paths go on from the folder, unless they are absolute.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Request {
    /// `put`, `get` or `send`.
    #[serde(rename = "do")]
    pub verb: String,
    /// What is transferred.
    #[serde(deserialize_with = "bytes")]
    pub source: Vec<u8>,
    /// Where to.
    #[serde(deserialize_with = "bytes")]
    pub target: Vec<u8>,
    /// Directories with all that is in them.
    #[serde(default)]
    pub recursive: bool,
    /// Keeps times.
    #[serde(default)]
    pub times: bool,
    /// Keeps permission bits.
    #[serde(default)]
    pub modes: bool,
    /// Goes on with what is there.
    #[serde(default)]
    pub resume: bool,
    /// Compares both sides.
    #[serde(default)]
    pub checksum: bool,
    /// Waits for the disk.
    #[serde(default)]
    pub sync: bool,
    /// What becomes of links, by its word.
    pub links: Option<String>,
    /// What happens where a file is, by its word.
    pub conflict: Option<String>,
    /// What is replaced, by its word.
    pub update: Option<String>,
    /// Patterns that are asked first, of what is taken.
    #[serde(default)]
    pub include: Vec<String>,
    /// Patterns of what is left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The first failure is the error of the whole.
    #[serde(default)]
    pub check: bool,
}

/// What must be reported. Paths go on from the folder, unless they are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// Files and links that are at their target.
    pub files: u64,
    /// Directories that were made.
    pub directories: u64,
    /// The lengths of those files.
    pub bytes: u64,
    /// How many of them were there.
    pub resumed_bytes: u64,
    /// Paths and reasons, sorted.
    pub skipped: Vec<(String, String)>,
    /// Paths and codes, sorted.
    pub failures: Vec<(String, String)>,
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::Transfers, |_: &[String], raw: RawCase, name| {
        raw.finish(name)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    tree: Vec<RawNode>,
    request: Request,
    expect: RawExpect,
    after: Option<Vec<RawNode>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawExpect {
    Error(Failure),
    Report(Report),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    error: String,
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let tree = nodes(self.tree)?;
        Ok(Case {
            name,
            after: self.after.map_or_else(|| Ok(tree.clone()), nodes)?,
            tree,
            request: self.request,
            expect: match self.expect {
                RawExpect::Error(Failure { error }) => Err(error),
                RawExpect::Report(report) => Ok(report),
            },
        })
    }
}
