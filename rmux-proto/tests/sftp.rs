//! SFTP packets on random input: what is written is read back, whatever the cuts of the stream, and
//! replies in any order reach who asked.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use rmux_proto::sftp::{
    Attributes, Expect, Frame, Frames, MAX_HANDLE, Name, OpenFlags, Reply, Request, Requests,
    Status, StatusCode, fuzz_attributes, fuzz_sftp,
};

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

fn handle() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=MAX_HANDLE)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (
        of(any::<u64>()),
        of(any::<(u32, u32)>()),
        of(any::<u32>()),
        of(any::<(u32, u32)>()),
        vec((text(), text()), 0..3),
    )
        .prop_map(|(size, owner, permissions, times, extended)| Attributes {
            size,
            owner,
            permissions,
            times,
            extended,
        })
}

fn reply() -> impl Strategy<Value = Reply> {
    let name = (text(), text(), attributes()).prop_map(|(name, long, attributes)| Name {
        name: name.into(),
        long: long.into(),
        attributes,
    });
    prop_oneof![
        (any::<u32>(), text()).prop_map(|(code, message)| Reply::Status(Status {
            code: StatusCode::from_number(code),
            message,
        })),
        handle().prop_map(|handle| Reply::Handle(handle.into())),
        vec(any::<u8>(), 0..5000).prop_map(|data| Reply::Data(Bytes::from(data).into())),
        vec(name, 0..5).prop_map(Reply::Names),
        attributes().prop_map(Reply::Attributes),
        text().prop_map(|body| Reply::Extended(body.into())),
    ]
}

/// All frames of a stream that comes in pieces of these sizes, over and over.
fn frames(stream: &[u8], sizes: &[usize]) -> Vec<Frame> {
    let (mut frames, mut got, mut rest) = (Frames::new(), Vec::new(), stream);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(frame) = frames.next(&mut piece).expect("the stream is good") {
            got.push(frame);
        }
        rest = after;
    }
    assert!(frames.is_between(), "the stream ends between packets");
    got
}

/// Each request once, with these parts.
fn every_request<'a>(
    one: &'a [u8],
    other: &'a [u8],
    handle: &'a [u8],
    number: u64,
    attributes: &Attributes,
    data: &Bytes,
) -> Vec<Request<'a>> {
    let attributes = || attributes.clone();
    vec![
        Request::Open {
            path: one,
            flags: OpenFlags(number as u32),
            attributes: attributes(),
        },
        Request::Close { handle },
        Request::Read {
            handle,
            offset: number,
            length: number as u32,
        },
        Request::Write {
            handle,
            offset: number,
            data: data.clone(),
        },
        Request::Lstat { path: one },
        Request::Fstat { handle },
        Request::Setstat {
            path: one,
            attributes: attributes(),
        },
        Request::Fsetstat {
            handle,
            attributes: attributes(),
        },
        Request::Opendir { path: one },
        Request::Readdir { handle },
        Request::Remove { path: one },
        Request::Mkdir {
            path: one,
            attributes: attributes(),
        },
        Request::Rmdir { path: one },
        Request::Realpath { path: one },
        Request::Stat { path: one },
        Request::Rename {
            from: one,
            to: other,
        },
        Request::Readlink { path: one },
        Request::Symlink {
            target: one,
            link: other,
        },
        Request::PosixRename {
            from: one,
            to: other,
        },
        Request::Statvfs { path: one },
        Request::Fstatvfs { handle },
        Request::Hardlink {
            from: one,
            to: other,
        },
        Request::Fsync { handle },
        Request::Lsetstat {
            path: one,
            attributes: attributes(),
        },
        Request::Limits,
        Request::ExpandPath { path: one },
        Request::CopyData {
            from: handle,
            from_offset: number,
            length: !number,
            to: handle,
            to_offset: number / 2,
        },
        Request::HomeDirectory { user: one },
        Request::UsersGroupsById {
            users: vec![number as u32, 0],
            groups: Vec::new(),
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn replies_come_back_as_they_were_written(
        replies in vec((any::<u32>(), reply()), 0..8),
        sizes in vec(1_usize..3000, 1..6),
    ) {
        let stream: Vec<u8> = replies
            .iter()
            .flat_map(|(id, reply)| reply.encode(*id))
            .collect();
        let got = frames(&stream, &sizes);
        prop_assert_eq!(got.len(), replies.len());
        for (frame, (id, reply)) in got.into_iter().zip(replies) {
            prop_assert_eq!(frame.id, id);
            match (Reply::decode(frame).unwrap(), reply) {
                // The pieces may differ.
                (Reply::Data(one), Reply::Data(other)) => {
                    prop_assert_eq!(one.into_bytes(), other.into_bytes());
                }
                (one, other) => prop_assert_eq!(one, other),
            }
        }
    }

    #[test]
    fn requests_come_back_as_they_were_written(
        (one, other, handle) in (text(), text(), handle()),
        number in any::<u64>(),
        id in any::<u32>(),
        attributes in attributes(),
        data in vec(any::<u8>(), 0..9000),
        sizes in vec(1_usize..3000, 1..6),
    ) {
        let data = Bytes::from(data);
        for request in every_request(&one, &other, &handle, number, &attributes, &data) {
            let mut outgoing = request.clone().encode();
            outgoing.set_id(id);
            let length = outgoing.len();
            let (head, rest) = outgoing.into_parts();
            let packet = [&head[..], &rest].concat();
            prop_assert_eq!(packet.len(), length);
            let frame = frames(&packet, &sizes).remove(0);
            let (kind, got, body) = frame.joined();
            prop_assert_eq!(got, id);
            prop_assert_eq!(Request::decode(kind, &body), Ok(request));
        }
    }

    #[test]
    fn replies_in_any_order_reach_who_asked(
        order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut requests = Requests::new();
        let ids: Vec<u32> = (0..40).map(|n| requests.insert(Expect::Done, n)).collect();
        for n in order {
            let packet = Reply::Status(Status::new(StatusCode::Ok, "")).encode(ids[n]);
            let frame = frames(&packet, &[4]).remove(0);
            prop_assert_eq!(requests.answer(frame).unwrap().0, n);
        }
        prop_assert!(requests.is_empty());
    }

    #[test]
    fn packets_that_are_cut_or_changed_do_no_harm(
        replies in vec((0_u32..8, reply()), 1..4),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        size in any::<u8>(),
    ) {
        let mut stream: Vec<u8> = std::iter::once(size)
            .chain(replies.iter().flat_map(|(id, reply)| reply.encode(*id)))
            .collect();
        for (place, byte) in changes {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        fuzz_sftp(&stream);
        fuzz_sftp(&stream[..end.index(stream.len())]);
    }

    #[test]
    fn any_attribute_block_does_no_harm(mut block in text(), flags in 0_u8..16) {
        if let [first, _, _, fourth, ..] = &mut block[..] {
            (*first, *fourth) = (*first & 0x80, flags);
        }
        fuzz_attributes(&block);
    }
}
