//! Holds what certificates say against the installed OpenSSH: the same fields as `ssh-keygen -L`, and
//! the same said of a host's certificate as by ssh.

mod conformance;
mod made;
mod openssh;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use conformance::say;
use made::{Body, strings};
use openssh::{
    Agent, RSA_SHA256, RSA_SHA512, Random, keygen, keygen_output, line, new_key, read_key, start,
    write,
};
use rmux_proto::certificate::{Certificate, CertificateChecks, CertificateKind, CertificateOption};
use rmux_proto::known_hosts::{FileKind, HostKey, HostName, KeyType, KnownHosts, Verdict};
use sha2::{Digest as _, Sha256};

const TYPES: [(&str, &[&str]); 5] = [
    ("ed25519", &["ed25519"]),
    ("rsa", &["rsa", "-b", "2048"]),
    ("p256", &["ecdsa", "-b", "256"]),
    ("p384", &["ecdsa", "-b", "384"]),
    ("p521", &["ecdsa", "-b", "521"]),
];

/// Keys of all types. Those of security keys are made up, on the point of a key without one.
fn subjects(folder: &Path) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for (name, kind) in TYPES {
        new_key(folder, name, kind);
        names.push(name);
    }
    let old = ["-q", "-N", "", "-t", "dsa", "-f", "dsa"];
    if keygen_output(folder, &old).status.success() {
        names.push("dsa");
    } else {
        say("certificates: this ssh-keygen makes no DSA keys, which are left out");
    }
    let p256 = read_key(folder, "p256.pub");
    let sk_ed25519 = strings([&b"sk-ssh-ed25519@openssh.com"[..], &[5; 32], b"ssh:"]);
    let mut sk_p256 = strings([&b"sk-ecdsa-sha2-nistp256@openssh.com"[..]]);
    sk_p256.extend_from_slice(&p256.plain_blob()[4 + "ecdsa-sha2-nistp256".len()..]);
    sk_p256.extend_from_slice(&strings(["ssh:"]));
    write(folder, "sk-ed25519.pub", line(&sk_ed25519));
    write(folder, "sk-p256.pub", line(&sk_p256));
    names.extend(["sk-ed25519", "sk-p256"]);
    names
}

#[test]
fn fields_are_those_that_ssh_keygen_lists() {
    let (scratch, mut random) = start("certificate-fields");
    let folder = &scratch.0;
    let subjects = subjects(folder);
    let algorithms: [(&str, &str); 7] = [
        ("ed25519", ""),
        ("rsa", "ssh-rsa"),
        ("rsa", "rsa-sha2-256"),
        ("rsa", "rsa-sha2-512"),
        ("p256", ""),
        ("p384", ""),
        ("p521", ""),
    ];
    let mut names = Vec::new();
    for index in 0..conformance::cases(120) {
        let subject = random.pick(&subjects);
        let (authority, algorithm) = random.pick(&algorithms);
        let name = format!("c{index}");
        let public = std::fs::read(folder.join(format!("{subject}.pub"))).expect("a key");
        write(folder, &format!("{name}.pub"), public);
        let arguments = random_arguments(&mut random);
        let mut all = vec!["-q", "-s", authority];
        if !algorithm.is_empty() {
            all.extend(["-t", algorithm]);
        }
        all.extend(arguments.iter().map(String::as_str));
        let file = format!("{name}.pub");
        all.push(&file);
        keygen(folder, &all);
        names.push(format!("{name}-cert.pub"));
    }
    for name in names {
        let key = read_key(folder, &name);
        let certificate = key.certificate().expect("a certificate");
        let ours = format!("{name}:\n{}", listing(certificate));
        let theirs = keygen(folder, &["-L", "-f", &name]);
        assert_eq!(ours, String::from_utf8_lossy(&theirs), "{name}");
    }
}

/// The options of ssh-keygen that say what the certificate says.
fn random_arguments(random: &mut Random) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |flag: &str, value: &str| out.extend([flag.to_owned(), value.to_owned()]);
    say(
        "-I",
        random.pick(&["id", "with space", "grün", "\"quoted\"", ""]),
    );
    if !random.once_in(3) {
        let names = ["web", "*.example", "web,db,cache", "a,a,b", "x y,z"];
        say("-n", random.pick(&names));
    }
    if !random.once_in(4) {
        let spans = [
            "always:forever",
            "+52w",
            "-1h:+5m",
            "20240229:20310101",
            "0x1:forever",
            "always:0x7fffffffff",
            "20240101120001:20240101120002",
        ];
        say("-V", random.pick(&spans));
    }
    if !random.once_in(4) {
        let serials = ["0", "1", "255", "4294967296", "18446744073709551615"];
        say("-z", random.pick(&serials));
    }
    if random.once_in(2) {
        out.push("-h".to_owned());
        return out;
    }
    let options = [
        "clear",
        "no-pty",
        "no-port-forwarding",
        "permit-pty",
        "verify-required",
        "no-touch-required",
        "force-command=echo hello, world",
        "source-address=10.0.0.0/8,::1",
        "critical:own@example.com=1",
        "critical:flag@example.com",
        "extension:login@example.com=me",
        "extension:bare@example.com",
    ];
    for option in options {
        if random.once_in(4) {
            out.extend(["-O".to_owned(), option.to_owned()]);
        }
    }
    out
}

/// What `ssh-keygen -L` prints below the name of the file.
fn listing(certificate: &Certificate) -> String {
    let key = certificate.key();
    let authority = certificate.authority();
    let blob = certificate.blob();
    let length = u32::from_be_bytes(blob[..4].try_into().expect("a blob")) as usize;
    let name = String::from_utf8_lossy(&blob[4..4 + length]).into_owned();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let indent = |line: String| format!("                {line}\n");
    let block = |title: &str, lines: Vec<String>| match lines.is_empty() {
        true => format!("        {title}: (none)\n"),
        false => format!("        {title}: \n{}", lines.concat()),
    };
    let principals = certificate.principals().map(|p| indent(text(p))).collect();
    let critical = certificate.critical_options();
    let critical = critical.map(|o| indent(option_text(o, true))).collect();
    let extensions = certificate.extensions();
    let extensions = extensions.map(|o| indent(option_text(o, false))).collect();
    [
        format!("        Type: {name} {} certificate\n", certificate.kind()),
        format!(
            "        Public key: {}-CERT {}\n",
            short(key.key_type()),
            fingerprint(key)
        ),
        format!(
            "        Signing CA: {} {} (using {})\n",
            short(authority.key_type()),
            fingerprint(authority),
            certificate.signature_algorithm()
        ),
        format!("        Key ID: \"{}\"\n", text(certificate.key_id())),
        format!("        Serial: {}\n", certificate.serial()),
        format!("        Valid: {}\n", validity(certificate)),
        block("Principals", principals),
        block("Critical Options", critical),
        block("Extensions", extensions),
    ]
    .concat()
}

fn short(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Ed25519 => "ED25519",
        KeyType::Rsa => "RSA",
        KeyType::Dsa => "DSA",
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => "ECDSA",
        KeyType::SkEd25519 => "ED25519-SK",
        KeyType::SkEcdsaP256 => "ECDSA-SK",
        other => panic!("a type that is new here: {other}"),
    }
}

fn fingerprint(key: &HostKey) -> String {
    let hash = Sha256::digest(key.plain_blob());
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

fn option_text(option: CertificateOption<'_>, critical: bool) -> String {
    let name = String::from_utf8_lossy(option.name).into_owned();
    let known_flag = name.starts_with("permit-") || name == "no-touch-required";
    match (critical, name.as_str()) {
        (true, "force-command" | "source-address") => {
            let value = option.value().expect("a text");
            format!("{name} {}", String::from_utf8_lossy(value))
        }
        (true, "verify-required") => name,
        (false, _) if known_flag => name,
        _ if option.data.is_empty() => format!("{name} UNKNOWN FLAG OPTION"),
        _ => {
            let hex: String = option.data.iter().map(|b| format!("{b:02x}")).collect();
            format!("{name} UNKNOWN OPTION: {hex} (len {})", option.data.len())
        }
    }
}

fn validity(certificate: &Certificate) -> String {
    match (certificate.valid_after(), certificate.valid_before()) {
        (0, u64::MAX) => "forever".to_owned(),
        (0, before) => format!("before {}", date(before)),
        (after, u64::MAX) => format!("after {}", date(after)),
        (after, before) => format!("from {} to {}", date(after), date(before)),
    }
}

/// Seconds since 1970 as a date and time of UTC, by counting.
fn date(seconds: u64) -> String {
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let (mut days, rest) = (seconds / 86400, seconds % 86400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[test]
fn ssh_says_the_same_of_a_hosts_certificate() {
    let (scratch, mut random) = start("certificate-checks");
    let folder = &scratch.0;
    let server = new_key(folder, "server", &["ed25519"]);
    let authorities = [
        new_key(folder, "ed25519", &["ed25519"]),
        new_key(folder, "rsa", &["rsa", "-b", "2048"]),
        new_key(folder, "unknown", &["ed25519"]),
    ];
    let mut agent = Agent::start(folder);
    for name in ["ed25519", "rsa", "unknown"] {
        agent.add(folder, name);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock after 1970").as_secs();
    let newer = openssh::version() >= (10, 3);
    let known = format!(
        "@cert-authority * {}\n@cert-authority w* {}\n",
        line(authorities[0].plain_blob()),
        line(authorities[1].plain_blob())
    );
    write(folder, "known_hosts", &known);
    let mut hosts = KnownHosts::new();
    hosts.add_file("known_hosts", FileKind::User, known);
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..conformance::cases(60).min(300) {
        let authority = if random.once_in(8) {
            &authorities[2]
        } else {
            &authorities[random.below(2)]
        };
        let mut body = Body::new(server.plain_blob(), authority.plain_blob());
        body.kind = 1 + u32::from(!random.once_in(6));
        body.valid.0 = random.pick(&[0, 0, 0, now - 100, now + 1000]);
        body.valid.1 = random.pick(&[u64::MAX, u64::MAX, now + 1000, now - 50]);
        let wild: &[&str] = if newer { &["web1"] } else { &["web*"] };
        let lists: [&[&str]; 7] = [
            &["web1"],
            &["db", "web1"],
            &["web1"],
            &["db"],
            &["WEB1"],
            wild,
            &[],
        ];
        body.principals = strings(random.pick(&lists));
        if random.once_in(6) {
            body.critical = strings(["own@example.com", ""]);
        }
        let flags = random.pick(&[RSA_SHA256, RSA_SHA512]);
        let signature = agent.sign(authority, &body.bytes(), flags);
        let blob = body.with_signature(&signature);
        write(folder, "server-cert.pub", line(&blob));
        let host = random.pick(&["web1", "Web1"]);
        let allowed = random.pick(&["ssh-ed25519,rsa-sha2-512", "ssh-ed25519,rsa-sha2-256"]);
        let text = openssh::ssh_says(
            folder,
            host,
            "ssh-ed25519-cert-v01@openssh.com",
            &[format!("CASignatureAlgorithms={allowed}")],
        );
        let theirs = text
            .lines()
            .find(|l| l.starts_with("Certificate "))
            .map(str::trim);
        let refused = text.contains("Host key verification failed.");

        let offered = HostKey::from_blob(&blob).expect("a certificate");
        let checks = CertificateChecks::new(now, allowed).require_principals(newer);
        let name = HostName::new(host, 22);
        let fault = hosts.certificate_fault(&name, &offered, &checks);
        let ours = fault.map(|(_, fault)| fault.to_string());
        assert_eq!(ours.as_deref(), theirs, "{body:?}\n{text}");
        let verdict = hosts.verdict(&name, &offered, Some(&checks));
        let trusted = matches!(
            verdict,
            Verdict::Trusted {
                by_authority: true,
                ..
            }
        );
        assert_eq!(!trusted, refused, "{verdict:?} of {body:?}\n{text}");
        let kind = offered.certificate().expect("a certificate").kind();
        assert_eq!(kind == CertificateKind::Host, body.kind == 2);
        let outcome = match trusted {
            true => "trusted".to_owned(),
            false => ours.unwrap_or_else(|| "no authority".to_owned()),
        };
        *seen.entry(outcome).or_default() += 1;
    }
    say(&format!("host certificates: {seen:?}"));
    assert!(seen.len() > 3, "{seen:?}");
}
