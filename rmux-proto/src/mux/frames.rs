//! From bytes to messages: a length, and that many bytes.

use super::{MAX_MESSAGE, Violation};

/// Puts messages together.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; 4],
    have: usize,
    body: Vec<u8>,
}

impl Frames {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes may be read without reading past the end of the message: what is missing of
    /// its length, or else of itself. At least 1.
    pub fn need(&self) -> usize {
        match self.have {
            4 => self.length() - self.body.len(),
            have => 4 - have,
        }
    }

    /// Whether the stream may end here: no message has begun.
    pub fn is_between(&self) -> bool {
        self.have == 0
    }

    /// Takes from `input` what belongs to the next message, and gives it once it is whole. Call it
    /// again until `input` is empty.
    ///
    /// # Errors
    /// [`Violation::TooLong`], before anything is stored. The stream is of no use then.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Violation> {
        if self.have < 4 {
            let taken = input.len().min(4 - self.have);
            let (head, rest) = input.split_at(taken);
            self.head[self.have..self.have + taken].copy_from_slice(head);
            self.have += taken;
            *input = rest;
            if self.have < 4 {
                return Ok(None);
            }
            if self.length() > MAX_MESSAGE {
                return Err(Violation::TooLong(u32::from_be_bytes(self.head)));
            }
        }
        let (piece, rest) = input.split_at(input.len().min(self.need()));
        self.body.extend_from_slice(piece);
        *input = rest;
        if self.body.len() < self.length() {
            return Ok(None);
        }
        self.have = 0;
        Ok(Some(std::mem::take(&mut self.body)))
    }

    fn length(&self) -> usize {
        u32::from_be_bytes(self.head) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_asks_for_more_than_the_message_has() {
        let mut frames = Frames::new();
        let stream = b"\0\0\0\x05hello\0\0\0\0\0\0\0\x01x";
        let (mut rest, mut got) = (&stream[..], Vec::new());
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at(frames.need());
            got.extend(frames.next(&mut piece).unwrap());
            assert!(piece.is_empty());
            rest = after;
        }
        assert_eq!(got, [&b"hello"[..], b"", b"x"]);
        assert!(frames.is_between());
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused() {
        let mut frames = Frames::new();
        let mut most = &(MAX_MESSAGE as u32).to_be_bytes()[..];
        assert_eq!(frames.next(&mut most), Ok(None));
        assert_eq!(frames.need(), MAX_MESSAGE);
        let mut more = &(MAX_MESSAGE as u32 + 1).to_be_bytes()[..];
        let refused = Frames::new().next(&mut more);
        assert_eq!(refused, Err(Violation::TooLong(MAX_MESSAGE as u32 + 1)));
    }
}
