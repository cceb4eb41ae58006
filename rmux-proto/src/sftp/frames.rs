//! From a stream of bytes to packets: a length, a type, a number and the rest (draft, section 3).
//!
//! What comes in large pieces stays in them: the data of a read is not copied together here.

use bytes::{Buf, Bytes, BytesMut};

use super::{MAX_PACKET, Violation};

/// Length, type and number: what every packet begins with.
const HEAD: usize = 9;
/// A piece below this size is copied to its neighbours, so that a peer that sends single bytes
/// costs no more memory than one that does not.
const SMALL: usize = 1 << 10;

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The type.
    pub kind: u8,
    /// The number of the request, or the version in the first packet of each side.
    pub id: u32,
    /// What follows.
    pub body: Pieces,
}

/// Bytes in the pieces in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces(Vec<Bytes>);

impl Pieces {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// All bytes as one piece; copies them only if there are several.
    pub fn into_bytes(mut self) -> Bytes {
        match self.0.len() {
            0 => Bytes::new(),
            1 => self.0.remove(0),
            _ => self.0.concat().into(),
        }
    }

    /// The pieces.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter()
    }

    /// Takes `count` bytes off the front; fewer where there are not as many.
    pub(super) fn take_front(&mut self, count: usize) -> Vec<u8> {
        let mut taken = Vec::with_capacity(count);
        for piece in &mut self.0 {
            let length = piece.len().min(count - taken.len());
            taken.extend_from_slice(&piece.split_to(length));
        }
        self.0.retain(|piece| !piece.is_empty());
        taken
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self(vec![bytes])
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Puts packets together.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; HEAD],
    have: usize,
    /// How many bytes of the body are still to come, once the head is whole.
    missing: usize,
    body: Vec<Bytes>,
    /// Small pieces at the end of the body.
    small: BytesMut,
}

impl Frames {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes from `input` what belongs to the next packet, and gives it once it is whole. Call it
    /// again until it gives none.
    ///
    /// # Errors
    /// [`Violation`] for a length that no packet may have. The stream is of no use then.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Frame>, Violation> {
        if self.have < HEAD {
            let length = input.len().min(HEAD - self.have);
            input.copy_to_slice(&mut self.head[self.have..self.have + length]);
            let had = self.have;
            self.have += length;
            if had < 4 && self.have >= 4 {
                self.check_length()?;
            }
            if self.have < HEAD {
                return Ok(None);
            }
            self.missing = self.length() as usize - (HEAD - 4);
        }
        let piece = input.split_to(input.len().min(self.missing));
        self.missing -= piece.len();
        if piece.len() < SMALL
            && !(self.missing == 0 && self.body.is_empty() && self.small.is_empty())
        {
            self.small.extend_from_slice(&piece);
        } else if !piece.is_empty() {
            self.end_small();
            self.body.push(piece);
        }
        if self.missing > 0 {
            return Ok(None);
        }
        self.end_small();
        self.have = 0;
        let [_, _, _, _, kind, id @ ..] = self.head;
        Ok(Some(Frame {
            kind,
            id: u32::from_be_bytes(id),
            body: Pieces(std::mem::take(&mut self.body)),
        }))
    }

    /// Whether the stream may end here: no packet has begun.
    pub fn is_between(&self) -> bool {
        self.have == 0
    }

    fn length(&self) -> u32 {
        let [a, b, c, d, ..] = self.head;
        u32::from_be_bytes([a, b, c, d])
    }

    fn check_length(&self) -> Result<(), Violation> {
        let length = self.length();
        if length as usize > MAX_PACKET {
            let bytes = length.to_be_bytes();
            return Err(Violation::TooLong { length, bytes });
        }
        if (length as usize) < HEAD - 4 {
            return Err(Violation::TooShort(length));
        }
        Ok(())
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.body.push(self.small.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
        let length = (body.len() + 5) as u32;
        [&length.to_be_bytes()[..], &[kind], &id.to_be_bytes(), body].concat()
    }

    #[test]
    fn packets_are_the_same_however_they_are_cut() {
        let long: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        let stream = [
            packet(101, 7, b"short"),
            packet(103, 8, &long),
            packet(2, 3, b""),
        ]
        .concat();
        for size in [1, 2, 3, 8, 9, 10, 1000, 1024, 5000, stream.len()] {
            let mut frames = Frames::new();
            let mut got = Vec::new();
            for piece in stream.chunks(size) {
                let mut piece = Bytes::copy_from_slice(piece);
                while let Some(frame) = frames.next(&mut piece).unwrap() {
                    got.push((frame.kind, frame.id, frame.body.into_bytes()));
                }
                assert!(piece.is_empty());
            }
            assert!(frames.is_between());
            let expected = [
                (101, 7, Bytes::from_static(b"short")),
                (103, 8, Bytes::from(long.clone())),
                (2, 3, Bytes::new()),
            ];
            assert_eq!(got, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_length_is_judged_before_anything_follows_it() {
        let mut text = Bytes::from_static(b"Welcome");
        assert_eq!(
            Frames::new().next(&mut text),
            Err(Violation::TooLong {
                length: 0x5765_6c63,
                bytes: *b"Welc"
            })
        );
        let mut short = Bytes::from_static(&[0, 0, 0, 4]);
        assert_eq!(Frames::new().next(&mut short), Err(Violation::TooShort(4)));
        let mut longest = Bytes::from_static(&[0, 4, 0, 0]);
        assert_eq!(Frames::new().next(&mut longest), Ok(None));
    }

    #[test]
    fn single_bytes_do_not_become_single_pieces() {
        let mut frames = Frames::new();
        let mut whole = None;
        for byte in packet(103, 1, &[b'x'; 5000]) {
            whole = frames.next(&mut Bytes::copy_from_slice(&[byte])).unwrap();
        }
        assert_eq!(whole.unwrap().body.iter().count(), 1);
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let stream = Bytes::from(packet(103, 1, &[b'x'; 5000]));
        let place = stream[HEAD..].as_ptr();
        let frame = Frames::new().next(&mut stream.clone()).unwrap().unwrap();
        assert_eq!(frame.body.into_bytes().as_ptr(), place);
    }
}
