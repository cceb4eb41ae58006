//! RSA keys of hosts and authorities that are larger than usual. The keys are put together from
//! Mersenne primes, which everybody knows: to find others of that size takes minutes.

use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmux_core::ErrorKind;
use rmux_testkit::sshd::Sshd;

use super::liar::{number, text};
use super::setup::{Case, Keys, NAME};

const EXPONENT: u32 = 65537;

/// A sum of powers of two, each added or subtracted, highest byte first.
fn sum(terms: impl IntoIterator<Item = (i32, u32)>) -> Vec<u8> {
    let mut digits: Vec<i32> = Vec::new();
    for (sign, power) in terms {
        let at = power as usize / 8;
        digits.resize(digits.len().max(at + 1), 0);
        digits[at] += sign << (power % 8);
    }
    let mut carry = 0;
    let mut bytes = Vec::new();
    for digit in digits {
        carry += digit;
        bytes.push(carry.rem_euclid(256) as u8);
        carry = carry.div_euclid(256);
    }
    bytes.push(u8::try_from(carry).expect("a sum that is not negative"));
    bytes.reverse();
    bytes
}

fn divided(dividend: &[u8], by: u32) -> (Vec<u8>, u32) {
    let mut rest = 0;
    let quotient = dividend.iter().map(|byte| {
        let value = rest << 8 | u64::from(*byte);
        rest = value % u64::from(by);
        (value / u64::from(by)) as u8
    });
    let quotient = quotient.collect();
    (quotient, rest as u32)
}

/// `1 + factor * number`.
fn times_plus_one(number: &[u8], factor: u32) -> Vec<u8> {
    let mut carry = 1;
    let mut product = Vec::new();
    for byte in number.iter().rev() {
        carry += u64::from(*byte) * u64::from(factor);
        product.push(carry as u8);
        carry >>= 8;
    }
    product.extend(carry.to_le_bytes());
    product.reverse();
    product
}

/// Makes the key of the primes `2^p - 1` and `2^q - 1`, where p is the larger one: its bits are
/// p + q. Both files, as ssh-keygen writes them (PROTOCOL.key).
fn make(keys: &Keys, name: &str, p: u32, q: u32) {
    let modulus = sum([(1, p + q), (-1, p), (-1, q), (1, 0)]);
    // The product of both primes less one each.
    let totient = sum([(1, p + q), (-1, p + 1), (-1, q + 1), (1, 2)]);
    let (_, rest) = divided(&totient, EXPONENT);
    let is_inverse = |k: &u32| (1 + u64::from(*k) * u64::from(rest)) % u64::from(EXPONENT) == 0;
    let k = (1..EXPONENT).find(is_inverse).unwrap();
    let (private, rest) = divided(&times_plus_one(&totient, k), EXPONENT);
    assert_eq!(rest, 0);
    // 2^q - 1 times the sum of the first n powers of 2^q is 2^(qn) - 1, and that is 1 modulo
    // 2^p - 1 where qn is 1 modulo p.
    let n = (1..p).find(|n| q * n % p == 1).unwrap();
    let coefficient = sum((0..n).map(|i| (1, q * i % p)));
    let prime = |power| number(&sum([(1, power), (-1, 0)]));

    let modulus = number(&modulus);
    let exponent = number(&EXPONENT.to_be_bytes());
    let public = [&text("ssh-rsa")[..], &exponent, &modulus].concat();
    let mut secret = [
        vec![7; 8],
        text("ssh-rsa"),
        modulus,
        exponent,
        number(&private),
        number(&coefficient),
        prime(p),
        prime(q),
        text(""),
    ]
    .concat();
    for padding in 1..=(8 - secret.len() as u8 % 8) % 8 {
        secret.push(padding);
    }
    let file = [
        b"openssh-key-v1\0".to_vec(),
        text("none"),
        text("none"),
        text(""),
        1_u32.to_be_bytes().to_vec(),
        text(&public),
        text(&secret),
    ]
    .concat();
    let label = "OPENSSH PRIVATE KEY";
    let file = STANDARD.encode(file);
    let file = format!("-----BEGIN {label}-----\n{file}\n-----END {label}-----\n");
    let path = keys.write(name, file);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    let public = format!("ssh-rsa {}\n", STANDARD.encode(public));
    keys.write(&format!("{name}.pub"), public);
}

/// A server with such a key, and one with a certificate by such an authority; all is known.
struct Large {
    sshd: Sshd,
    keys: Keys,
}

impl Large {
    fn new(p: u32, q: u32) -> Self {
        let (sshd, keys) = (Sshd::start(), Keys::new());
        make(&keys, "large", p, q);
        keys.make("certified", "ed25519");
        keys.sign("large", "certified", &["-h", "-n", NAME]);
        let public = keys.public("large");
        keys.write(
            "known_hosts",
            format!("{NAME} {public}\n@cert-authority {NAME} {public}\n"),
        );
        Self { sshd, keys }
    }

    /// Tells how rmux and ssh fare while the server has this key.
    async fn judged(&self, key: &str) -> (Result<(), rmux_core::Error>, bool) {
        self.sshd.set_host_keys(&[&self.keys.path(key)], "");
        let known = self.keys.path("known_hosts");
        let case = Case {
            sshd: &self.sshd,
            known: &known,
            options: Vec::new(),
        };
        (case.rmux().await, case.ssh().status.success())
    }
}

#[tokio::test]
async fn rsa_keys_of_up_to_8192_bits_are_good_for_hosts_and_authorities() {
    let large = Large::new(4253, 3217);
    for key in ["large", "certified"] {
        let (ours, theirs) = large.judged(key).await;
        assert!(theirs, "{key}");
        ours.unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

#[tokio::test]
async fn larger_ones_cannot_be_checked_and_that_is_said() {
    let large = Large::new(4423, 4253);
    for (key, kind, said) in [
        ("large", ErrorKind::ConnectFailed, "more than 8192 bits"),
        ("certified", ErrorKind::Unsupported, "of 8676 bits"),
    ] {
        let (ours, theirs) = large.judged(key).await;
        assert!(theirs, "{key}");
        let error = ours.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(said), "{error}");
    }
}
