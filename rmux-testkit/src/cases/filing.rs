//! The shared cases of files: what is done with one in a small tree, and what the tree is after that.
//! The schema is in `cases/README.md`. Must not know how it is done.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::{Kind, RawBytes, of_kind};

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `files/read-a-file`.
    pub name: String,
    /// What is in the folder before.
    pub tree: Tree,
    /// What is done.
    pub request: Request,
    /// What must come of it.
    pub expect: Expect,
    /// What is in the folder after that.
    pub after: Tree,
}

/// What is in a folder: by its path from there.
pub type Tree = BTreeMap<Vec<u8>, Node>;

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file with these contents; its permission bits, where they matter.
    File(Vec<u8>, Option<u32>),
    /// A symbolic link that points there.
    Link(Vec<u8>),
    /// A directory.
    Directory,
}

/// What is done. Paths go on from the folder; an empty one is the folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Request {
    /// The verb: `read`, `write` and so on.
    #[serde(rename = "do")]
    pub verb: String,
    /// The file.
    #[serde(default, deserialize_with = "bytes")]
    pub path: Vec<u8>,
    /// A second file, or where a link is to point, which is taken as it is.
    #[serde(default, deserialize_with = "bytes")]
    pub target: Vec<u8>,
    /// What is written.
    #[serde(default, deserialize_with = "bytes")]
    pub data: Vec<u8>,
    /// The first byte to read.
    #[serde(default)]
    pub start: u64,
    /// The byte to read up to.
    pub end: Option<u64>,
    /// The text to be replaced, and what takes its place.
    #[serde(default)]
    pub old: String,
    /// What takes its place.
    #[serde(default)]
    pub new: String,
    /// Permission bits.
    pub mode: Option<u32>,
    /// What to look for.
    #[serde(default)]
    pub pattern: String,
    /// Only where there is no file.
    #[serde(default)]
    pub exclusive: bool,
    /// Into the file itself.
    #[serde(default)]
    pub in_place: bool,
    /// Only where the contents have this sum, in hexadecimal.
    pub if_sha256: Option<String>,
    /// Only where the file is what this one is by length and time of writing.
    #[serde(default, deserialize_with = "optional_bytes")]
    pub if_unmodified_as: Option<Vec<u8>>,
    /// The directories on the way, too.
    #[serde(default)]
    pub parents: bool,
}

/// What must come of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is done.
    Done,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Yes or no.
    Is(bool),
    /// What is known of a file.
    Known(Known),
    /// These names, or paths from the folder, sorted by their bytes.
    Names(Vec<Vec<u8>>),
    /// An error of this kind.
    Error(String),
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Known {
    /// `file`, `directory` or `link`.
    pub kind: String,
    /// Its length, where that matters.
    pub length: Option<u64>,
    /// Its permission bits, where they matter.
    pub mode: Option<u32>,
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::Files, |_: &[String], raw: RawCase, name| {
        raw.finish(name)
    })
}

/// Makes what a case needs in an empty folder of this machine.
///
/// # Panics
/// When it cannot.
#[cfg(unix)]
#[track_caller]
pub fn plant(folder: &Path, tree: &Tree) {
    use std::os::unix::fs::PermissionsExt as _;

    for (path, node) in tree {
        let path = folder.join(local(path));
        match node {
            Node::Directory => std::fs::create_dir(&path).unwrap(),
            Node::Link(target) => std::os::unix::fs::symlink(local(target), &path).unwrap(),
            Node::File(contents, mode) => {
                std::fs::write(&path, contents).unwrap();
                if let Some(mode) = mode {
                    let mode = std::fs::Permissions::from_mode(*mode);
                    std::fs::set_permissions(&path, mode).unwrap();
                }
            }
        }
    }
}

/// What is wrong with a folder of this machine that must be this tree.
///
/// # Errors
/// The first difference.
#[cfg(unix)]
pub fn compare(folder: &Path, tree: &Tree) -> Result<(), String> {
    let mut found = Tree::new();
    gather(folder, b"", &mut found).map_err(|error| error.to_string())?;
    for (path, node) in &mut found {
        // Permission bits count only where the case names them.
        if let (Node::File(_, mode), Some(Node::File(_, None))) = (node, tree.get(path)) {
            *mode = None;
        }
    }
    for (path, node) in tree {
        let shown = String::from_utf8_lossy(path);
        match found.remove(path) {
            Some(is) if is == *node => {}
            Some(is) => return Err(format!("{shown} is {is:?}")),
            None => return Err(format!("{shown} is not there")),
        }
    }
    match found.pop_first() {
        Some((path, _)) => Err(format!("{} is there", String::from_utf8_lossy(&path))),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn gather(folder: &Path, below: &[u8], found: &mut Tree) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    for entry in std::fs::read_dir(folder.join(local(below)))? {
        let entry = entry?;
        let slash: &[u8] = if below.is_empty() { b"" } else { b"/" };
        let path = [below, slash, entry.file_name().as_bytes()].concat();
        let known = entry.metadata()?;
        let node = if known.is_dir() {
            gather(folder, &path, found)?;
            Node::Directory
        } else if known.is_symlink() {
            let target = std::fs::read_link(entry.path())?;
            Node::Link(target.as_os_str().as_bytes().to_vec())
        } else {
            let mode = known.permissions().mode() & 0o7777;
            Node::File(std::fs::read(entry.path())?, Some(mode))
        };
        found.insert(path, node);
    }
    Ok(())
}

#[cfg(unix)]
fn local(path: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;

    Path::new(std::ffi::OsStr::from_bytes(path))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    tree: Vec<RawNode>,
    request: Request,
    #[serde(default)]
    expect: RawExpect,
    after: Option<Vec<RawNode>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNode {
    path: RawBytes,
    file: Option<RawBytes>,
    link: Option<RawBytes>,
    mode: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    bytes: Option<RawBytes>,
    is: Option<bool>,
    known: Option<Known>,
    names: Option<Vec<RawBytes>>,
    error: Option<String>,
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let tree = nodes(self.tree)?;
        let raw = self.expect;
        let expect = match (raw.bytes, raw.is, raw.known, raw.names, raw.error) {
            (None, None, None, None, None) => Expect::Done,
            (Some(bytes), None, None, None, None) => Expect::Bytes(bytes.bytes()?),
            (None, Some(is), None, None, None) => Expect::Is(is),
            (None, None, Some(known), None, None) => Expect::Known(known),
            (None, None, None, Some(names), None) => {
                let names = names.into_iter().map(RawBytes::bytes);
                Expect::Names(names.collect::<Result<_, _>>()?)
            }
            (None, None, None, None, Some(kind)) => Expect::Error(kind),
            _ => return Err("at most one of bytes, is, known, names and error".to_owned()),
        };
        Ok(Case {
            name,
            after: self.after.map_or_else(|| Ok(tree.clone()), nodes)?,
            tree,
            request: self.request,
            expect,
        })
    }
}

pub(super) fn nodes(raw: Vec<RawNode>) -> Result<Tree, String> {
    let nodes = raw.into_iter().map(|raw| {
        let node = match (raw.file, raw.link, raw.mode) {
            (Some(contents), None, mode) => Node::File(contents.bytes()?, mode),
            (None, Some(target), None) => Node::Link(target.bytes()?),
            (None, None, None) => Node::Directory,
            _ => return Err("at most one of file and link, and mode for a file".to_owned()),
        };
        Ok((raw.path.bytes()?, node))
    });
    nodes.collect()
}

pub(super) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let raw = RawBytes::deserialize(from)?;
    raw.bytes().map_err(serde::de::Error::custom)
}

fn optional_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    bytes(from).map(Some)
}
