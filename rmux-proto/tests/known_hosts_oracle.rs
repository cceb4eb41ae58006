//! Holds known_hosts against the installed ssh: the same verdict for each generated case, the same
//! line, and the same host key algorithm when the order follows from what is known.

mod conformance;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conformance::json::Json;
use rmux_proto::certificate::CertificateChecks;
use rmux_proto::known_hosts::{FileKind, HostKey, HostName, KnownHosts, Marker, Verdict};

/// The algorithms of the generator's server, in the order in which a stock client prefers them.
const DEFAULT_ORDER: [&str; 4] = [
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "rsa-sha2-512",
];

#[test]
fn verdicts_are_those_of_ssh() {
    let Some(folder) = conformance::folder("the comparison of known_hosts with ssh") else {
        return;
    };
    let (count, seed) = (conformance::cases(300), conformance::seed());
    conformance::say(&format!("known_hosts: {count} cases, seed {seed}"));
    let scratch = conformance::Scratch::new("known-hosts");
    let inside = |name: &str| scratch.0.join(name).display().to_string();
    let arguments = [
        count.to_string(),
        format!("--seed={seed}"),
        format!("--base={}", inside("files")),
        format!("--keys={}", inside("keys")),
    ];
    let (meta, cases) = conformance::generate(&folder.join("gen_knownhosts.py"), &arguments);
    assert_eq!(cases.len(), count);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut left_out = 0;
    for case in &cases {
        if ["user", "global"]
            .iter()
            .any(|file| misread(case["files"][*file].bytes()))
        {
            left_out += 1;
            continue;
        }
        *seen.entry(case["ssh"]["verdict"].text()).or_default() += 1;
        wrong.extend(differences(&meta, case));
    }
    conformance::say(&format!(
        "known_hosts: verdicts of ssh {seen:?}, {} differences, {left_out} left out",
        wrong.len()
    ));
    assert!(left_out * 5 < count, "{left_out} of {count} left out");
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
}

/// Whether ssh's answer depends on what its buffer held before: of a line that ends behind the names
/// it reads on past the end, into the line before (hostfile.c of OpenSSH 9.2).
fn misread(file: &[u8]) -> bool {
    file.split(|byte| *byte == b'\n').any(|line| {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut words = line.split(blank).filter(|word| !word.is_empty());
        let names = match words.next() {
            Some(b"@cert-authority" | b"@revoked") => words.next(),
            first => first,
        };
        let ends = line.last().is_some_and(|last| !blank(last)) && words.next().is_none();
        names.is_some_and(|names| names[0] != b'#') && ends
    })
}

fn differences(meta: &Json, case: &Json) -> Vec<String> {
    let mut hosts = KnownHosts::new();
    hosts.add_file("user", FileKind::User, case["files"]["user"].bytes());
    hosts.add_file("global", FileKind::Global, case["files"]["global"].bytes());
    let query = &case["query"];
    let name = match &query["alias"] {
        Json::Null => HostName::new(&query["host"].text(), query["port"].number() as u16),
        alias => HostName::alias(&alias.text()),
    };
    let ssh = &case["ssh"];
    let mut wrong = Vec::new();
    let mut compare = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            let files = &case["files"];
            wrong.push(format!(
                "{} {what}: ours {ours}, theirs {theirs}; {query:?}\n--user\n{}\n--global\n{}",
                case["id"].text(),
                files["user"].text(),
                files["global"].text()
            ));
        }
    };

    if query["alg"].bytes() == b"default" {
        let chosen = hosts.order_algorithms(&name, &DEFAULT_ORDER)[0].to_owned();
        compare("algorithm", chosen, ssh["negotiated"].text());
    }

    let offered = offered_key(meta, &ssh["negotiated"].text());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs();
    let checks = CertificateChecks::new(now, "ssh-ed25519");
    let (verdict, line, by_authority) = match hosts.verdict(&name, &offered, Some(&checks)) {
        Verdict::Trusted {
            line,
            by_authority,
            without_port,
        } => {
            let word = if without_port { "ok-noport" } else { "ok" };
            (word, Some(line), Some(by_authority))
        }
        Verdict::Unknown => ("new", None, None),
        Verdict::Changed { line, .. } => ("changed", Some(line), None),
        Verdict::Revoked { .. } => ("revoked", None, None),
        other => panic!("a verdict that is new here: {other:?}"),
    };
    compare("verdict", verdict.to_owned(), ssh["verdict"].text());
    let theirs = [&ssh["found"], &ssh["offending"]]
        .into_iter()
        .find(|l| !l.is_null());
    // ssh names no line for a revoked key; if it names one, that is of a later try with the plain
    // key, which no longer matters here.
    if verdict != "revoked" {
        compare(
            "line",
            line.map_or("none".to_owned(), |l| l.to_string()),
            theirs.map_or("none".to_owned(), Json::text),
        );
    }
    if let (Some(by_authority), Json::Bytes(kind)) = (by_authority, &ssh["kind"]) {
        compare(
            "kind",
            by_authority.to_string(),
            (kind == b"CA key").to_string(),
        );
    }
    keygen_lines(case, &mut compare);
    wrong
}

/// `ssh-keygen -F` matches the name as it was typed and prints lines that ssh would skip; on those
/// that hold a key both must agree.
fn keygen_lines(case: &Json, compare: &mut impl FnMut(&str, String, String)) {
    let argument = case["keygen"]["arg"].text();
    for file in ["user", "global"] {
        let mut hosts = KnownHosts::new();
        hosts.add_file(file, FileKind::User, case["files"][file].bytes());
        let skipped: Vec<i64> = hosts
            .skipped()
            .iter()
            .map(|s| s.location.line as i64)
            .collect();
        let ours: Vec<(i64, &str)> = hosts
            .lookup(&HostName::alias(&argument))
            .iter()
            .map(|found| {
                let word = match found.marker() {
                    Marker::CertAuthority => "CA",
                    Marker::Revoked => "REVOKED",
                    _ => "",
                };
                (found.location().line as i64, word)
            })
            .collect();
        let theirs: Vec<(i64, String)> = case["keygen"][file]["lines"]
            .list()
            .iter()
            .map(|l| (l.list()[0].number(), l.list()[1].text()))
            .filter(|(line, _)| !skipped.contains(line))
            .collect();
        // Hashed names are compared by ssh-keygen without lowercasing what was typed.
        if argument == argument.to_ascii_lowercase() {
            compare("keygen", format!("{ours:?}"), format!("{theirs:?}"));
        }
    }
}

fn offered_key(meta: &Json, algorithm: &str) -> HostKey {
    let line = match algorithm {
        "ssh-ed25519" => meta["pub"]["srv_ed25519"].text(),
        "rsa-sha2-512" => meta["pub"]["srv_rsa"].text(),
        "ecdsa-sha2-nistp256" => meta["pub"]["srv_ecdsa"].text(),
        "ssh-ed25519-cert-v01@openssh.com" => meta["cert"].text(),
        other => panic!("the generator's server has no key for {other:?}"),
    };
    let base64 = line.split(' ').nth(1).expect("a key");
    HostKey::from_blob(&STANDARD.decode(base64).expect("base64")).expect("a key")
}
