//! Which names of a tree are taken: patterns in the order in which they were given. Their names are
//! matched as those of [`Files::glob`](crate::Files::glob) are.

use rmux_proto::name_pattern::matches;

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
    /// The patterns of the names of a path; one alone is for names wherever they are.
    parts: Vec<Vec<u8>>,
    takes: bool,
    /// For the path below the source, and not for the name alone.
    whole_path: bool,
    directories_only: bool,
}

/// Stands for any number of directories.
const ANY: &[u8] = b"**";

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
        self.0
            .iter()
            .find(|rule| (is_directory || !rule.directories_only) && rule.matches(path))
            .is_none_or(|rule| rule.takes)
    }
}

impl Understood {
    fn new(rule: &Rule) -> Result<Self> {
        let stripped = rule.pattern.strip_suffix('/');
        let pattern = stripped.unwrap_or(&rule.pattern);
        let whole_path = pattern.contains('/');
        let parts: Vec<&str> = pattern
            .strip_prefix('/')
            .unwrap_or(pattern)
            .split('/')
            .collect();
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            let what = format!(
                "the pattern {:?}: a name is missing in it, or `.` or `..` is one, which no name is",
                rule.pattern
            );
            return Err(Error::new(ErrorKind::InvalidInput, "transfer", what));
        }
        Ok(Self {
            parts: parts.into_iter().map(|part| part.into()).collect(),
            takes: rule.takes,
            whole_path,
            directories_only: stripped.is_some(),
        })
    }

    fn matches(&self, path: &[u8]) -> bool {
        let mut names = path.split(|&b| b == b'/');
        if !self.whole_path {
            return names
                .next_back()
                .is_some_and(|name| matches(name, &self.parts[0]));
        }
        let names: Vec<&[u8]> = names.collect();
        let (mut n, mut p) = (0, 0);
        // Where to go on if it does not match like this: only the last `**` can have taken too few.
        let mut resume = None;
        while n < names.len() {
            match self.parts.get(p) {
                Some(part) if part == ANY => {
                    resume = Some((p + 1, n));
                    p += 1;
                    continue;
                }
                Some(part) if matches(names[n], part) => {
                    p += 1;
                    n += 1;
                    continue;
                }
                _ => {}
            }
            let Some((behind, from)) = resume else {
                return false;
            };
            resume = Some((behind, from + 1));
            p = behind;
            n = from + 1;
        }
        // At the end it is all that is below, and not the directory itself.
        p == self.parts.len()
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
    fn two_stars_are_any_directories() {
        for (pattern, path, matched) in [
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "b/z", false),
            ("**/b/*/z", "b/b/c/z", true),
            ("**/b/*/z", "x/b/c/y/z", false),
            ("a/**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("/a*", "ab", true),
            ("/a*", "b/ab", false),
            ("a/[bc]/\\*", "a/c/*", true),
            ("a/[bc]/\\*", "a/c/d", false),
        ] {
            let taken = rules(&[(pattern, false)]).take(path.as_bytes(), false);
            assert_eq!(!taken, matched, "{pattern} {path}");
        }
        // In a time that is bounded, whatever they are.
        let deep = b"a/".repeat(2000);
        let many = format!("{}x", "**/a/".repeat(50));
        assert!(rules(&[(&many, false)]).take(&deep, true));
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        for pattern in ["", "/", "a//b", "../a", "a/."] {
            let error = Rules::new(&[Rule::new(pattern.into(), false)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let named = format!("{pattern:?}");
            assert!(error.to_string().contains(&named), "{error}");
        }
    }
}
