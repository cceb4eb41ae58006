//! Keys and certificates that revocation lists are asked about, and ssh-keygen, which is asked too.

#![allow(unreachable_pub)]
#![allow(dead_code)]

use std::path::Path;

use rmux_proto::known_hosts::HostKey;

use crate::openssh::{Random, keygen, keygen_output, new_key, read_key, write};

pub const AUTHORITIES: [&str; 3] = ["ca-ed25519", "ca-rsa", "ca-p256"];
pub const KEYS: [&str; 4] = ["k-ed25519", "k-rsa", "k-p384", "k-other"];
pub const SERIALS: [u64; 16] = [
    0,
    1,
    2,
    3,
    7,
    8,
    63,
    64,
    65,
    1000,
    1001,
    1 << 32,
    (1 << 32) + 9,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];
pub const IDS: [&str; 4] = ["alpha", "beta", "gamma delta", "grün"];

/// Keys and certificates that may be revoked, by the names of their files.
pub fn pool(folder: &Path, random: &mut Random) -> Vec<(String, HostKey)> {
    let kind = |name: &str| -> &[&str] {
        match name.split('-').nth(1) {
            Some("rsa") => &["rsa", "-b", "2048"],
            Some("p256") => &["ecdsa", "-b", "256"],
            Some("p384") => &["ecdsa", "-b", "384"],
            _ => &["ed25519"],
        }
    };
    for name in AUTHORITIES.iter().chain(&KEYS) {
        new_key(folder, name, kind(name));
    }
    let mut names: Vec<String> = AUTHORITIES
        .iter()
        .chain(&KEYS)
        .map(|n| format!("{n}.pub"))
        .collect();
    for index in 0..60 {
        let key = random.pick(&KEYS);
        let name = format!("c{index}.pub");
        let public = std::fs::read(folder.join(format!("{key}.pub"))).expect("a key");
        write(folder, &name, public);
        let serial = SERIALS[index % SERIALS.len()].to_string();
        let (authority, id) = (random.pick(&AUTHORITIES), random.pick(&IDS));
        keygen(
            folder,
            &["-q", "-s", authority, "-h", "-I", id, "-z", &serial, &name],
        );
        names.push(format!("c{index}-cert.pub"));
    }
    let read = |name: String| {
        let key = read_key(folder, &name);
        (name, key)
    };
    names.into_iter().map(read).collect()
}

/// The answers of `ssh-keygen -Q`: whether each key is revoked, or `None` if it refuses the list.
pub fn asked(folder: &Path, pool: &[(String, HostKey)]) -> Option<Vec<bool>> {
    let mut arguments = vec!["-Q", "-f", "krl"];
    arguments.extend(pool.iter().map(|(name, _)| name.as_str()));
    let output = keygen_output(folder, &arguments);
    if output.status.code() == Some(255) {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<bool> = text
        .lines()
        .map(|line| line.ends_with(": REVOKED"))
        .collect();
    assert_eq!(answers.len(), pool.len(), "{text}");
    Some(answers)
}
