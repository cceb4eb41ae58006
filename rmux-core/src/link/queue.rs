//! What of one output stream nobody has read yet: in memory, and behind that in a file.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;

use super::spill::Spill;

/// One stream's. What it may hold is counted by who fills it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) memory: VecDeque<Bytes>,
    /// Later than everything in memory.
    pub(super) spill: Option<Spill>,
    pub(super) eof: bool,
    pub(super) discard: bool,
    /// Of who reads it.
    pub(super) waker: Option<Waker>,
}

impl Queue {
    /// Tells the reader to look.
    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Puts `data` into the file, which is never larger than `limit`.
    pub(super) fn spill(&mut self, data: &[u8], limit: u64) -> std::io::Result<()> {
        match &mut self.spill {
            Some(spill) => spill.push(data),
            none => none.insert(Spill::new(limit)?).push(data),
        }
    }

    /// The next piece of the file.
    pub(super) fn unspill(&mut self) -> std::io::Result<Option<Bytes>> {
        let Some(spill) = &mut self.spill else {
            return Ok(None);
        };
        let piece = spill.pop()?;
        if spill.len() == 0 {
            // Read empty: give the disk space back, and let memory take over again.
            self.spill = None;
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}
