//! SSH data types on the wire (RFC 4251, section 5): unsigned integers and strings, bounds-checked.
//!
//! A reader never allocates from a claimed length: what it returns borrows from the input.

/// The input ended before the value did, or a length pointed past the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SSH data ends {missing} bytes short of the value at offset {offset}")]
pub struct Truncated {
    /// Where the value began.
    pub offset: usize,
    /// How many bytes were missing.
    pub missing: usize,
}

/// Reads SSH values from the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Truncated> {
        let rest = self.rest();
        let taken = rest.get(..n).ok_or_else(|| Truncated {
            offset: self.offset,
            missing: n - rest.len(),
        })?;
        self.offset += n;
        Ok(taken)
    }

    /// A `byte`.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        Ok(self.bytes(1)?[0])
    }

    /// A `uint32`.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        let b = self.bytes(4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A `uint64`.
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        Ok((u64::from(self.u32()?) << 32) | u64::from(self.u32()?))
    }

    /// A `string`: a `uint32` length and that many bytes.
    pub fn string(&mut self) -> Result<&'a [u8], Truncated> {
        let start = self.offset;
        let length = self.u32()? as usize;
        self.bytes(length).inspect_err(|_| self.offset = start)
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.offset..]
    }
}

/// Appends a `uint32`.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a `string`.
///
/// # Panics
/// If `value` is longer than a `uint32` can say.
pub fn put_string(out: &mut Vec<u8>, value: &[u8]) {
    let length = u32::try_from(value.len()).expect("an SSH string is shorter than 4 GiB");
    put_u32(out, length);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_whose_length_passes_the_end_is_refused_and_consumes_nothing() {
        let mut reader = Reader::new(&[0, 0, 0, 9, b'a']);
        assert_eq!(
            reader.string(),
            Err(Truncated {
                offset: 4,
                missing: 8
            })
        );
        assert_eq!(reader.rest().len(), 5);
    }

    #[test]
    fn values_come_back_as_they_were_put() {
        let mut out = Vec::new();
        put_u32(&mut out, 7);
        put_string(&mut out, b"ssh");
        let mut reader = Reader::new(&out);
        assert_eq!(reader.u32(), Ok(7));
        assert_eq!(reader.string(), Ok(&b"ssh"[..]));
        assert!(reader.rest().is_empty());
    }
}
