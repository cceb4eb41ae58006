//! One tracked file as the rules see it: path, text, and for Rust the code without comments and strings.
//!
//! Knows nothing of any rule.

use super::code;

/// A file of the project, read once and shown to every rule.
pub(crate) struct Source {
    /// Path from the top of the project, with `/` between its parts.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// For Rust: the text with comments and the insides of literals blanked, same lines and columns.
    pub(crate) code: String,
}

/// One broken rule in one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) message: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") {
            code::blank(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_python(&self) -> bool {
        self.has_extension(&["py", "pyi"])
    }

    pub(crate) fn is_script(&self) -> bool {
        self.has_extension(&["ts", "mts", "cts", "js", "mjs", "cjs"])
    }

    /// A file that people write and read as a program.
    pub(crate) fn is_program(&self) -> bool {
        self.is_rust() || self.is_python() || self.is_script() || self.has_extension(&["sh"])
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn is_manifest(&self) -> bool {
        self.name() == "Cargo.toml"
    }

    /// The folder right under the top of the project, or nothing for a file at the top.
    pub(crate) fn house(&self) -> Option<&str> {
        self.path.split_once('/').map(|(first, _)| first)
    }

    pub(crate) fn finding(&self, line: usize, rule: &'static str, message: String) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            rule,
            message,
        }
    }

    fn has_extension(&self, wanted: &[&str]) -> bool {
        self.name()
            .rsplit_once('.')
            .is_some_and(|(_, ext)| wanted.contains(&ext))
    }
}
