//! Expands the wildcards of an Include as glob(3) does, over directories listed by the caller.
//!
//! Knows `~`, and of one name what `name_pattern` knows. Names with a dot in front match only a dot.

use super::environment::Environment;
use crate::name_pattern::{has_wildcards, matches, unescape};

/// The paths that match, in the order of their bytes. A pattern without wildcards matches itself
/// if it exists.
pub(super) fn expand(
    pattern: &[u8],
    home: &[u8],
    environment: &mut dyn Environment,
) -> Vec<Vec<u8>> {
    let Some(pattern) = expand_tilde(pattern, home, environment) else {
        return Vec::new();
    };
    if !has_wildcards(&pattern) {
        let path = unescape(&pattern);
        return if environment.exists(&path) {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let mut paths = vec![Vec::new()];
    let mut rest = &pattern[..];
    while !rest.is_empty() && !paths.is_empty() {
        let slashes = rest.iter().take_while(|&&c| c == b'/').count();
        let end = rest[slashes..]
            .iter()
            .position(|&c| c == b'/')
            .map_or(rest.len(), |at| slashes + at);
        let component = &rest[slashes..end];
        for path in &mut paths {
            path.extend_from_slice(&rest[..slashes]);
        }
        if has_wildcards(component) {
            paths = paths
                .iter()
                .flat_map(|p| children(p, component, environment))
                .collect();
        } else {
            let name = unescape(component);
            for path in &mut paths {
                path.extend_from_slice(&name);
            }
            if end == rest.len() {
                paths.retain(|p| environment.exists(p));
            }
        }
        rest = &rest[end..];
    }
    paths.sort();
    paths
}

/// `~` is $HOME here, unlike in other settings; the passwd entry only if that is not set.
fn expand_tilde(pattern: &[u8], home: &[u8], environment: &mut dyn Environment) -> Option<Vec<u8>> {
    let Some(rest) = pattern.strip_prefix(b"~") else {
        return Some(pattern.to_vec());
    };
    let end = rest.iter().position(|&c| c == b'/').unwrap_or(rest.len());
    let base = if end == 0 {
        environment
            .variable(b"HOME")
            .filter(|h| !h.is_empty())
            .unwrap_or_else(|| home.to_vec())
    } else {
        environment.home_of(&rest[..end])?
    };
    Some([&base[..], &rest[end..]].concat())
}

fn children(path: &[u8], component: &[u8], environment: &mut dyn Environment) -> Vec<Vec<u8>> {
    let directory: &[u8] = if path.is_empty() { b"." } else { path };
    let names = environment.list_directory(directory);
    let hidden_allowed = component.first() == Some(&b'.');
    names
        .into_iter()
        .filter(|name| hidden_allowed || !name.starts_with(b"."))
        .filter(|name| matches(name, component))
        .map(|name| [path, &name].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree;
    impl Environment for Tree {
        fn list_directory(&mut self, path: &[u8]) -> Vec<Vec<u8>> {
            let names: &[&[u8]] = match path {
                b"/h/d/" | b"/h/d" => &[b"b.conf", b"a.conf", b".hid.conf", b"x"],
                b"/h/" => &[b"d", b"e"],
                _ => &[],
            };
            names.iter().map(|n| n.to_vec()).collect()
        }
        fn exists(&mut self, path: &[u8]) -> bool {
            matches!(path, b"/h/d/x" | b"/h/d/a.conf")
        }
        fn variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
            (name == b"HOME").then(|| b"/h".to_vec())
        }
    }

    #[test]
    fn wildcards_tilde_and_hidden_names() {
        let expanded = |pattern: &str| -> Vec<String> {
            let paths = expand(pattern.as_bytes(), b"/elsewhere", &mut Tree);
            paths
                .into_iter()
                .map(|p| String::from_utf8(p).unwrap())
                .collect()
        };
        assert_eq!(expanded("/h/d/*.conf"), ["/h/d/a.conf", "/h/d/b.conf"]);
        assert_eq!(expanded("~/d/.h*"), ["/h/d/.hid.conf"]);
        assert_eq!(expanded("/h/*/x"), ["/h/d/x"]);
        assert_eq!(expanded("/h/d/[!a]*"), ["/h/d/b.conf", "/h/d/x"]);
        assert_eq!(expanded("/h/d/[a-b].conf"), ["/h/d/a.conf", "/h/d/b.conf"]);
        assert_eq!(expanded("/h/d/x"), ["/h/d/x"]);
        assert_eq!(expanded("/h/d/nope"), [""; 0]);
        assert_eq!(expanded("/h/d/[x"), [""; 0]);
    }
}
