//! Who may depend on whom: the arrows between crates, and the one room that names the SSH engine.

use super::code::{paths_from, tokens};
use super::manifest::{self, Kind};
use super::source::{Finding, Source};

/// Where the SSH engine may be named in code.
const ENGINE_ROOMS: &[&str] = &[
    "rmux-core/src/link/",
    "rmux-core/src/link.rs",
    "rmux-testkit/src/embedded/",
    "benches/",
];

/// The manifests that may ask for the SSH engine.
const ENGINE_MANIFESTS: &[&str] = &[
    "Cargo.toml",
    "rmux-core/Cargo.toml",
    "rmux-testkit/Cargo.toml",
    "benches/Cargo.toml",
];

/// What rmux-proto may be built from: computing only.
const PROTO_CRATES: &[&str] = &[
    "base64",
    "bytes",
    "hmac",
    "memchr",
    "serde",
    "serde_json",
    "sha1",
    "sha2",
    "subtle",
    "thiserror",
    "zeroize",
];

/// What its tests may need besides.
const PROTO_TEST_CRATES: &[&str] = &["proptest", "serde_json"];

/// The parts of std that reach the world outside.
const WORLD: &[&[&str]] = &[
    &["fs"],
    &["net"],
    &["env"],
    &["process"],
    &["thread"],
    &["io"],
    &["os"],
    &["time", "Instant"],
    &["time", "SystemTime"],
    &["time", "*"],
];

/// The types of `std::net` that are only values.
const ADDRESSES: &[&str] = &[
    "AddrParseError",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
];

/// Folder, crates of this project it may use, and those its tests may use besides.
/// A new arrow is the gravest change there is: it belongs into ARCHITECTURE.md in the same commit.
const ARROWS: &[(&str, &[&str], &[&str])] = &[
    ("rmux-proto", &[], &[]),
    ("rmux-core", &["rmux-proto"], &["rmux-testkit"]),
    ("rmux-helper", &["rmux-proto"], &[]),
    ("rmux-testkit", &["rmux-proto"], &[]),
    ("rmux-cli", &["rmux-core", "rmux-testkit"], &[]),
    ("rmux-py", &["rmux-core"], &["rmux-testkit"]),
    ("rmux-node", &["rmux-core"], &["rmux-testkit"]),
    // The comparison in it is a crate of its own, which uses the benches' own library.
    (
        "benches",
        &["rmux-benches", "rmux-core", "rmux-proto", "rmux-testkit"],
        &[],
    ),
    ("examples", &["rmux-core"], &["rmux-testkit"]),
    ("fuzz", &["rmux-core", "rmux-proto"], &[]),
    ("xtask", &[], &[]),
];

/// The SSH engine is named in the link room, the embedded server and the benches only.
pub(crate) fn engine_stays_in_its_room(source: &Source) -> Vec<Finding> {
    const RULE: &str = "engine-room";
    if source.is_manifest() && !ENGINE_MANIFESTS.contains(&source.path.as_str()) {
        return manifest::dependencies(&source.text)
            .iter()
            .filter(|d| is_engine(&d.package))
            .map(|d| {
                let message = format!("{} may not depend on {}", source.path, d.package);
                source.finding(d.line, RULE, message)
            })
            .collect();
    }
    if !source.is_rust()
        || ENGINE_ROOMS
            .iter()
            .any(|room| source.path.starts_with(room))
    {
        return Vec::new();
    }
    tokens(&source.code)
        .iter()
        .filter(|t| is_engine(t.text))
        .map(|t| {
            let message = format!("`{}` is named outside rmux-core/src/link/", t.text);
            source.finding(t.line, RULE, message)
        })
        .collect()
}

/// rmux-proto computes: no files, sockets, clock, environment or runtime.
pub(crate) fn proto_has_no_io(source: &Source) -> Vec<Finding> {
    const RULE: &str = "proto-no-io";
    if source.path == "rmux-proto/Cargo.toml" {
        return manifest::dependencies(&source.text)
            .iter()
            .filter(|d| !proto_may_use(&d.package, d.kind))
            .map(|d| {
                let message = format!("rmux-proto may not depend on {}", d.package);
                source.finding(d.line, RULE, message)
            })
            .collect();
    }
    if !source.is_rust() || !source.path.starts_with("rmux-proto/src/") {
        return Vec::new();
    }
    let tokens = tokens(&source.code);
    let world = paths_from(&tokens, "std")
        .into_iter()
        .filter(|p| reaches_outside(&p.parts))
        .map(|p| {
            let message = format!("rmux-proto may not use std::{}", p.parts.join("::"));
            source.finding(p.line, RULE, message)
        });
    let runtimes = tokens
        .iter()
        .filter(|t| matches!(t.text, "tokio" | "async_std" | "smol" | "mio"))
        .map(|t| source.finding(t.line, RULE, format!("rmux-proto may not use {}", t.text)));
    world.chain(runtimes).collect()
}

/// Dependencies point one way: proto ← core ← {cli, py, node}, proto ← helper.
pub(crate) fn arrows_point_one_way(source: &Source) -> Vec<Finding> {
    const RULE: &str = "arrows";
    let Some(house) = source.house() else {
        return Vec::new();
    };
    let row = ARROWS.iter().find(|(name, _, _)| *name == house);
    if source.is_manifest() {
        let Some((_, normal, dev)) = row else {
            let message =
                format!("{house} has no row in the table of arrows (xtask/src/tidy/edges.rs)");
            return vec![source.finding(1, RULE, message)];
        };
        return manifest::dependencies(&source.text)
            .iter()
            .filter(|d| d.package.starts_with("rmux-") && d.package != house)
            .filter(|d| {
                let allowed = normal.contains(&d.package.as_str());
                !(allowed || d.kind == Kind::Dev && dev.contains(&d.package.as_str()))
            })
            .map(|d| {
                let message = format!("{house} may not depend on {}", d.package);
                source.finding(d.line, RULE, message)
            })
            .collect();
    }
    let Some((_, normal, dev)) = row else {
        return Vec::new();
    };
    if !source.is_rust() {
        return Vec::new();
    }
    // Without an arrow in the manifest the code would not build; this line says why before the
    // compiler says that.
    let known = |name: &str| {
        ARROWS
            .iter()
            .any(|(other, _, _)| other.starts_with("rmux-") && *other == name)
    };
    tokens(&source.code)
        .iter()
        .filter_map(|t| {
            Some((
                t,
                t.text
                    .starts_with("rmux_")
                    .then(|| t.text.replace('_', "-"))?,
            ))
        })
        .filter(|(_, name)| known(name) && name != house)
        .filter(|(_, name)| !normal.contains(&name.as_str()) && !dev.contains(&name.as_str()))
        .map(|(t, name)| source.finding(t.line, RULE, format!("{house} may not name {name}")))
        .collect()
}

fn is_engine(name: &str) -> bool {
    name == "russh" || name.starts_with("russh-") || name.starts_with("russh_")
}

/// Whether this path of std does more than compute.
fn reaches_outside(parts: &[&str]) -> bool {
    match parts {
        ["net", value, ..] if ADDRESSES.contains(value) => false,
        _ => WORLD.iter().any(|w| parts.starts_with(w)),
    }
}

fn proto_may_use(package: &str, kind: Kind) -> bool {
    PROTO_CRATES.contains(&package) || kind == Kind::Dev && PROTO_TEST_CRATES.contains(&package)
}

#[cfg(test)]
mod tests {
    use super::super::probe;
    use super::*;

    #[test]
    fn the_engine_outside_its_room_is_found() {
        let rule = engine_stays_in_its_room;
        let code = "//! x\nuse russh::client;\n// russh in a comment\nlet a = \"russh\";";
        assert_eq!(probe(rule, "rmux-core/src/session/driver.rs", code), [2]);
        assert_eq!(probe(rule, "rmux-core/src/link/dial.rs", code), []);
        assert_eq!(probe(rule, "rmux-testkit/src/embedded/mod.rs", code), []);
        assert_eq!(
            probe(rule, "rmux-cli/src/main.rs", "fn a() { russh_sftp::b() }"),
            [1]
        );

        let toml = "[dependencies]\nrussh.workspace = true\n";
        assert_eq!(probe(rule, "rmux-py/Cargo.toml", toml), [2]);
        assert_eq!(probe(rule, "rmux-core/Cargo.toml", toml), []);
    }

    #[test]
    fn io_in_proto_is_found() {
        let rule = proto_has_no_io;
        let bad = "use std::{collections::HashMap, fs, net::TcpStream};\nuse std::time::Instant;\nlet a = std::env::var(b);\nuse tokio::time;";
        assert_eq!(probe(rule, "rmux-proto/src/wire.rs", bad), [1, 1, 2, 3, 4]);
        assert_eq!(probe(rule, "rmux-core/src/host.rs", bad), []);
        let good = "use std::time::Duration;\nuse std::{fmt, str};\nuse std::net::{IpAddr, Ipv4Addr};\n// std::fs";
        assert_eq!(probe(rule, "rmux-proto/src/wire.rs", good), []);

        let toml = "[dependencies]\nsha2 = \"0.11\"\ntokio = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n";
        assert_eq!(probe(rule, "rmux-proto/Cargo.toml", toml), [3]);
        assert_eq!(probe(rule, "rmux-core/Cargo.toml", toml), []);
    }

    #[test]
    fn an_arrow_against_the_direction_is_found() {
        let rule = arrows_point_one_way;
        let to_core = "[dependencies]\nrmux-core.workspace = true\n";
        assert_eq!(probe(rule, "rmux-helper/Cargo.toml", to_core), [2]);
        assert_eq!(probe(rule, "rmux-proto/Cargo.toml", to_core), [2]);
        assert_eq!(probe(rule, "rmux-py/Cargo.toml", to_core), []);
        let to_proto = "[dependencies.proto]\npackage = \"rmux-proto\"\n";
        assert_eq!(probe(rule, "rmux-node/Cargo.toml", to_proto), [1]);
        assert_eq!(probe(rule, "rmux-helper/Cargo.toml", to_proto), []);
        let to_testkit = "[dependencies]\nrmux-testkit = \"1\"\n";
        assert_eq!(probe(rule, "rmux-core/Cargo.toml", to_testkit), [2]);
        let in_tests = "[dev-dependencies]\nrmux-testkit = \"1\"\n";
        assert_eq!(probe(rule, "rmux-core/Cargo.toml", in_tests), []);
        assert_eq!(probe(rule, "rmux-new/Cargo.toml", in_tests), [1]);
    }

    #[test]
    fn code_that_names_a_crate_without_an_arrow_is_found() {
        let rule = arrows_point_one_way;
        assert_eq!(
            probe(rule, "rmux-helper/src/main.rs", "use rmux_core::Session;"),
            [1]
        );
        assert_eq!(
            probe(rule, "rmux-helper/src/main.rs", "use rmux_proto::wire;"),
            []
        );
        assert_eq!(
            probe(rule, "rmux-py/src/lib.rs", "use rmux_proto::wire;"),
            [1]
        );
    }
}
