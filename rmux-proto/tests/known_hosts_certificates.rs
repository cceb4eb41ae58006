//! Host certificates against `@cert-authority` lines. The signatures here are made up: checking
//! them is not the work of known_hosts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmux_proto::certificate::{CertificateChecks, CertificateFault};
use rmux_proto::known_hosts::{FileKind, HostKey, HostName, KnownHosts, Verdict};
use rmux_proto::wire::{put_string, put_u32};

const NOW: u64 = 1_800_000_000;

/// What a certificate says; the rest is always the same.
struct Certificate {
    kind: u32,
    principals: &'static [&'static str],
    valid: (u64, u64),
    critical: bool,
}

const GOOD: Certificate = Certificate {
    kind: 2,
    principals: &["web", "*.wild"],
    valid: (NOW - 1, NOW + 1),
    critical: false,
};

fn plain(seed: u8) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519");
    put_string(&mut blob, &[seed; 32]);
    blob
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// The key of seed 1, certified by the authority of seed 9.
fn certified(certificate: &Certificate) -> HostKey {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519-cert-v01@openssh.com");
    put_string(&mut blob, &[0; 32]);
    put_string(&mut blob, &[1; 32]);
    put_u64(&mut blob, 1);
    put_u32(&mut blob, certificate.kind);
    put_string(&mut blob, b"id");
    let mut principals = Vec::new();
    for name in certificate.principals {
        put_string(&mut principals, name.as_bytes());
    }
    put_string(&mut blob, &principals);
    put_u64(&mut blob, certificate.valid.0);
    put_u64(&mut blob, certificate.valid.1);
    let mut critical = Vec::new();
    if certificate.critical {
        put_string(&mut critical, b"force-command");
        put_string(&mut critical, b"x");
    }
    put_string(&mut blob, &critical);
    put_string(&mut blob, b"");
    put_string(&mut blob, b"");
    put_string(&mut blob, &plain(9));
    let mut signature = Vec::new();
    put_string(&mut signature, b"ssh-ed25519");
    put_string(&mut signature, &[0; 64]);
    put_string(&mut blob, &signature);
    HostKey::from_blob(&blob).unwrap()
}

fn line(prefix: &str, seed: u8) -> String {
    format!("{prefix} ssh-ed25519 {}\n", STANDARD.encode(plain(seed)))
}

fn judge(file: &str, host: &HostName, key: &HostKey, checks: Option<&CertificateChecks>) -> String {
    let mut hosts = KnownHosts::new();
    hosts.add_file("f", FileKind::User, file);
    match hosts.verdict(host, key, checks) {
        Verdict::Trusted {
            line,
            by_authority: true,
            without_port,
        } => {
            format!("authority {line} {without_port}")
        }
        Verdict::Trusted {
            line, without_port, ..
        } => format!("key {line} {without_port}"),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Changed { line, .. } => format!("changed {line}"),
        Verdict::Revoked { line } => format!("revoked {line}"),
        other => panic!("{other:?}"),
    }
}

fn checks() -> CertificateChecks {
    CertificateChecks::new(NOW, "ssh-ed25519,rsa-sha2-512")
}

#[test]
fn an_authority_vouches_for_its_hosts_only() {
    let web = HostName::new("Web", 22);
    let key = certified(&GOOD);
    let file = line("@cert-authority *", 9);
    assert_eq!(
        judge(&file, &web, &key, Some(&checks())),
        "authority f:1 false"
    );
    let on_port = HostName::new("web", 2222);
    let bare = line("@cert-authority web", 9);
    assert_eq!(
        judge(&bare, &on_port, &key, Some(&checks())),
        "authority f:1 true"
    );
    assert_eq!(judge(&file, &web, &key, None), "unknown");
    assert_eq!(
        judge(&line("@cert-authority db", 9), &web, &key, Some(&checks())),
        "unknown"
    );
    assert_eq!(
        judge(&line("@cert-authority *", 8), &web, &key, Some(&checks())),
        "unknown"
    );
    // An authority is no host key, nor the other way around.
    let authority = HostKey::from_blob(&plain(9)).unwrap();
    assert_eq!(judge(&file, &web, &authority, Some(&checks())), "unknown");
    assert_eq!(
        judge(&line("web", 9), &web, &key, Some(&checks())),
        "changed f:1"
    );
}

#[test]
fn a_certificate_that_fails_is_judged_as_its_plain_key() {
    let other = HostName::new("other", 22);
    let key = certified(&GOOD);
    let authority = line("@cert-authority *", 9);
    assert_eq!(judge(&authority, &other, &key, Some(&checks())), "unknown");
    let known = authority.clone() + &line("other", 1);
    assert_eq!(
        judge(&known, &other, &key, Some(&checks())),
        "key f:2 false"
    );
    let changed = authority + &line("other", 2);
    assert_eq!(
        judge(&changed, &other, &key, Some(&checks())),
        "changed f:2"
    );
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_where_its_authority_is_trusted() {
    let key = certified(&GOOD);
    let fault = |file: &str, host: &HostName| {
        let mut hosts = KnownHosts::new();
        hosts.add_file("f", FileKind::User, file);
        let fault = hosts.certificate_fault(host, &key, &checks());
        fault.map(|(line, fault)| format!("{line} {fault}"))
    };
    let authority = line("@cert-authority *", 9);
    let other = HostName::new("other", 2222);
    let told = "Certificate invalid: name is not a listed principal";
    assert_eq!(fault(&authority, &other), Some(format!("f:1 {told}")));
    assert_eq!(fault(&authority, &HostName::new("web", 22)), None);
    // Found under the bare name only, as the verdict would.
    let bare = line("other", 1) + &line("@cert-authority other", 9);
    assert_eq!(fault(&bare, &other), Some(format!("f:2 {told}")));
    assert_eq!(fault(&line("@cert-authority *", 8), &other), None);
    let revoked = authority + &line("@revoked *", 9);
    assert_eq!(fault(&revoked, &other), None);
}

#[test]
fn a_revoked_authority_or_key_revokes_the_certificate() {
    let web = HostName::new("web", 22);
    let key = certified(&GOOD);
    for revoked in [1, 9] {
        let file = line("@cert-authority *", 9) + &line("@revoked web", revoked);
        assert_eq!(judge(&file, &web, &key, Some(&checks())), "revoked f:2");
    }
    let elsewhere = line("@cert-authority *", 9) + &line("@revoked db", 9);
    assert_eq!(
        judge(&elsewhere, &web, &key, Some(&checks())),
        "authority f:1 false"
    );
}

#[test]
fn every_fault_of_a_certificate_is_told_apart() {
    use CertificateFault::*;
    let fault = |certificate: &Certificate, name: &str, algorithms: &str| {
        let key = certified(certificate);
        let checks = CertificateChecks::new(NOW, algorithms);
        checks
            .check(key.certificate().unwrap(), name.as_bytes())
            .err()
    };
    let valid = |from, to| Certificate {
        valid: (from, to),
        ..GOOD
    };
    assert_eq!(fault(&GOOD, "web", "ssh-ed25519"), None);
    assert_eq!(
        fault(
            &Certificate {
                principals: &[],
                ..GOOD
            },
            "any",
            "ssh-*"
        ),
        None
    );
    assert_eq!(
        fault(&Certificate { kind: 1, ..GOOD }, "web", "*"),
        Some(NotForHosts)
    );
    assert_eq!(
        fault(&valid(NOW + 1, u64::MAX), "web", "*"),
        Some(NotYetValid)
    );
    assert_eq!(fault(&valid(0, NOW), "web", "*"), Some(Expired));
    assert_eq!(fault(&GOOD, "x.wild", "*"), Some(OtherName));
    assert_eq!(fault(&GOOD, "Web", "*"), Some(OtherName));
    assert_eq!(
        fault(
            &Certificate {
                critical: true,
                ..GOOD
            },
            "web",
            "*"
        ),
        Some(CriticalOptions)
    );
    assert_eq!(
        fault(&GOOD, "web", "rsa-sha2-512"),
        Some(SignatureAlgorithm)
    );
}

#[test]
fn a_known_authority_brings_certificate_algorithms_to_the_front() {
    let mut hosts = KnownHosts::new();
    hosts.add_file("f", FileKind::User, line("@cert-authority web", 9));
    let offered = [
        "rsa-sha2-512",
        "ssh-ed25519",
        "ssh-ed25519-cert-v01@openssh.com",
    ];
    let ordered = hosts.order_algorithms(&HostName::new("web", 22), &offered);
    assert_eq!(
        ordered,
        [
            "ssh-ed25519-cert-v01@openssh.com",
            "rsa-sha2-512",
            "ssh-ed25519"
        ]
    );
}
