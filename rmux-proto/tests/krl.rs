//! Files of revoked keys put together by hand: what they revoke, why they are refused, and that no
//! bytes at all bring the reader down.

mod made;

use made::{Body, by_hand, certificates, ed25519, made_up_signature, strings};
use proptest::prelude::*;
use rmux_proto::krl::{BadRevocations, Revocations, fuzz_krl};
use rmux_proto::public_key::{BadKey, HostKey};

fn plain(seed: u8) -> HostKey {
    HostKey::from_blob(&ed25519([seed; 32])).unwrap()
}

/// The key of seed 1, certified under number 7 by the key of seed 9.
fn certified() -> HostKey {
    let mut body = Body::new(&ed25519([1; 32]), &ed25519([9; 32]));
    body.serial = 7;
    HostKey::from_blob(&body.with_signature(&made_up_signature())).unwrap()
}

fn fault(sections: &[(u8, Vec<u8>)]) -> Option<BadRevocations> {
    Revocations::parse(&by_hand(sections)).err()
}

#[test]
fn a_list_revokes_certificates_and_the_keys_behind_them() {
    let revokes = |sections: &[(u8, Vec<u8>)], key: &HostKey| {
        Revocations::parse(&by_hand(sections)).unwrap().revokes(key)
    };
    let key = certified();
    let seven = certificates(&ed25519([9; 32]), 0x20, &7_u64.to_be_bytes());
    assert!(revokes(std::slice::from_ref(&seven), &key));
    assert!(!revokes(&[seven], &plain(1)));
    let of_another = certificates(&ed25519([8; 32]), 0x20, &7_u64.to_be_bytes());
    assert!(!revokes(&[of_another], &key));
    let of_any = certificates(b"", 0x23, &strings(["id"]));
    assert!(revokes(&[of_any], &key));
    for seed in [1, 9] {
        let explicit = (2, strings([ed25519([seed; 32])]));
        assert!(revokes(std::slice::from_ref(&explicit), &key));
        assert!(revokes(std::slice::from_ref(&explicit), &plain(seed)));
        assert!(!revokes(&[explicit], &plain(5)));
    }
}

#[test]
fn a_list_says_what_it_is() {
    let mut file = by_hand(&[]);
    file[19] = 3;
    file[27] = 4;
    let revocations = Revocations::parse(&file).unwrap();
    let krl = revocations.krl().unwrap();
    assert_eq!((krl.version(), krl.generated()), (3, 4));
    assert_eq!(krl.comment(), b"by hand");
    assert!(krl.signers().is_empty());
}

#[test]
fn extensions_are_passed_over_unless_they_are_critical() {
    let extension = |critical: u8| {
        let mut data = strings(["new@example.com"]);
        data.push(critical);
        data.extend(strings(["x"]));
        data
    };
    let inside = |critical| certificates(b"", 0x39, &extension(critical));
    assert_eq!(fault(&[(255, extension(0)), inside(0)]), None);
    let needed = Some(BadRevocations::Extension("new@example.com".to_owned()));
    assert_eq!(fault(&[(255, extension(1))]), needed);
    assert_eq!(fault(&[inside(1)]), needed);
    let trailing = [extension(0), vec![0]].concat();
    assert_eq!(fault(&[(255, trailing)]), Some(BadRevocations::Damaged));
}

#[test]
fn what_is_wrong_is_told_apart() {
    let zero = 0_u64.to_be_bytes();
    assert_eq!(fault(&[(7, vec![])]), Some(BadRevocations::Section(7)));
    let unknown = certificates(b"", 0x30, b"");
    assert_eq!(fault(&[unknown]), Some(BadRevocations::Section(0x30)));
    let none = certificates(b"", 0x20, &zero);
    assert_eq!(fault(&[none]), Some(BadRevocations::Serial));
    let no_key = certificates(b"key", 0x20, &zero);
    let reason = BadRevocations::Key(BadKey::Damaged);
    assert_eq!(fault(&[no_key]), Some(reason));
    let mut other = by_hand(&[]);
    other[11] = 9;
    let version = Revocations::parse(&other).err();
    assert_eq!(version, Some(BadRevocations::Version(9)));
    let cut = Revocations::parse(b"SSHKRL\n\0\0").err();
    assert_eq!(cut, Some(BadRevocations::Damaged));
}

#[test]
fn text_lists_keys_and_authorities() {
    let line = |seed| {
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::STANDARD.encode(ed25519([seed; 32]));
        format!("ssh-ed25519 {base64} comment\n")
    };
    let parse = |text: &str| Revocations::parse(text.as_bytes());
    let nothing = parse("# nothing\n\n \t\n").unwrap();
    assert!(nothing.krl().is_none() && !nothing.revokes(&certified()));
    for seed in [1, 9] {
        let list = parse(&format!("# stolen\n{}{}", line(4), line(seed))).unwrap();
        assert!(list.revokes(&certified()) && list.revokes(&plain(seed)));
        assert!(!list.revokes(&plain(5)));
    }
    let bad = parse(&format!("{}\nssh-ed25519 AAAA\n", line(4)));
    let (line, reason) = (3, BadKey::Damaged);
    assert_eq!(bad.err(), Some(BadRevocations::Line { line, reason }));
}

#[test]
fn signatures_are_asked_about_where_they_must_be_good() {
    let mut list = by_hand(&[]);
    list.push(4);
    list.extend(strings([ed25519([3; 32])]));
    let signed = list.clone();
    list.extend(strings([made_up_signature()]));
    let mut asked = Vec::new();
    let good = Revocations::parse_verified(&list, |key, data, signature| {
        asked.push((key.clone(), data.to_vec(), signature.to_vec()));
        true
    });
    assert_eq!(asked, [(plain(3), signed, made_up_signature())]);
    assert_eq!(good.unwrap().krl().unwrap().signers(), [plain(3)]);
    let bad = Revocations::parse_verified(&list, |_, _, _| false);
    assert_eq!(bad.err(), Some(BadRevocations::Signature));
    assert!(Revocations::parse(&list).is_ok());
    let behind = [list, by_hand(&[(2, vec![])]).split_off(by_hand(&[]).len())].concat();
    let bad = Revocations::parse(&behind).err();
    assert_eq!(bad, Some(BadRevocations::Damaged));
}

#[test]
fn a_list_of_a_million_numbers_is_read_and_searched_quickly() {
    let numbers: Vec<u8> = (1..=1_000_000_u64)
        .flat_map(|n| (n * 3).to_be_bytes())
        .collect();
    let file = by_hand(&[certificates(b"", 0x20, &numbers)]);
    let begin = std::time::Instant::now();
    let revocations = Revocations::parse(&file).unwrap();
    for _ in 0..10_000 {
        assert!(!revocations.revokes(&certified()));
    }
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
}

proptest! {
    #[test]
    fn any_bytes_are_read(data: Vec<u8>, as_list: bool) {
        let start: &[u8] = if as_list { b"SSHKRL\n\0\0\0\0\x01" } else { b"" };
        fuzz_krl(&[start, &data].concat());
    }

    #[test]
    fn a_damaged_list_is_read_or_refused(
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
        keep in 0..4_u8,
        offset: u64,
        bits: Vec<u8>,
    ) {
        let bitmap = [offset.to_be_bytes().to_vec(), strings([bits])].concat();
        let mut file = by_hand(&[
            certificates(&ed25519([9; 32]), 0x22, &bitmap),
            certificates(b"", 0x21, &[offset.to_be_bytes(), [255; 8]].concat()),
            certificates(b"", 0x23, &strings(["id", "other"])),
            (2, strings([ed25519([1; 32])])),
            (3, strings([[1; 20], [2; 20]])),
            (5, strings([[1; 32]])),
        ]);
        let at = at.index(file.len());
        file[at] = byte;
        if keep == 0 {
            file.truncate(cut.index(file.len()));
        }
        fuzz_krl(&file);
    }
}
