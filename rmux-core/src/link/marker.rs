//! Finds the line in which a command's wrapper tells its process id, and takes it out of the
//! stream.
//!
//! The line is `TOKEN PID`, written to standard error before the command starts; the token is
//! random, so that nothing else looks like it. Shell start-up files may print before it.

use bytes::{Bytes, BytesMut};

/// How much may come before the line. A command whose start-up files print more is left unmarked.
const PATIENCE: usize = 64 << 10;

/// Looks for one token's line.
#[derive(Debug)]
pub(crate) struct MarkerScan {
    token: String,
    held: BytesMut,
    /// How much of it was looked at already.
    seen: usize,
}

/// What became of the bytes fed so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// Not decided: they are held.
    Held,
    /// The line was there; here is everything but it.
    Found { pid: u32, rest: Bytes },
    /// The line will not come any more; here is everything.
    Absent(Bytes),
}

impl MarkerScan {
    pub(crate) fn new(token: String) -> Self {
        Self {
            token,
            held: BytesMut::new(),
            seen: 0,
        }
    }

    /// Takes in more bytes.
    pub(crate) fn feed(&mut self, data: &[u8]) -> Scanned {
        self.held.extend_from_slice(data);
        let token = self.token.as_bytes();
        let from = self.seen;
        let found = self.held[from..]
            .windows(token.len())
            .position(|window| window == token);
        // A token that has begun is looked at again when more of it has come.
        self.seen = match found {
            Some(at) => from + at,
            None => from.max((self.held.len() + 1).saturating_sub(token.len())),
        };
        let line = found.and_then(|at| {
            let start = from + at;
            let end = self.held[start..].iter().position(|byte| *byte == b'\n')?;
            Some((start, start + end))
        });
        let Some((start, end)) = line else {
            return if self.held.len() > PATIENCE {
                Scanned::Absent(self.take())
            } else {
                Scanned::Held
            };
        };
        let pid = std::str::from_utf8(&self.held[start + token.len()..end])
            .ok()
            .and_then(|text| text.trim().parse().ok())
            // 0 and 1 would name groups that are not the command's.
            .filter(|pid: &u32| *pid > 1 && i32::try_from(*pid).is_ok());
        let Some(pid) = pid else {
            return Scanned::Absent(self.take());
        };
        let mut rest = self.held.split_to(start);
        rest.extend_from_slice(&self.held[end + 1 - start..]);
        self.held.clear();
        self.seen = 0;
        Scanned::Found {
            pid,
            rest: rest.freeze(),
        }
    }

    /// The stream ended: what is held, without a line.
    pub(crate) fn take(&mut self) -> Bytes {
        self.seen = 0;
        std::mem::take(&mut self.held).freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_however_it_is_cut_and_the_noise_around_it_stays() {
        let text = b"motd\nT0K 4711\nerror\n";
        for cut in 0..=text.len() {
            let mut scan = MarkerScan::new("T0K".into());
            let mut got = Vec::new();
            let mut found = None;
            for part in [&text[..cut], &text[cut..]] {
                match scan.feed(part) {
                    _ if found.is_some() => got.extend_from_slice(part),
                    Scanned::Held => {}
                    Scanned::Found { pid, rest } => {
                        found = Some(pid);
                        got.extend_from_slice(&rest);
                    }
                    Scanned::Absent(_) => panic!("cut at {cut}"),
                }
                if found.is_some() && cut == text.len() {
                    break;
                }
            }
            assert_eq!(found, Some(4711), "cut at {cut}");
            assert_eq!(got, b"motd\nerror\n", "cut at {cut}");
        }
    }

    #[test]
    fn process_ids_that_name_other_groups_are_not_believed() {
        for pid in ["0", "1", "-1", "99999999999", "x"] {
            let line = format!("T {pid}\n");
            let mut scan = MarkerScan::new("T".into());
            assert_eq!(scan.feed(line.as_bytes()), Scanned::Absent(line.into()));
        }
    }

    #[test]
    fn patience_ends() {
        let mut scan = MarkerScan::new("T".into());
        assert!(matches!(
            scan.feed(&vec![b'x'; PATIENCE + 1]),
            Scanned::Absent(_)
        ));
    }
}
