//! Numbers in ssh_config: integers, durations, sizes, ports, tunnel numbers and octal masks.
//!
//! Follows the C functions OpenSSH uses, which differ in what they let pass.

use super::environment::Environment;

/// The largest value of a plain integer and of a duration in seconds.
const MAX: i64 = i32::MAX as i64;

/// A decimal number within bounds, as strtonum reads it: white space and a sign may stand in
/// front.
pub(super) fn decimal(text: &[u8], least: i64, most: i64) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    if text
        .strip_prefix(['+', '-'])
        .unwrap_or(text)
        .starts_with(['+', '-'])
    {
        return None;
    }
    let value: i64 = text.parse().ok()?;
    (least..=most).contains(&value).then_some(value)
}

/// An integer that is not negative.
pub(super) fn integer(text: &[u8]) -> Result<i64, String> {
    if text.is_empty() {
        return Err("integer value missing".to_owned());
    }
    decimal(text, 0, MAX).ok_or_else(|| "integer value invalid".to_owned())
}

/// A port by number or by the name of its service. 0 is let through; who forbids it says so.
pub(super) fn port(text: &[u8], environment: &mut dyn Environment) -> Option<u16> {
    match decimal(text, 0, 65535) {
        Some(number) => u16::try_from(number).ok(),
        None => environment.service_port(text),
    }
}

/// A duration in seconds: `90`, `1h30m`, `2d`.
pub(super) fn duration(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = leading_integer(rest)?;
        let (unit, after) = match after.first() {
            None => (1, after),
            Some(b's' | b'S') => (1, &after[1..]),
            Some(b'm' | b'M') => (60, &after[1..]),
            Some(b'h' | b'H') => (3600, &after[1..]),
            Some(b'd' | b'D') => (86_400, &after[1..]),
            Some(b'w' | b'W') => (604_800, &after[1..]),
            Some(_) => return None,
        };
        total += number.checked_mul(unit).filter(|n| *n <= MAX)?;
        if total > MAX {
            return None;
        }
        rest = after;
    }
    Some(total)
}

/// What strtol reads in front: white space, a sign and digits, if that is not negative.
fn leading_integer(text: &[u8]) -> Option<(i64, &[u8])> {
    let spaces = text
        .iter()
        .take_while(|c| matches!(c, b' ' | b'\t'..=b'\r'))
        .count();
    let (negative, sign) = match text.get(spaces) {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let start = spaces + sign;
    let digits = text[start..]
        .iter()
        .take_while(|c| c.is_ascii_digit())
        .count();
    if digits == 0 {
        return None;
    }
    let number = std::str::from_utf8(&text[start..start + digits]).ok()?;
    let value: i64 = number.parse().ok()?;
    (!negative || value == 0).then_some((value, &text[start + digits..]))
}

/// A number of bytes with an optional unit: `1G`, `512K`, `1.5m`.
pub(super) fn size(text: &[u8]) -> Result<i64, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "not a number")?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.contains('.') {
        return Err("not a number");
    }
    if whole.len() >= 21 {
        return Err("too large");
    }
    let mut whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| "too large")?
    };
    if negative {
        whole = -whole;
    }
    let mut units = suffix.chars();
    let shift = match units.next() {
        None => return Ok(whole),
        Some('b' | 'B') => 0,
        Some('k' | 'K') => 10,
        Some('m' | 'M') => 20,
        Some('g' | 'G') => 30,
        Some('t' | 'T') => 40,
        Some('p' | 'P') => 50,
        Some('e' | 'E') => 60,
        Some(_) => return Err("unknown unit"),
    };
    if units.next().is_some_and(|c| c.is_ascii_alphanumeric()) {
        return Err("unknown unit");
    }
    let unit = 1i64 << shift;
    let scaled = whole.checked_mul(unit).ok_or("too large")?;
    let fraction = &fraction[..fraction.len().min(18)];
    let part = match fraction {
        "" => 0,
        digits => {
            let value: i128 = digits.parse().map_err(|_| "not a number")?;
            let scale = 10i128.pow(u32::try_from(digits.len()).unwrap_or(18));
            i64::try_from(value * i128::from(unit) / scale).map_err(|_| "too large")?
        }
    };
    let part = if whole < 0 { -part } else { part };
    scaled.checked_add(part).ok_or("too large")
}

/// A tunnel device number, `None` for `any`.
pub(super) fn tunnel(text: &[u8]) -> Option<Option<i64>> {
    if text.eq_ignore_ascii_case(b"any") {
        return Some(None);
    }
    decimal(text, 0, i64::from(i32::MAX) - 2).map(Some)
}

/// A number the C way, leading zeros octal and `0x` hexadecimal, that takes the whole text.
pub(super) fn any_base(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { -value } else { value })
}

/// An octal mask up to 0777. As in OpenSSH, what follows the digits is not looked at.
pub(super) fn octal_mask(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|c| matches!(c, b'0'..=b'7')).count();
    let digits = std::str::from_utf8(&text[..digits]).ok()?;
    let value = i64::from_str_radix(digits, 8).ok()?;
    (value <= 0o777).then_some(value)
}

/// An escape character: `none` is -2, `^C` a control character, anything else one byte.
pub(super) fn escape_char(text: &[u8]) -> Option<i64> {
    match text {
        b"none" => Some(ESCAPE_NONE),
        [c] => Some(i64::from(*c)),
        [b'^', c @ 64..=127] => Some(i64::from(c & 31)),
        _ => None,
    }
}

/// The value of `EscapeChar none`.
pub(super) const ESCAPE_NONE: i64 = -2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("90", Some(90)),
            ("1h30m", Some(5400)),
            ("1W2d", Some(777_600)),
            ("", None),
            ("5x", None),
            ("-1", None),
            ("99999999999", None),
            ("1m ", None),
        ] {
            assert_eq!(duration(text.as_bytes()), seconds, "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size(b"1G"), Ok(1 << 30));
        assert_eq!(size(b"1.5k"), Ok(1536));
        assert_eq!(size(b"16"), Ok(16));
        assert!(size(b"1x").is_err());
        assert!(size(b"99999999E").is_err());
        assert_eq!(size(b"G"), Ok(0));
    }

    #[test]
    fn numbers_of_any_base() {
        assert_eq!(any_base(b"0x10"), Some(16));
        assert_eq!(any_base(b"010"), Some(8));
        assert_eq!(any_base(b"08"), None);
        assert_eq!(any_base(b""), None);
    }
}
