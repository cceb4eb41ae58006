//! The floors of rmux-core: a room imports lower floors only.

use super::code::{Token, paths_from, tokens};
use super::source::{Finding, Source};

const RULE: &str = "floors";

/// Every room of rmux-core and its floor; the same table stands in ARCHITECTURE.md.
const ROOMS: &[(&str, u8)] = &[
    ("config", 1),
    ("deadline", 1),
    ("endpoint", 1),
    ("error", 1),
    ("escape", 1),
    ("event", 1),
    ("host", 1),
    ("printable", 1),
    ("processes", 1),
    ("prompt", 1),
    ("quote", 1),
    ("secret", 1),
    ("shell", 1),
    ("ask", 2),
    ("resolve", 2),
    ("ssh_config", 2),
    ("trust", 2),
    ("link", 3),
    ("session", 4),
    ("files", 5),
    ("forward", 5),
    ("helper", 5),
    ("pool", 5),
    ("sftp", 5),
    ("transfer", 5),
    ("control", 6),
    ("fan_out", 6),
    ("relay", 6),
    ("remote", 6),
    ("workspace", 6),
    ("blocking", 7),
];

/// Who on one floor may use whom: the first the second, never the other way round.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("config", "error"),
    ("config", "event"),
    ("config", "prompt"),
    ("config", "secret"),
    ("deadline", "error"),
    ("endpoint", "error"),
    ("event", "error"),
    ("event", "host"),
    ("files", "sftp"),
    ("host", "endpoint"),
    ("host", "error"),
    ("prompt", "error"),
    ("prompt", "secret"),
    ("quote", "error"),
    ("resolve", "ssh_config"),
    ("transfer", "files"),
    ("transfer", "sftp"),
    ("trust", "ask"),
];

/// A room of rmux-core imports lower floors only.
pub(crate) fn rooms_import_downwards(source: &Source) -> Vec<Finding> {
    let Some(inside) = source.path.strip_prefix("rmux-core/src/") else {
        return Vec::new();
    };
    // The front door names every room: that is what it is for.
    if !source.is_rust() || inside == "lib.rs" {
        return Vec::new();
    }
    let room = inside.split('/').next().unwrap_or(inside);
    let room = room.strip_suffix(".rs").unwrap_or(room);
    let Some(floor) = floor_of(room) else {
        let message = format!("`{room}` has no floor (xtask/src/tidy/floors.rs, ARCHITECTURE.md)");
        return vec![source.finding(1, RULE, message)];
    };
    let tokens = tokens(&source.code);
    let mut used: Vec<(usize, &str)> = paths_from(&tokens, "crate")
        .into_iter()
        .filter_map(|p| Some((p.line, *p.parts.first()?)))
        .collect();
    used.extend(through_super(&tokens, depth(inside)));
    used.into_iter()
        .filter_map(|(line, other)| {
            let why = objection(room, floor, other)?;
            Some(source.finding(line, RULE, why))
        })
        .collect()
}

fn objection(room: &str, floor: u8, other: &str) -> Option<String> {
    if other == room || NEIGHBOURS.contains(&(room, other)) {
        return None;
    }
    match floor_of(other) {
        Some(below) if below < floor => None,
        Some(same) if same == floor => Some(format!(
            "`{room}` may not use `{other}`: same floor, and the pair is not listed"
        )),
        Some(above) => Some(format!(
            "`{room}` (floor {floor}) may not use `{other}` (floor {above})"
        )),
        None => Some(format!(
            "`crate::{other}` hides which room is used: import from the room, not from the front door"
        )),
    }
}

fn floor_of(room: &str) -> Option<u8> {
    ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, floor)| *floor)
}

/// How many modules deep a file's own code stands: `host.rs` 1, `session/mod.rs` 1, `session/child.rs` 2.
fn depth(inside: &str) -> usize {
    let parts = inside.split('/').count();
    if inside.ends_with("/mod.rs") {
        parts - 1
    } else {
        parts
    }
}

/// What chains of `super::` reach once they climb out of the room.
fn through_super<'a>(tokens: &[Token<'a>], depth: usize) -> Vec<(usize, &'a str)> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        let mut climbed = 0;
        while tokens.get(at).is_some_and(|t| t.text == "super")
            && tokens.get(at + 1).is_some_and(|t| t.text == "::")
        {
            climbed += 1;
            at += 2;
        }
        if climbed == 0 {
            at += 1;
            continue;
        }
        if climbed >= depth + tokens[start].inline_modules {
            // Spread a group after the chain as if the last `super` were its root.
            let last = &tokens[at - 2..];
            let end = last
                .iter()
                .position(|t| t.text == ";")
                .unwrap_or(last.len());
            out.extend(
                paths_from(&last[..end], "super")
                    .into_iter()
                    .filter_map(|p| Some((p.line, *p.parts.first()?))),
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::probe;
    use super::*;

    #[test]
    fn importing_upwards_is_found() {
        let rule = rooms_import_downwards;
        let code = "use crate::session::Session;\nuse crate::{error::Error, pool::Pool};";
        assert_eq!(probe(rule, "rmux-core/src/link/dial.rs", code), [1, 2]);
        assert_eq!(probe(rule, "rmux-core/src/remote/mod.rs", code), []);
        assert_eq!(probe(rule, "rmux-core/src/lib.rs", code), []);
        assert_eq!(probe(rule, "rmux-cli/src/link.rs", code), []);
    }

    #[test]
    fn neighbours_live_on_one_floor_and_never_use_each_other() {
        for (user, used) in NEIGHBOURS {
            assert_eq!(floor_of(user), floor_of(used), "{user} and {used}");
            let mut reached = vec![*used];
            while let Some(room) = reached.pop() {
                assert_ne!(room, *user, "{user} is reached from {used}");
                reached.extend(
                    NEIGHBOURS
                        .iter()
                        .filter(|(u, _)| *u == room)
                        .map(|(_, d)| *d),
                );
            }
        }
    }

    #[test]
    fn the_map_shows_every_room_on_its_floor() {
        let map = include_str!("../../../ARCHITECTURE.md");
        for (room, floor) in ROOMS {
            let start = format!("| {floor} |");
            let row = map.lines().find(|line| line.starts_with(&start));
            let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no floor {floor}"));
            assert!(
                row.contains(&format!("`{room}`")),
                "{room} is not on floor {floor}"
            );
        }
    }

    #[test]
    fn a_neighbour_must_be_listed() {
        let rule = rooms_import_downwards;
        assert_eq!(
            probe(rule, "rmux-core/src/host.rs", "use crate::error::Error;"),
            []
        );
        assert_eq!(
            probe(rule, "rmux-core/src/error.rs", "use crate::host::Host;"),
            [1]
        );
        assert_eq!(
            probe(
                rule,
                "rmux-core/src/trust/mod.rs",
                "use crate::auth::Agent;"
            ),
            [1]
        );
    }

    #[test]
    fn the_front_door_is_no_way_around() {
        let rule = rooms_import_downwards;
        assert_eq!(
            probe(rule, "rmux-core/src/host.rs", "use crate::Session;"),
            [1]
        );
        assert_eq!(
            probe(rule, "rmux-core/src/host.rs", "pub(crate) fn a() {}"),
            []
        );
    }

    #[test]
    fn a_room_without_a_floor_is_found() {
        let rule = rooms_import_downwards;
        assert_eq!(probe(rule, "rmux-core/src/attic.rs", "fn a() {}"), [1]);
    }

    #[test]
    fn climbing_out_of_the_room_is_found() {
        let rule = rooms_import_downwards;
        let code = "use super::session::Session;";
        assert_eq!(probe(rule, "rmux-core/src/link/mod.rs", code), [1]);
        assert_eq!(probe(rule, "rmux-core/src/link/dial.rs", code), []);
        let code = "use super::super::{error, session};";
        assert_eq!(probe(rule, "rmux-core/src/link/dial.rs", code), [1]);
        let code = "mod tests { use super::super::pool; }";
        assert_eq!(probe(rule, "rmux-core/src/link/mod.rs", code), [1]);
        assert_eq!(probe(rule, "rmux-core/src/link/dial.rs", code), []);
    }
}
