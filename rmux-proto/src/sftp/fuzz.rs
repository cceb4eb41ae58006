//! The entries for fuzzers: a hostile server's stream, a hostile client's, and attribute blocks.

use bytes::Bytes;

use super::{
    Attributes, Expect, Extensions, Frames, Hello, Limits, MAX_PACKET, Reply, Request, Requests,
    Statvfs, owner_names,
};
use crate::wire::Reader;

/// Reads `data` as what a server sends, and as what a client does. The first byte says in pieces of
/// which size it comes. Must return for any input.
pub fn fuzz_sftp(data: &[u8]) {
    let Some((size, data)) = data.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    let mut frames = Frames::new();
    let mut requests = Requests::new();
    let expected = [
        Expect::Done,
        Expect::Handle,
        Expect::Data(64),
        Expect::Names,
        Expect::Name,
        Expect::Attributes,
        Expect::Extended,
    ];
    for (n, expect) in expected.iter().cycle().take(256).enumerate() {
        requests.insert(*expect, n as u32);
    }
    for piece in data.chunks(size) {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            let frame = match frames.next(&mut piece) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => return,
            };
            assert!(frame.body.len() <= MAX_PACKET);
            let id = frame.id;
            let _ = Hello::from_server(frame.clone());
            let _ = Hello::from_client(frame.clone());
            as_request(frame.clone().joined());
            if let Ok((asked, reply)) = requests.answer(frame) {
                assert_eq!(asked, id, "a reply reached somebody else");
                as_reply(&reply);
            }
        }
        assert!(piece.is_empty(), "input was left");
    }
    let hello = Hello::server(Extensions::default());
    let frame = Frames::new().next(&mut hello.into());
    assert!(frame.is_ok_and(|frame| frame.is_some()));
}

/// Reads `data` as an attribute block. Must return for any input.
pub fn fuzz_attributes(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(read) = Attributes::decode(105, &mut reader) else {
        return;
    };
    let mut again = Vec::new();
    read.encode(&mut again);
    assert!(again.len() <= data.len(), "it grew");
    let back = Attributes::decode(105, &mut Reader::new(&again));
    assert_eq!(back.as_ref(), Ok(&read));
    let _ = read.file_type();
}

/// What can be read is the same when it is written and read again.
fn as_reply(reply: &Reply) {
    let packet = reply.encode(1);
    if packet.len() > MAX_PACKET {
        return;
    }
    let frame = Frames::new()
        .next(&mut Bytes::from(packet))
        .expect("it is short enough")
        .expect("it is whole");
    let back = Reply::decode(frame).expect("what was written can be read");
    match (reply, &back) {
        // The pieces may differ.
        (Reply::Data(one), Reply::Data(other)) => assert_eq!(one.len(), other.len()),
        (one, other) => assert_eq!(one, other),
    }
    if let Reply::Extended(body) = reply {
        let _ = (Limits::decode(body), Statvfs::decode(body));
        let _ = owner_names(body, 2, 1);
    }
}

fn as_request((kind, _, body): (u8, u32, Bytes)) {
    let Ok(request) = Request::decode(kind, &body) else {
        return;
    };
    let (head, data) = request.clone().encode().into_parts();
    let packet = Bytes::from([&head[..], &data].concat());
    let again = packet.slice(9..);
    assert_eq!(head[4], kind);
    assert_eq!(Request::decode(kind, &again), Ok(request));
}
