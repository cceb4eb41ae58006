//! How a request went, where its answer is no more than that (draft, section 7).

use super::{Violation, cut, kind};
use crate::wire::{Reader, put_string, put_u32};

/// The outcome of a request, as the server tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusCode {
    /// It is done.
    Ok,
    /// Nothing comes any more: the end of a file or of a listing.
    Eof,
    /// There is no such file.
    NoSuchFile,
    /// The user may not do that.
    PermissionDenied,
    /// It failed; version 3 has no word for why.
    Failure,
    /// The server could not make sense of the request. OpenSSH says so too where an argument is
    /// invalid, such as a name that is too long.
    BadMessage,
    /// No connection. Only made up by clients.
    NoConnection,
    /// The connection was lost. Only made up by clients.
    ConnectionLost,
    /// The server cannot do that.
    OpUnsupported,
    /// A code of another version.
    Other(u32),
}

impl StatusCode {
    /// The number on the wire.
    pub fn number(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::Eof => 1,
            Self::NoSuchFile => 2,
            Self::PermissionDenied => 3,
            Self::Failure => 4,
            Self::BadMessage => 5,
            Self::NoConnection => 6,
            Self::ConnectionLost => 7,
            Self::OpUnsupported => 8,
            Self::Other(number) => number,
        }
    }

    /// The code of this number.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Eof,
            2 => Self::NoSuchFile,
            3 => Self::PermissionDenied,
            4 => Self::Failure,
            5 => Self::BadMessage,
            6 => Self::NoConnection,
            7 => Self::ConnectionLost,
            8 => Self::OpUnsupported,
            other => Self::Other(other),
        }
    }
}

/// A code, and the server's text about it, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The outcome.
    pub code: StatusCode,
    /// Text of the server's, as it came: it may hold anything.
    pub message: Vec<u8>,
}

impl Status {
    /// A status with a text.
    pub fn new(code: StatusCode, message: &str) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u32(out, self.code.number());
        put_string(out, &self.message);
        put_string(out, b"");
    }

    /// Reads all that is left. Servers from before version 3 send neither text nor language.
    pub(super) fn decode(body: &[u8]) -> Result<Self, Violation> {
        let cut = cut(kind::STATUS);
        let mut reader = Reader::new(body);
        let code = StatusCode::from_number(reader.u32().map_err(&cut)?);
        let mut message = Vec::new();
        if !reader.rest().is_empty() {
            message = reader.string().map_err(&cut)?.to_vec();
        }
        if !reader.rest().is_empty() {
            reader.string().map_err(&cut)?;
        }
        super::finish(kind::STATUS, reader.rest())?;
        Ok(Self { code, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_a_text_is_one() {
        let status = Status::decode(&[0, 0, 0, 2]).unwrap();
        assert_eq!(status, Status::new(StatusCode::NoSuchFile, ""));
        assert!(Status::decode(&[0, 0, 0, 2, 0, 0, 0, 9]).is_err());
    }

    #[test]
    fn numbers_and_codes_are_the_same_both_ways() {
        for number in (0..12).chain([u32::MAX]) {
            assert_eq!(StatusCode::from_number(number).number(), number);
        }
    }
}
