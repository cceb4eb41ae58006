//! Bytes in an unlinked temporary file that is never larger than its limit: a ring.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom, Write};

/// The largest piece read back at once.
const PIECE: u64 = 256 << 10;

/// A queue of bytes on disk.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    limit: u64,
    /// How many bytes were ever read and written.
    read: u64,
    written: u64,
}

impl Spill {
    /// An empty one for up to `limit` bytes.
    pub(super) fn new(limit: u64) -> Result<Self> {
        let file = tempfile::tempfile()?;
        Ok(Self {
            file,
            limit,
            read: 0,
            written: 0,
        })
    }

    /// How many bytes are in it.
    pub(super) fn len(&self) -> u64 {
        self.written - self.read
    }

    /// Appends `data`, for which the caller has seen that there is room. A write of one packet
    /// into the page cache is short enough for an async task.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<()> {
        debug_assert!(self.len() + data.len() as u64 <= self.limit);
        let at = self.written % self.limit;
        let (first, wrapped) = data.split_at(data.len().min((self.limit - at) as usize));
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(first)?;
        if !wrapped.is_empty() {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(wrapped)?;
        }
        self.written += data.len() as u64;
        Ok(())
    }

    /// The next bytes, at most a piece; empty where there are none.
    pub(super) fn pop(&mut self) -> Result<Vec<u8>> {
        let at = self.read % self.limit;
        let length = self.len().min(PIECE).min(self.limit - at);
        let mut piece = vec![0; length as usize];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut piece)?;
        self.read += length;
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stays_within_its_limit_and_the_order_holds() {
        let mut spill = Spill::new(1000).unwrap();
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        for round in 0..200u32 {
            let piece = vec![round as u8; 333];
            if spill.len() + 333 <= 1000 {
                spill.push(&piece).unwrap();
                expected.extend_from_slice(&piece);
            }
            if round % 3 > 0 {
                got.extend(spill.pop().unwrap());
            }
            assert!(spill.file.metadata().unwrap().len() <= 1000);
        }
        while spill.len() > 0 {
            got.extend(spill.pop().unwrap());
        }
        assert!(expected.len() > 10_000);
        assert!(got == expected);
    }
}
