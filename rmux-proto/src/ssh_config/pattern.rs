//! Wildcard patterns (`*` and `?`) and comma-separated lists of them (ssh_config(5), PATTERNS).
//!
//! Knows nothing of keywords or files. Matching takes time in proportion to pattern × text at
//! most, whatever the pattern: a hostile `*a*a*a*b` cannot make it exponential.

/// Whether `text` matches one `pattern`, byte for byte: `*` is any run of bytes, `?` any one byte.
/// There is no escape character and case counts.
pub fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    // Where to resume after the latest `*`: only that one ever needs another try.
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            resume = Some((p + 1, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after_star, from)) = resume {
            resume = Some((after_star, from + 1));
            p = after_star;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// What a list of patterns says about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListMatch {
    /// No pattern matched.
    No,
    /// A pattern matched and no negated one did.
    Yes,
    /// A negated pattern (`!…`) matched: the list says no, whatever else it holds.
    Denied,
}

/// The longest pattern that OpenSSH accepts in a list; a longer one makes the list match nothing.
const LONGEST_IN_LIST: usize = 1022;

/// Matches `text` against patterns separated by commas, each of them negated if it begins with `!`.
///
/// With `fold_case` the patterns are lowercased first; `text` is taken as it is, so the caller
/// lowercases it.
pub fn matches_list(text: &[u8], list: &[u8], fold_case: bool) -> ListMatch {
    let mut outcome = ListMatch::No;
    let mut rest = list;
    while !rest.is_empty() {
        let negated = rest[0] == b'!';
        if negated {
            rest = &rest[1..];
        }
        let end = rest.iter().position(|&c| c == b',').unwrap_or(rest.len());
        let pattern = &rest[..end];
        if pattern.len() > LONGEST_IN_LIST {
            return ListMatch::No;
        }
        rest = &rest[(end + 1).min(rest.len())..];
        let matched = if fold_case {
            matches(text, &pattern.to_ascii_lowercase())
        } else {
            matches(text, pattern)
        };
        match (matched, negated) {
            (true, true) => return ListMatch::Denied,
            (true, false) => outcome = ListMatch::Yes,
            (false, _) => {}
        }
    }
    outcome
}

/// Matches a host name, in any case, against a list of patterns, in any case.
pub fn matches_hostname(host: &[u8], list: &[u8]) -> ListMatch {
    matches_list(&host.to_ascii_lowercase(), list, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "*", true),
            ("a", "", false),
            ("a", "?", true),
            ("", "?", false),
            ("abc", "a*c", true),
            ("abcd", "a*c", false),
            ("abcbc", "a*bc", true),
            ("web1", "web?", true),
            ("web12", "web?", false),
            ("abc", "**", true),
            ("", "*?*", false),
        ] {
            assert_eq!(
                matches(text.as_bytes(), pattern.as_bytes()),
                expected,
                "{text} {pattern}"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_is_refused_quickly() {
        let text = vec![b'a'; 5_000];
        let mut pattern = b"*a".repeat(500);
        pattern.push(b'b');
        assert!(!matches(&text, &pattern));
    }

    #[test]
    fn a_negated_match_wins_and_a_lone_negation_matches_nothing() {
        assert_eq!(matches_list(b"a", b"*,!a", false), ListMatch::Denied);
        assert_eq!(matches_list(b"b", b"!a", false), ListMatch::No);
        assert_eq!(matches_list(b"b", b"!a,*", false), ListMatch::Yes);
    }

    #[test]
    fn a_pattern_too_long_for_openssh_makes_the_list_match_nothing() {
        let long = [vec![b'x'; 1023], b",web".to_vec()].concat();
        assert_eq!(matches_list(b"web", &long, false), ListMatch::No);
        let fits = [vec![b'x'; 1022], b",web".to_vec()].concat();
        assert_eq!(matches_list(b"web", &fits, false), ListMatch::Yes);
    }
}
