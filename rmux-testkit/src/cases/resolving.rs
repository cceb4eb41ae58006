//! The shared cases of resolving a destination. The schema is in `cases/README.md`. Must not know
//! how it is resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Kind, RawBytes, RawOption, of_kind, settings};

/// What stands for the folder with a case's files.
const FOLDER: &str = "{folder}";

/// One case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// File and name: `resolve/first-value-wins`.
    pub name: String,
    /// The destination.
    pub host: String,
    /// The account beside the destination.
    pub user: Option<String>,
    /// The port beside the destination.
    pub port: Option<u16>,
    /// Private key files; [`Case::text`] fills them in, and all other texts below.
    pub identity_files: Vec<String>,
    /// Settings above those of the file, with one value or several.
    pub options: Vec<(String, String)>,
    /// What must come of it.
    pub expect: Expect,
    files: BTreeMap<String, Vec<u8>>,
}

/// What must come of a case.
#[derive(Clone, Debug)]
pub enum Expect {
    /// These keys with these values, whatever the others are.
    Settings(BTreeMap<String, Wanted>),
    /// An error of this kind, whose message has these texts in it.
    Error(String, Vec<String>),
}

/// What a key must have.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// No value at all.
    Nothing,
    /// One value, of a key that cannot repeat.
    One(Vec<u8>),
    /// Exactly these values in this order, of a key that may repeat.
    Many(Vec<Vec<u8>>),
    /// One value, a list with commas that has the first and lacks the second.
    Among(Vec<String>, Vec<String>),
}

/// All cases, ordered by file.
///
/// # Panics
/// When a file cannot be read or does not keep to the schema.
#[track_caller]
pub fn all() -> Vec<Case> {
    of_kind(Kind::Resolve, |_: &[String], raw: RawCase, name| {
        raw.finish(name)
    })
}

impl Case {
    /// Writes the case's files and returns the path of its configuration; none where the case has
    /// no files, and is to be resolved without any.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, folder: &Path) -> std::io::Result<Option<PathBuf>> {
        for (name, content) in &self.files {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, filled(content, folder))?;
        }
        Ok((!self.files.is_empty()).then(|| folder.join("config")))
    }

    /// A text of the case with the folder's path filled in.
    pub fn text(&self, text: &str, folder: &Path) -> String {
        text.replace(FOLDER, &folder.display().to_string())
    }
}

impl Wanted {
    /// Whether these are the right values of a key; if not, what is wrong, in a line.
    ///
    /// # Errors
    /// The difference.
    pub fn check(&self, values: &[&[u8]], folder: &Path) -> Result<(), String> {
        let right = match (self, values) {
            (Self::Nothing, values) => values.is_empty(),
            (Self::One(wanted), [value]) => *value == filled(wanted, folder),
            (Self::Many(wanted), values) => {
                let wanted: Vec<Vec<u8>> = wanted.iter().map(|w| filled(w, folder)).collect();
                *values == wanted
            }
            (Self::Among(has, lacks), [value]) => {
                let value = String::from_utf8_lossy(value);
                let found = |name: &String| value.split(',').any(|one| one == name);
                has.iter().all(found) && !lacks.iter().any(found)
            }
            _ => false,
        };
        match right {
            true => Ok(()),
            false => {
                let values: Vec<_> = values.iter().map(|v| String::from_utf8_lossy(v)).collect();
                Err(format!("{values:?} instead of {self:?}"))
            }
        }
    }
}

fn filled(bytes: &[u8], folder: &Path) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .replace(FOLDER, &folder.display().to_string())
            .into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    files: BTreeMap<String, RawBytes>,
    request: RawRequest,
    expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    host: String,
    user: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    identity_files: Vec<String>,
    #[serde(default)]
    options: BTreeMap<String, RawOption>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    settings: Option<BTreeMap<String, Option<RawWanted>>>,
    error: Option<String>,
    #[serde(default)]
    contains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawWanted {
    Many(Vec<RawBytes>),
    Among(RawAmong),
    One(RawBytes),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAmong {
    has: Vec<String>,
    lacks: Vec<String>,
}

impl RawCase {
    fn finish(self, name: String) -> Result<Case, String> {
        let expect = match (self.expect.settings, self.expect.error) {
            (Some(settings), None) if !settings.is_empty() && self.expect.contains.is_empty() => {
                let wanted = settings.into_iter().map(|(key, wanted)| {
                    let wanted = match wanted {
                        None => Wanted::Nothing,
                        Some(RawWanted::One(value)) => Wanted::One(value.bytes()?),
                        Some(RawWanted::Among(among)) => Wanted::Among(among.has, among.lacks),
                        Some(RawWanted::Many(values)) => {
                            let values = values.into_iter().map(RawBytes::bytes);
                            Wanted::Many(values.collect::<Result<_, _>>()?)
                        }
                    };
                    Ok((key, wanted))
                });
                Expect::Settings(wanted.collect::<Result<_, String>>()?)
            }
            (None, Some(kind)) => Expect::Error(kind, self.expect.contains),
            _ => return Err("exactly one of settings and error".to_owned()),
        };
        let mut files = BTreeMap::new();
        for (path, content) in self.files {
            files.insert(path, content.bytes()?);
        }
        if !files.is_empty() && !files.contains_key("config") {
            return Err("no file is called config".to_owned());
        }
        Ok(Case {
            name,
            host: self.request.host,
            user: self.request.user,
            port: self.request.port,
            identity_files: self.request.identity_files,
            options: settings(self.request.options),
            expect,
            files,
        })
    }
}
