//! The `known_hosts` files: read whole, appended to and rewritten under a lock, never truncated.
//!
//! Knows which names and keys are to be written, and nothing of why.

use std::path::Path;

use rmux_proto::known_hosts::{self, FileKind, HostKey, HostName, KnownHosts};

use super::locked::{self, Locked};
use super::opened;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;

/// No list of hosts is larger, and a device may have no end.
const LARGEST_FILE: u64 = 256 << 20;

/// Reads the user's files, then the system's. One that does not exist is empty; any other that
/// cannot be read is an error where new keys are accepted unseen, because the key that it holds
/// would be replaced by whatever the server shows.
pub(super) fn load(host: &Host, accepts_unseen: bool) -> Result<KnownHosts> {
    let mut known = KnownHosts::new();
    let user = host
        .user_known_hosts
        .iter()
        .map(|path| (path, FileKind::User));
    let global = host
        .global_known_hosts
        .iter()
        .map(|path| (path, FileKind::Global));
    for (path, kind) in user.chain(global) {
        match opened::read(path, LARGEST_FILE) {
            Ok(bytes) => known.add_file(path.display().to_string(), kind, bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if accepts_unseen => {
                let error = Error::io("read known_hosts", path.display(), error);
                return Err(error.with_host(&host.name));
            }
            // ssh too goes on with what it can read: an unknown key is then refused or asked about.
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot read known_hosts"),
        }
    }
    Ok(known)
}

/// The bytes of each of the user's files, in order. One that does not exist is empty.
pub(super) fn read_user_files(host: &Host) -> std::io::Result<Vec<Vec<u8>>> {
    let one = |path| match opened::read(path, LARGEST_FILE) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    };
    host.user_known_hosts.iter().map(|path| one(path)).collect()
}

/// Whether the host's name may stand in `known_hosts`: not where it would mean other hosts too, or
/// break the line.
pub(super) fn may_be_recorded(host: &Host) -> bool {
    let bare = match &host.host_key_alias {
        Some(alias) => without_port(alias),
        None => &host.hostname,
    };
    known_hosts::may_be_recorded(bare)
}

/// Appends the key under all of `names` to the first of the user's files, which is created where
/// there is none. Without such a file, nothing is done.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for a name that may not be recorded.
pub(super) fn remember(host: &Host, names: &[&HostName], key: &HostKey) -> Result<()> {
    let Some(path) = host.user_known_hosts.first() else {
        return Ok(());
    };
    if !may_be_recorded(host) {
        let bare = host.host_key_alias.as_ref().unwrap_or(&host.hostname);
        let message = format!("{bare:?} cannot stand in known_hosts");
        let error = Error::new(ErrorKind::InvalidInput, "remember host key", message);
        return Err(error.with_host(&host.name));
    }
    let lines = if host.hash_known_hosts {
        let hashed = |name: &&HostName| known_hosts::render_hashed(name, &salt(), key);
        names.iter().map(hashed).collect()
    } else {
        let names: Vec<_> = names
            .iter()
            .map(|name| String::from_utf8_lossy(name.lookup()))
            .collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        known_hosts::render_plain(&names, key)
    };
    append(path, lines.as_bytes()).map_err(|error| {
        Error::io("remember host key", path.display(), error).with_host(&host.name)
    })
}

/// Makes `keys` the keys of `names` in a file: what else it holds for them goes, and what it lacks
/// is added. The file keeps its mode and owner; one that cannot be written stays as it is.
///
/// `agreed` sees the file as it is under the lock, and may still say no.
///
/// Returns whether the file was changed.
pub(super) fn replace(
    path: &Path,
    names: &[&HostName],
    keys: &[HostKey],
    hashed: bool,
    agreed: impl FnOnce(&[u8]) -> std::io::Result<bool>,
) -> std::io::Result<bool> {
    let mut file = Locked::open_existing(path)?;
    let old = file.read(LARGEST_FILE)?;
    if !agreed(&old)? {
        return Ok(false);
    }
    let salts: Option<Vec<[u8; 20]>> = hashed.then(|| keys.iter().map(|_| salt()).collect());
    let mut new = None;
    for name in names {
        let current: &[u8] = new.as_deref().unwrap_or(&old);
        let replaced = known_hosts::replace_keys(current, name, keys, salts.as_deref());
        new = replaced.or(new);
    }
    match new {
        Some(new) => file.replace(&new).map(|()| true),
        None => Ok(false),
    }
}

fn salt() -> [u8; 20] {
    let mut salt = [0; 20];
    rand::fill(&mut salt);
    salt
}

/// An alias may be spelled as `known_hosts` spells a name with its port: `[name]:port`.
fn without_port(alias: &str) -> &str {
    let inner = alias.strip_prefix('[').and_then(|rest| {
        let (name, port) = rest.rsplit_once("]:")?;
        port.parse::<u16>().is_ok().then_some(name)
    });
    inner.unwrap_or(alias)
}

/// Adds lines at the end. One `write` under an exclusive lock, so that neither another rmux nor a
/// crash leaves half a line between others.
fn append(path: &Path, lines: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        locked::create_private(folder)?;
    }
    Locked::open_or_create(path)?.append(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_added_behind_whatever_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/known_hosts");
        append(&path, b"first\n").unwrap();
        std::fs::write(&path, "first\nwithout an end").unwrap();
        append(&path, b"third\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "first\nwithout an end\nthird\n");
    }

    #[cfg(unix)]
    #[test]
    fn new_files_are_private_and_the_mode_of_old_ones_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".ssh/known_hosts");
        append(&path, b"a\n").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        append(&path, b"b\n").unwrap();
        assert_eq!(mode(&path), 0o644);
    }

    #[test]
    fn a_name_that_means_other_hosts_is_not_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20abcdefghijklmnopqrstuvwxyz012345";
        let key = HostKey::from_blob(blob).unwrap();
        let mut host = Host::example();
        host.user_known_hosts = vec![path.clone()];
        let evil = [
            "*",
            "a?c",
            "!a",
            "a,b",
            "a b",
            "@cert-authority",
            "#a",
            "a\n* ssh-ed25519 AAAA",
            "[*]:22",
            "[a]:22,*",
            "[a]:x",
            "",
        ];
        for hashed in [false, true] {
            host.hash_known_hosts = hashed;
            for name in evil {
                host.host_key_alias = Some(name.to_owned());
                let error = remember(&host, &[&HostName::alias(name)], &key).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
                assert!(error.message().ends_with("cannot stand in known_hosts"));
                host.host_key_alias = None;
                host.hostname = name.to_owned();
                let refused = remember(&host, &[&HostName::new(name, 2222)], &key);
                assert!(refused.is_err(), "{name:?}");
            }
        }
        assert!(!path.exists(), "nothing was written");
        host.hash_known_hosts = false;
        for good in ["the-box", "[127.0.0.1]:2222", "[::1]:22", "fe80::1%eth0"] {
            host.host_key_alias = Some(good.to_owned());
            remember(&host, &[&HostName::alias(good)], &key).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_fatal_only_where_new_keys_are_accepted_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let mut host = Host::example();
        host.user_known_hosts = vec![folder.path().join("missing")];
        assert!(load(&host, true).is_ok());
        // A folder cannot be read as a file, not even by root.
        host.user_known_hosts.push(folder.path().to_owned());
        assert!(load(&host, false).is_ok());
        let error = load(&host, true).unwrap_err();
        assert_eq!(error.operation(), "read known_hosts");
        let path = folder.path().display().to_string();
        assert!(error.message().contains(&path), "{error}");
    }

    #[test]
    fn many_writers_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for line in 0..25 {
                        append(path, format!("{writer}-{line}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 200);
    }
}
