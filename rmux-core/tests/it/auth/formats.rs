//! Logging in with key files of every kind and format, by ssh-keygen and by openssl.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rmux_core::Session;
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, Script, keeps_out, keyless, make_key};
use crate::fixture::within;

const PASSPHRASE: &str = "open sesame";

const KINDS: [&[&str]; 5] = [
    &["-t", "ed25519"],
    &["-t", "ecdsa", "-b", "256"],
    &["-t", "ecdsa", "-b", "384"],
    &["-t", "ecdsa", "-b", "521"],
    &["-t", "rsa", "-b", "2048"],
];

/// The key lets in; where it is encrypted, after one question.
async fn opens(sshd: &Sshd, key: &Path, encrypted: bool) {
    let script = Arc::new(Script::default());
    *script.passphrases.lock().unwrap() = vec![PASSPHRASE];
    let config = keyless(sshd).identity_file(key).prompter(script.clone());
    match within(LIMIT, "the login", Session::connect("127.0.0.1", config)).await {
        Ok(session) => session.close().await,
        Err(error) => panic!("{}: {error}", key.display()),
    }
    assert_eq!(
        script.asked().len(),
        usize::from(encrypted),
        "{}",
        key.display()
    );
}

/// Every kind of key in every format that ssh-keygen writes, plain and encrypted, with its public
/// file and without.
#[tokio::test]
async fn key_files_of_every_kind_and_format() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        for format in ["RFC4716", "PEM", "PKCS8"] {
            // ssh-keygen knows no other format for these.
            if kind[1] == "ed25519" && format != "RFC4716" {
                continue;
            }
            for encrypted in [false, true] {
                let name = format!("{}-{format}-{encrypted}", kind.concat());
                let path = folder.path().join(name);
                let passphrase = if encrypted { PASSPHRASE } else { "" };
                make_key(&path, &[kind, &["-m", format]].concat(), passphrase);
                let public = path.with_extension("pub");
                sshd.authorize(&std::fs::read_to_string(&public).unwrap());
                opens(&sshd, &path, encrypted).await;
                std::fs::remove_file(public).unwrap();
                opens(&sshd, &path, encrypted).await;
            }
        }
    }
}

/// Runs openssl in `folder`; false where this build of it cannot do that.
fn openssl(folder: &Path, line: &str) -> bool {
    let output = std::process::Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl runs (Debian: openssl)");
    output.status.success()
}

/// What openssl writes and others have left on disks over the years.
#[tokio::test]
async fn key_files_that_openssl_wrote() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut read = 0;
    for (kind, made, traditional) in [
        (
            "rsa",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "rsa -traditional",
        ),
        (
            "ec",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            "ec",
        ),
        ("ed", "genpkey -algorithm ED25519", ""),
    ] {
        assert!(openssl(folder.path(), &format!("{made} -out {kind}")));
        std::fs::set_permissions(at(kind), PermissionsExt::from_mode(0o600)).unwrap();
        opens_after_authorizing(&sshd, &at(kind)).await;
        let mut forms = vec![
            ("pkcs8 -topk8", "-v2 aes-256-cbc -v2prf hmacWithSHA256"),
            ("pkcs8 -topk8", "-v2 aes-128-cbc -v2prf hmacWithSHA1"),
            ("pkcs8 -topk8", "-v2 des3"),
            ("pkcs8 -topk8", "-scrypt"),
        ];
        if !traditional.is_empty() {
            forms.extend([
                (traditional, "-aes128"),
                (traditional, "-aes192"),
                (traditional, "-aes256"),
                (traditional, "-des3"),
            ]);
        }
        for (number, (form, cipher)) in forms.into_iter().enumerate() {
            let name = format!("{kind}-{number}");
            let line = format!("{form} {cipher} -in {kind} -out {name} -passout file:pass");
            std::fs::write(at("pass"), PASSPHRASE).unwrap();
            assert!(openssl(folder.path(), &line), "{line}");
            std::fs::set_permissions(at(&name), PermissionsExt::from_mode(0o600)).unwrap();
            opens(&sshd, &at(&name), true).await;
            read += 1;
        }
    }
    assert_eq!(read, 20);
    // Encrypted by means of the nineties: named, and nobody is asked in vain more than once.
    let weak = "pkcs8 -topk8 -v1 PBE-SHA1-3DES -in rsa -out weak -passout file:pass";
    assert!(openssl(folder.path(), weak));
    std::fs::set_permissions(at("weak"), PermissionsExt::from_mode(0o600)).unwrap();
    let script = Arc::new(Script::default());
    *script.passphrases.lock().unwrap() = vec![PASSPHRASE; 3];
    let config = keyless(&sshd).identity_file(at("weak"));
    let error = keeps_out(config.prompter(script.clone())).await;
    assert!(error.to_string().contains("not supported"), "{error}");
    assert_eq!(
        script
            .asked()
            .iter()
            .filter(|a| a.starts_with("passphrase"))
            .count(),
        1
    );
}

/// Lets the key's owner in, whose public half ssh-keygen tells; it does not know ed25519 in PKCS#8,
/// for which openssl does.
async fn opens_after_authorizing(sshd: &Sshd, key: &Path) {
    let told = std::process::Command::new("ssh-keygen")
        .args(["-y", "-P", "", "-f"])
        .arg(key)
        .output()
        .unwrap();
    let public = match told.status.success() {
        true => String::from_utf8(told.stdout).unwrap(),
        false => {
            let der = std::process::Command::new("openssl")
                .args(["pkey", "-pubout", "-outform", "DER", "-in"])
                .arg(key)
                .output()
                .unwrap()
                .stdout;
            let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
            blob.extend_from_slice(&der[der.len() - 32..]);
            format!("ssh-ed25519 {}", base64(&blob))
        }
    };
    sshd.authorize(&public);
    opens(sshd, key, false).await;
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
