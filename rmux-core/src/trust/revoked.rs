//! RevokedHostKeys: keys that no `known_hosts` can make good again.

use std::path::Path;

use rmux_proto::krl::Revocations;
use rmux_proto::public_key::HostKey;

use super::opened;
use super::signature::{Checked, Verify};
use crate::error::{Error, ErrorKind, Result};

/// No list of revoked keys is larger, and a device may have no end.
const LARGEST_FILE: u64 = 64 << 20;

/// Refuses a key that the file revokes: the key itself, its certificate, or the certificate's
/// authority. Blocks.
///
/// Signatures in the file, those of a list and of certificates in it, must be good, as with
/// OpenSSH up to 9.3. Those that cannot be checked are passed over, as later releases do with all.
///
/// # Errors
/// [`ErrorKind::HostKeyRevoked`] for a revoked key. A file that cannot be read, or not to its end,
/// revokes nobody knows what: [`ErrorKind::ConfigInvalid`], and the connection is refused too.
pub(super) fn check(file: &Path, key: &HostKey, shown: &str, verify: Verify) -> Result<()> {
    let unusable = |why: String| {
        Error::new(
            ErrorKind::ConfigInvalid,
            "verify host key",
            format!(
                "RevokedHostKeys cannot be read, so no key can be trusted: {}: {why}",
                file.display()
            ),
        )
    };
    let bytes = opened::read(file, LARGEST_FILE)
        .map_err(|error| unusable(error.to_string()).with_source(error))?;
    let is_good = |signer: &HostKey, data: &[u8], signature: &[u8]| {
        verify(signer, data, signature) != Checked::Bad
    };
    let revocations = Revocations::parse_verified(&bytes, is_good)
        .map_err(|error| unusable(error.to_string()).with_source(error))?;
    if revocations.revokes(key) {
        return Err(Error::new(
            ErrorKind::HostKeyRevoked,
            "verify host key",
            format!("the host key {shown} is revoked by {}", file.display()),
        ));
    }
    Ok(())
}
