//! Holds files of revoked keys against ssh: for text and for lists, for a plain host key and for a
//! certificate, the same ones are refused.

mod conformance;
mod made;
mod openssh;

use std::collections::BTreeMap;

use conformance::{cases, say};
use made::strings;
use openssh::{keygen, line, new_key, read_key, ssh_says, start, write};
use rmux_proto::krl::Revocations;

#[test]
fn ssh_refuses_the_same_host_keys() {
    let (scratch, mut random) = start("revoked-host-keys");
    let folder = &scratch.0;
    let server = new_key(folder, "server", &["ed25519"]);
    let authority = new_key(folder, "ca", &["ed25519"]);
    let other = new_key(folder, "other", &["rsa", "-b", "2048"]);
    keygen(
        folder,
        &[
            "-q",
            "-s",
            "ca",
            "-h",
            "-I",
            "alpha",
            "-z",
            "7",
            "server.pub",
        ],
    );
    let certified = read_key(folder, "server-cert.pub");
    let known = format!(
        "@cert-authority * {}\nweb1 {}\n",
        line(authority.plain_blob()),
        line(server.plain_blob())
    );
    write(folder, "known_hosts", known);
    let short = strings([&b"ssh-rsa"[..], &[1, 0, 1], &[0x7f; 96]]);
    let lines = [
        String::new(),
        "# comment".to_owned(),
        format!("  \t{} comment", line(other.plain_blob())),
        line(&short),
        line(server.plain_blob()),
        line(authority.plain_blob()),
        line(certified.blob()),
        format!("{}\r", line(other.plain_blob())),
        format!("{}\0 x", line(other.plain_blob())),
        "\0x".to_owned(),
        "\r".to_owned(),
        "web1 ssh-ed25519 AAAA".to_owned(),
        format!("from=\"*\" {}", line(other.plain_blob())),
        line(other.plain_blob()).replace("ssh-rsa ", "ssh-ed25519 "),
        line(other.plain_blob()).replace("ssh-rsa ", "ssh-rsa\t "),
        line(other.plain_blob()).replace("ssh-rsa ", "rsa-sha2-512 "),
        line(other.plain_blob()).replace("ssh-rsa ", "ssh-rsa"),
    ];
    let certificate_algorithm = "ssh-ed25519-cert-v01@openssh.com";
    let mut seen = BTreeMap::<&str, usize>::new();
    for _ in 0..cases(60).min(300) {
        let mut file = String::new();
        for _ in 0..random.below(4) {
            // Lines that are fine come more often, or hardly any file would be.
            let end = if random.once_in(2) { lines.len() } else { 7 };
            file += &lines[random.below(end)];
            file += if random.once_in(20) { "" } else { "\n" };
        }
        let mut bytes = file.into_bytes();
        if random.once_in(4) {
            let what = random.pick(&["serial: 7\n", "serial: 8\n", "id: alpha\n", "id: beta\n"]);
            write(folder, "specification", what);
            keygen(
                folder,
                &["-k", "-q", "-f", "krl", "-s", "ca.pub", "specification"],
            );
            bytes = std::fs::read(folder.join("krl")).expect("a list");
            bytes.truncate(bytes.len() - usize::from(random.once_in(4)));
        }
        write(folder, "revoked", &bytes);
        let with_certificate = random.once_in(2);
        let (algorithm, offered) = match with_certificate {
            true => (certificate_algorithm, &certified),
            false => ("ssh-ed25519", &server),
        };
        let revoked = folder.join("revoked").display().to_string();
        let text = ssh_says(
            folder,
            "web1",
            algorithm,
            &[format!("RevokedHostKeys={revoked}")],
        );
        let theirs = match () {
            () if text.contains(" revoked by file ") => "revoked",
            () if text.contains("Error checking host key ") => "error",
            () => {
                assert!(!text.contains("Host key verification failed."), "{text}");
                "fine"
            }
        };
        let ours = match Revocations::parse(&bytes) {
            Ok(revocations) if revocations.revokes(offered) => "revoked",
            Ok(_) => "fine",
            Err(_) => "error",
        };
        // Ssh stops at the first line that revokes the key; a bad line behind it goes unseen.
        let same = ours == theirs || (ours == "error" && theirs == "revoked");
        assert!(
            same,
            "ours {ours}, theirs {theirs}: {:?}\n{text}",
            String::from_utf8_lossy(&bytes)
        );
        *seen.entry(theirs).or_default() += 1;
    }
    say(&format!("revoked host keys: {seen:?}"));
    assert_eq!(seen.len(), 3);
}
