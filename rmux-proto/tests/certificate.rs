//! Certificates put together by hand: what they say, which are refused and why, and that no bytes
//! at all bring the reader down.

mod made;

use made::{Body, ed25519, made_up_signature, strings};
use proptest::prelude::*;
use rmux_proto::certificate::{
    Certificate, CertificateChecks, CertificateFault, CertificateKind, fuzz_certificate,
};
use rmux_proto::public_key::{BadKey, HostKey, KeyType};

fn body() -> Body {
    let mut body = Body::new(&ed25519([1; 32]), &ed25519([9; 32]));
    body.serial = u64::MAX;
    body.key_id = b"rack 4".to_vec();
    body.principals = strings(["web", "db"]);
    body.valid = (5, 10);
    body
}

fn read(body: &Body) -> Result<Certificate, BadKey> {
    Certificate::from_blob(&body.with_signature(&made_up_signature()))
}

#[test]
fn a_certificate_says_what_was_put_into_it() {
    let mut body = body();
    body.kind = 1;
    body.critical = strings([&b"force-command"[..], &strings(["id"])]);
    body.extensions = strings([&b"permit-pty"[..], b"", b"odd@example.com", b"\0\0"]);
    let certificate = read(&body).unwrap();
    assert_eq!(certificate.kind(), CertificateKind::User);
    assert_eq!(certificate.serial(), u64::MAX);
    assert_eq!(certificate.key_id(), b"rack 4");
    assert!(certificate.principals().eq([b"web".as_slice(), b"db"]));
    assert_eq!(
        (certificate.valid_after(), certificate.valid_before()),
        (5, 10)
    );
    let critical: Vec<_> = certificate.critical_options().collect();
    assert_eq!(critical.len(), 1);
    assert_eq!(critical[0].name, b"force-command");
    assert_eq!(critical[0].value(), Some(&b"id"[..]));
    let extensions: Vec<_> = certificate.extensions().map(|e| (e.name, e.data)).collect();
    assert_eq!(
        extensions,
        [
            (&b"permit-pty"[..], &b""[..]),
            (b"odd@example.com", b"\0\0")
        ]
    );
    assert!(certificate.extensions().all(|e| e.value().is_none()));
    assert_eq!(certificate.key().plain_blob(), ed25519([1; 32]));
    assert_eq!(certificate.authority().plain_blob(), ed25519([9; 32]));
    assert_eq!(certificate.signature_algorithm(), "ssh-ed25519");
    assert_eq!(certificate.signature(), made_up_signature());
    assert_eq!(certificate.signed_part(), body.bytes());
    assert_eq!(
        certificate.blob(),
        body.with_signature(&made_up_signature())
    );
}

#[test]
fn a_certificate_is_a_key_as_well() {
    let blob = body().with_signature(&made_up_signature());
    let key = HostKey::from_blob(&blob).unwrap();
    assert_eq!(key.key_type(), KeyType::Ed25519);
    assert_eq!(key.blob(), blob);
    assert_eq!(key.plain_blob(), ed25519([1; 32]));
    let plain = key.without_certificate();
    assert_eq!(plain.blob(), ed25519([1; 32]));
    assert!(plain.certificate().is_none() && plain != key);
    assert_eq!(HostKey::plain_from_blob(&blob), Err(BadKey::IsCertificate));
    assert_eq!(
        Certificate::from_blob(&ed25519([1; 32])),
        Err(BadKey::OtherType)
    );
}

#[test]
fn what_is_wrong_is_told_apart() {
    let fault = |spoil: fn(&mut Body)| {
        let mut body = body();
        spoil(&mut body);
        read(&body).err()
    };
    assert_eq!(fault(|_| {}), None);
    assert_eq!(fault(|b| b.kind = 3), Some(BadKey::Damaged));
    assert_eq!(
        fault(|b| b.principals = strings([""; 257])),
        Some(BadKey::Damaged)
    );
    assert_eq!(
        fault(|b| b.name = b"ssh-new-cert-v01@openssh.com".to_vec()),
        Some(BadKey::UnknownType)
    );
    assert_eq!(
        fault(|b| b.authority = body().with_signature(&made_up_signature())),
        Some(BadKey::Authority)
    );
    assert_eq!(fault(|b| b.authority.clear()), Some(BadKey::Authority));
    let signed = |signature: &[u8]| Certificate::from_blob(&body().with_signature(signature)).err();
    for wrong in [
        strings(["rsa-sha2-512", ""]),
        strings(["ssh-ed25519"]),
        [made_up_signature(), vec![0]].concat(),
        Vec::new(),
    ] {
        assert_eq!(signed(&wrong), Some(BadKey::Signature));
    }
}

/// Certificates inside certificates must not cost a stack frame each.
#[test]
fn certificates_nested_deeply_are_refused_at_the_first() {
    let mut inner = body();
    for _ in 0..2000 {
        let mut outer = body();
        outer.authority = inner.with_signature(&made_up_signature());
        inner = outer;
    }
    assert_eq!(read(&inner).err(), Some(BadKey::Authority));
}

#[test]
fn a_certificate_for_no_host_is_for_all_unless_that_is_refused() {
    let mut body = body();
    body.principals.clear();
    let certificate = read(&body).unwrap();
    let checks = CertificateChecks::new(7, "ssh-ed25519");
    assert_eq!(checks.check(&certificate, b"web"), Ok(()));
    let strict = checks.require_principals(true);
    assert_eq!(
        strict.check(&certificate, b"web"),
        Err(CertificateFault::NoPrincipals)
    );
}

#[test]
fn lines_of_text_are_keys_of_the_type_they_name() {
    let line =
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK8CzXf2N2ATFiVEaAnZ6DSvkrUvWyDk2uIUvpkUZqzX me";
    let key = HostKey::from_line(line).unwrap();
    assert_eq!(key.key_type(), KeyType::Ed25519);
    let other = [&b"ssh-rsa"[..], &line[11..]].concat();
    assert_eq!(HostKey::from_line(&other), Err(BadKey::OtherType));
    let options = [&b"no-pty "[..], line].concat();
    assert_eq!(HostKey::from_line(&options), Err(BadKey::UnknownType));
    assert_eq!(HostKey::from_line(b"ssh-ed25519"), Err(BadKey::Damaged));
    assert_eq!(HostKey::from_line(b""), Err(BadKey::Damaged));
}

proptest! {
    #[test]
    fn any_bytes_are_read(data: Vec<u8>) {
        fuzz_certificate(&data);
    }

    #[test]
    fn a_damaged_certificate_is_read_or_refused(
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
        keep in 0..4_u8,
    ) {
        let mut body = body();
        body.critical = strings(["a", ""]);
        let mut blob = body.with_signature(&made_up_signature());
        let at = at.index(blob.len());
        blob[at] = byte;
        if keep == 0 {
            blob.truncate(cut.index(blob.len()));
        }
        fuzz_certificate(&blob);
    }
}
