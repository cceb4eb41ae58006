//! Patterns of one name of a path, as glob(3) has them: `*`, `?`, `[…]` and backslashes.
//!
//! Knows nothing of paths: no byte means more to it than another.

/// Whether a name matches a pattern. Takes time in proportion to name × pattern at most: it goes back
/// no further than to the last `*`.
pub fn matches(name: &[u8], pattern: &[u8]) -> bool {
    let (mut n, mut p) = (0, 0);
    let mut resume = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            resume = Some((p + 1, n));
            p += 1;
            continue;
        }
        match match_one(name[n], &pattern[p..]) {
            Some(used) => {
                p += used;
                n += 1;
            }
            None => {
                let Some((after_star, from)) = resume else {
                    return false;
                };
                resume = Some((after_star, from + 1));
                p = after_star;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Whether a pattern can match more than one name.
pub fn has_wildcards(pattern: &[u8]) -> bool {
    let mut escaped = false;
    pattern.iter().any(|c| {
        let wild = !escaped && matches!(c, b'*' | b'?' | b'[');
        escaped = !escaped && *c == b'\\';
        wild
    })
}

/// The name that a pattern without wildcards matches.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&c) = bytes.next() {
        match c {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(c),
        }
    }
    out
}

/// How many bytes of the pattern match this byte, if they do.
fn match_one(c: u8, pattern: &[u8]) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => (*literal == c).then_some(2),
        [b'[', ..] => match bracket(c, pattern) {
            Some((matched, used)) => matched.then_some(used),
            None => (c == b'[').then_some(1),
        },
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

/// Whether a byte is in a bracket expression, and how long that is; `None` if it is not closed.
fn bracket(c: u8, pattern: &[u8]) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = 1 + usize::from(negated);
    let mut at = start;
    let mut inside = false;
    loop {
        let &first = pattern.get(at)?;
        if first == b']' && at > start {
            return Some((inside != negated, at + 1));
        }
        let (first, mut next) = match first {
            b'\\' => (*pattern.get(at + 1)?, at + 2),
            _ => (first, at + 1),
        };
        let mut last = first;
        if pattern.get(next) == Some(&b'-') && pattern.get(next + 1).is_some_and(|&e| e != b']') {
            last = pattern[next + 1];
            next += 2;
        }
        inside |= (first..=last).contains(&c);
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_sets_and_backslashes() {
        for (pattern, name, matched) in [
            ("*", "", true),
            ("*.rs", "a.rs", true),
            ("*.rs", ".rs", true),
            ("*.rs", "a.rsx", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[*]", "*", true),
            ("a*b*c", "aXbYbZc", true),
        ] {
            assert_eq!(
                matches(name.as_bytes(), pattern.as_bytes()),
                matched,
                "{pattern} {name}"
            );
        }
        assert!(has_wildcards(b"a[b]") && !has_wildcards(b"a\\*"));
        assert_eq!(unescape(b"a\\*\\\\"), b"a*\\");
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_their_product() {
        let (name, pattern) = ([b'a'; 4096], b"*a".repeat(200));
        assert!(!matches(&name, &[&pattern[..], b"b"].concat()));
    }
}
