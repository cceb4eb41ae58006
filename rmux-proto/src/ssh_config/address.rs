//! Numeric addresses as the C library reads and prints them, and address blocks.
//!
//! Asks no name server; the zone of a link-local address is the one thing asked outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::environment::{AddressFamily, Environment};

/// Whether a name can only be an address, right or wrong: it holds `%` or `:`, or only digits and
/// dots.
pub(super) fn looks_numeric(name: &[u8]) -> bool {
    name.iter().any(|c| matches!(c, b'%' | b':'))
        || name.iter().all(|c| c.is_ascii_digit() || *c == b'.')
}

/// The address as the C library prints it, if `name` is one of this family: `127.1` is
/// `127.0.0.1`, and `010.0.0.1` is `8.0.0.1`.
pub(super) fn canonical(
    name: &[u8],
    family: AddressFamily,
    environment: &mut dyn Environment,
) -> Option<String> {
    if let Some(v4) = parse_v4(name) {
        return (family != AddressFamily::Inet6).then(|| v4.to_string());
    }
    if family == AddressFamily::Inet {
        return None;
    }
    let text = std::str::from_utf8(name).ok()?;
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let v6: Ipv6Addr = address.parse().ok()?;
    let printed = print_v6(v6);
    let Some(zone) = zone else {
        return Some(printed);
    };
    let link_local = v6.segments()[0] & 0xffc0 == 0xfe80 || v6.segments()[0] & 0xff0f == 0xff02;
    if link_local && environment.interface_index(zone.as_bytes()).is_some() {
        return Some(format!("{printed}%{zone}"));
    }
    let index: u32 = zone.parse().ok()?;
    match index {
        0 => Some(printed),
        _ => Some(format!("{printed}%{index}")),
    }
}

/// Reads an IPv4 address of one to four parts, each decimal, octal or hexadecimal.
fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let text = std::str::from_utf8(text).ok()?;
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    let mut value: u32 = 0;
    for (index, part) in parts.iter().enumerate() {
        let number = parse_part(part)?;
        if index + 1 < parts.len() {
            value |= u32::try_from(number).ok().filter(|n| *n <= 0xff)? << (24 - 8 * index);
        } else {
            let room = 32 - 8 * u32::try_from(index).ok()?;
            if room < 64 && number >> room != 0 {
                return None;
            }
            value |= u32::try_from(number).ok()?;
        }
    }
    Some(Ipv4Addr::from(value))
}

fn parse_part(part: &str) -> Option<u64> {
    if !part.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(hex) = part.strip_prefix("0x").or(part.strip_prefix("0X")) {
        let all_hex = hex.bytes().all(|c| c.is_ascii_hexdigit());
        return all_hex.then(|| u64::from_str_radix(hex, 16).ok()).flatten();
    }
    let radix = if part.len() > 1 && part.starts_with('0') {
        8
    } else {
        10
    };
    part.bytes()
        .all(|c| c.is_ascii_digit())
        .then(|| u64::from_str_radix(part, radix).ok())?
}

/// As inet_ntop does, which prints the last 32 bits of `::a.b.c.d` as IPv4.
fn print_v6(address: Ipv6Addr) -> String {
    let segments = address.segments();
    let compatible = segments[..6].iter().all(|s| *s == 0) && segments[6] != 0;
    if compatible {
        let octets = address.octets();
        return format!(
            "::{}.{}.{}.{}",
            octets[12], octets[13], octets[14], octets[15]
        );
    }
    address.to_string()
}

/// Whether any of `addresses` is in a list of address blocks (`10.0.0.0/8,::1`).
pub(super) fn in_networks(addresses: &[IpAddr], list: &[u8]) -> Result<bool, String> {
    let list = std::str::from_utf8(list).map_err(|_| "the list of networks is not text")?;
    let mut inside = false;
    for block in list.split(',') {
        let bad = || format!("\"{block}\" is no network");
        let (address, bits) = match block.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (block, None),
        };
        let network: IpAddr = address.parse().map_err(|_| bad())?;
        let most: u32 = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|b| *b <= most).ok_or_else(bad)?,
        };
        if host_part(network, bits) != 0 {
            return Err(format!(
                "\"{block}\" is no network: it has bits set past its length"
            ));
        }
        inside |= addresses
            .iter()
            .any(|a| a.is_ipv4() == network.is_ipv4() && shared_bits(*a, network) >= bits);
    }
    Ok(inside)
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn shared_bits(a: IpAddr, b: IpAddr) -> u32 {
    (bits_of(a) ^ bits_of(b)).leading_zeros()
}

fn host_part(network: IpAddr, bits: u32) -> u128 {
    bits_of(network).checked_shl(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lo;
    impl Environment for Lo {
        fn interface_index(&mut self, name: &[u8]) -> Option<u32> {
            (name == b"lo").then_some(1)
        }
    }

    #[test]
    fn addresses_are_read_and_printed_as_the_c_library_does() {
        for (name, printed) in [
            ("127.1", Some("127.0.0.1")),
            ("010.0.0.1", Some("8.0.0.1")),
            ("0x7f.1", Some("127.0.0.1")),
            ("1", Some("0.0.0.1")),
            ("1.2.3.256", None),
            ("1.256.1.1", None),
            ("1.2.3.4.5", None),
            ("08.1.1.1", None),
            ("1.", None),
            ("::1", Some("::1")),
            ("::0102:0304", Some("::1.2.3.4")),
            ("::ffff:1.2.3.4", Some("::ffff:1.2.3.4")),
            ("FE80::1%lo", Some("fe80::1%lo")),
            ("fe80::1%nope", None),
            ("2001:DB8::1%2", Some("2001:db8::1%2")),
            ("web", None),
        ] {
            let found = canonical(name.as_bytes(), AddressFamily::Any, &mut Lo);
            assert_eq!(found.as_deref(), printed, "{name}");
        }
        assert_eq!(canonical(b"::1", AddressFamily::Inet, &mut Lo), None);
        assert_eq!(canonical(b"127.1", AddressFamily::Inet6, &mut Lo), None);
    }

    #[test]
    fn networks() {
        let here = ["10.1.2.3".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(in_networks(&here, b"10.0.0.0/8"), Ok(true));
        assert_eq!(in_networks(&here, b"11.0.0.0/8,::1"), Ok(true));
        assert_eq!(in_networks(&here, b"0.0.0.0/0"), Ok(true));
        assert_eq!(in_networks(&here, b"192.168.0.0/16"), Ok(false));
        assert!(in_networks(&here, b"10.0.0.1/8").is_err());
        assert!(in_networks(&here, b"10.0.0.0/33").is_err());
        assert!(in_networks(&here, b"x").is_err());
    }
}
