//! Nothing of one developer's machine: no absolute paths of it, no package registry hosts.

use super::source::{Finding, Source};

const RULE: &str = "machine";

/// Hosts that packages are fetched from. Which one is used is a setting of the machine.
const REGISTRIES: &[&str] = &[
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("files.", "pythonhosted.org"),
    concat!("pypi", ".org"),
    concat!("deb.", "debian.org"),
];

/// Where checkouts and homes lie, and the names that may follow in an example.
const HOMES: &[(&str, &[&str])] = &[
    (concat!("/wo", "rk/"), &[]),
    (concat!("/Use", "rs/"), SAMPLE_USERS),
    (concat!("/ho", "me/"), SAMPLE_USERS),
    (concat!("\\Use", "rs\\"), SAMPLE_USERS),
];

const SAMPLE_USERS: &[&str] = &["user", "alice", "bob", "me", "you", "name", "u", "test"];

/// No path of a developer's machine and no registry host stands in a tracked file.
pub(crate) fn nothing_of_a_machine(source: &Source) -> Vec<Finding> {
    let mut out = Vec::new();
    for (i, line) in source.text.lines().enumerate() {
        for host in REGISTRIES.iter().filter(|host| line.contains(**host)) {
            out.push(source.finding(i + 1, RULE, format!("names the package registry {host}")));
        }
        for (start, samples) in HOMES {
            if let Some(found) = absolute(line, start, samples) {
                out.push(source.finding(i + 1, RULE, format!("names the machine's path {found}")));
            }
        }
    }
    out
}

/// No tracked file holds this very path, which is the one of the running machine.
pub(crate) fn nothing_below(source: &Source, place: &str) -> Vec<Finding> {
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(place))
        .map(|(i, _)| source.finding(i + 1, RULE, format!("names this machine's path {place}")))
        .collect()
}

/// The first absolute path in the line that starts with `start` and goes on with no sample name.
fn absolute<'a>(line: &'a str, start: &str, samples: &[&str]) -> Option<&'a str> {
    line.match_indices(start).find_map(|(at, _)| {
        // `x/home/` is the middle of another path, `~/work/` one that holds on every machine.
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '}' | '$' | '*' | '>' | ')')
        }) {
            return None;
        }
        let rest = &line[at + start.len()..];
        let name_end = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(rest.len());
        let name = &rest[..name_end];
        let is_machine = !name.is_empty() && !samples.contains(&name);
        is_machine.then(|| &line[at..at + start.len() + name_end])
    })
}

#[cfg(test)]
mod tests {
    use super::super::probe;
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found() {
        let rule = nothing_of_a_machine;
        for (start, _) in HOMES {
            let start = start.replace('\\', "\\\\").replace("\\\\", "\\");
            assert_eq!(
                probe(rule, "a.md", &format!("first\nsee {start}jsmith/x")),
                [2],
                "{start}"
            );
        }
        let fine = format!(
            "{}alice/.ssh and ~{}x and %h{}%u",
            HOMES[2].0, HOMES[0].0, HOMES[2].0
        );
        assert_eq!(probe(rule, "a.md", &fine), []);
    }

    #[test]
    fn registry_hosts_are_found() {
        let rule = nothing_of_a_machine;
        for host in REGISTRIES {
            assert_eq!(probe(rule, "a.json", &format!("\"https://{host}/x\"")), [1]);
        }
        assert_eq!(probe(rule, "a.md", "https://docs.rs/tokio"), []);
    }

    #[test]
    fn the_place_of_this_checkout_is_found() {
        let source = Source::new("a.md", "one\nin /srv/checkout/rmux\n");
        let found = nothing_below(&source, "/srv/checkout");
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [2]);
        assert_eq!(nothing_below(&source, "/srv/elsewhere"), []);
    }
}
