//! The entries for fuzzers: a hostile client's stream, and a hostile master's.

use super::{
    Answer, Client, ClientEvent, Forward, Frames, MAX_MESSAGE, Message, Need, Numbered, Request,
    Server, ServerEvent, SessionRequest, cut,
};
use crate::wire::Reader;

/// Reads `data` as what a client sends. The first byte says which of the sessions asked for are
/// granted; descriptors come wherever they are needed. Must return for any input.
pub fn fuzz_mux_server(data: &[u8]) {
    let Some((grants, data)) = data.split_first() else {
        return;
    };
    every_message_is_read_as_it_is_written(data);
    let mut server = Server::<u32>::new();
    let (mut input, mut sessions) = (data, 0);
    while !input.is_empty() {
        let event = match server.need() {
            Need::Bytes(most) => {
                let (mut piece, rest) = input.split_at(input.len().min(most));
                let Ok(event) = server.take(&mut piece) else {
                    return;
                };
                assert!(piece.is_empty(), "it needed less than it said");
                input = rest;
                event
            }
            Need::Descriptor => {
                input = &input[1..];
                let taken = server.take_descriptor(sessions);
                taken.expect("it said that it needs one")
            }
            Need::Nothing => unreachable!("every session is answered at once"),
        };
        let Some(event) = event else { continue };
        let granted = grants >> (sessions % 8) & 1 == 1;
        let (id, answer) = match event {
            ServerEvent::NewSession { id, .. } | ServerEvent::StdioForward { id, .. } => {
                sessions += 1;
                let refused = Answer::Failure(b"refused".to_vec());
                (
                    id,
                    if granted {
                        Answer::SessionOpened { session: 1 }
                    } else {
                        refused
                    },
                )
            }
            ServerEvent::OpenForward { id, forward } => {
                assert!(forward.is_sound());
                (id, Answer::Ok)
            }
            ServerEvent::AliveCheck { id } => (id, Answer::Alive { pid: 1 }),
            ServerEvent::CloseForward { id, .. }
            | ServerEvent::Terminate { id }
            | ServerEvent::StopListening { id }
            | ServerEvent::Proxy { id }
            | ServerEvent::ExtInfo { id, .. } => (id, Answer::Ok),
        };
        server.answer(id, &answer);
    }
    masters_words(&server.output());
}

/// Reads `data` as what a master sends to a client that has asked for everything. The first byte
/// says in pieces of which size it comes. Must return for any input.
pub fn fuzz_mux_client(data: &[u8]) {
    let Some((size, data)) = data.split_first() else {
        return;
    };
    let mut client = Client::new();
    let forward = || Forward {
        kind: super::ForwardKind::Local,
        listen: super::Endpoint::Tcp(Vec::new(), 1),
        connect: super::Endpoint::Unix(b"/s".to_vec()),
    };
    for request in [
        Request::AliveCheck,
        Request::NewSession(SessionRequest::default()),
        Request::OpenForward(forward()),
        Request::Proxy,
        Request::ExtInfo(b"connection".to_vec()),
        Request::StopListening,
    ] {
        client.ask(&request);
    }
    let mut answered = [false; 6];
    for mut piece in data.chunks(usize::from(*size).max(1)) {
        while !piece.is_empty() {
            match client.take(&mut piece) {
                Ok(Some(ClientEvent::Answered { id, .. })) => {
                    let before = std::mem::replace(&mut answered[id as usize], true);
                    assert!(!before, "one request was answered twice");
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

/// A client understands whatever a master says.
fn masters_words(output: &[u8]) {
    let (mut frames, mut rest) = (Frames::new(), output);
    while !rest.is_empty() {
        let message = frames
            .next(&mut rest)
            .expect("a master's messages are short");
        let message = message.expect("they are whole");
        Message::decode(&message).expect("they can be read");
    }
}

/// What can be read is the same when it is written and read again.
fn every_message_is_read_as_it_is_written(data: &[u8]) {
    let (mut frames, mut rest) = (Frames::new(), data);
    while !rest.is_empty() {
        let Ok(Some(message)) = frames.next(&mut rest) else {
            return;
        };
        assert!(message.len() <= MAX_MESSAGE);
        let mut reader = Reader::new(&message);
        let Ok(of) = reader.u32().map_err(cut(0)) else {
            return;
        };
        let Ok(read) = Numbered::decode(of, &mut reader) else {
            return;
        };
        let mut again = Vec::new();
        read.request.encode(read.id, &mut again);
        let mut reader = Reader::new(&again[8..]);
        assert_eq!(Numbered::decode(of, &mut reader).as_ref(), Ok(&read));
    }
}
