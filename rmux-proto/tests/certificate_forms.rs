//! Holds the reading of certificates against the installed OpenSSH: of certificates with a good
//! signature that are wrong in one place, the same ones are refused.

mod conformance;
mod made;
mod openssh;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use conformance::say;
use made::{Body, strings};
use openssh::{Agent, RSA_SHA256, RSA_SHA512, Random, keygen, line, new_key, start, write};
use rmux_proto::known_hosts::{HostKey, KeyType};
use sha2::{Digest as _, Sha256};

#[test]
fn the_same_certificates_are_refused() {
    let (scratch, mut random) = start("certificate-forms");
    let folder = &scratch.0;
    let plain = [
        new_key(folder, "ed25519", &["ed25519"]),
        new_key(folder, "rsa", &["rsa", "-b", "2048"]),
    ];
    let mut agent = Agent::start(folder);
    agent.add(folder, "ed25519");
    agent.add(folder, "rsa");
    let authorities = authorities(folder, &agent, &plain);
    let mut file = format!("{} plain\n", line(plain[0].plain_blob()));
    let mut cases = Vec::new();
    for index in 0..conformance::cases(600) {
        let subject = &plain[random.below(2)];
        let signer = random.below(authorities.len());
        let authority = &authorities[signer];
        let (what, blob) = misshape(&mut random, &mut agent, subject, authority);
        let text = format!("{} {}", certified_name(subject), STANDARD.encode(blob));
        file += &format!("{text} case-{index}\n");
        cases.push((signer, what, text));
    }
    write(folder, "all", &file);
    let theirs = String::from_utf8(keygen(folder, &["-l", "-f", "all"])).expect("text");
    let accepted: Vec<&str> = theirs
        .lines()
        .filter_map(|line| line.split(' ').find(|word| word.starts_with("case-")))
        .collect();
    let mut good = vec![0; authorities.len()];
    let mut wrong = Vec::new();
    for (index, (signer, what, text)) in cases.iter().enumerate() {
        let ours = HostKey::from_line(text.as_bytes());
        let theirs = accepted.contains(&format!("case-{index}").as_str());
        good[*signer] += usize::from(theirs);
        if ours.is_ok() != theirs {
            wrong.push(format!("{what}: ours {ours:?}, theirs {theirs}\n{text}"));
        }
    }
    let (all, accepted) = (cases.len(), good.iter().sum::<usize>());
    say(&format!(
        "certificates: {accepted} of {all} accepted, by authority {good:?}"
    ));
    assert!(accepted < all && !good.contains(&0));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A key that signs certificates.
struct Authority {
    key: HostKey,
    /// The key in the agent that does the signing.
    signer: HostKey,
    webauthn: bool,
}

/// The keys as they are, and as if they were in security keys: such a key signs a digest of what is
/// to be signed, beside other things, with an ordinary signature (PROTOCOL.u2f).
fn authorities(folder: &Path, agent: &Agent, [ed25519, rsa]: &[HostKey; 2]) -> Vec<Authority> {
    let p256 = new_key(folder, "p256", &["ecdsa", "-b", "256"]);
    agent.add(folder, "p256");
    let in_security_key = |key: &HostKey, name: &str| {
        let mut blob = strings([name]);
        blob.extend_from_slice(&key.plain_blob()[4 + key.key_type().name().len()..]);
        blob.extend(strings([APPLICATION]));
        HostKey::from_blob(&blob).expect("a key")
    };
    let sk_ed25519 = in_security_key(ed25519, KeyType::SkEd25519.name());
    let sk_p256 = in_security_key(&p256, KeyType::SkEcdsaP256.name());
    let authority = |key: &HostKey, signer: &HostKey, webauthn| Authority {
        key: key.clone(),
        signer: signer.clone(),
        webauthn,
    };
    vec![
        authority(ed25519, ed25519, false),
        authority(rsa, rsa, false),
        authority(&p256, &p256, false),
        authority(&sk_ed25519, ed25519, false),
        authority(&sk_p256, &p256, false),
        authority(&sk_p256, &p256, true),
    ]
}

const APPLICATION: &str = "ssh:";

impl Authority {
    fn sign(&self, random: &mut Random, agent: &mut Agent, data: &[u8]) -> Vec<u8> {
        if self.key == self.signer {
            let flags = random.pick(&[0, RSA_SHA256, RSA_SHA512]);
            return agent.sign(&self.signer, data, flags);
        }
        let challenge = URL_SAFE_NO_PAD.encode(data);
        let client_data = format!(
            r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://example.com"}}"#
        );
        let message = if self.webauthn {
            Sha256::digest(&client_data)
        } else {
            Sha256::digest(data)
        };
        let state = [1, 0, 0, 0, 9]; // touched; counter
        let application = Sha256::digest(APPLICATION);
        let signed = [&application[..], &state, &message].concat();
        let inner = agent.sign(&self.signer, &signed, 0);
        let name = match self.webauthn {
            true => "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
            false => self.key.key_type().name(),
        };
        let mut out = strings([name]);
        out.extend_from_slice(&inner[4 + self.signer.key_type().name().len()..]);
        out.extend_from_slice(&state);
        if self.webauthn {
            out.extend(strings(["https://example.com", &client_data, ""]));
        }
        out
    }
}

fn certified_name(key: &HostKey) -> String {
    format!("{}-cert-v01@openssh.com", key.key_type())
}

/// A certificate that becomes wrong in one place before or after it is signed.
struct Shape {
    body: Body,
    /// Put in place of the name of the signature's algorithm.
    algorithm: Option<&'static str>,
    behind_signature: &'static [u8],
    inside_signature: &'static [u8],
}

/// One bit is turned in front of the authority before it is signed.
const A_BYTE: &str = "a byte anywhere";

/// A name, and what makes the certificate so.
type Spoil = (&'static str, fn(&mut Shape));

const SHAPES: &[Spoil] = &[
    ("nothing", |_| {}),
    (A_BYTE, |_| {}),
    ("NUL in the id", |s| s.body.key_id = b"a\0b".to_vec()),
    ("NUL behind the id", |s| s.body.key_id = b"ab\0".to_vec()),
    ("two NULs", |s| s.body.key_id = b"a\0\0".to_vec()),
    ("id that is no text", |s| {
        s.body.key_id = b"\xff\xfe".to_vec();
    }),
    ("NUL in a principal", |s| {
        s.body.principals = strings(["a\0b"]);
    }),
    ("NUL behind a principal", |s| {
        s.body.principals = strings(["a\0"]);
    }),
    ("256 principals", |s| s.body.principals = strings([""; 256])),
    ("257 principals", |s| s.body.principals = strings([""; 257])),
    ("principals cut off", |s| {
        s.body.principals = vec![0, 0, 0, 9, 1];
    }),
    ("kind 0", |s| s.body.kind = 0),
    ("kind 3", |s| s.body.kind = 3),
    ("option without data", |s| s.body.critical = strings(["a"])),
    ("unsorted options", |s| {
        s.body.critical = strings(["z", "", "a", ""]);
    }),
    ("unsorted extensions", |s| {
        s.body.extensions = strings(["z", "", "a", ""]);
    }),
    ("an option twice", |s| {
        s.body.critical = strings(["a", "", "a", ""]);
    }),
    ("extensions cut off", |s| s.body.extensions = vec![1]),
    ("a reserved field", |s| s.body.reserved = vec![1, 2, 3]),
    ("bytes behind the authority", |s| s.body.authority.push(0)),
    ("no authority", |s| s.body.authority.clear()),
    ("bytes behind the signature", |s| s.behind_signature = &[0]),
    ("bytes inside the signature", |s| s.inside_signature = &[0]),
    ("NUL behind the name", |s| s.body.name.push(0)),
    ("no nonce", |s| s.body.nonce.clear()),
    ("no key", |s| s.body.key_fields.clear()),
    ("a longer key", |s| s.body.key_fields.extend([0, 0, 0, 0])),
    ("another algorithm", |s| {
        s.algorithm = Some("ecdsa-sha2-nistp256");
    }),
];

fn misshape(
    random: &mut Random,
    agent: &mut Agent,
    subject: &HostKey,
    authority: &Authority,
) -> (&'static str, Vec<u8>) {
    let mut shape = Shape {
        body: Body::new(subject.plain_blob(), authority.key.plain_blob()),
        algorithm: None,
        behind_signature: &[],
        inside_signature: &[],
    };
    shape.body.principals = strings(["web", "db"]);
    shape.body.extensions = strings(["permit-pty", ""]);
    shape.body.kind = 1 + random.below(2) as u32;
    let (mut what, spoil) = random.pick(SHAPES);
    spoil(&mut shape);
    if random.once_in(20) {
        what = "an authority that is certified";
        let inner = Body::new(subject.plain_blob(), authority.key.plain_blob());
        let signature = authority.sign(random, agent, &inner.bytes());
        shape.body.authority = inner.with_signature(&signature);
    }
    let mut bytes = shape.body.bytes();
    if what == A_BYTE || random.once_in(6) {
        // The authority stays: with another one the signature is not good, which only ssh sees.
        let at = random.below(bytes.len() - shape.body.authority.len() - 4);
        bytes[at] ^= 1 << random.below(8);
    }
    let mut signature = authority.sign(random, agent, &bytes);
    if let Some(name) = shape.algorithm {
        let length = u32::from_be_bytes(signature[..4].try_into().expect("a blob")) as usize;
        signature.splice(..4 + length, strings([name]));
    }
    signature.extend(shape.inside_signature);
    bytes.extend(strings([signature]));
    bytes.extend(shape.behind_signature);
    (what, bytes)
}
