//! The first packet of each side: its version, and what it can do besides (draft, section 4).

use super::{Extension, Frame, VERSION, Violation, cut, kind};
use crate::wire::{Reader, put_string, put_u32};

/// The extensions that a server offers, with their revisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions(Vec<(Vec<u8>, Vec<u8>)>);

impl Extensions {
    /// Those of a server that offers `list`.
    pub fn new(list: &[Extension]) -> Self {
        Self(
            list.iter()
                .map(|one| (one.name().to_vec(), one.revision().to_vec()))
                .collect(),
        )
    }

    /// Whether the server offers it in the revision that is understood here.
    pub fn has(&self, extension: Extension) -> bool {
        self.0
            .iter()
            .any(|(name, revision)| name == extension.name() && revision == extension.revision())
    }

    /// Names and revisions, as the server sent them, those not known here included.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, revision)| (name.as_slice(), revision.as_slice()))
    }
}

/// The first packet of a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The highest version it speaks, and from the server the one that both will.
    pub version: u32,
    /// What it offers. Clients offer nothing.
    pub extensions: Extensions,
}

impl Hello {
    /// The packet by which a client begins.
    pub fn client() -> Vec<u8> {
        let hello = Self {
            version: VERSION,
            extensions: Extensions::default(),
        };
        hello.encode(kind::INIT)
    }

    /// The packet by which a server answers.
    pub fn server(extensions: Extensions) -> Vec<u8> {
        let hello = Self {
            version: VERSION,
            extensions,
        };
        hello.encode(kind::VERSION)
    }

    /// Reads a server's first packet.
    ///
    /// # Errors
    /// [`Violation`], for a version other than 3 too: no server is known that has another and not
    /// this one.
    pub fn from_server(frame: Frame) -> Result<Self, Violation> {
        let hello = Self::decode(kind::VERSION, frame)?;
        match hello.version {
            VERSION => Ok(hello),
            other => Err(Violation::Version(other)),
        }
    }

    /// Reads a client's first packet.
    ///
    /// # Errors
    /// [`Violation`], for a version below 3 too.
    pub fn from_client(frame: Frame) -> Result<Self, Violation> {
        let hello = Self::decode(kind::INIT, frame)?;
        match hello.version {
            0..VERSION => Err(Violation::Version(hello.version)),
            _ => Ok(hello),
        }
    }

    fn encode(&self, kind: u8) -> Vec<u8> {
        let mut out = vec![0, 0, 0, 0, kind];
        put_u32(&mut out, self.version);
        for (name, revision) in self.extensions.iter() {
            put_string(&mut out, name);
            put_string(&mut out, revision);
        }
        let length = (out.len() - 4) as u32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        out
    }

    fn decode(kind: u8, frame: Frame) -> Result<Self, Violation> {
        if frame.kind != kind {
            return Err(Violation::Unexpected(frame.kind));
        }
        // What is a request's number elsewhere is the version here.
        let version = frame.id;
        let body = frame.body.into_bytes();
        let mut reader = Reader::new(&body);
        let mut list = Vec::new();
        while !reader.rest().is_empty() {
            let name = reader.string().map_err(cut(kind))?.to_vec();
            list.push((name, reader.string().map_err(cut(kind))?.to_vec()));
        }
        Ok(Self {
            version,
            extensions: Extensions(list),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Frames;
    use super::*;

    fn frame(bytes: Vec<u8>) -> Frame {
        Frames::new()
            .next(&mut Bytes::from(bytes))
            .unwrap()
            .expect("it is whole")
    }

    #[test]
    fn a_server_is_understood_with_all_it_offers() {
        let hello = Hello::server(Extensions::new(&Extension::ALL));
        let hello = Hello::from_server(frame(hello)).unwrap();
        assert!(Extension::ALL.iter().all(|one| hello.extensions.has(*one)));
        let client = Hello::from_client(frame(Hello::client())).unwrap();
        assert_eq!(client.extensions, Extensions::default());
    }

    #[test]
    fn another_revision_is_another_extension() {
        let offer = Extensions(vec![(b"statvfs@openssh.com".to_vec(), b"1".to_vec())]);
        assert!(!offer.has(Extension::Statvfs));
    }

    #[test]
    fn other_versions_and_other_packets_are_refused() {
        let mut old = Hello::server(Extensions::default());
        old[8] = 2;
        assert_eq!(Hello::from_server(frame(old)), Err(Violation::Version(2)));
        assert_eq!(
            Hello::from_server(frame(Hello::client())),
            Err(Violation::Unexpected(1))
        );
        let cut = vec![0, 0, 0, 9, 2, 0, 0, 0, 3, 0, 0, 0, 7];
        assert!(matches!(
            Hello::from_server(frame(cut)),
            Err(Violation::Cut { kind: 2, .. })
        ));
    }
}
