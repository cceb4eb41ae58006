//! What is known of a signature once somebody who has the mathematics has looked at it.

use rmux_proto::public_key::HostKey;

/// What came of checking a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is one by that key over those bytes.
    Good,
    /// It is not.
    Bad,
    /// Signatures of its kind cannot be checked here.
    Unknown,
}

/// Checks a signature: by this plain key, over these bytes, the signature as a blob that begins with
/// the name of its algorithm (RFC 4253, section 6.6).
pub(crate) type Verify = fn(&HostKey, &[u8], &[u8]) -> Checked;
