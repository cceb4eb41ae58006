//! What a server answers (draft, section 7).

use bytes::Bytes;

use super::request::checked_handle;
use super::{Attributes, Frame, Pieces, Status, Violation, cut, finish, kind};
use crate::wire::{Reader, put_string, put_u32};

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// How it went.
    Status(Status),
    /// What stands for an open file or directory: bytes without a meaning here.
    Handle(Bytes),
    /// What was read, in the pieces in which it came.
    Data(Pieces),
    /// Names.
    Names(Vec<Name>),
    /// Attributes.
    Attributes(Attributes),
    /// The body of the answer to an extension.
    Extended(Bytes),
}

/// A name, in a listing or as the answer to what asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: Bytes,
    /// A line as `ls -l` prints it, for people.
    pub long: Bytes,
    /// The attributes, which are those of a link itself.
    pub attributes: Attributes,
}

impl Reply {
    /// Reads a server's packet.
    ///
    /// # Errors
    /// [`Violation`] for one that cannot be read, or that is no reply.
    pub fn decode(frame: Frame) -> Result<Self, Violation> {
        let Frame { kind, mut body, .. } = frame;
        if kind == kind::DATA {
            return data(&mut body).map(|()| Self::Data(body));
        }
        let body = body.into_bytes();
        let mut reader = Reader::new(&body);
        let reply = match kind {
            kind::STATUS => return Status::decode(&body).map(Self::Status),
            kind::EXTENDED_REPLY => return Ok(Self::Extended(body)),
            kind::HANDLE => {
                let handle = checked_handle(reader.string().map_err(cut(kind))?)?;
                Self::Handle(body.slice_ref(handle))
            }
            kind::NAME => Self::Names(names(&body, &mut reader)?),
            kind::ATTRS => Self::Attributes(Attributes::decode(kind, &mut reader)?),
            other => return Err(Violation::Unexpected(other)),
        };
        finish(kind, reader.rest())?;
        Ok(reply)
    }

    /// The packet that answers request `id`.
    ///
    /// # Panics
    /// If it is longer than a packet can say.
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.push(self.kind());
        put_u32(&mut out, id);
        match self {
            Self::Status(status) => status.put(&mut out),
            Self::Handle(handle) => put_string(&mut out, handle),
            Self::Data(data) => {
                put_u32(&mut out, data.len() as u32);
                data.iter().for_each(|piece| out.extend_from_slice(piece));
            }
            Self::Names(names) => {
                put_u32(&mut out, names.len() as u32);
                for name in names {
                    put_string(&mut out, &name.name);
                    put_string(&mut out, &name.long);
                    name.attributes.encode(&mut out);
                }
            }
            Self::Attributes(attributes) => attributes.encode(&mut out),
            Self::Extended(body) => out.extend_from_slice(body),
        }
        let length = u32::try_from(out.len() - 4).expect("a packet is shorter");
        out[..4].copy_from_slice(&length.to_be_bytes());
        out
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Status(_) => kind::STATUS,
            Self::Handle(_) => kind::HANDLE,
            Self::Data(_) => kind::DATA,
            Self::Names(_) => kind::NAME,
            Self::Attributes(_) => kind::ATTRS,
            Self::Extended(_) => kind::EXTENDED_REPLY,
        }
    }
}

/// Takes the length off the front, which must be that of the rest.
fn data(body: &mut Pieces) -> Result<(), Violation> {
    let front = body.take_front(4);
    let claimed = Reader::new(&front).u32().map_err(cut(kind::DATA))? as usize;
    let there = body.len();
    if claimed > there {
        return Err(cut(kind::DATA)(crate::wire::Truncated {
            offset: 4,
            missing: claimed - there,
        }));
    }
    if claimed < there {
        let left = there - claimed;
        return Err(Violation::Trailing {
            kind: kind::DATA,
            left,
        });
    }
    Ok(())
}

fn names(body: &Bytes, reader: &mut Reader<'_>) -> Result<Vec<Name>, Violation> {
    let count = reader.u32().map_err(cut(kind::NAME))?;
    // Two strings and the flags of the attributes, of four bytes at least each.
    let most = reader.rest().len() / 12;
    if count as usize > most {
        return Err(Violation::Count {
            what: "names",
            count,
            most,
        });
    }
    (0..count)
        .map(|_| {
            Ok(Name {
                name: body.slice_ref(reader.string().map_err(cut(kind::NAME))?),
                long: body.slice_ref(reader.string().map_err(cut(kind::NAME))?),
                attributes: Attributes::decode(kind::NAME, reader)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(kind: u8, body: &'static [u8]) -> Result<Reply, Violation> {
        Reply::decode(Frame {
            kind,
            id: 0,
            body: Bytes::from_static(body).into(),
        })
    }

    #[test]
    fn data_must_be_as_long_as_it_says() {
        assert!(matches!(
            decode(kind::DATA, b"\0\0\0\x03abc"),
            Ok(Reply::Data(data)) if data.len() == 3
        ));
        assert!(matches!(
            decode(kind::DATA, b"\0\0\0\x04abc"),
            Err(Violation::Cut { kind: 103, .. })
        ));
        assert_eq!(
            decode(kind::DATA, b"\0\0\0\x02abc"),
            Err(Violation::Trailing { kind: 103, left: 1 })
        );
        assert!(decode(kind::DATA, b"\0\0\0").is_err());
    }

    #[test]
    fn more_names_than_there_is_room_for_are_refused() {
        assert_eq!(
            decode(kind::NAME, b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"),
            Err(Violation::Count {
                what: "names",
                count: u32::MAX,
                most: 1
            })
        );
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        assert_eq!(decode(kind::OPEN, b""), Err(Violation::Unexpected(3)));
        assert_eq!(
            decode(kind::HANDLE, b"\0\0\0\0x"),
            Err(Violation::Trailing { kind: 102, left: 1 })
        );
    }
}
