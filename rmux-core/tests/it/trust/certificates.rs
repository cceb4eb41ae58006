//! Host certificates: whom they are believed, and what happens where they are not.

use rmux_core::{ErrorKind, HostKeyPolicy, Session};
use rmux_testkit::sshd::Sshd;

use super::setup::{Case, Keys, NAME, config};

/// sshd_config that lets the server show nothing but its certificate.
const ONLY_CERTIFICATES: &str = "HostKeyAlgorithms *-cert-v01@openssh.com";

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_enough() {
    let (sshd, keys) = (Sshd::start(), Keys::new());
    for authority in ["ed25519", "ecdsa", "rsa"] {
        let ca = format!("ca_{authority}");
        keys.make(&ca, authority);
        let known = format!("@cert-authority *.example {}\n", keys.public(&ca));
        let known = keys.write("known_hosts", known);
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let host = format!("{kind}_of_{authority}");
            let key = keys.make(&host, kind);
            keys.sign(&ca, &host, &["-h", "-n", NAME]);
            sshd.set_host_keys(&[&key], ONLY_CERTIFICATES);
            let case = Case {
                sshd: &sshd,
                known: &known,
                options: Vec::new(),
            };
            let what = format!("a key of {kind} signed by one of {authority}");
            case.judged(&what).await.unwrap();
        }
    }
    let known = std::fs::read_to_string(keys.path("known_hosts")).unwrap();
    assert_eq!(known.lines().count(), 1, "nothing was learnt");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_and_its_key_is_judged_instead() {
    let (sshd, keys) = (Sshd::start(), Keys::new());
    keys.make("ca", "ed25519");
    keys.make("rsa_ca", "rsa");
    let authorities = format!(
        "@cert-authority * {}\n@cert-authority * {}\n",
        keys.public("ca"),
        keys.public("rsa_ca")
    );
    let unknown = keys.write("unknown", &authorities);
    for (number, (what, ca, arguments, said)) in [
        (
            "another name",
            "ca",
            &["-h", "-n", "other.example"][..],
            "name is not a listed principal",
        ),
        (
            "a wildcard",
            "ca",
            &["-h", "-n", "*.example"],
            "name is not a listed principal",
        ),
        (
            "expired",
            "ca",
            &["-h", "-n", NAME, "-V", "-2w:-1w"],
            "expired",
        ),
        (
            "not yet valid",
            "ca",
            &["-h", "-n", NAME, "-V", "+1w:+2w"],
            "not yet valid",
        ),
        ("of a user", "ca", &["-n", NAME], "not a host certificate"),
        (
            "a critical option",
            "ca",
            &["-h", "-n", NAME, "-O", "force-command=false"],
            "unsupported critical options",
        ),
        (
            "signed with SHA-1",
            "rsa_ca",
            &["-h", "-n", NAME, "-t", "ssh-rsa"],
            "disallowed algorithm",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let host = format!("host{number}");
        let key = keys.make(&host, "ed25519");
        keys.sign(ca, &host, arguments);
        sshd.set_host_keys(&[&key], ONLY_CERTIFICATES);
        let mut case = Case {
            sshd: &sshd,
            known: &unknown,
            options: Vec::new(),
        };
        let error = case.judged(what).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostKeyUnknown, "{what}: {error}");
        assert!(error.message().contains(said), "{what}: {error}");
        // With its plain key known, it is as if there were no certificate.
        let plain = format!("{authorities}{NAME} {}\n", keys.public(&host));
        let plain = keys.write("plain", plain);
        case.known = &plain;
        case.judged(what).await.unwrap();
        // And with another one known, somebody may be in between.
        let other = format!("{authorities}{NAME} {}\n", keys.public("ca"));
        let other = keys.write("other", other);
        case.known = &other;
        let error = case.judged(what).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostKeyChanged, "{what}: {error}");
    }
}

#[tokio::test]
async fn what_the_user_allows_beyond_the_defaults_holds() {
    let (sshd, keys) = (Sshd::start(), Keys::new());
    keys.make("ca", "rsa");
    let key = keys.make("host", "ed25519");
    keys.sign("ca", "host", &["-h", "-n", NAME, "-t", "ssh-rsa"]);
    sshd.set_host_keys(&[&key], ONLY_CERTIFICATES);
    let known = keys.write(
        "known_hosts",
        format!("@cert-authority * {}\n", keys.public("ca")),
    );
    let case = |options| Case {
        sshd: &sshd,
        known: &known,
        options,
    };
    let sha1 = ("CASignatureAlgorithms", "+ssh-rsa".to_owned());
    case(vec![sha1.clone()])
        .judged("SHA-1 allowed")
        .await
        .unwrap();
    // rmux holds authorities to RequiredRSASize as well.
    let long = ("RequiredRSASize", "3072".to_owned());
    let error = case(vec![sha1, long]).rmux().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyUnknown, "{error}");

    // No name in it: any host's, for OpenSSH up to 10.2.
    let key = keys.make("any", "ed25519");
    keys.sign("ca", "any", &["-h"]);
    sshd.set_host_keys(&[&key], ONLY_CERTIFICATES);
    case(Vec::new()).judged("no principals").await.unwrap();
}

#[tokio::test]
async fn an_authority_counts_for_the_hosts_on_its_line_only() {
    let (sshd, keys) = (Sshd::start(), Keys::new());
    keys.make("ca", "ed25519");
    keys.make("other_ca", "ed25519");
    let key = keys.make("host", "ed25519");
    keys.sign(
        "ca",
        "host",
        &["-h", "-n", &format!("{NAME},alias.example")],
    );
    sshd.set_host_keys(&[&key], ONLY_CERTIFICATES);
    let ca = keys.public("ca");
    for (what, known, trusted) in [
        (
            "its own line",
            format!("@cert-authority {NAME} {ca}\n"),
            true,
        ),
        (
            "another host's",
            format!("@cert-authority *.com {ca}\n"),
            false,
        ),
        ("without a marker", format!("{NAME} {ca}\n"), false),
        (
            "another authority's",
            format!("@cert-authority * {}\n", keys.public("other_ca")),
            false,
        ),
        (
            "revoked",
            format!("@cert-authority * {ca}\n@revoked * {ca}\n"),
            false,
        ),
        (
            "with its key revoked",
            format!(
                "@cert-authority * {ca}\n@revoked * {}\n",
                keys.public("host")
            ),
            false,
        ),
    ] {
        let known = keys.write("known_hosts", known);
        let case = Case {
            sshd: &sshd,
            known: &known,
            options: Vec::new(),
        };
        let judged = case.judged(what).await;
        assert_eq!(judged.is_ok(), trusted, "{what}: {judged:?}");
        if what.contains("revoked") {
            assert_eq!(
                judged.unwrap_err().kind(),
                ErrorKind::HostKeyRevoked,
                "{what}"
            );
        }
    }
    // An alias is the name that the certificate must list.
    let known = keys.write("known_hosts", format!("@cert-authority * {ca}\n"));
    for (alias, trusted) in [("alias.example", true), ("nobody.example", false)] {
        let case = Case {
            sshd: &sshd,
            known: &known,
            options: vec![("HostKeyAlias", alias.to_owned())],
        };
        assert_eq!(case.judged(alias).await.is_ok(), trusted, "{alias}");
    }
}

#[tokio::test]
async fn a_certificate_names_the_host_and_not_its_port() {
    let keys = Keys::new();
    keys.make("ca", "ed25519");
    let key = keys.make("host", "ed25519");
    keys.sign("ca", "host", &["-h", "-n", "127.0.0.1"]);
    let sshd = Sshd::builder()
        .host_keys(&[])
        .option("HostKey", &key.display().to_string())
        .option(
            "HostCertificate",
            &keys.path("host-cert.pub").display().to_string(),
        )
        .start();
    let ca = keys.public("ca");
    for (line, trusted) in [
        (
            format!("@cert-authority [127.0.0.1]:{} {ca}\n", sshd.port()),
            true,
        ),
        (format!("@cert-authority 127.0.0.1 {ca}\n"), true),
        (format!("@cert-authority [127.0.0.1]:1 {ca}\n"), false),
    ] {
        std::fs::write(sshd.known_hosts(), &line).unwrap();
        let config = crate::fixture::config(&sshd).host_key_policy(HostKeyPolicy::Strict);
        let connected = Session::connect("127.0.0.1", config).await;
        assert_eq!(connected.is_ok(), trusted, "{line}");
        if let Ok(session) = connected {
            session.close().await;
        }
    }
}

#[tokio::test]
async fn rsa_host_keys_have_the_size_that_the_user_asks_for() {
    let (sshd, keys) = (Sshd::start(), Keys::new());
    let key = keys.make("host", "rsa");
    sshd.set_host_keys(&[&key], "");
    let known = keys.write("known_hosts", format!("{NAME} {}\n", keys.public("host")));
    for (bits, trusted) in [("2048", true), ("2049", false)] {
        let case = Case {
            sshd: &sshd,
            known: &known,
            options: vec![("RequiredRSASize", bits.to_owned())],
        };
        let judged = case.judged(bits).await;
        assert_eq!(judged.is_ok(), trusted, "{judged:?}");
        if let Err(error) = judged {
            assert!(error.message().contains("2048 bits"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_with_certificates_and_plain_keys_shows_what_can_be_checked() {
    let (sshd, keys) = (Sshd::start(), Keys::new());
    keys.make("ca", "ed25519");
    let certified = keys.make("certified", "ed25519");
    keys.sign("ca", "certified", &["-h", "-n", NAME]);
    let plain = keys.make("plain", "ecdsa");
    sshd.set_host_keys(&[&certified, &plain], "");
    // The certificate is of another type than the key that is known, and of an unknown authority.
    for known in [
        format!("{NAME} {}\n", keys.public("plain")),
        format!("{NAME} {}\n", keys.public("certified")),
        format!("@cert-authority * {}\n", keys.public("ca")),
        format!(
            "{NAME} {}\n@cert-authority * {}\n",
            keys.public("plain"),
            keys.public("ca")
        ),
    ] {
        let path = keys.write("known_hosts", &known);
        let case = Case {
            sshd: &sshd,
            known: &path,
            options: Vec::new(),
        };
        case.judged(&known).await.unwrap();
    }
    // Where nothing is known, it is the plain key that is learnt.
    let path = keys.write("known_hosts", "");
    let accepting = config(&sshd, &path).host_key_policy(HostKeyPolicy::AcceptNew);
    let session = Session::connect(NAME, accepting).await.unwrap();
    session.close().await;
    let learnt = std::fs::read_to_string(&path).unwrap();
    assert_eq!(learnt, format!("{NAME} {}\n", keys.public("certified")));
}

#[tokio::test]
async fn through_three_hosts_of_which_one_shows_only_a_certificate() {
    let (first, third, last) = (Sshd::start(), Sshd::start(), Sshd::start());
    let keys = Keys::new();
    keys.make("ca", "ed25519");
    let key = keys.make("host", "ed25519");
    keys.sign("ca", "host", &["-h", "-n", "127.0.0.1"]);
    let certified = Sshd::builder()
        .host_keys(&[])
        .option("HostKey", &key.display().to_string())
        .option(
            "HostCertificate",
            &keys.path("host-cert.pub").display().to_string(),
        )
        .option("HostKeyAlgorithms", "*-cert-v01@openssh.com")
        .start();
    let authority = format!(
        "@cert-authority [127.0.0.1]:{} {}\n",
        certified.port(),
        keys.public("ca")
    );
    std::fs::write(certified.known_hosts(), &authority).unwrap();
    let servers = [
        ("first", &first),
        ("certified", &certified),
        ("third", &third),
        ("last", &last),
    ];
    let way = "Host last\n ProxyJump first,certified,third\n";
    let map = crate::map::Map::of(&servers, way);
    let way = Session::connect("last", map.config());
    let session = crate::fixture::within(std::time::Duration::from_secs(20), "the way", way)
        .await
        .unwrap();
    let output = session.command("echo").arg("there").output().await.unwrap();
    assert_eq!(output.stdout, b"there\n");
    session.close().await;
    assert_eq!(
        std::fs::read_to_string(certified.known_hosts()).unwrap(),
        authority
    );

    // With another authority on that line, the way ends there.
    keys.make("other_ca", "ed25519");
    let other = authority.replace(&keys.public("ca"), &keys.public("other_ca"));
    std::fs::write(certified.known_hosts(), other).unwrap();
    let error = Session::connect("last", map.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyUnknown, "{error}");
    assert!(error.to_string().contains("certified"), "{error}");
}
