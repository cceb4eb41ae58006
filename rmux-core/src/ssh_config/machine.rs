//! This machine's answers to what resolving asks: files, variables, programs, names, addresses.
//!
//! Decides nothing but who may have programs run; the language is in `rmux-proto`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use rmux_proto::ssh_config::{AddressFamily, Environment, FileAnswer, NameAnswer, Origin};

use super::{MatchExec, Policy, account, programs};
use crate::shell::user_shell;

/// No configuration is larger than this, and a device may have no end.
const LARGEST_FILE: u64 = 64 << 20;
/// Who else may write to a file: group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Answers for this machine.
pub(super) struct Machine {
    policy: Policy,
    /// Whether somebody named the file, so that it is not the user's own.
    named_file: bool,
}

impl Machine {
    pub(super) fn new(policy: Policy, named_file: bool) -> Self {
        Self { policy, named_file }
    }

    fn may_run(&self) -> bool {
        match self.policy.match_exec {
            MatchExec::Always => true,
            MatchExec::OwnFiles => !self.named_file,
            MatchExec::Never => false,
        }
    }
}

impl Environment for Machine {
    fn read_file(&mut self, path: &[u8]) -> FileAnswer {
        match read(Path::new(OsStr::from_bytes(path))) {
            Ok(answer) => answer,
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileAnswer::Missing,
            Err(error) => FileAnswer::Unreadable(error.to_string()),
        }
    }

    fn list_directory(&mut self, path: &[u8]) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(OsStr::from_bytes(path)) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| Some(entry.ok()?.file_name().into_vec()))
            .collect()
    }

    fn exists(&mut self, path: &[u8]) -> bool {
        fs::symlink_metadata(OsStr::from_bytes(path)).is_ok()
    }

    fn variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        // The standard library panics on names that no variable can have.
        if name.is_empty() || name.iter().any(|c| matches!(c, b'=' | 0)) {
            return None;
        }
        std::env::var_os(OsStr::from_bytes(name)).map(|value| value.into_vec())
    }

    fn home_of(&mut self, user: &[u8]) -> Option<Vec<u8>> {
        account::home_of(user)
    }

    fn match_exec(&mut self, command: &[u8], _: &Origin) -> Result<bool, String> {
        let shown = String::from_utf8_lossy(command);
        if !self.may_run() {
            return Err(format!("Match exec is not allowed to run \"{shown}\" here"));
        }
        let mut shell = Command::new(user_shell());
        shell.arg("-c").arg(OsStr::from_bytes(command));
        let status = programs::status(&mut shell, self.policy.program_limit)
            .map_err(|error| format!("Match exec \"{shown}\": {error}"))?;
        match status.signal() {
            Some(signal) => Err(format!(
                "Match exec \"{shown}\" was ended by signal {signal}"
            )),
            None => Ok(status.success()),
        }
    }

    fn look_up(&mut self, name: &[u8], family: AddressFamily) -> Option<NameAnswer> {
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|n| !n.starts_with('-'))?;
        // The standard library gives no canonical names; getent asks for them.
        let database = match family {
            AddressFamily::Inet => "ahostsv4",
            AddressFamily::Inet6 => "ahostsv6",
            _ => "ahosts",
        };
        let mut getent = Command::new("getent");
        getent.args([database, name]);
        match programs::output(&mut getent, self.policy.program_limit) {
            Ok((status, printed)) if status.success() => canonical_name(&printed, family),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let wanted = |ip: IpAddr| match family {
                    AddressFamily::Inet => ip.is_ipv4(),
                    AddressFamily::Inet6 => ip.is_ipv6(),
                    _ => true,
                };
                let mut found = (name, 0).to_socket_addrs().ok()?;
                found
                    .any(|address| wanted(address.ip()))
                    .then(NameAnswer::default)
            }
            _ => None,
        }
    }

    fn service_port(&mut self, name: &[u8]) -> Option<u16> {
        let services = fs::read("/etc/services").ok()?;
        services
            .split(|&c| c == b'\n')
            .find_map(|line| tcp_service(line, name))
    }

    fn interface_index(&mut self, name: &[u8]) -> Option<u32> {
        if name.is_empty() || name.starts_with(b".") || name.contains(&b'/') {
            return None;
        }
        let path = Path::new("/sys/class/net")
            .join(OsStr::from_bytes(name))
            .join("ifindex");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    fn local_addresses(&mut self) -> Vec<IpAddr> {
        let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        let mut addresses: Vec<IpAddr> = v4_addresses(&v4).map(IpAddr::V4).collect();
        addresses.extend(v6_addresses(&v6).map(IpAddr::V6));
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

fn read(path: &Path) -> io::Result<FileAnswer> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let owner = metadata.uid();
    let own = owner == 0 || owner == rustix::process::getuid().as_raw();
    let safe = own && metadata.mode() & WRITABLE_BY_OTHERS == 0;
    let mut bytes = Vec::new();
    if !metadata.is_dir() {
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > LARGEST_FILE {
        return Ok(FileAnswer::Unreadable(
            "it is larger than 64 MiB".to_owned(),
        ));
    }
    Ok(FileAnswer::Content { bytes, safe })
}

/// The name in the first line of `getent ahosts`: address, socket type, canonical name.
fn canonical_name(printed: &[u8], family: AddressFamily) -> Option<NameAnswer> {
    let printed = String::from_utf8_lossy(printed);
    // With IPv6 asked for, getent also gives IPv4 addresses in IPv6's clothes.
    let wanted = |line: &&str| family != AddressFamily::Inet6 || !line.starts_with("::ffff:");
    let mut lines = printed.lines().filter(wanted).peekable();
    lines.peek()?;
    let name = lines.find_map(|line| line.split_whitespace().nth(2));
    Some(NameAnswer::new(name.map(|n| n.as_bytes().to_vec())))
}

/// The port of a line of /etc/services that names this TCP service, or an alias of it.
fn tcp_service(line: &[u8], name: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?.split('#').next()?;
    let mut words = line.split_whitespace();
    let official = words.next()?;
    let port = words.next()?.strip_suffix("/tcp")?;
    let named = std::iter::once(official)
        .chain(words)
        .any(|n| n.as_bytes() == name);
    named.then(|| port.parse().ok())?
}

/// The addresses of this machine among the routes: each stands in the line before `host LOCAL`.
fn v4_addresses(trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    let lines: Vec<&str> = trie.lines().collect();
    let pairs: Vec<Ipv4Addr> = lines
        .windows(2)
        .filter(|pair| pair[1].contains("/32 host LOCAL"))
        .filter_map(|pair| pair[0].trim_start_matches([' ', '|', '-']).parse().ok())
        .collect();
    pairs.into_iter()
}

fn v6_addresses(table: &str) -> impl Iterator<Item = Ipv6Addr> {
    table.lines().filter_map(|line| {
        let digits = line.split_whitespace().next()?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_prints_is_read() {
        let found = canonical_name(
            b"192.0.2.1 STREAM web.example\n192.0.2.1 DGRAM\n",
            AddressFamily::Any,
        );
        assert_eq!(found, Some(NameAnswer::new(Some(b"web.example".to_vec()))));
        assert_eq!(
            canonical_name(b"::ffff:192.0.2.1 STREAM w\n", AddressFamily::Inet6),
            None
        );
        assert_eq!(
            tcp_service(b"ssh\t22/tcp\tsecsh # Secure Shell", b"secsh"),
            Some(22)
        );
        assert_eq!(tcp_service(b"ssh 22/udp", b"ssh"), None);
        let trie = "  |-- 127.0.0.1\n        /32 host LOCAL\n  |-- 10.0.0.0\n  /8 universe\n";
        assert_eq!(
            v4_addresses(trie).collect::<Vec<_>>(),
            [Ipv4Addr::LOCALHOST]
        );
        let one = "00000000000000000000000000000001 01 80 10 80 lo\n";
        assert_eq!(v6_addresses(one).collect::<Vec<_>>(), [Ipv6Addr::LOCALHOST]);
    }

    #[test]
    fn this_machine_has_a_loopback_address_and_knows_its_name() {
        let mut machine = Machine::new(Policy::new(), false);
        assert!(
            machine
                .local_addresses()
                .contains(&IpAddr::V4(Ipv4Addr::LOCALHOST))
        );
        assert!(machine.look_up(b"localhost", AddressFamily::Any).is_some());
        assert_eq!(machine.look_up(b"-x", AddressFamily::Any), None);
        assert_eq!(machine.variable(b"A=B"), None);
    }
}
