//! The greeting, which each side sends at once: a version, and pairs that name extensions.

use super::{MAX_EXTENSIONS, VERSION, Violation, cut, framed, kind};
use crate::wire::{Reader, put_string, put_u32};

/// A greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version that the side speaks.
    pub version: u32,
    /// What it offers beyond: a name and a value each. OpenSSH offers nothing.
    pub extensions: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            version: VERSION,
            extensions: Vec::new(),
        }
    }
}

impl Hello {
    /// Reads what stands behind the type.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let version = reader.u32().map_err(cut(kind::HELLO))?;
        // Another version may go on in another way.
        if version != VERSION {
            return Err(Violation::Version(version));
        }
        let mut extensions = Vec::new();
        while !reader.rest().is_empty() {
            if extensions.len() == MAX_EXTENSIONS {
                return Err(Violation::TooMany {
                    what: "extensions",
                    most: MAX_EXTENSIONS,
                });
            }
            let name = reader.string().map_err(cut(kind::HELLO))?.to_vec();
            let value = reader.string().map_err(cut(kind::HELLO))?.to_vec();
            extensions.push((name, value));
        }
        Ok(Self {
            version,
            extensions,
        })
    }

    /// Appends the whole message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        framed(out, |out| {
            put_u32(out, kind::HELLO);
            put_u32(out, self.version);
            for (name, value) in &self.extensions {
                put_string(out, name);
                put_string(out, value);
            }
        });
    }
}
