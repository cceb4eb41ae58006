//! Holds revocation lists that ssh-keygen wrote against its own answers: the same keys are revoked,
//! and the same lists are refused once they are damaged.

mod conformance;
mod openssh;
mod revoked;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use conformance::{cases, say};
use openssh::{Random, keygen, start, write};
use revoked::{IDS, SERIALS, asked, pool};
use rmux_proto::known_hosts::HostKey;
use rmux_proto::krl::Revocations;
use sha2::{Digest as _, Sha256};

/// A file for `ssh-keygen -k`: what to revoke, one thing a line.
fn specification(
    random: &mut Random,
    folder: &Path,
    pool: &[(String, HostKey)],
    certificates: bool,
) -> String {
    let mut out = String::new();
    for _ in 0..random.below(7) {
        let (name, key) = &pool[random.below(pool.len())];
        let text = std::fs::read_to_string(folder.join(name)).expect("a key");
        let serial = random.pick(&SERIALS).max(1);
        out += &match random.below(if certificates { 11 } else { 5 }) {
            0 => format!("key: {text}"),
            1 => format!("sha1: {text}"),
            2 => format!("sha256: {text}"),
            3 => format!(
                "hash: SHA256:{}\n",
                STANDARD_NO_PAD.encode(Sha256::digest(key.plain_blob()))
            ),
            // A certificate is revoked by its number or identity then.
            4 if certificates || key.certificate().is_none() => text,
            4 => "# nothing\n".to_owned(),
            5 => format!("serial: {serial}\n"),
            6 => format!("id: {}\n", random.pick(&IDS)),
            7 => {
                let other = random.pick(&SERIALS).max(1);
                match other.cmp(&serial) {
                    std::cmp::Ordering::Equal => format!("serial: {serial}\n"),
                    std::cmp::Ordering::Less => format!("serial: {other}-{serial}\n"),
                    std::cmp::Ordering::Greater => format!("serial: {serial}-{other}\n"),
                }
            }
            // Numbers close together, for which ssh-keygen writes a list or a bitmap.
            _ => {
                let near = |random: &mut Random| serial.saturating_add(random.next() % 200);
                (0..random.below(40))
                    .map(|_| format!("serial: {}\n", near(random)))
                    .collect()
            }
        };
    }
    out
}

/// What `ssh-keygen -k -s` is given: an authority, all of them, or nothing (then only keys are
/// revoked).
const ALL_AUTHORITIES: [&str; 5] = ["ca-ed25519.pub", "ca-rsa.pub", "ca-p256.pub", "none", ""];

/// Makes a list in the file `krl`, in one or several steps.
fn make_list(
    random: &mut Random,
    folder: &Path,
    pool: &[(String, HostKey)],
    authorities: &[&str],
) -> String {
    let mut all = String::new();
    for step in 0..1 + random.below(3) {
        let authority = random.pick(authorities);
        let text = specification(random, folder, pool, !authority.is_empty());
        write(folder, "specification", &text);
        let version = random.below(1000).to_string();
        let mut arguments = vec!["-k", "-q", "-f", "krl", "-z", &version];
        if step > 0 {
            arguments.push("-u");
        }
        if !authority.is_empty() {
            arguments.extend(["-s", authority]);
        }
        arguments.push("specification");
        keygen(folder, &arguments);
        all += &format!("-- {authority}\n{text}");
    }
    all
}

#[test]
fn verdicts_are_those_of_ssh_keygen() {
    let (scratch, mut random) = start("krl-verdicts");
    let folder = &scratch.0;
    let pool = pool(folder, &mut random);
    let (mut revoked, mut all) = (0, 0);
    for _ in 0..cases(150) {
        let what = make_list(&mut random, folder, &pool, &ALL_AUTHORITIES);
        let file = std::fs::read(folder.join("krl")).expect("a list");
        let revocations = Revocations::parse(&file).expect("a list that ssh-keygen wrote");
        assert!(
            revocations
                .krl()
                .is_some_and(|krl| krl.signers().is_empty())
        );
        let theirs = asked(folder, &pool).expect("an answer");
        for ((name, key), theirs) in pool.iter().zip(theirs) {
            assert_eq!(revocations.revokes(key), theirs, "{name} {key:?}\n{what}");
            revoked += usize::from(theirs);
            all += 1;
        }
    }
    say(&format!("revocation lists: {revoked} of {all} revoked"));
    assert!(revoked * 20 > all && revoked * 20 < all * 19);
}

#[test]
fn the_same_damaged_lists_are_refused() {
    let (scratch, mut random) = start("krl-damaged");
    let folder = &scratch.0;
    let mut pool = pool(folder, &mut random);
    // Whether a point lies on its curve is not checked here, so lists name no such keys.
    pool.retain(|(name, key)| {
        !name.contains("-p")
            && key
                .certificate()
                .is_none_or(|c| !c.authority().key_type().name().contains("ecdsa"))
    });
    let authorities = ALL_AUTHORITIES.map(|name| if name == "ca-p256.pub" { "none" } else { name });
    let mut refused = 0;
    let all = cases(300);
    for _ in 0..all {
        let what = make_list(&mut random, folder, &pool, &authorities);
        let mut file = std::fs::read(folder.join("krl")).expect("a list");
        for _ in 0..1 + random.below(2) {
            // The magic stays, or it would be text.
            let at = 8 + random.below(file.len() - 8);
            match random.below(5) {
                0 => file.truncate(at + 1),
                1 => file[at] = random.next() as u8,
                2 => file.insert(at, 0),
                3 if file.len() > 9 => drop(file.remove(at)),
                _ => file[at] ^= 1 << random.below(8),
            }
        }
        write(folder, "krl", &file);
        let theirs = asked(folder, &pool);
        match Revocations::parse(&file) {
            Ok(revocations) => {
                let ours = pool
                    .iter()
                    .map(|(_, key)| revocations.revokes(key))
                    .collect();
                assert_eq!(Some(ours), theirs, "{what}\n{file:?}");
            }
            Err(error) => {
                assert_eq!(theirs, None, "{error}: {what}\n{file:?}");
                refused += 1;
            }
        }
    }
    say(&format!(
        "damaged revocation lists: {refused} of {all} refused"
    ));
    assert!(refused > 0 && refused < all);
}
