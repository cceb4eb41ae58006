//! Which signature a key is offered with: what the user accepts, of that what the server takes.
//!
//! Knows no keys' secrets and sends nothing.

use russh::client::Handle;
use russh::keys::HashAlg;

use crate::host::Host;
use crate::link::algorithms::KEYS;
use crate::link::handler::Handler;
use crate::link::keys::Public;

const RSA_HASHES: [Option<HashAlg>; 3] = [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None];

/// `PubkeyAcceptedAlgorithms`, in order.
#[derive(Debug, Clone)]
pub(super) struct Accepted(Vec<String>);

impl Accepted {
    pub(super) fn of(host: &Host) -> Self {
        let default = || KEYS.iter().map(|&name| name.to_owned()).collect();
        let set = host.pubkey_accepted_algorithms.clone();
        Self(set.unwrap_or_else(default))
    }

    /// Whether the user's settings let this key or certificate be used in some way.
    pub(super) fn allows(&self, public: &Public) -> bool {
        self.hashes(public).next().is_some()
    }

    /// The hashes by which the key may sign, in the user's order; `None` alone for a key whose
    /// algorithm leaves no choice, and for SHA-1.
    fn hashes(&self, public: &Public) -> impl Iterator<Item = Option<HashAlg>> {
        let choices = match public.is_rsa() {
            true => &RSA_HASHES[..],
            false => &[None],
        };
        self.0.iter().filter_map(|accepted| {
            let signs_so = |hash: &&Option<HashAlg>| public.algorithm(**hash) == *accepted;
            choices.iter().find(signs_so).copied()
        })
    }

    /// The hash to sign with, where there is a signature that both sides take.
    pub(super) fn choose(&self, public: &Public, listed: Listed) -> Option<Option<HashAlg>> {
        if !public.is_rsa() {
            return self.hashes(public).next();
        }
        match listed {
            // Old servers take SHA-1 only, which the user must have allowed; the newer ones among
            // those that list nothing take SHA-2, as if they had said so.
            Listed::Nothing => {
                let mut allowed: Vec<_> = self.hashes(public).collect();
                allowed.sort_by_key(|hash| hash.is_some());
                allowed.first().copied()
            }
            Listed::UpTo(best) => {
                let rank = |hash| RSA_HASHES.iter().position(|other| *other == hash);
                self.hashes(public).find(|hash| rank(*hash) >= rank(best))
            }
        }
    }
}

/// What the server has said of RSA signatures (`server-sig-algs`, RFC 8308, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// It lists none, or nothing at all: the engine does not tell the two apart.
    Nothing,
    /// The best of those it lists. A server with SHA-512 has SHA-256 too (RFC 8332, section 3).
    UpTo(Option<HashAlg>),
}

impl Listed {
    /// Asks the engine, which waits up to a second for the server's word.
    pub(super) async fn by(handle: &Handle<Handler>, server: &str) -> Self {
        let best = handle.best_supported_rsa_hash().await.ok().flatten();
        match best {
            // This release has both and forgets to list them.
            Some(None) if server.contains("OpenSSH_7.4") => Self::UpTo(Some(HashAlg::Sha512)),
            Some(best) => Self::UpTo(best),
            None => Self::Nothing,
        }
    }
}

/// Whether the server takes requests that name its host key (`publickey-hostbound-v00@openssh.com`,
/// OpenSSH's PROTOCOL, section 3.1). It says so in a message that the engine keeps to itself, so the
/// release decides: 8.9 is the first.
pub(super) fn takes_host_bound(server: &str) -> bool {
    let release = || {
        let (_, release) = server.split_once("OpenSSH_")?;
        let (major, rest) = release.split_once('.')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit());
        let minor = &rest[..digits.unwrap_or(rest.len())];
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    release().is_some_and(|release| release >= (8, 9))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn accepted(list: &str) -> Accepted {
        Accepted(list.split(',').map(str::to_owned).collect())
    }

    fn rsa() -> Public {
        // What the modulus is does not matter here.
        let mut blob = Vec::new();
        rmux_proto::wire::put_string(&mut blob, b"ssh-rsa");
        rmux_proto::wire::put_string(&mut blob, &[1, 0, 1]);
        rmux_proto::wire::put_string(&mut blob, &[0x7f; 256]);
        Public::from_blob(&blob).unwrap()
    }

    #[test]
    fn an_rsa_key_signs_by_the_first_hash_that_both_sides_take() {
        let (sha512, sha256) = (Some(HashAlg::Sha512), Some(HashAlg::Sha256));
        let default = Accepted::of(&Host::example());
        for (list, listed, expected) in [
            (&default, Listed::UpTo(sha512), Some(sha512)),
            (&default, Listed::UpTo(sha256), Some(sha256)),
            (&default, Listed::UpTo(None), None),
            (&default, Listed::Nothing, Some(sha512)),
            (
                &accepted("rsa-sha2-256,rsa-sha2-512"),
                Listed::UpTo(sha512),
                Some(sha256),
            ),
            (
                &accepted("rsa-sha2-512,ssh-rsa"),
                Listed::UpTo(sha256),
                Some(None),
            ),
            (
                &accepted("rsa-sha2-512,ssh-rsa"),
                Listed::Nothing,
                Some(None),
            ),
            (&accepted("ssh-ed25519"), Listed::UpTo(sha512), None),
        ] {
            assert_eq!(list.choose(&rsa(), listed), expected, "{list:?} {listed:?}");
        }
        assert_eq!(rsa().rsa_bits(), Some(2047));
    }

    #[test]
    fn other_keys_are_offered_where_the_user_takes_their_algorithm() {
        let key = Public::from_text(ED25519).unwrap().unwrap();
        let list = accepted("rsa-sha2-512,ssh-ed25519");
        assert!(list.allows(&key));
        assert_eq!(list.choose(&key, Listed::Nothing), Some(None));
        assert!(!accepted("rsa-sha2-512").allows(&key));
        assert!(!accepted("ssh-rsa-cert-v01@openssh.com").allows(&rsa()));
    }

    #[test]
    fn releases_that_take_host_bound_requests() {
        for (server, takes) in [
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10", true),
            ("SSH-2.0-OpenSSH_8.9p1", true),
            ("SSH-2.0-OpenSSH_10.0", true),
            ("SSH-2.0-OpenSSH_8.8", false),
            ("SSH-2.0-OpenSSH_", false),
            ("SSH-2.0-Go", false),
            ("", false),
        ] {
            assert_eq!(takes_host_bound(server), takes, "{server}");
        }
    }
}
