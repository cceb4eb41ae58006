//! The shared cases of files that are dropped on a session. The schema is in `cases/README.md`. Must not
//! know how it is done.

use serde::Deserialize;

use super::filing::{RawNode, Tree, nodes};
use super::{Kind, RawBytes, of_kind};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `drops/one`.
    pub name: String,
    /// What is in the folder, before and after.
    pub tree: Tree,
    /// The files that are dropped, by their paths from the folder.
    pub files: Vec<Vec<u8>>,
    /// What they are called on the remote, or the code of the error's kind.
    pub expect: Result<Vec<Vec<u8>>, String>,
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::Drops, |_: &[String], raw: RawCase, name| {
        raw.finish(name)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    tree: Vec<RawNode>,
    request: RawRequest,
    expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    files: Vec<RawBytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    names: Option<Vec<RawBytes>>,
    error: Option<String>,
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let files = self.request.files.into_iter().map(RawBytes::bytes);
        let expect = match (self.expect.names, self.expect.error) {
            (Some(names), None) => {
                let names = names.into_iter().map(RawBytes::bytes);
                Ok(names.collect::<Result<_, _>>()?)
            }
            (None, Some(error)) => Err(error),
            _ => return Err("one of names and error".to_owned()),
        };
        Ok(Case {
            name,
            tree: nodes(self.tree)?,
            files: files.collect::<Result<_, _>>()?,
            expect,
        })
    }
}
