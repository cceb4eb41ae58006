//! Which host key algorithms to ask for first: those of the keys that are already known.
//!
//! Knows nothing of key exchange; it orders names.

use super::line::Marker;
use super::{Found, HostName, KnownHosts};
use crate::public_key::KeyType;

impl KnownHosts {
    /// The types of the keys known for this host, in the order of the lines and without repeats.
    /// Keys of authorities and revoked keys are not counted.
    pub fn known_key_types(&self, name: &HostName) -> Vec<KeyType> {
        let mut types = Vec::new();
        for found in self.lookup(name) {
            let key_type = found.key_type();
            if found.marker() == Marker::Plain && !types.contains(&key_type) {
                types.push(key_type);
            }
        }
        types
    }

    /// Orders host key algorithms as ssh does when HostKeyAlgorithms does not fix the order: first
    /// those whose keys are known for this host (all certificate algorithms, if an authority is),
    /// then the others; otherwise the order stays. Nothing moves if the very first one is known.
    pub fn order_algorithms<'a>(&self, name: &HostName, algorithms: &[&'a str]) -> Vec<&'a str> {
        let found = self.lookup(name);
        let is_known = |algorithm: &str| {
            KeyType::of_algorithm(algorithm).is_some_and(|(t, _)| has_usable(&found, t))
        };
        if algorithms.first().is_none_or(|best| is_known(best)) {
            return algorithms.to_vec();
        }
        let has_authority = found.iter().any(|f| f.marker() == Marker::CertAuthority);
        let (mut first, last): (Vec<_>, Vec<_>) = algorithms.iter().partition(|algorithm| {
            let certificate = KeyType::of_algorithm(algorithm).is_some_and(|(_, c)| c);
            (certificate && has_authority) || is_known(algorithm)
        });
        first.extend(last);
        first
    }
}

/// Whether the first plain key of this type is one that is not revoked.
fn has_usable(found: &[Found<'_>], key_type: KeyType) -> bool {
    let first = found
        .iter()
        .filter(|f| f.marker() == Marker::Plain)
        .find_map(|f| {
            let key = f.key();
            (f.key_type() == key_type && key.certificate().is_none()).then_some(key)
        });
    first.is_some_and(|key| {
        !found
            .iter()
            .filter(|f| f.marker() == Marker::Revoked)
            .any(|f| f.key().plain_blob() == key.plain_blob())
    })
}
