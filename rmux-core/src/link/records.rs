//! Finds the records that a command's shell puts among its output, and takes them out.
//!
//! A record is a control character that no text holds, a random token, a kind, a length, so many
//! bytes, and a `;`. With its kind in capitals, an end of line belongs to it behind those. Small ones are written at once, so that what other processes write to the same
//! stream lies between them and stays output. Where one was torn all the same, nothing of it is
//! shown: it may hold what is secret.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};

/// In front of the token (ASCII, RS).
const MARK: u8 = 0x1e;
/// The kind of the record behind which no other comes.
const LAST: u8 = b'e';
/// The longest length, in digits.
const DIGITS: usize = 9;

/// What came, by kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) by_kind: BTreeMap<u8, Vec<u8>>,
    pub(crate) flaw: Option<Flaw>,
}

/// Why the records are not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Something else came where a record goes on.
    Torn,
    /// They hold more than the limit.
    TooLong,
}

/// Looks for the records of one token.
#[derive(Debug)]
pub(crate) struct RecordScan {
    /// What each of them begins with.
    lead: Vec<u8>,
    limit: usize,
    length: usize,
    held: BytesMut,
    /// How much of a record that is too long is still to come.
    skip: usize,
    /// Behind a torn record nothing is output until the next one.
    lost: bool,
    whole: bool,
    records: Records,
}

/// What is at the beginning of what is held.
enum Next {
    Record,
    /// More of it must come.
    Begun,
    Torn,
}

impl RecordScan {
    /// Takes records with up to `limit` bytes in all.
    pub(crate) fn new(token: &str, limit: usize) -> Self {
        Self {
            lead: lead(token).into_bytes(),
            limit,
            length: 0,
            held: BytesMut::new(),
            skip: 0,
            lost: false,
            whole: false,
            records: Records::default(),
        }
    }

    /// Whether the last record has come.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What has come, once.
    pub(crate) fn take(&mut self) -> Records {
        std::mem::take(&mut self.records)
    }

    /// Takes in more bytes; returns those that are output.
    pub(crate) fn feed(&mut self, data: Bytes) -> Bytes {
        let idle = self.held.is_empty() && self.skip == 0 && !self.lost;
        if idle && !data.contains(&MARK) {
            return data;
        }
        self.held.extend_from_slice(&data);
        let mut out = BytesMut::new();
        loop {
            let skipped = self.skip.min(self.held.len());
            self.held.advance(skipped);
            self.skip -= skipped;
            if self.skip > 0 {
                break;
            }
            let found = find(&self.held, &self.lead);
            let before = found.unwrap_or_else(|| self.held.len() - self.may_begin());
            let before = self.held.split_to(before);
            if !self.lost {
                out.extend_from_slice(&before);
            }
            if found.is_none() {
                break;
            }
            match self.record() {
                Next::Record => self.lost = false,
                Next::Begun => break,
                Next::Torn => {
                    self.records.flaw.get_or_insert(Flaw::Torn);
                    self.lost = true;
                    self.held.advance(self.lead.len());
                }
            }
        }
        out.freeze()
    }

    /// Nothing more will come: what is held and is no record.
    pub(crate) fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        match self.lost || held.starts_with(&self.lead) {
            true => Bytes::new(),
            false => held.freeze(),
        }
    }

    /// How many bytes at the end of what is held may be the beginning of a record.
    fn may_begin(&self) -> usize {
        let most = self.held.len().min(self.lead.len() - 1);
        let mut lengths = (1..=most).rev();
        let begins = |length: &usize| {
            self.lead
                .starts_with(&self.held[self.held.len() - length..])
        };
        lengths.find(begins).unwrap_or(0)
    }

    /// Takes the record that is held first, if it is there.
    fn record(&mut self) -> Next {
        let behind = &self.held[self.lead.len()..];
        let Some(&kind) = behind.first() else {
            return Next::Begun;
        };
        let head = behind.len().min(2 + DIGITS + 1);
        let Some(colon) = behind[..head].iter().position(|b| *b == b':') else {
            return match head < 2 + DIGITS + 1 {
                true => Next::Begun,
                false => Next::Torn,
            };
        };
        let digits = behind.get(2..colon).unwrap_or_default();
        let length = std::str::from_utf8(digits).ok();
        let length = length.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let length = length.and_then(|digits| digits.parse::<usize>().ok());
        let (true, b' ', Some(length)) = (kind.is_ascii_alphabetic(), behind[1], length) else {
            return Next::Torn;
        };
        let from = self.lead.len() + colon + 1;
        if self.length + length > self.limit {
            self.records.flaw.get_or_insert(Flaw::TooLong);
            self.held.advance(from);
            self.skip = length + 1;
            return Next::Record;
        }
        let Some(end) = self.held.get(from + length) else {
            return Next::Begun;
        };
        if *end != b';' {
            return Next::Torn;
        }
        let kept = &mut self.records.by_kind;
        let kept = kept.entry(kind.to_ascii_lowercase()).or_default();
        kept.extend_from_slice(&self.held[from..from + length]);
        self.length += length;
        if kind.is_ascii_uppercase() {
            kept.push(b'\n');
            self.length += 1;
        }
        self.held.advance(from + length + 1);
        self.whole |= kind == LAST;
        Next::Record
    }
}

/// What a record begins with, in front of its kind.
pub(crate) fn lead(token: &str) -> String {
    format!("{}{token} ", char::from(MARK))
}

fn find(data: &[u8], what: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        from += data[from..].iter().position(|byte| *byte == what[0])?;
        if data[from..].starts_with(what) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], at: usize, limit: usize) -> (Vec<u8>, RecordScan) {
        let mut scan = RecordScan::new("T0K", limit);
        let mut out = Vec::new();
        for part in [&text[..at], &text[at..]] {
            out.extend_from_slice(&scan.feed(Bytes::copy_from_slice(part)));
        }
        out.extend_from_slice(&scan.finish());
        (out, scan)
    }

    #[test]
    fn records_are_found_however_they_are_cut_and_the_rest_is_output() {
        let text = b"out\x1e\x1eT0\x1eT0K a 5:x;\x1eT0;no end\x1eT0K b 0:;\n\x1eT0K A 1:y;\x1eT0K a 1:z;\x1eT0K e 0:;late";
        for at in 0..=text.len() {
            let (out, mut scan) = cut(text, at, 100);
            assert_eq!(out, b"out\x1e\x1eT0no end\nlate", "cut at {at}");
            assert!(scan.is_whole());
            let records = scan.take();
            assert_eq!(records.flaw, None, "cut at {at}");
            assert_eq!(records.by_kind[&b'a'], b"x;\x1eT0y\nz", "cut at {at}");
            assert_eq!(records.by_kind[&b'b'], b"");
        }
    }

    #[test]
    fn nothing_of_a_torn_record_is_shown() {
        for text in [
            &b"a\x1eT0K a 6:secnoiseret;\x1eT0K e 0:;b"[..],
            b"a\x1eT0K a 6secret:;\x1eT0K e 0:;b",
            b"a\x1eT0K 1 6:secret;\x1eT0K e 0:;b",
            b"a\x1eT0K a 9999999999:secret;\x1eT0K e 0:;b",
            b"a\x1eT0K a -6:secret;\x1eT0K e 0:;b",
        ] {
            for at in 0..=text.len() {
                let (out, mut scan) = cut(text, at, 100);
                assert_eq!(out, b"ab", "cut at {at}");
                assert_eq!(scan.take().flaw, Some(Flaw::Torn), "cut at {at}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let text = b"a\x1eT0K a 4:1234;\x1eT0K b 4:5678;b\x1eT0K e 0:;c";
        for at in 0..=text.len() {
            let (out, mut scan) = cut(text, at, 7);
            assert_eq!(out, b"abc", "cut at {at}");
            assert!(scan.is_whole());
            let records = scan.take();
            assert_eq!(records.flaw, Some(Flaw::TooLong));
            assert_eq!(records.by_kind.get(&b'b'), None);
        }
    }

    #[test]
    fn what_never_comes_whole_is_not_whole() {
        let text = b"out\x1eT0K a 9:part";
        let (out, scan) = cut(text, 5, 100);
        assert_eq!(out, b"out");
        assert!(!scan.is_whole());
        let (out, _) = cut(b"out\x1eT0", 4, 100);
        assert_eq!(out, b"out\x1eT0");
    }
}
