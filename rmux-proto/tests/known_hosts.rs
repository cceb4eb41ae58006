//! known_hosts from outside: verdicts, odd lines, writing, size, and bytes of any kind.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rmux_proto::known_hosts::{
    BadLine, FileKind, HostKey, HostName, KeyType, KnownHosts, Verdict, fuzz_known_hosts,
    may_be_recorded, render_hashed, render_plain, replace_keys,
};
use rmux_proto::wire::put_string;

fn ed25519(seed: u8) -> HostKey {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519");
    put_string(&mut blob, &[seed; 32]);
    HostKey::from_blob(&blob).unwrap()
}

fn rsa(seed: u8) -> HostKey {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-rsa");
    put_string(&mut blob, &[1, 0, 1]);
    put_string(&mut blob, &[&[0x70][..], &[seed; 255]].concat());
    HostKey::from_blob(&blob).unwrap()
}

fn text(key: &HostKey) -> String {
    format!("{} {}", key.key_type(), STANDARD.encode(key.plain_blob()))
}

fn hosts(file: &str) -> KnownHosts {
    let mut hosts = KnownHosts::new();
    hosts.add_file("known_hosts", FileKind::User, file);
    hosts
}

fn verdict(file: &str, name: &HostName, key: &HostKey) -> String {
    match hosts(file).verdict(name, key, None) {
        Verdict::Trusted {
            line,
            without_port: false,
            ..
        } => format!("trusted {line}"),
        Verdict::Trusted { line, .. } => format!("trusted {line} without port"),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Changed { line, known } => format!("changed {line} {known:?}"),
        Verdict::Revoked { line } => format!("revoked {line}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_different_key_of_any_type_is_a_change_and_names_the_last_line() {
    let file = format!("web {}\nweb {}\n", text(&ed25519(1)), text(&rsa(1)));
    let web = HostName::new("WEB", 22);
    assert_eq!(verdict(&file, &web, &ed25519(1)), "trusted known_hosts:1");
    let changed = "changed known_hosts:2 [Ed25519, Rsa]";
    assert_eq!(verdict(&file, &web, &ed25519(2)), changed);
    assert_eq!(
        verdict(&file, &HostName::new("other", 22), &ed25519(1)),
        "unknown"
    );
}

#[test]
fn a_port_is_part_of_the_name_but_the_bare_name_may_vouch() {
    let key = ed25519(1);
    let on = |port| HostName::new("web", port);
    let bare = format!("web {}\n", text(&key));
    assert_eq!(
        verdict(&bare, &on(2222), &key),
        "trusted known_hosts:1 without port"
    );
    assert_eq!(verdict(&bare, &on(2222), &ed25519(2)), "unknown");
    let with_port = format!("[web]:2222 {}\n", text(&key));
    assert_eq!(
        verdict(&with_port, &on(2222), &key),
        "trusted known_hosts:1"
    );
    assert_eq!(verdict(&with_port, &on(22), &key), "unknown");
    let never = format!("[web]:22 {}\n", text(&key));
    assert_eq!(verdict(&never, &on(22), &key), "unknown");
    let any = format!("* {}\n", text(&key));
    assert_eq!(verdict(&any, &on(2222), &key), "trusted known_hosts:1");
    assert_eq!(
        verdict(&bare, &HostName::alias("Web"), &key),
        "trusted known_hosts:1"
    );
}

#[test]
fn a_revoked_key_is_revoked_only_where_its_line_holds() {
    let key = ed25519(1);
    let file = format!("web {0}\n@revoked * {0}\n", text(&key));
    assert_eq!(
        verdict(&file, &HostName::new("web", 22), &key),
        "revoked known_hosts:2"
    );
    let elsewhere = format!("web {0}\n@revoked db {0}\n", text(&key));
    let web = HostName::new("web", 22);
    assert_eq!(verdict(&elsewhere, &web, &key), "trusted known_hosts:1");
}

#[test]
fn lines_that_do_not_parse_are_skipped_and_kept() {
    let key = text(&ed25519(1));
    let file = format!(
        "# comment\n\nweb\nweb ssh-ed25519\nweb ssh-ed25519 AAAA\nweb ssh-rsa {}\n@what web {key}\n\
         |1|x|y {key}\nweb {key} fine\r\n",
        key.split(' ').nth(1).unwrap()
    );
    let hosts = hosts(&file);
    assert_eq!(hosts.len(), 1);
    let skipped: Vec<(usize, BadLine)> = hosts
        .skipped()
        .iter()
        .map(|s| (s.location.line, s.reason))
        .collect();
    let lines: Vec<usize> = skipped.iter().map(|s| s.0).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8]);
    assert_eq!(skipped[3].1, BadLine::TypeMismatch);
    assert_eq!(
        hosts.lookup(&HostName::new("web", 22))[0].location().line,
        9
    );
}

#[test]
fn algorithms_of_known_keys_come_first() {
    let file = format!("web {}\n", text(&rsa(1)));
    let web = HostName::new("web", 22);
    let offered = [
        "ssh-ed25519",
        "rsa-sha2-512",
        "ecdsa-sha2-nistp256",
        "rsa-sha2-256",
    ];
    assert_eq!(hosts(&file).known_key_types(&web), [KeyType::Rsa]);
    let ordered = hosts(&file).order_algorithms(&web, &offered);
    assert_eq!(
        ordered,
        [
            "rsa-sha2-512",
            "rsa-sha2-256",
            "ssh-ed25519",
            "ecdsa-sha2-nistp256"
        ]
    );
    assert_eq!(hosts("").order_algorithms(&web, &offered), offered);
}

#[test]
fn what_is_written_is_found_again() {
    let (key, name) = (ed25519(7), HostName::new("Web.Example", 2222));
    let plain = render_plain(&["[Web.Example]:2222", "192.0.2.1"], &key);
    assert_eq!(
        plain,
        format!("[web.example]:2222,192.0.2.1 {}\n", text(&key))
    );
    let hashed = render_hashed(&name, &[9; 20], &key);
    assert!(hashed.starts_with("|1|CQkJCQkJCQkJCQkJCQkJCQkJCQk=|"));
    for line in [plain, hashed] {
        assert_eq!(verdict(&line, &name, &key), "trusted known_hosts:1");
    }
    for bad in ["", "*", "a b", "a,b", "!a", "[a]", "a\nb", "a#", "|1|"] {
        assert!(!may_be_recorded(bad), "{bad:?}");
    }
    assert!(may_be_recorded("fe80::1%lo"));
}

#[test]
fn replaced_keys_leave_all_other_lines_alone() {
    let web = HostName::new("web", 22);
    let file = format!(
        "# note\nweb {}\nweb {}\ndb {}\n@revoked web {}\nnonsense\nweb {}",
        text(&ed25519(1)),
        text(&ed25519(2)),
        text(&ed25519(2)),
        text(&ed25519(2)),
        text(&rsa(3)),
    );
    let new = [ed25519(1), ed25519(4)];
    let replaced = replace_keys(file.as_bytes(), &web, &new, None).unwrap();
    let expected = format!(
        "# note\nweb {}\ndb {}\n@revoked web {}\nnonsense\nweb {}\n",
        text(&ed25519(1)),
        text(&ed25519(2)),
        text(&ed25519(2)),
        text(&ed25519(4)),
    );
    assert_eq!(String::from_utf8(replaced.clone()).unwrap(), expected);
    assert_eq!(replace_keys(&replaced, &web, &new, None), None);
}

#[test]
fn two_hundred_thousand_lines_are_searched_quickly() {
    let line = |i: usize| {
        format!(
            "h{i}.example,10.{}.{}.{} {}\n",
            i >> 16,
            i >> 8 & 255,
            i & 255,
            text(&ed25519(1))
        )
    };
    let time_load = |count: usize| {
        let file: String = (0..count).map(line).collect();
        let start = Instant::now();
        let hosts = hosts(&file);
        (start.elapsed(), hosts)
    };
    let (quarter, _) = time_load(50_000);
    let (whole, hosts) = time_load(200_000);
    let start = Instant::now();
    assert_eq!(hosts.lookup(&HostName::new("h199999.example", 22)).len(), 1);
    assert_eq!(hosts.lookup(&HostName::new("nowhere", 2222)).len(), 0);
    let looked_up = start.elapsed();
    println!("200,000 lines: load {whole:?} (50,000: {quarter:?}), two look-ups {looked_up:?}");
    assert!(looked_up < Duration::from_millis(50), "{looked_up:?}");
    // Linear, with room for a busy machine.
    assert!(
        whole < quarter * 10 + Duration::from_secs(1),
        "{quarter:?} -> {whole:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(data: Vec<u8>) {
        fuzz_known_hosts(&data);
    }

    #[test]
    fn lines_made_of_the_right_words_are_read(
        words in prop::collection::vec(prop::sample::select(vec![
            "@revoked", "@cert-authority", "web1", "!web1", "*", "[web1]:2222", "|1|", "|", ",",
            " ", "\t", "\n", "\r\n", "\0", "#", "ssh-ed25519", "ssh-rsa", "=", "\u{fffd}",
            "AAAAC3NzaC1lZDI1NTE5AAAAIK8CzXf2N2ATFiVEaAnZ6DSvkrUvWyDk2uIUvpkUZqzX",
        ]), 0..40)
    ) {
        fuzz_known_hosts(words.concat().as_bytes());
    }

    #[test]
    fn any_recordable_name_is_found_after_it_was_written(name in "[a-zA-Z0-9._:%-]{1,40}", port: u16) {
        let (host, key) = (HostName::new(&name, port), ed25519(1));
        prop_assume!(may_be_recorded(&name));
        let written = String::from_utf8(host.lookup().to_vec()).unwrap();
        for line in [render_plain(&[&written], &key), render_hashed(&host, &[3; 20], &key)] {
            let verdict = hosts(&line).verdict(&host, &key, None);
            let trusted = matches!(verdict, Verdict::Trusted { .. });
            prop_assert!(trusted, "{line:?}");
        }
    }
}
