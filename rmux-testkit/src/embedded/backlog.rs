//! Input that a program has not read yet: the first of it in memory, the rest in a file.
//!
//! The engine cannot hold back one channel without holding back the whole connection, so each
//! channel takes whatever comes. Memory stays bounded; the file is unlinked and bounded too.
//! Must not know where the bytes come from or go to.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::{Buf as _, Bytes};

/// Bytes kept in memory.
const MEMORY: usize = 4 << 20;
/// Bytes kept in the file.
const FILE: u64 = 1 << 30;
/// Bytes read back from the file at once.
const BLOCK: usize = 256 << 10;

/// A queue of bytes.
#[derive(Default)]
pub(super) struct Backlog {
    memory: VecDeque<Bytes>,
    in_memory: usize,
    spill: Option<Spill>,
}

/// What did not fit in memory; all of it comes after what is there.
struct Spill {
    file: File,
    read: u64,
    written: u64,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.spill.is_none()
    }

    /// Adds to the end.
    pub(super) fn push(&mut self, data: Bytes) -> io::Result<()> {
        if self.spill.is_none() && self.in_memory + data.len() <= MEMORY {
            self.in_memory += data.len();
            self.memory.extend((!data.is_empty()).then_some(data));
            return Ok(());
        }
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill {
                file: tempfile::tempfile()?,
                read: 0,
                written: 0,
            }),
        };
        if spill.written - spill.read + data.len() as u64 > FILE {
            return Err(io::Error::other(
                "the program reads too little of its input",
            ));
        }
        spill.file.write_all_at(&data, spill.written)?;
        spill.written += data.len() as u64;
        Ok(())
    }

    /// The first bytes; empty if there are none.
    pub(super) fn front(&mut self) -> io::Result<&[u8]> {
        if self.memory.is_empty()
            && let Some(spill) = &mut self.spill
        {
            let length = BLOCK.min((spill.written - spill.read) as usize);
            let mut block = vec![0; length];
            spill.file.read_exact_at(&mut block, spill.read)?;
            spill.read += length as u64;
            if spill.read == spill.written {
                self.spill = None;
            }
            self.in_memory += length;
            self.memory.push_back(block.into());
        }
        Ok(self.memory.front().map_or(&[], |front| front))
    }

    /// Removes `count` bytes of [`front`](Self::front).
    pub(super) fn consume(&mut self, count: usize) {
        if let Some(front) = self.memory.front_mut() {
            front.advance(count);
            self.in_memory -= count;
            if front.is_empty() {
                self.memory.pop_front();
            }
        }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_through_memory_and_file() {
        let mut backlog = Backlog::default();
        let mut pushed = Vec::new();
        let mut taken = Vec::new();
        for round in 0..600u32 {
            let block: Vec<u8> = (0..20_000u32)
                .map(|byte| (round.wrapping_mul(31) ^ byte) as u8)
                .collect();
            pushed.extend_from_slice(&block);
            backlog.push(block.into()).unwrap();
            if round % 3 == 0 {
                let front = backlog.front().unwrap();
                let count = front.len().min(7_777);
                taken.extend_from_slice(&front[..count]);
                backlog.consume(count);
            }
            assert!(backlog.in_memory <= MEMORY);
        }
        assert!(backlog.spill.is_some(), "some of it must have been spilled");
        while !backlog.is_empty() {
            let front = backlog.front().unwrap();
            let count = front.len();
            taken.extend_from_slice(front);
            backlog.consume(count);
        }
        assert!(taken == pushed);
        assert_eq!(backlog.in_memory, 0);
    }
}
