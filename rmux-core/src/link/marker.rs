//! Finds the line that says where a command's own output begins, and cuts off what comes before.
//!
//! The account's shell runs its start-up files before the command, and what they print comes on the
//! same streams. So the command first prints a mark, `TOKEN` on standard output and `TOKEN PID` on
//! standard error; the token is random, so that nothing else looks like it. What was held until then
//! is thrown away. A mark may never come, where the server runs something else than it was asked to:
//! then nothing is lost, and what is held is given out.

use bytes::{Bytes, BytesMut};

/// How much is held of what comes before the mark. Where start-up files print more, all of it is
/// taken for output.
const HELD: usize = 1 << 20;

/// What the line with the token looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The token alone.
    Plain,
    /// The token, and the process id of who leads the command's process group.
    WithPid,
}

/// Looks for one token's line.
#[derive(Debug)]
pub(crate) struct MarkerScan {
    token: String,
    shape: Shape,
    held: BytesMut,
    /// How much of it was looked at already.
    seen: usize,
}

/// What became of the bytes fed so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// Not decided: they are held.
    Held,
    /// The line was there; here is what comes behind it.
    Found {
        pid: Option<u32>,
        /// How many bytes came before the line.
        noise: usize,
        rest: Bytes,
    },
    /// The line will not come any more; here is everything.
    Absent(Bytes),
}

impl MarkerScan {
    pub(crate) fn new(token: String, shape: Shape) -> Self {
        Self {
            token,
            shape,
            held: BytesMut::new(),
            seen: 0,
        }
    }

    /// Whether bytes wait here for the line.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes in more bytes.
    pub(crate) fn feed(&mut self, data: &[u8]) -> Scanned {
        self.held.extend_from_slice(data);
        let token = self.token.as_bytes();
        loop {
            let from = self.seen;
            let found = self.held[from..]
                .windows(token.len())
                .position(|window| window == token);
            let Some(at) = found.map(|at| from + at) else {
                // A token that has begun is looked at again when more of it has come.
                self.seen = from.max((self.held.len() + 1).saturating_sub(token.len()));
                break;
            };
            self.seen = at;
            let behind = at + token.len();
            let Some(length) = self.held[behind..].iter().position(|byte| *byte == b'\n') else {
                break;
            };
            if let Some(pid) = self.shape.read(&self.held[behind..behind + length]) {
                let mut rest = self.take_held();
                let _ = rest.split_to(behind + length + 1);
                return Scanned::Found {
                    pid,
                    noise: at,
                    rest: rest.freeze(),
                };
            }
            // A shell that traces what it does shows the token too.
            self.seen = behind;
        }
        if self.held.len() > HELD {
            return Scanned::Absent(self.take());
        }
        Scanned::Held
    }

    /// The line will not come: what is held is output.
    pub(crate) fn take(&mut self) -> Bytes {
        self.take_held().freeze()
    }

    fn take_held(&mut self) -> BytesMut {
        self.seen = 0;
        std::mem::take(&mut self.held)
    }
}

impl Shape {
    /// What stands behind the token, if it is as it should be.
    fn read(self, behind: &[u8]) -> Option<Option<u32>> {
        let text = std::str::from_utf8(behind).ok()?.trim();
        match self {
            Self::Plain => text.is_empty().then_some(None),
            Self::WithPid => text
                .parse()
                .ok()
                // 0 and 1 would name groups that are not the command's.
                .filter(|pid: &u32| *pid > 1 && i32::try_from(*pid).is_ok())
                .map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found and what is left, when the text comes in two parts.
    fn cut(scan: &mut MarkerScan, parts: [&[u8]; 2]) -> (Option<Scanned>, Vec<u8>) {
        let mut found = None;
        let mut got = Vec::new();
        for part in parts {
            match &found {
                Some(_) => got.extend_from_slice(part),
                None => match scan.feed(part) {
                    Scanned::Held => {}
                    Scanned::Found { pid, noise, rest } => {
                        got.extend_from_slice(&rest);
                        let rest = Bytes::new();
                        found = Some(Scanned::Found { pid, noise, rest });
                    }
                    Scanned::Absent(_) => panic!("{parts:?}"),
                },
            }
        }
        (found, got)
    }

    #[test]
    fn the_line_is_found_however_it_is_cut_and_the_noise_before_it_goes() {
        // Parts of the token, bytes that are no text, no end of line before it; and its trace.
        let text = b"T0K TT0\xff\0T0K$$\nT0T0K 4711\nT0K 5\n";
        for at in 0..=text.len() {
            let mut scan = MarkerScan::new("T0K".into(), Shape::WithPid);
            let (found, rest) = cut(&mut scan, [&text[..at], &text[at..]]);
            let expected = Scanned::Found {
                pid: Some(4711),
                noise: 17,
                rest: Bytes::new(),
            };
            assert_eq!(found, Some(expected), "cut at {at}");
            assert_eq!(rest, b"T0K 5\n", "cut at {at}");
            assert!(!scan.holds());
        }
    }

    #[test]
    fn a_plain_mark_is_the_token_alone() {
        let text = b"+ echo T0K x\nmotdT0K\nout\n";
        for at in 0..=text.len() {
            let mut scan = MarkerScan::new("T0K".into(), Shape::Plain);
            let (found, rest) = cut(&mut scan, [&text[..at], &text[at..]]);
            assert!(
                matches!(found, Some(Scanned::Found { pid: None, .. })),
                "cut at {at}"
            );
            assert_eq!(rest, b"out\n", "cut at {at}");
        }
    }

    #[test]
    fn process_ids_that_name_other_groups_are_not_believed() {
        for pid in ["0", "1", "-1", "99999999999", "x"] {
            let line = format!("T {pid}\n");
            let mut scan = MarkerScan::new("T".into(), Shape::WithPid);
            assert_eq!(scan.feed(line.as_bytes()), Scanned::Held);
            assert_eq!(scan.take(), line);
        }
    }

    #[test]
    fn what_is_held_has_a_limit_and_nothing_of_it_is_lost() {
        let mut scan = MarkerScan::new("TOKEN".into(), Shape::Plain);
        let noise = vec![b'x'; HELD];
        assert_eq!(scan.feed(&noise), Scanned::Held);
        let Scanned::Found { noise: length, .. } = scan.feed(b"TOKEN\n") else {
            panic!("the mark behind {HELD} bytes is not found")
        };
        assert_eq!(length, HELD);
        assert_eq!(scan.feed(&noise), Scanned::Held);
        let Scanned::Absent(all) = scan.feed(b"x") else {
            panic!("more than the limit is held")
        };
        assert_eq!(all.len(), HELD + 1);
    }
}
