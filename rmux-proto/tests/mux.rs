//! Messages of control sockets on random input, and what a master says to whom: as OpenSSH 9.2 was
//! seen to.

use proptest::collection::vec;
use proptest::prelude::*;
use rmux_proto::mux::{
    Answer, Client, ClientEvent, Endpoint, Forward, ForwardKind, Frames, Hello, MAX_ENV, Message,
    Need, Notice, Request, Server, ServerEvent, SessionRequest, Violation, fuzz_mux_client,
    fuzz_mux_server,
};

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..60)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    prop_oneof![
        (text(), any::<u16>()).prop_map(|(host, port)| Endpoint::Tcp(host, port)),
        text().prop_map(Endpoint::Unix),
    ]
}

fn forward() -> impl Strategy<Value = Forward> {
    let kind = prop_oneof![
        Just(ForwardKind::Local),
        Just(ForwardKind::Remote),
        Just(ForwardKind::Dynamic),
        (4_u32..).prop_map(ForwardKind::Other),
    ];
    (kind, endpoint(), endpoint()).prop_map(|(kind, listen, connect)| Forward {
        kind,
        listen,
        connect,
    })
}

fn session() -> impl Strategy<Value = SessionRequest> {
    let flags = any::<[bool; 4]>();
    let texts = (text(), text(), vec(text(), 0..5));
    (flags, any::<Option<u8>>(), texts).prop_map(|([tty, x11, agent, subsystem], escape, texts)| {
        let (term, command, env) = texts;
        SessionRequest {
            tty,
            x11,
            agent,
            subsystem,
            escape,
            term,
            command,
            env,
        }
    })
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        session().prop_map(Request::NewSession),
        Just(Request::AliveCheck),
        Just(Request::Terminate),
        forward().prop_map(Request::OpenForward),
        forward().prop_map(Request::CloseForward),
        (text(), any::<u32>()).prop_map(|(host, port)| Request::StdioForward { host, port }),
        Just(Request::StopListening),
        Just(Request::Proxy),
        text().prop_map(Request::ExtInfo),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Ok),
        text().prop_map(Answer::PermissionDenied),
        text().prop_map(Answer::Failure),
        any::<u32>().prop_map(|pid| Answer::Alive { pid }),
        any::<u32>().prop_map(|session| Answer::SessionOpened { session }),
        any::<u32>().prop_map(|port| Answer::RemotePort { port }),
        Just(Answer::Proxy),
        (any::<bool>(), text()).prop_map(|(ok, text)| Answer::ExtInfo { ok, text }),
    ]
}

/// A server and what it still has to be given: bytes, and descriptors where they are needed.
struct Talk {
    server: Server<u32>,
    descriptors: u32,
    refused: bool,
}

impl Talk {
    /// Behind both greetings.
    fn begun() -> Self {
        let mut talk = Self {
            server: Server::new(),
            descriptors: 0,
            refused: false,
        };
        assert_eq!(talk.said(), [Message::Hello(Hello::default())]);
        assert!(talk.hear(&hello(4)).is_empty());
        talk
    }

    /// Gives it a client's messages, and tells what it makes of them.
    fn hear(&mut self, mut input: &[u8]) -> Vec<ServerEvent<u32>> {
        let mut events = Vec::new();
        loop {
            match self.server.need() {
                Need::Bytes(most) if !input.is_empty() => {
                    let (mut piece, rest) = input.split_at(most.min(input.len()));
                    input = rest;
                    match self.server.take(&mut piece) {
                        Ok(event) => events.extend(event),
                        Err(_) => {
                            self.refused = true;
                            return events;
                        }
                    }
                }
                Need::Descriptor => {
                    self.descriptors += 1;
                    let taken = self.server.take_descriptor(self.descriptors);
                    events.extend(taken.expect("it needs one"));
                }
                _ => return events,
            }
        }
    }

    fn ask(&mut self, request: &Request, id: u32) -> Vec<ServerEvent<u32>> {
        let mut message = Vec::new();
        request.encode(id, &mut message);
        self.hear(&message)
    }

    fn said(&mut self) -> Vec<Message> {
        messages(&self.server.output())
    }
}

fn messages(stream: &[u8]) -> Vec<Message> {
    let (mut frames, mut rest, mut got) = (Frames::new(), stream, Vec::new());
    while !rest.is_empty() {
        let message = frames.next(&mut rest).unwrap().expect("it is whole");
        got.push(Message::decode(&message).unwrap());
    }
    got
}

fn hello(version: u32) -> Vec<u8> {
    let mut message = Vec::new();
    let hello = Hello {
        version,
        extensions: Vec::new(),
    };
    hello.encode(&mut message);
    message
}

fn encoded(request: &Request, id: u32) -> Vec<u8> {
    let mut message = Vec::new();
    request.encode(id, &mut message);
    message
}

fn failure(id: u32, why: &str) -> Message {
    Message::Answer(id, Answer::Failure(why.into()))
}

#[test]
fn what_breaks_the_protocol_ends_the_connection() {
    let raw = |body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], body].concat();
    let alive = encoded(&Request::AliveCheck, 1);
    let refused_at_once = |input: &[u8]| {
        let mut server = Server::<()>::new();
        let mut rest = input;
        while !rest.is_empty() {
            if let Err(violation) = server.take(&mut rest) {
                return Some(violation);
            }
        }
        None
    };
    assert_eq!(refused_at_once(&hello(3)), Some(Violation::Version(3)));
    let twice = [hello(4), hello(4)].concat();
    assert_eq!(refused_at_once(&twice), Some(Violation::SecondHello));
    let early = refused_at_once(&alive);
    assert_eq!(early, Some(Violation::BeforeHello(0x1000_0004)));
    let in_session = |message: Vec<u8>| refused_at_once(&[hello(4), message].concat());
    // No number.
    let cut = in_session(raw(b"\x10\0\0\x04"));
    assert!(matches!(cut, Some(Violation::Cut { .. })), "{cut:?}");
    let long = in_session((300_u32 << 10).to_be_bytes().to_vec());
    assert_eq!(long, Some(Violation::TooLong(300 << 10)));
    let mut session = encoded(&Request::NewSession(SessionRequest::default()), 7);
    session.truncate(session.len() - 3);
    session[3] -= 3;
    let cut = in_session(session);
    assert!(matches!(cut, Some(Violation::Cut { .. })), "{cut:?}");
    let many = SessionRequest {
        env: vec![b"A=1".to_vec(); MAX_ENV + 1],
        ..SessionRequest::default()
    };
    let many = in_session(encoded(&Request::NewSession(many), 7));
    assert!(matches!(many, Some(Violation::TooMany { .. })), "{many:?}");
    let mut port = encoded(
        &Request::OpenForward(Forward {
            kind: ForwardKind::Local,
            listen: Endpoint::Tcp(Vec::new(), 4464),
            connect: Endpoint::Tcp(b"h".to_vec(), 5),
        }),
        5,
    );
    // 70000.
    let place = port.iter().position(|b| *b == 0x11).unwrap();
    port[place - 1] = 1;
    assert_eq!(in_session(port), Some(Violation::Port(70_000)));
    assert_eq!(in_session(alive), None);
}

#[test]
fn what_a_master_never_does_is_refused_with_openssh_s_words() {
    let mut talk = Talk::begun();
    assert!(talk.ask(&Request::Other(0x1000_0003), 9).is_empty());
    assert_eq!(talk.said(), [failure(9, "unsupported request")]);
    let nowhere = Forward {
        kind: ForwardKind::Other(9),
        listen: Endpoint::Tcp(Vec::new(), 4999),
        connect: Endpoint::Tcp(b"h".to_vec(), 1),
    };
    assert!(talk.ask(&Request::OpenForward(nowhere), 5).is_empty());
    assert_eq!(talk.said(), [failure(5, "Invalid forwarding request")]);
    let events = talk.ask(&Request::AliveCheck, 2);
    assert_eq!(events, [ServerEvent::AliveCheck { id: 2 }]);
}

#[test]
fn what_follows_a_session_waits_until_it_is_answered() {
    let mut talk = Talk::begun();
    let request = Request::NewSession(SessionRequest::default());
    let pipelined = [
        encoded(&request, 7),
        encoded(&Request::AliveCheck, 8),
        encoded(&request, 9),
    ];
    let events = talk.hear(&pipelined[0]);
    assert!(
        matches!(&events[..], [ServerEvent::NewSession { id: 7, stdio, .. }] if *stdio == [1, 2, 3]),
        "{events:?}"
    );
    assert_eq!(talk.server.need(), Need::Nothing);
    assert!(talk.hear(&pipelined[1]).is_empty());
    let refused = talk.server.take_descriptor(9);
    assert_eq!(refused, Err(9), "none is needed");
    talk.server.answer(7, &Answer::SessionOpened { session: 2 });
    let events = talk.hear(&pipelined[1..].concat());
    assert_eq!(events, [ServerEvent::AliveCheck { id: 8 }]);
    talk.server.notify(Notice::Exit {
        session: 2,
        status: 3,
    });
    let second = failure(9, "Multiple sessions not supported");
    let opened = Message::Answer(7, Answer::SessionOpened { session: 2 });
    let exit = Message::Notice(Notice::Exit {
        session: 2,
        status: 3,
    });
    assert_eq!(talk.said(), [opened, second, exit]);
    assert_eq!(talk.descriptors, 6, "those of the second were taken too");
}

#[test]
fn after_a_refused_session_there_may_be_another() {
    let mut talk = Talk::begun();
    let request = Request::NewSession(SessionRequest::default());
    talk.ask(&request, 1);
    talk.server.answer(1, &Answer::Failure(b"no".to_vec()));
    assert_eq!(talk.ask(&request, 2).len(), 1);
}

#[test]
fn a_client_believes_no_master_that_lies() {
    let lie = |answers: &[(u32, Answer)], notices: &[Notice]| {
        let mut client = Client::new();
        client.ask(&Request::AliveCheck);
        client.ask(&Request::NewSession(SessionRequest::default()));
        let mut said = hello(4);
        answers.iter().for_each(|(id, a)| a.encode(*id, &mut said));
        notices.iter().for_each(|notice| notice.encode(&mut said));
        let (mut rest, mut last) = (&said[..], Ok(None));
        while !rest.is_empty() && last.is_ok() {
            last = client.take(&mut rest);
        }
        last.err()
    };
    let alive = Answer::Alive { pid: 1 };
    let opened = Answer::SessionOpened { session: 5 };
    let exit = |session| Notice::Exit { session, status: 0 };
    assert_eq!(
        lie(&[(0, alive.clone()), (1, opened.clone())], &[exit(5)]),
        None
    );
    assert_eq!(lie(&[(9, alive.clone())], &[]), Some(Violation::Unasked(9)));
    let twice = [(0, alive.clone()), (0, alive.clone())];
    assert_eq!(lie(&twice, &[]), Some(Violation::Unasked(0)));
    let kind = 0x8000_0005;
    let wrong = Violation::WrongKind { id: 1, kind };
    assert_eq!(lie(&[(1, alive)], &[]), Some(wrong));
    assert_eq!(lie(&[], &[exit(5)]), Some(Violation::UnknownSession(5)));
    let other = lie(&[(1, opened)], &[exit(6)]);
    assert_eq!(other, Some(Violation::UnknownSession(6)));
    let mut silent = Client::new();
    let early = encoded_answer(&Answer::Ok, 0);
    let refused = silent.take(&mut &early[..]);
    assert_eq!(refused, Err(Violation::BeforeHello(0x8000_0001)));
}

fn encoded_answer(answer: &Answer, id: u32) -> Vec<u8> {
    let mut message = Vec::new();
    answer.encode(id, &mut message);
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn requests_arrive_as_they_were_sent(
        requests in vec((request(), any::<u32>()), 0..8),
    ) {
        let mut talk = Talk::begun();
        for (request, id) in requests {
            let refused = Answer::Failure(b"not now".to_vec());
            let events = talk.ask(&request, id);
            match (request, &events[..]) {
                (Request::NewSession(sent), [ServerEvent::NewSession { session, .. }]) => {
                    prop_assert_eq!(&sent, session);
                    talk.server.answer(id, &refused);
                }
                (Request::StdioForward { .. }, [ServerEvent::StdioForward { .. }]) => {
                    talk.server.answer(id, &refused);
                }
                (Request::OpenForward(sent), [ServerEvent::OpenForward { forward, .. }])
                | (Request::CloseForward(sent), [ServerEvent::CloseForward { forward, .. }]) => {
                    prop_assert_eq!(&sent, forward);
                }
                (Request::OpenForward(sent), []) => prop_assert!(!sent.is_sound()),
                (Request::ExtInfo(sent), [ServerEvent::ExtInfo { what, .. }]) => {
                    prop_assert_eq!(&sent, what);
                }
                (_, events) => prop_assert_eq!(events.len(), 1),
            }
            prop_assert!(!talk.refused);
        }
    }

    #[test]
    fn answers_arrive_as_they_were_given(
        answers in vec((answer(), any::<u32>()), 0..8),
        session in any::<u32>(),
        status in any::<u32>(),
    ) {
        let mut stream = Vec::new();
        answers.iter().for_each(|(answer, id)| answer.encode(*id, &mut stream));
        let notices = [Notice::NoTerminal { session }, Notice::Exit { session, status }];
        notices.iter().for_each(|notice| notice.encode(&mut stream));
        let mut sent: Vec<Message> = answers
            .into_iter()
            .map(|(answer, id)| Message::Answer(id, answer))
            .collect();
        sent.extend(notices.map(Message::Notice));
        prop_assert_eq!(messages(&stream), sent);
    }

    #[test]
    fn a_stream_that_is_cut_or_changed_does_no_harm(
        requests in vec((request(), any::<u32>()), 1..5),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        first in any::<u8>(),
    ) {
        let mut stream = vec![first];
        stream.extend(hello(4));
        for (request, id) in &requests {
            request.encode(*id, &mut stream);
            // What descriptors come with.
            stream.extend(vec![0; request.descriptors()]);
        }
        fuzz_mux_server(&stream);
        for (place, byte) in changes {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        fuzz_mux_server(&stream);
        fuzz_mux_server(&stream[..end.index(stream.len())]);
    }

    #[test]
    fn a_master_s_stream_that_is_cut_or_changed_does_no_harm(
        answers in vec((answer(), 0_u32..8), 1..5),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        size in any::<u8>(),
    ) {
        let mut stream = vec![size];
        stream.extend(hello(4));
        answers.iter().for_each(|(answer, id)| answer.encode(*id, &mut stream));
        fuzz_mux_client(&stream);
        for (place, byte) in changes {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        fuzz_mux_client(&stream);
        fuzz_mux_client(&stream[..end.index(stream.len())]);
    }
}

#[test]
fn a_client_hears_what_came_of_each_request() {
    let mut client = Client::new();
    let alive = client.ask(&Request::AliveCheck);
    let session = client.ask(&Request::NewSession(SessionRequest::default()));
    assert_ne!(alive, session);
    let mut said = hello(4);
    Answer::SessionOpened { session: 3 }.encode(session, &mut said);
    Answer::Alive { pid: 9 }.encode(alive, &mut said);
    let mut rest = &said[..];
    let mut events = Vec::new();
    while !rest.is_empty() {
        events.extend(client.take(&mut rest).unwrap());
    }
    let answered = |id, answer| ClientEvent::Answered { id, answer };
    assert_eq!(
        events[1..],
        [
            answered(session, Answer::SessionOpened { session: 3 }),
            answered(alive, Answer::Alive { pid: 9 })
        ]
    );
}
