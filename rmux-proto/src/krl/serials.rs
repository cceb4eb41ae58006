//! Sets of certificates: by serial number and by key identity, of one authority or of all.
//!
//! Holds ranges as ranges and bitmaps as bitmaps, so memory is in proportion to what was read,
//! whatever numbers it names. Knows nothing of sections or keys.

use std::collections::HashSet;

use super::BadRevocations;

/// The most bits that a bitmap can hold: OpenSSH reads no longer number.
const MOST_BITS: u64 = 8 * LONGEST_BITMAP as u64;
const LONGEST_BITMAP: usize = 2048;

/// Certificates of one authority that are revoked.
#[derive(Debug, Clone, Default)]
pub(super) struct Certificates {
    /// First and last serial number. Sorted and apart after [`finish`](Self::finish).
    ranges: Vec<(u64, u64)>,
    /// Sorted by offset after [`finish`](Self::finish).
    bitmaps: Vec<Bitmap>,
    key_ids: HashSet<Box<[u8]>>,
}

/// Serial numbers `offset + n` for each bit `n` that is set; the last byte holds bits 0 to 7.
#[derive(Debug, Clone)]
struct Bitmap {
    offset: u64,
    bytes: Box<[u8]>,
}

impl Certificates {
    /// Adds the serial numbers `first..=last`.
    pub(super) fn add_range(&mut self, first: u64, last: u64) -> Result<(), BadRevocations> {
        // Certificates without a number have 0: revoking it would say nothing, or too much.
        if first == 0 || first > last {
            return Err(BadRevocations::Serial);
        }
        self.ranges.push((first, last));
        Ok(())
    }

    /// Adds serial numbers from a bitmap that is an `mpint`.
    pub(super) fn add_bitmap(&mut self, offset: u64, mpint: &[u8]) -> Result<(), BadRevocations> {
        let negative = mpint.first().is_some_and(|&b| b & 0x80 != 0);
        let too_long = mpint.len() > LONGEST_BITMAP + 1
            || (mpint.len() == LONGEST_BITMAP + 1 && mpint[0] != 0);
        if negative || too_long {
            return Err(BadRevocations::Damaged);
        }
        let zeros = mpint.iter().take_while(|&&b| b == 0).count();
        let [top, rest @ ..] = &mpint[zeros..] else {
            return Ok(());
        };
        let highest = 8 * rest.len() as u64 + u64::from(top.ilog2());
        let bitmap = Bitmap {
            offset,
            bytes: mpint[zeros..].into(),
        };
        if offset.checked_add(highest).is_none() || bitmap.contains(0) {
            return Err(BadRevocations::Serial);
        }
        self.bitmaps.push(bitmap);
        Ok(())
    }

    /// Adds a key identity.
    pub(super) fn add_key_id(&mut self, key_id: &[u8]) {
        self.key_ids.insert(key_id.into());
    }

    /// Brings what was added into the order that [`contains`](Self::contains) needs.
    pub(super) fn finish(&mut self) {
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, before| {
            let touches = next.0 <= before.1.saturating_add(1);
            if touches {
                before.1 = before.1.max(next.1);
            }
            touches
        });
        self.bitmaps.sort_unstable_by_key(|bitmap| bitmap.offset);
    }

    /// Whether a certificate with this number and identity is revoked. The number 0 never is.
    pub(super) fn contains(&self, serial: u64, key_id: &[u8]) -> bool {
        self.key_ids.contains(key_id)
            || (serial != 0 && (self.in_ranges(serial) || self.in_bitmaps(serial)))
    }

    /// Numbers at the edges of what is revoked, for fuzzers.
    pub(super) fn edges(&self) -> impl Iterator<Item = u64> {
        let ranges = self.ranges.iter().flat_map(|&(first, last)| [first, last]);
        ranges.chain(self.bitmaps.iter().map(|bitmap| bitmap.offset))
    }

    fn in_ranges(&self, serial: u64) -> bool {
        let after = self.ranges.partition_point(|&(first, _)| first <= serial);
        after > 0 && self.ranges[after - 1].1 >= serial
    }

    fn in_bitmaps(&self, serial: u64) -> bool {
        let lowest = serial.saturating_sub(MOST_BITS - 1);
        let from = self.bitmaps.partition_point(|b| b.offset < lowest);
        self.bitmaps[from..]
            .iter()
            .take_while(|bitmap| bitmap.offset <= serial)
            .any(|bitmap| bitmap.contains(serial))
    }
}

impl Bitmap {
    fn contains(&self, serial: u64) -> bool {
        let Some(bit) = serial.checked_sub(self.offset) else {
            return false;
        };
        let byte = usize::try_from(bit / 8).ok();
        let byte = byte.and_then(|n| self.bytes.iter().nth_back(n));
        byte.is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serials(fill: impl Fn(&mut Certificates) -> Result<(), BadRevocations>) -> Certificates {
        let mut certificates = Certificates::default();
        fill(&mut certificates).unwrap();
        certificates.finish();
        certificates
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let all = serials(|c| {
            c.add_range(5, 7)?;
            c.add_range(8, 9)?;
            c.add_range(1, 2)?;
            c.add_range(6, 6)?;
            c.add_range(u64::MAX - 1, u64::MAX)?;
            c.add_range(u64::MAX, u64::MAX)
        });
        assert_eq!(all.ranges, [(1, 2), (5, 9), (u64::MAX - 1, u64::MAX)]);
        let inside: Vec<u64> = (0..12).filter(|&n| all.contains(n, b"")).collect();
        assert_eq!(inside, [1, 2, 5, 6, 7, 8, 9]);
        assert!(all.contains(u64::MAX, b"") && !all.contains(u64::MAX - 2, b""));
    }

    #[test]
    fn a_range_over_all_numbers_takes_no_more_room_than_one() {
        let all = serials(|c| c.add_range(1, u64::MAX));
        assert_eq!(all.ranges.len(), 1);
        assert!(all.contains(1 << 63, b"") && !all.contains(0, b""));
    }

    #[test]
    fn a_bitmap_counts_its_bits_from_the_end() {
        let map = serials(|c| c.add_bitmap(100, &[0, 0x81, 0b0000_0101]));
        let inside: Vec<u64> = (90..130).filter(|&n| map.contains(n, b"")).collect();
        assert_eq!(inside, [100, 102, 108, 115]);
    }

    #[test]
    fn numbers_that_cannot_be_revoked_are_refused() {
        let mut c = Certificates::default();
        assert_eq!(c.add_range(0, 5), Err(BadRevocations::Serial));
        assert_eq!(c.add_range(5, 4), Err(BadRevocations::Serial));
        assert_eq!(c.add_bitmap(0, &[1]), Err(BadRevocations::Serial));
        assert_eq!(c.add_bitmap(0, &[2]), Ok(()));
        assert_eq!(c.add_bitmap(u64::MAX, &[1]), Ok(()));
        assert_eq!(c.add_bitmap(u64::MAX, &[2]), Err(BadRevocations::Serial));
        assert_eq!(c.add_bitmap(1, &[0x80]), Err(BadRevocations::Damaged));
        assert_eq!(c.add_bitmap(1, &[1; 2049]), Err(BadRevocations::Damaged));
        assert_eq!(c.add_bitmap(1, &[1; 2048]), Ok(()));
    }

    #[test]
    fn no_serial_number_is_never_revoked_by_number() {
        let all = serials(|c| {
            c.add_key_id(b"one");
            c.add_range(1, u64::MAX)
        });
        assert!(!all.contains(0, b"two"));
        assert!(all.contains(0, b"one"));
    }
}
