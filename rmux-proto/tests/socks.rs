//! SOCKS as clients speak it, and as they should not.

use proptest::prelude::*;
use rmux_proto::socks::{Credentials, Negotiation, Outcome, Refusal, Step, Target, fuzz};

fn target(host: &str, port: u16) -> Step {
    let host = host.to_owned();
    Step::Connect(Target { host, port })
}

/// All steps until more is to be read, or the negotiation is over.
fn steps(negotiation: &mut Negotiation, input: &[u8]) -> Vec<Step> {
    negotiation.feed(input);
    let mut steps = Vec::new();
    loop {
        match negotiation.step() {
            Step::Read => return steps,
            send @ Step::Send(_) => steps.push(send),
            last => {
                steps.push(last);
                return steps;
            }
        }
    }
}

fn asked(input: &[u8]) -> Vec<Step> {
    steps(&mut Negotiation::new(None), input)
}

fn login() -> Negotiation {
    Negotiation::new(Some(Credentials {
        name: b"user".to_vec(),
        password: b"secret".to_vec(),
    }))
}

#[test]
fn a_name_an_address_of_either_kind_and_what_follows() {
    let greeting = Step::Send(vec![5, 0]);
    let mut named = Negotiation::new(None);
    let asked_for = steps(&mut named, b"\x05\x01\x00\x05\x01\x00\x03\x02db\x15\x38GET");
    assert_eq!(asked_for, [greeting.clone(), target("db", 5432)]);
    assert_eq!(named.reply(Outcome::Connected)[..2], [5, 0]);
    assert_eq!(named.reply(Outcome::Refused)[..2], [5, 5]);
    assert_eq!(named.into_rest(), b"GET");
    assert_eq!(
        asked(b"\x05\x02\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"),
        [greeting.clone(), target("127.0.0.1", 80)]
    );
    let mut six = b"\x05\x01\x00\x05\x01\x00\x04".to_vec();
    six.extend([0; 15]);
    six.extend([1, 0, 80]);
    assert_eq!(asked(&six), [greeting, target("::1", 80)]);
}

#[test]
fn version_4_with_an_address_and_with_a_name() {
    let mut four = Negotiation::new(None);
    let found = steps(&mut four, b"\x04\x01\x00\x50\x7f\x00\x00\x01me\0rest");
    assert_eq!(found, [target("127.0.0.1", 80)]);
    assert_eq!(four.reply(Outcome::Connected), [0, 90, 0, 0, 0, 0, 0, 0]);
    assert_eq!(four.reply(Outcome::Unreachable)[1], 91);
    assert_eq!(four.into_rest(), b"rest");
    assert_eq!(
        asked(b"\x04\x01\x00\x50\x00\x00\x00\x01\0db\0"),
        [target("db", 80)]
    );
}

#[test]
fn a_name_and_a_password() {
    let mut right = login();
    let found = steps(
        &mut right,
        b"\x05\x02\x00\x02\x01\x04user\x06secret\x05\x01\x00\x03\x01a\x00\x01",
    );
    let sent = [vec![5, 2], vec![1, 0]].map(Step::Send);
    assert_eq!(found[..2], sent);
    assert_eq!(found[2], target("a", 1));
    for wrong in [
        &b"\x01\x04user\x06secreT"[..],
        b"\x01\x04usex\x06secret",
        b"\x01\x00\x00",
        b"\x01\x04user\x07secret\0",
        b"\x01\x04user\x05secre",
    ] {
        let mut negotiation = login();
        steps(&mut negotiation, b"\x05\x01\x02");
        let found = steps(&mut negotiation, wrong);
        let refused = Step::Refuse(vec![1, 1], Refusal::WrongPassword);
        assert_eq!(found, [refused], "{wrong:?}");
        // It gets no further.
        assert_eq!(
            steps(&mut negotiation, b"\x05\x01\x00\x03\x01a\x00\x01"),
            []
        );
    }
    // Who cannot give one, and a version that has none.
    let none = steps(&mut login(), b"\x05\x01\x00");
    assert_eq!(none, [Step::Refuse(vec![5, 0xff], Refusal::NoMethod)]);
    let four = steps(&mut login(), b"\x04\x01\x00\x50\x7f\x00\x00\x01me\0");
    assert!(matches!(four[..], [Step::Refuse(_, Refusal::NoMethod)]));
    assert!(!format!("{:?}", login()).contains("secret"));
}

#[test]
fn what_is_refused_and_how() {
    let five = |code: u8| vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    for (request, code, why) in [
        // BIND, UDP ASSOCIATE, an unknown kind of address, an empty name, one with a line break.
        (
            &b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"[..],
            7,
            Refusal::Command,
        ),
        (
            b"\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x50",
            7,
            Refusal::Command,
        ),
        (b"\x05\x01\x00\x02\x00", 8, Refusal::Address),
        (b"\x05\x01\x00\x03\x00\x00\x50", 1, Refusal::Address),
        (b"\x05\x01\x00\x03\x02a\n\x00\x50", 1, Refusal::Address),
        (b"\x05\x01\x00\x03\x01\xff\x00\x50", 1, Refusal::Address),
        (b"\x06\x01\x00\x01", 1, Refusal::Malformed),
    ] {
        let found = asked(&[b"\x05\x01\x00", request].concat());
        assert_eq!(found[1], Step::Refuse(five(code), why), "{request:?}");
    }
    let rejected = vec![0, 91, 0, 0, 0, 0, 0, 0];
    for (request, why) in [
        (&b"\x04\x02\x00\x50\x7f\x00\x00\x01\0"[..], Refusal::Command),
        (b"\x04\x01\x00\x50\x00\x00\x00\x01\0\0", Refusal::Address),
        (
            &[&b"\x04\x01\x00\x50\x7f\x00\x00\x01"[..], &[b'u'; 256]].concat(),
            Refusal::Malformed,
        ),
    ] {
        let refused = Step::Refuse(rejected.clone(), why);
        assert_eq!(asked(request), [refused], "{request:?}");
    }
    let found = asked(b"GET / HTTP/1.1\r\n");
    assert_eq!(found, [Step::Refuse(vec![], Refusal::NoSocks)]);
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_pieces(data: Vec<u8>) {
        fuzz(&data);
    }

    #[test]
    fn what_begins_like_a_request(start in 0..4usize, data: Vec<u8>) {
        let start: &[u8] = [
            &b"\x05\x01\x00\x05\x01\x00\x03"[..],
            b"\x05\x01\x02\x01\x01u\x01p",
            b"\x04\x01\x00\x50\x00\x00\x00\x01",
            b"\x04\x01",
        ][start];
        fuzz(&[start, &data].concat());
    }

    #[test]
    fn a_request_is_read_back(host in "[a-z0-9.-]{1,255}", port: u16) {
        let mut request = b"\x05\x01\x00\x05\x01\x00\x03".to_vec();
        request.push(host.len() as u8);
        request.extend(host.as_bytes());
        request.extend(port.to_be_bytes());
        prop_assert_eq!(&asked(&request)[1], &target(&host, port));
    }
}
