//! Which names of a tree are taken: patterns in the order in which they were given.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, ErrorKind, Result};

/// A pattern as it was given.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pattern: String,
    takes: bool,
}

impl Rule {
    pub(super) fn new(pattern: String, takes: bool) -> Self {
        Self { pattern, takes }
    }
}

/// Patterns that were understood.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Understood>);

#[derive(Debug)]
struct Understood {
    matcher: GlobMatcher,
    takes: bool,
    /// For the path below the source, and not for the name alone.
    whole_path: bool,
    directories_only: bool,
}

impl Rules {
    pub(super) fn new(rules: &[Rule]) -> Result<Self> {
        rules
            .iter()
            .map(Understood::new)
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether the name at this path below the source is taken.
    pub(super) fn take(&self, path: &[u8], is_directory: bool) -> bool {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        self.0
            .iter()
            .find(|rule| {
                let text = if rule.whole_path { path } else { name };
                (is_directory || !rule.directories_only)
                    && rule.matcher.is_match(OsStr::from_bytes(text))
            })
            .is_none_or(|rule| rule.takes)
    }
}

impl Understood {
    fn new(rule: &Rule) -> Result<Self> {
        let stripped = rule.pattern.strip_suffix('/');
        let pattern = stripped.unwrap_or(&rule.pattern);
        let whole_path = pattern.contains('/');
        let glob = GlobBuilder::new(pattern.strip_prefix('/').unwrap_or(pattern))
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        let glob = glob.map_err(|error| {
            let what = format!("the pattern {:?}: {}", rule.pattern, error.kind());
            Error::new(ErrorKind::InvalidInput, "transfer", what)
        })?;
        Ok(Self {
            matcher: glob.compile_matcher(),
            takes: rule.takes,
            whole_path,
            directories_only: stripped.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(given: &[(&str, bool)]) -> Rules {
        let given: Vec<Rule> = given
            .iter()
            .map(|(pattern, takes)| Rule::new((*pattern).to_owned(), *takes))
            .collect();
        Rules::new(&given).unwrap()
    }

    #[test]
    fn the_first_that_matches_decides() {
        let rules = rules(&[("keep.o", true), ("*.o", false), ("/build", false)]);
        for (path, taken) in [
            ("a.o", false),
            ("deep/er/a.o", false),
            ("deep/keep.o", true),
            ("a.c", true),
            ("build", false),
            ("deep/build", true),
        ] {
            assert_eq!(rules.take(path.as_bytes(), false), taken, "{path}");
        }
        assert!(!rules.take(b"a\xff.o", false), "a name that is not UTF-8");
    }

    #[test]
    fn paths_directories_and_stars_are_told_apart() {
        let rules = rules(&[("tmp/", false), ("src/*.rs", false), ("a/**/z", false)]);
        assert!(!rules.take(b"x/tmp", true) && rules.take(b"x/tmp", false));
        assert!(!rules.take(b"src/a.rs", false) && rules.take(b"src/b/a.rs", false));
        assert!(!rules.take(b"a/b/c/z", false) && !rules.take(b"a/z", false));
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let error = Rules::new(&[Rule::new("a[".into(), false)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("\"a[\""), "{error}");
    }
}
